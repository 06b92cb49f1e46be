//! Bounds of rollouts: their steps, their evidence, what stands in their way.

use std::time::Duration;

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
/// The most freezes in the file.
pub const FREEZES_MAX: usize = 64;
/// The most freezes by hand at once.
pub const FREEZES_BY_HAND_MAX: usize = 64;
/// The most groups of services.
pub const GROUPS_MAX: usize = 256;
/// The most rollouts at once that can be allowed.
pub const ROLLOUTS_AT_ONCE_MAX: u64 = 10_000;
/// How often a proxy tells the plain counts of services whose canary and stable version both have weight. A quarter
/// of a second: what is shorter holds too few requests to say anything, and what is longer costs users.
pub const BEAT_PERIOD: Duration = Duration::from_millis(250);
/// The most of one thing that a window may count: a billion requests in a second.
pub const WINDOW_COUNT_MAX: u64 = 1_000_000_000;
/// Clients whose failures one worker lists in a second, for each route and version.
pub const ERRING_CLIENTS_MAX: usize = 16_384;
/// Clients with failures that are remembered for each version, so that each counts once; when there are more, all are
/// forgotten.
pub const ERRING_CLIENTS_KNOWN_MAX: usize = 65_536;
/// A request without an answer is slow from this age on, and is counted before it ends.
pub const HANG_LEAST: Duration = Duration::from_secs(10);
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
/// How long a second stays open for windows of other proxies after its first one came.
pub const SECOND_GRACE: Duration = Duration::from_secs(1);
/// Seconds that are open at once.
pub const SECONDS_OPEN_MAX: usize = 8;
