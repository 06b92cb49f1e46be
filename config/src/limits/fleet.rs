//! Bounds of the streams between proxies and control planes.

use std::time::Duration;

/// Windows that wait for the control plane; when it is behind, the oldest proxy-side behaviour is to drop
/// the newest window and count it, never to wait.
pub const WINDOWS_QUEUED_MAX: usize = 64;
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
/// Bytes of each word in a hello: a release, a digest, an identity.
pub const FLEET_WORD_BYTES_MAX: usize = 256;
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
/// The longest such wait while the stream was lost only just now: somebody else may be about to lead, and what a canary
/// does meanwhile is judged when the proxies are there.
pub const UPLINK_SEARCH_BACKOFF_MAX: Duration = Duration::from_millis(400);
/// How long after the end of a stream that is so: a lease has run out by then, and the next leader was elected.
pub const UPLINK_SEARCH: Duration = Duration::from_secs(10);
/// Where a proxy may find its control plane.
pub const UPLINK_ENDPOINTS_MAX: usize = 16;
/// A proxy that has not acknowledged a rollback after this is named.
pub const ROLLBACK_ACKNOWLEDGED: Duration = Duration::from_secs(1);
/// Proxies that one entry of the journal names.
pub const PROXIES_NAMED_MAX: usize = 20;
/// Proxies that are known while they are refused, since another one has their name; the one that was refused longest ago is
/// forgotten first.
pub const FLEET_DUPLICATES_MAX: usize = 256;
/// A proxy that is refused for its name tries again at least so often, however many endpoints hang; one that does not has
/// ended.
pub const FLEET_DUPLICATE_REMEMBERED: Duration = Duration::from_secs(30);
/// A proxy that is refused for its name for so long is told of: a process that takes over has the name, too, for a moment, and
/// so has one whose earlier stream hangs ([`FLEET_SILENCE_MAX`]).
pub const FLEET_DUPLICATE_TOLD: Duration = Duration::from_secs(15);
/// And another one of that name not before this has passed.
pub const FLEET_DUPLICATE_TOLD_AGAIN: Duration = Duration::from_secs(24 * 3_600);
/// A proxy without a stream is remembered for so long.
pub const FLEET_REMEMBERED: Duration = Duration::from_secs(600);
/// Proxies whose windows are told apart; the one that was silent longest is forgotten first.
pub const PROXIES_MAX: usize = FLEET_STREAMS_MAX;
