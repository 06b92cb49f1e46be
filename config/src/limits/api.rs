//! Bounds of the control API and the commands that ask it.

use std::time::Duration;

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
/// The longest name of whoever asks for a change, as journal and audit log have it, in characters.
pub const CALLER_CHARS_MAX: usize = 200;
/// The longest reason that a command may carry, in characters.
pub const REASON_CHARS_MAX: usize = 500;
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
/// Journal entries in one answer of the control API.
pub const API_ENTRIES_MAX: usize = 1_000;
