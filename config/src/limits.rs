//! Every bound of the program, by name. What an operator may change stands in [`Limits`] with its default;
//! the rest are constants. Sources of the defaults: RFC 9110/9112/9113 and the published edge advice of
//! Envoy, HAProxy and nginx, where they agree.

use std::time::Duration;

use serde::Serialize;

/// The longest name of a listener, route, service or version: a DNS label's length.
pub const NAME_LENGTH_MAX: usize = 63;
/// The largest configuration file.
pub const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest file that holds a secret.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting in a configuration file.
pub const CONFIG_DEPTH_MAX: usize = 32;
/// The most nodes in a configuration file, aliases expanded.
pub const CONFIG_NODES_MAX: usize = 500_000;
/// The most problems that one check prints.
pub const PROBLEMS_MAX: usize = 100;
/// The most steps in a rollout.
pub const STEPS_MAX: usize = 50;
/// The longest that a step of a rollout may last.
pub const STEP_DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most requests that a step may ask for.
pub const STEP_REQUESTS_MAX: u64 = 1_000_000_000;
/// The longest that a canary may be granted to warm up.
pub const WARM_UP_MAX: Duration = Duration::from_secs(3600);
/// The most routes that a rollout compares each for itself.
pub const STRATA_MAX: usize = 1_000;
/// The most requests a second of a probe.
pub const PROBE_RATE_MAX: u64 = 10_000;
/// The shortest and the longest probe.
pub const PROBE_DURATION_MIN: Duration = Duration::from_secs(1);
/// See [`PROBE_DURATION_MIN`].
pub const PROBE_DURATION_MAX: Duration = Duration::from_secs(600);
/// The most failed requests that a blast radius may allow.
pub const BLAST_REQUESTS_MAX: u64 = 1_000_000_000;
/// The most business events of one service; each has a counter in every worker for each version.
pub const EVENTS_MAX: usize = 32;
/// The most recipients of notifications.
pub const RECIPIENTS_MAX: usize = 16;
/// Decisions that one recipient may be behind; what is older is not told any more, and counted.
pub const NOTIFICATIONS_BEHIND_MAX: u64 = 1_000;
/// For one try to tell a recipient, connection and answer together.
pub const NOTIFICATION_WAIT: Duration = Duration::from_secs(10);
/// The first wait after a try that failed; it doubles.
pub const NOTIFICATION_RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest wait after a try that failed.
pub const NOTIFICATION_RETRY_MAX: Duration = Duration::from_secs(60);
/// The most addresses that one e-mail recipient has.
pub const MAIL_RECIPIENTS_MAX: usize = 32;
/// The longest e-mail address (RFC 5321).
pub const MAIL_ADDRESS_BYTES_MAX: usize = 254;
/// For one try to hand an e-mail over, all of the dialogue together: servers that look for senders of spam take their time.
pub const MAIL_WAIT: Duration = Duration::from_secs(30);
/// The longest line of an SMTP server that is read (RFC 5321 allows 512 bytes).
pub const SMTP_LINE_BYTES_MAX: u64 = 2_048;
/// The most lines of one answer of an SMTP server.
pub const SMTP_LINES_MAX: usize = 64;
/// The most webhooks around steps.
pub const WEBHOOKS_MAX: usize = 16;
/// For one call of a webhook, connection and answer together (Flagger's default).
pub const WEBHOOK_WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// The shortest that can be configured.
pub const WEBHOOK_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest that can be configured.
pub const WEBHOOK_WAIT_MAX: Duration = Duration::from_secs(60);
/// Tries of a webhook after one that failed.
pub const WEBHOOK_RETRIES_DEFAULT: u64 = 3;
/// The most that can be asked for.
pub const WEBHOOK_RETRIES_MAX: u64 = 100;
/// The first wait after a try that failed; it doubles, up to the webhook's interval.
pub const WEBHOOK_RETRY_MIN: Duration = Duration::from_secs(1);
/// From an answer of a webhook until it is asked again.
pub const WEBHOOK_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
/// The shortest that can be configured.
pub const WEBHOOK_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// The longest that can be configured.
pub const WEBHOOK_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// The most of a webhook's answer that is read.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Calls of one webhook at once; further questions wait for their turn.
pub const WEBHOOK_CALLS_AT_ONCE_MAX: usize = 8;
/// The longest URL of a recipient or a webhook.
pub const URL_BYTES_MAX: usize = 2_048;
/// The most freezes in the file.
pub const FREEZES_MAX: usize = 64;
/// The most freezes by hand at once.
pub const FREEZES_BY_HAND_MAX: usize = 64;
/// The most groups of services.
pub const GROUPS_MAX: usize = 256;
/// The most rollouts at once that can be allowed.
pub const ROLLOUTS_AT_ONCE_MAX: u64 = 10_000;
/// The most listeners.
pub const LISTENERS_MAX: usize = 64;
/// The most versions of one service.
pub const VERSIONS_MAX: usize = 64;
/// The most certificates of one listener.
pub const CERTIFICATES_MAX: usize = 256;
/// The most client certificates that the file may give roles on the API.
pub const IDENTITIES_MAX: usize = 256;
/// The largest PEM file: a system's bundle of authorities has about 250 KiB.
pub const PEM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest header of the PROXY protocol that is read, further fields included.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;
/// The longest value of the header that names a client's certificate.
pub const CLIENT_CERT_HEADER_BYTES_MAX: usize = 8 * 1024;
/// TLS 1.2 sessions that a listener remembers for resumption; those of TLS 1.3 are in the client's tickets.
pub const TLS_SESSIONS_MAX: usize = 4096;
/// TLS sessions with endpoints that a version remembers for resumption, by server name.
pub const ENDPOINT_TLS_SESSIONS_MAX: usize = 1024;
/// How long certificate files must be the same before they are taken: a certificate and its key are two files,
/// and no tool replaces both at once.
pub const CERTIFICATE_SETTLE: Duration = Duration::from_millis(250);
/// While draining, a connection that has not come to its first request may take this long for its handshake.
pub const DRAIN_HANDSHAKE: Duration = Duration::from_secs(2);
/// The shortest that a connection's maximum age may be.
pub const CONNECTION_AGE_MIN: Duration = Duration::from_secs(1);

/// The most endpoints of one version, wherever they come from.
pub const ENDPOINTS_MAX: usize = 1024;
/// The largest file that lists endpoints.
pub const ENDPOINTS_FILE_BYTES_MAX: usize = 1024 * 1024;
/// How often a file that lists endpoints is looked at.
pub const ENDPOINTS_FILE_POLL: Duration = Duration::from_millis(500);
/// From the beginning of one health check to that of the next (HAProxy's `inter`).
pub const HEALTH_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);
/// The shortest that can be configured.
pub const HEALTH_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest that can be configured.
pub const HEALTH_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// For one health check.
pub const HEALTH_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// The shortest that can be configured.
pub const HEALTH_TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// The longest that can be configured.
pub const HEALTH_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Checks in a row that bring an endpoint back (HAProxy's `rise`).
pub const HEALTH_RISE_DEFAULT: u32 = 2;
/// Checks in a row that take an endpoint out (HAProxy's `fall`).
pub const HEALTH_FALL_DEFAULT: u32 = 3;
/// The most checks in a row that can be asked for.
pub const HEALTH_STREAK_MAX: u32 = 100;
/// Health checks at once, all versions together; the others wait for their turn.
pub const HEALTH_CHECKS_AT_ONCE_MAX: usize = 64;
/// The longest path, host or service of a health check.
pub const PROBE_TEXT_MAX: usize = 1024;
/// The most of a health check's answer that is read.
pub const PROBE_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Failures in a row that eject an endpoint (Envoy's `consecutive_5xx`).
pub const OUTLIER_CONSECUTIVE_DEFAULT: u32 = 5;
/// The most failures in a row that can be asked for.
pub const OUTLIER_CONSECUTIVE_MAX: u32 = 100_000;
/// How often success rates are compared.
pub const OUTLIER_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
/// The shortest interval and ejection that can be configured.
pub const OUTLIER_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The first ejection of an endpoint.
pub const EJECTION_BASE_DEFAULT: Duration = Duration::from_secs(30);
/// The longest ejection of an endpoint.
pub const EJECTION_MAX_DEFAULT: Duration = Duration::from_secs(300);
/// The longest ejection that can be configured.
pub const EJECTION_LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The largest share of a version's endpoints that is ejected at once, in parts per million.
pub const EJECTED_PPM_DEFAULT: u32 = 500_000;
/// Endpoints that must have enough requests before their success rates are compared.
pub const SUCCESS_RATE_ENDPOINTS_DEFAULT: u32 = 5;
/// Requests that make a success rate.
pub const SUCCESS_RATE_REQUESTS_DEFAULT: u32 = 100;
/// Standard deviations below the mean that eject an endpoint.
pub const SUCCESS_RATE_DEVIATIONS_DEFAULT: f64 = 1.9;
/// The most endpoints and requests that can be asked for.
pub const SUCCESS_RATE_COUNT_MAX: u32 = 1_000_000;
/// The shortest slow start.
pub const SLOW_START_MIN: Duration = Duration::from_millis(100);
/// The longest slow start.
pub const SLOW_START_MAX: Duration = Duration::from_secs(3600);
/// Points that one endpoint has on the ring of `ring_hash`: the share of one strays by about a tenth.
pub const RING_POINTS: usize = 128;
/// The longest part of a host name (RFC 1035).
pub const DNS_LABEL_MAX: usize = 63;
/// The longest host name (RFC 1035).
pub const DNS_NAME_MAX: usize = 253;
/// The most resolvers.
pub const DNS_RESOLVERS_MAX: usize = 8;
/// A name is not asked for again sooner.
pub const DNS_MIN_TTL_DEFAULT: Duration = Duration::from_secs(1);
/// A name is asked for again by then.
pub const DNS_MAX_TTL_DEFAULT: Duration = Duration::from_secs(300);
/// The shortest bound on a TTL that can be configured.
pub const DNS_TTL_LEAST: Duration = Duration::from_millis(100);
/// The longest bound on a TTL that can be configured.
pub const DNS_TTL_MOST: Duration = Duration::from_secs(24 * 3600);
/// For one question to one resolver.
pub const DNS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
/// The shortest that can be configured.
pub const DNS_TIMEOUT_MIN: Duration = Duration::from_millis(100);
/// The longest that can be configured.
pub const DNS_TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// The longest wait after a question that had no answer; it begins at the shortest TTL and doubles.
pub const DNS_RETRY_MAX: Duration = Duration::from_secs(30);
/// The longest regular expression, in characters.
pub const REGEX_CHARS_MAX: usize = 1024;
/// The most memory of one compiled regular expression, and of what it keeps while it matches.
pub const REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// The most values or fields in one list of a route: methods, conditions, header changes.
pub const ROUTE_ITEMS_MAX: usize = 64;
/// The longest value of a header that the file gives, or that a route compares with.
pub const VALUE_BYTES_MAX: usize = 4096;
/// The largest body of an answer that the file gives.
pub const RESPOND_BODY_BYTES_MAX: usize = 64 * 1024;
/// The most overrides of one service.
pub const OVERRIDES_MAX: usize = 64;
/// The highest priority of a route.
pub const PRIORITY_MAX: u64 = 1_000_000;
/// The highest rate, and burst, of a rate limit.
pub const RATE_MAX: u64 = 1_000_000;
/// The lowest rate of a rate limit: one request in a day.
pub const RATE_MIN: f64 = 1.0 / 86_400.0;
/// Clients whose buckets one rate limit tells apart, all workers together; the fullest bucket gives way, which
/// is the one that its client missed least. 16 bytes each.
pub const RATE_LIMIT_KEYS_MAX: usize = 65_536;
/// Copies of requests under way at once, to a mirror.
pub const MIRROR_IN_FLIGHT_DEFAULT: u64 = 64;
/// The longest body of a request that is copied.
pub const MIRROR_BODY_DEFAULT: u64 = 64 * 1024;
/// The longest body of copied requests that can be configured.
pub const MIRROR_BODY_MAX: u64 = 1024 * 1024;
/// Time for a copy and its whole answer.
pub const MIRROR_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
/// The longest answer to a copy that is read to its end, to be compared; the connection of a longer one is closed.
pub const MIRROR_ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// Time for an endpoint to accept a connection.
pub const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
/// Time from the request sent to response headers.
pub const HEADER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
/// Time between two pieces of a body.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// Time without a byte in either direction of an upgraded connection.
pub const TUNNEL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(3600);
/// Bytes on their way in each direction of an upgraded connection.
pub const TUNNEL_BUFFER: usize = 16 * 1024;
/// The most protocols that a service may allow connections to be upgraded to.
pub const UPGRADES_MAX: usize = 16;
/// The longest timeout that can be configured.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Windows that wait for the control plane; when it is behind, the oldest proxy-side behaviour is to drop
/// the newest window and count it, never to wait.
pub const WINDOWS_QUEUED_MAX: usize = 64;
/// How often a proxy tells the plain counts of services whose canary and stable version both have weight. A quarter
/// of a second: what is shorter holds too few requests to say anything, and what is longer costs users.
pub const BEAT_PERIOD: Duration = Duration::from_millis(250);
/// The most of one thing that a window may count: a billion requests in a second.
pub const WINDOW_COUNT_MAX: u64 = 1_000_000_000;
/// Cells of a proxy's last window whose names are remembered, to be recognised in the next.
pub const NAMES_REMEMBERED_MAX: usize = 1_024;
/// Beats that a control plane takes of all proxies together in the time of one; those that come first.
pub const FLEET_BEATS_MAX: u64 = 256;
/// Windows that a proxy keeps for a control plane that does not answer: two minutes; the oldest go first, and are
/// counted as lost.
pub const UPLINK_WINDOWS_MAX: usize = 120;
/// The largest message between proxy and control plane: a window of a thousand routes with full histograms of two
/// versions, or a plan with the largest file.
pub const FLEET_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Proxies with a stream to one control plane at once.
pub const FLEET_STREAMS_MAX: usize = 4_096;
/// Connections to the listener for proxies that have not begun a stream yet.
pub const FLEET_ARRIVALS_MAX: usize = 512;
/// From a proxy's connection to its hello.
pub const FLEET_HELLO_WAIT: Duration = Duration::from_secs(5);
/// Messages on their way to one proxy; plans are not queued, the newest takes the place of those before.
pub const FLEET_DOWN_QUEUED_MAX: usize = 4;
/// A proxy that does not take a message for so long is cut.
pub const FLEET_SEND_WAIT: Duration = Duration::from_secs(5);
/// A proxy tells a window each second; one that says nothing for so long is cut.
pub const FLEET_SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often a proxy asks whether its control plane lives.
pub const FLEET_PING_INTERVAL: Duration = Duration::from_secs(1);
/// And how long that may take to say so. With the interval this is how long a control plane that hangs holds its
/// proxies back from the next.
pub const FLEET_PING_TIMEOUT: Duration = Duration::from_millis(1_500);
/// For a connection to a control plane and the answer to a hello.
pub const UPLINK_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The same, once, at an endpoint whose stream was lost just now, or that did not answer the last time: one that hangs
/// shall not hold a proxy back from those that don't.
pub const UPLINK_DOUBTED_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a control plane that does not lead has a proxy wait to hear who does, while nobody is known to. Shorter than
/// [`UPLINK_CONNECT_TIMEOUT`], so that the proxy does not take it for one that hangs.
pub const FLEET_LEADERLESS_WAIT: Duration = Duration::from_millis(1_500);
/// The first wait after every endpoint of the control plane was tried in vain; it doubles, and varies by half.
pub const UPLINK_BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest such wait.
pub const UPLINK_BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Where a proxy may find its control plane.
pub const UPLINK_ENDPOINTS_MAX: usize = 16;
/// A proxy that has not acknowledged a rollback after this is named.
pub const ROLLBACK_ACKNOWLEDGED: Duration = Duration::from_secs(1);
/// Proxies that one entry of the journal names.
pub const PROXIES_NAMED_MAX: usize = 20;
/// A proxy without a stream is remembered for so long.
pub const FLEET_REMEMBERED: Duration = Duration::from_secs(600);
/// Clients whose failures one worker lists in a second, for each route and version.
pub const ERRING_CLIENTS_MAX: usize = 16_384;
/// Clients with failures that are remembered for each version, so that each counts once; when there are more, all are
/// forgotten.
pub const ERRING_CLIENTS_KNOWN_MAX: usize = 65_536;
/// A request without an answer is slow from this age on, and is counted before it ends.
pub const HANG_LEAST: Duration = Duration::from_secs(10);
/// Commands that wait for the planner.
pub const COMMANDS_QUEUED_MAX: usize = 256;
/// How long one command may wait for the planner's answer.
pub const COMMAND_WAIT: Duration = Duration::from_secs(10);
/// The largest body that the control API and the admin listener read.
pub const API_BODY_BYTES_MAX: usize = 64 * 1024;
/// Requests that the control API, and the admin listener, serve at once.
pub const API_CONCURRENCY_MAX: usize = 64;
/// Connections to the control API at once, idle ones too; more than requests, so that those who do not ask do
/// not shut out those who do.
pub const API_CONNECTIONS_MAX: usize = 256;
/// How long the control API waits for the body of a change that its caller may not make: the audit log tells what it was.
pub const API_REFUSED_BODY_WAIT: Duration = Duration::from_secs(1);
/// How long the control API, and the admin listener, may take for one request.
pub const API_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer of the API that the command line reads: the windows of a rollout as text.
pub const API_ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// The largest event of the API that the command line reads.
pub const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A stream of the API's events that says nothing for so long has broken: longer than several signs of life.
pub const EVENTS_SILENCE_MAX: Duration = Duration::from_secs(60);
/// The largest file of contexts that the command line reads.
pub const CONTEXTS_BYTES_MAX: usize = 1024 * 1024;
/// How long a command that prints a token may take until its first line; it may ask its user something.
pub const TOKEN_COMMAND_WAIT: Duration = Duration::from_secs(60);
/// The longest that the command line waits for a rollout's end.
pub const STATUS_WAIT_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Journal entries that are kept; the oldest go first.
pub const JOURNAL_ENTRIES_MAX: u64 = 10_000;
/// Ended rollouts that are kept for each service.
pub const ROLLOUTS_KEPT_MAX: usize = 20;
/// Seconds of a step that a plan looks ahead at most.
pub const FORESEEN_STEP_SECONDS: u64 = 4 * 3600;
/// Seconds that a plan lets a bad canary live at most.
pub const FORESEEN_BAD_SECONDS: u64 = 3600;
/// The most requests a second that a plan is made for.
pub const FORESEEN_RPS_MAX: f64 = 1e7;
/// The most rollouts that a plan simulates.
pub const FORESEEN_ROLLOUTS_MAX: u64 = 101;
/// How often running evidence is written to the store.
pub const EVIDENCE_CHECKPOINT: Duration = Duration::from_secs(5);
/// Windows of each guard that the judge remembers one by one: for people, and to notice silence.
pub const RECENT_WINDOWS: usize = 60;
/// Routes that a verdict tells of, those with the most evidence against the canary.
pub const STRATA_REPORTED_MAX: usize = 10;
/// The most buckets of a scale of latencies that the judge is handed.
pub const SCHEME_BUCKETS_MAX: u16 = 4_096;
/// The longest line of windows that `serin judge` reads: a thousand routes with full histograms of both versions.
pub const JUDGE_LINE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest name of whoever asks for a change, as journal and audit log have it, in characters.
pub const CALLER_CHARS_MAX: usize = 200;
/// The longest reason that a command may carry, in characters.
pub const REASON_CHARS_MAX: usize = 500;
/// Seconds of counts that the control plane keeps for each service, to be shown.
pub const RECENT_SECONDS_MAX: usize = 120;
/// The newest of those seconds, whose latencies are kept whole so that they can be added up.
pub const RECENT_LATENCY_SECONDS_MAX: usize = 10;
/// Seconds of a service from which the observed shares of its versions are made.
pub const OBSERVED_SECONDS_MAX: usize = 60;
/// How long a control plane that has just begun holds complete seconds back for proxies that have windows to tell again.
pub const CATCH_UP: Duration = Duration::from_millis(1_500);
/// How often the control plane shows its state anew at most, but for decisions.
pub const STATUS_EVERY: Duration = Duration::from_millis(100);
/// Proxies whose windows are told apart; the one that was silent longest is forgotten first.
pub const PROXIES_MAX: usize = FLEET_STREAMS_MAX;
/// Answers that are read from the store at once, such as exported windows.
pub const STORE_READS_MAX: usize = 2;
/// Services whose stable version is judged against a slice of itself all the time, the first by name: some 100 KB of
/// memory and some microseconds a second each.
pub const SELF_TESTS_MAX: usize = 256;
/// Seconds of every stable version that are kept for rollouts that begin.
pub const PAST_SECONDS_MAX: usize = 60;
/// Occupied latency buckets in those seconds, all services together: some 32 MB.
pub const PAST_BUCKETS_MAX: usize = 4_000_000;
/// Plans that a control plane may have pushed and not stored when it is killed: those that take canaries out don't wait for the
/// store. The next life begins with numbers beyond them.
pub const GENERATIONS_UNSTORED_MAX: u64 = 500;
/// The first plan of a life has a number that follows a multiple of this: 7, then 1001, then 2001.
pub const GENERATIONS_OF_A_LIFE: u64 = 1_000;
/// How often the share of a canary is halved while evidence mounts against it: to an eighth. With less, the
/// evidence would take too long to become a verdict.
pub const HALVINGS_MAX: u8 = 3;
/// Seconds between two halvings.
pub const LOWER_EVERY_SECONDS: u64 = 10;
/// By how much the evidence must have risen since the last halving, in nats.
pub const LOWER_RISE_NATS: i64 = 1;
/// Seconds without suspicion, or without doubt, before that is believed.
pub const CALM_SECONDS: u64 = 30;
/// Windows in one stored chunk of a rollout's history: a minute.
pub const HISTORY_CHUNK_WINDOWS: usize = 60;
/// From this size on a chunk of a rollout's history is full.
pub const HISTORY_CHUNK_BYTES: usize = 64 * 1024;
/// Full chunks of one rollout that wait for a store that can't be written; the oldest go first.
pub const HISTORY_UNSTORED_MAX: usize = 32;
/// What is kept of the windows of one rollout, about two hours of a service with one route; the oldest go first.
pub const HISTORY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What is kept of the windows of all rollouts; those of the oldest rollout go first.
pub const HISTORY_TOTAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a second stays open for windows of other proxies after its first one came.
pub const SECOND_GRACE: Duration = Duration::from_secs(1);
/// Seconds that are open at once.
pub const SECONDS_OPEN_MAX: usize = 8;
/// Requests a second that one token or certificate may send to the control API, and so many more in a burst. What
/// a pipeline and a few terminals ask for is far below it.
pub const API_RATE: u32 = 100;
/// See [`API_RATE`].
pub const API_BURST: u32 = 200;
/// Requests a second without a valid token or certificate that are answered for one address; the others are only
/// told so. Who shows a valid one is never locked out by them.
pub const API_STRANGER_RATE: u32 = 5;
/// See [`API_STRANGER_RATE`].
pub const API_STRANGER_BURST: u32 = 20;
/// Callers whose rates the control API tells apart; whoever has asked least lately gives way.
pub const API_RATE_KEYS_MAX: usize = 4_096;
/// Watchers of the control API at once, requests that wait for a verdict included.
pub const API_WATCHERS_MAX: usize = 64;
/// How long one stream of events lasts; the client connects again and goes on where it was.
pub const API_WATCH_LIFE: Duration = Duration::from_secs(600);
/// Events that wait for one watcher to read; the sources wait for nobody.
pub const API_WATCH_QUEUE_MAX: usize = 16;
/// How long a watcher may take to read before it is cut.
pub const API_WATCH_STALL: Duration = Duration::from_secs(30);
/// How often a quiet stream of events gives a sign of life.
pub const API_WATCH_BEAT: Duration = Duration::from_secs(15);
/// The longest that a request may wait for a verdict.
pub const API_VERDICT_WAIT_MAX: Duration = Duration::from_secs(300);
/// Services in one answer of the control API.
pub const API_SERVICES_MAX: usize = 1_000;
/// Tokens of the control API, expired ones that nobody has taken back included.
pub const TOKENS_MAX: usize = 1_000;
/// How long a token of the control API lives, unless whoever asks for it says otherwise.
pub const TOKEN_LIFE_DEFAULT: Duration = Duration::from_secs(90 * 24 * 3600);
/// The longest that a token of the control API may live.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// The shortest that a token of the control API may live.
pub const TOKEN_LIFE_MIN: Duration = Duration::from_secs(60);
/// How long an answer to a change is remembered, so that the same change sent again is not done again.
pub const REPEAT_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Changes that are remembered so; the oldest go first.
pub const REPEATS_MAX: usize = 1_000;
/// The longest idempotency key, in bytes.
pub const REPEAT_KEY_BYTES_MAX: usize = 255;
/// Entries of the audit log that are kept; the oldest go first.
pub const AUDIT_ENTRIES_MAX: u64 = 10_000;
/// Refused requests that wait for the audit log; what is more is counted only.
pub const AUDIT_QUEUE_MAX: usize = 256;
/// How long refusals of the same kind are summed up before they become one entry: nobody can wash the audit log
/// out by asking for what is refused.
pub const AUDIT_SUM: Duration = Duration::from_secs(60);
/// Kinds of refusals that are summed up at once; further ones are counted with others of the same caller, if it has any.
pub const AUDIT_SUMS_MAX: usize = 64;
/// Journal entries in one answer of the control API.
pub const API_ENTRIES_MAX: usize = 1_000;
/// How often a decision that could not be stored is tried again.
pub const STORE_RETRY: Duration = Duration::from_secs(1);
/// How long a decision waits for the store before its write counts as failed.
pub const STORE_WAIT: Duration = Duration::from_secs(1);
/// The most members of etcd that can be named.
pub const ETCD_ENDPOINTS_MAX: usize = 16;
/// The longest prefix of keys in etcd.
pub const ETCD_PREFIX_CHARS_MAX: usize = 200;
/// How long a member of etcd may take to accept a connection.
pub const ETCD_CONNECT_WAIT: Duration = Duration::from_millis(500);
/// How long a member of etcd may take for an answer before the next one is asked: several flushes of a slow disk, and
/// short enough that one which hangs leaves time to renew a lease at another.
pub const ETCD_REQUEST_WAIT: Duration = Duration::from_millis(700);
/// The largest answer of etcd that is read: a page of keys.
pub const ETCD_ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Keys in one page of what is read from etcd.
pub const ETCD_PAGE_KEYS: i64 = 100;
/// Keys that one transaction changes; etcd's own bound is 128 (`--max-txn-ops`).
pub const ETCD_TXN_KEYS_MAX: usize = 120;
/// What one transaction writes; etcd's own bound on a request is 1.5 MiB (`--max-request-bytes`).
pub const ETCD_COMMIT_BYTES_MAX: usize = 1024 * 1024;
/// The largest value of one key in etcd; a larger one stands in several.
pub const ETCD_PIECE_BYTES_MAX: usize = 512 * 1024;
/// How fast etcd is written by what nobody waits for: checkpoints of evidence come less often where they are larger.
pub const ETCD_WRITE_BYTES_PER_SECOND: u64 = 256 * 1024;
/// How long a leader's lease lasts when it is not renewed: the shortest that etcd grants with its own defaults. A
/// leader that dies is missed this long, and half a second more until etcd notices.
pub const LEASE_DEFAULT: Duration = Duration::from_secs(2);
/// The shortest lease that can be configured.
pub const LEASE_MIN: Duration = Duration::from_secs(2);
/// The longest lease that can be configured.
pub const LEASE_MAX: Duration = Duration::from_secs(60);
/// How often etcd is told to forget what was overwritten, so that it does not fill up.
pub const COMPACTION_DEFAULT: Duration = Duration::from_secs(600);
/// The shortest that can be configured.
pub const COMPACTION_MIN: Duration = Duration::from_secs(60);
/// How often a follower asks etcd whether it is up to date. One that got no answer for three times as long says that
/// what it shows is stale.
pub const FOLLOW_BEAT: Duration = Duration::from_millis(500);
/// How long a control plane that follows waits for the answer of the one that leads, to a request that it passes on.
pub const FORWARD_WAIT: Duration = Duration::from_secs(15);
/// How long it waits for the answer to a read, before it answers by itself with what it knows.
pub const FORWARD_READ_WAIT: Duration = Duration::from_secs(1);
/// The largest answer of the leader that is passed on.
pub const FORWARD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a changed file must be quiet before it is read: editors write in several steps.
pub const RELOAD_SETTLE: Duration = Duration::from_millis(50);
/// How often the file is looked at where no event tells of a change.
pub const RELOAD_POLL: Duration = Duration::from_secs(5);

/// The most requests whose spans may wait for export.
pub const OTLP_QUEUE_MAX: usize = 65_536;
/// Requests in one export of spans.
pub const OTLP_BATCH_MAX: usize = 512;
/// How long spans wait for others to be exported with.
pub const OTLP_BATCH_WAIT: Duration = Duration::from_millis(500);
/// Spans of attempts that are told of one request; later ones are counted only.
pub const ATTEMPTS_TOLD_MAX: usize = 8;
/// Unsampled traces of failed or slow requests that are kept in a second, all workers together: an outage
/// must not become one of the collector.
pub const KEPT_TRACES_PER_SECOND_MAX: u32 = 100;
/// Lines that wait for the access log's writer; what is more is dropped and counted.
pub const ACCESS_LOG_QUEUE_MAX: usize = 8_192;
/// Bytes of lines that are written at once.
pub const ACCESS_LOG_WRITE_BYTES: usize = 64 * 1024;
/// How often a file that can't be opened or written is tried again.
pub const ACCESS_LOG_RETRY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for spans, and for lines, that are still to be written.
pub const TELEMETRY_FLUSH: Duration = Duration::from_secs(1);
/// The longest path that is told of a request, in bytes.
pub const TOLD_PATH_BYTES_MAX: usize = 2_048;
/// The longest query, host, user agent and `tracestate` that is told of a request, in bytes.
pub const TOLD_FIELD_BYTES_MAX: usize = 512;

/// Header fields in one request or response.
pub const HEADER_FIELDS_MAX: usize = 100;
/// The largest head of an HTTP/1.1 message, and the read buffer of a connection.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Empty lines before a request line; RFC 9112, 2.2 knows clients that send one behind a body.
pub const LEADING_BLANK_LINES_MAX: u8 = 2;
/// A client connection over HTTP/1 that is quiet for so long gives its buffers back until bytes come.
pub const PARK_AFTER: Duration = Duration::from_millis(100);
/// How long, and for how many bytes, a client that was refused, or answered early, is listened to, so that the
/// answer arrives. Time is the bound that counts: a fast uploader has much on its way.
pub const LINGER: Duration = Duration::from_secs(2);
/// See [`LINGER`].
pub const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Flow-control window of one HTTP/2 stream.
pub const H2_STREAM_WINDOW: u32 = 64 * 1024;
/// Flow-control window of one HTTP/2 connection.
pub const H2_CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Flow-control window of one HTTP/2 stream from an endpoint: what it may send before the client reads.
pub const H2_ENDPOINT_STREAM_WINDOW: u32 = 256 * 1024;
/// Requests at once on one HTTP/2 connection to an endpoint, whatever more it allows.
pub const H2_ENDPOINT_STREAMS_MAX: usize = 100;
/// HTTP/2 connections of one worker to one endpoint.
pub const H2_CONNECTIONS_PER_ENDPOINT_MAX: usize = 16;
/// While requests wait on an HTTP/2 connection to an endpoint, it is asked this often whether it lives.
pub const H2_ENDPOINT_PING_INTERVAL: Duration = Duration::from_secs(15);
/// And is given up if it does not say so within this.
pub const H2_ENDPOINT_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes buffered for sending on one HTTP/2 stream.
pub const H2_SEND_BUFFER: usize = 64 * 1024;
/// Streams that a peer may reset before we have accepted them (CVE-2023-44487).
pub const H2_PENDING_RESETS_MAX: usize = 20;
/// Streams that we may have reset ourselves (CVE-2025-8671).
pub const H2_LOCAL_RESETS_MAX: usize = 128;
/// A request sent over an idle connection that the endpoint had just closed may go out again this often.
pub const STALE_CONNECTION_RETRIES_MAX: u32 = 2;
/// The longest request body that is kept to be sent again, unless the file says otherwise.
pub const REPLAY_BYTES_DEFAULT: usize = 64 * 1024;
/// The longest that can be configured.
pub const REPLAY_BYTES_MAX: usize = 1024 * 1024;
/// The most tries of one request beyond the first.
pub const RETRIES_MAX: u64 = 10;
/// The longest wait before a try that can be configured.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The most requests that may wait for a place at one version.
pub const PENDING_MAX: usize = 100_000;
/// The longest body of a fallback answer, in bytes.
pub const FALLBACK_BYTES_MAX: usize = 64 * 1024;
/// The most header fields of a fallback answer.
pub const FALLBACK_FIELDS_MAX: usize = 32;
/// The least that can be configured as the memory that there is: below, the process alone takes most of it.
pub const MEMORY_LEAST: u64 = 16 * 1024 * 1024;
/// From this share of the memory that there is, in per cent, new requests are refused.
pub const MEMORY_SHED_PERCENT: u64 = 95;
/// Below this share they are taken again.
pub const MEMORY_TAKE_PERCENT: u64 = 90;
/// Injected faults at once.
pub const FAULTS_MAX: usize = 64;
/// The longest that an injected fault may last.
pub const FAULT_LIFE_MAX: Duration = Duration::from_secs(3600);
/// The longest that an injected fault may hold a request.
pub const FAULT_DELAY_MAX: Duration = Duration::from_secs(60);
/// How often housekeeping looks for versions that hang, and moves adaptive limits.
pub const RESILIENCE_TICK: Duration = Duration::from_millis(100);
/// The largest value in a latency histogram, in microseconds; longer ones are counted there.
pub const LATENCY_MAX_US: u64 = 60_000_000;
/// Pending connections in the kernel for each listener.
pub const LISTEN_BACKLOG: i32 = 4096;
/// The most workers.
pub const WORKERS_MAX: usize = 256;
/// How much longer than the deadline of a gRPC caller its call may take here, so that the caller's own clock goes first.
pub const GRPC_DEADLINE_GRACE: Duration = Duration::from_millis(100);
/// How many listening sockets one process takes from another: those of all listeners and workers, and the admin
/// listener's.
pub const TAKEOVER_SOCKETS_MAX: usize = LISTENERS_MAX * WORKERS_MAX + 1;
/// How long one side of a hand-over waits for what the other does next, which may include stopping a control plane or
/// opening its store.
pub const TAKEOVER_WAIT: Duration = Duration::from_secs(30);
/// How long the store of another process is waited for once that process has said that it lets go of it; and how long a
/// proxy that hands over takes to write its plan for the next process.
pub const TAKEOVER_STORE_WAIT: Duration = Duration::from_secs(10);
/// The most that can be configured of client connections, and of requests in flight to one version.
pub const CONCURRENCY_MAX: usize = 1_000_000;
/// The most streams on one HTTP/2 connection that can be configured.
pub const STREAMS_MAX: u32 = 10_000;
/// The most unused connections to one endpoint that can be configured.
pub const IDLE_CONNECTIONS_MAX: usize = 65_536;

/// How much memory there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxMemory {
    /// What the process's cgroup allows; no limit where it allows everything.
    Auto,
    /// No limit.
    None,
    /// So many bytes.
    Bytes(u64),
}

/// Bounds that an operator may change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Serving threads; each has its own runtime, listener, pools and recorders. Default: the cores that
    /// the process may use.
    pub workers: Option<usize>,
    /// Client connections at once, all workers together; beyond it they are refused at once. 10 000.
    pub max_connections: usize,
    /// Requests in flight to one version, all workers together; beyond it 503 `overload_local`. 1 000.
    pub max_requests_per_version: usize,
    /// Requests in flight, all versions and workers together; beyond it new ones get 503. None: no limit but
    /// those of the versions.
    pub max_requests: Option<usize>,
    /// Memory near which new requests get 503. The limit of the process's cgroup.
    pub max_memory: MaxMemory,
    /// The longest body of a request, in bytes; a longer one gets 413. None: no limit, since bodies are not kept.
    pub max_body: Option<u64>,
    /// Streams at once on one HTTP/2 connection. 100.
    pub max_streams: u32,
    /// From the connection to a complete request head. 10 s.
    #[serde(with = "millis")]
    pub client_header_timeout: Duration,
    /// A client connection without a request is closed after this. 75 s.
    #[serde(with = "millis")]
    pub client_keep_alive: Duration,
    /// A client that reads or sends nothing within a body is dropped after this. 30 s.
    #[serde(with = "millis")]
    pub client_stall_timeout: Duration,
    /// An unused connection to an endpoint is closed after this. 30 s.
    #[serde(with = "millis")]
    pub endpoint_keep_alive: Duration,
    /// Unused connections kept for each endpoint and worker. 256.
    pub idle_connections_per_endpoint: usize,
    /// From SIGTERM to the end, whatever is still in flight. 30 s.
    #[serde(with = "millis")]
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: None,
            max_connections: 10_000,
            max_requests_per_version: 1_000,
            max_requests: None,
            max_memory: MaxMemory::Auto,
            max_body: None,
            max_streams: 100,
            client_header_timeout: Duration::from_secs(10),
            client_keep_alive: Duration::from_secs(75),
            client_stall_timeout: Duration::from_secs(30),
            endpoint_keep_alive: Duration::from_secs(30),
            idle_connections_per_endpoint: 256,
            drain_deadline: Duration::from_secs(30),
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Serialize, Serializer};

    #[expect(clippy::cast_possible_truncation, reason = "timeouts are at most a day")]
    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        (time.as_millis() as u64).serialize(to)
    }
}
