//! Bounds of what is kept, and who may write it.

use std::time::Duration;

/// Journal entries that are kept; the oldest go first.
pub const JOURNAL_ENTRIES_MAX: u64 = 10_000;
/// Ended rollouts that are kept for each service.
pub const ROLLOUTS_KEPT_MAX: usize = 20;
/// Answers that are read from the store at once, such as exported windows.
pub const STORE_READS_MAX: usize = 2;
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
/// Entries of the audit log that are kept; the oldest go first.
pub const AUDIT_ENTRIES_MAX: u64 = 10_000;
/// Refused requests that wait for the audit log; what is more is counted only.
pub const AUDIT_QUEUE_MAX: usize = 256;
/// How long refusals of the same kind are summed up before they become one entry: nobody can wash the audit log
/// out by asking for what is refused.
pub const AUDIT_SUM: Duration = Duration::from_secs(60);
/// Kinds of refusals that are summed up at once; further ones are counted with others of the same caller, if it has any.
pub const AUDIT_SUMS_MAX: usize = 64;
/// Entries for the audit log that a control plane which follows keeps while it can't tell the one that leads; what is more is
/// counted only.
pub const AUDIT_KEPT_MAX: usize = 512;
/// Of them, how many it tells at once.
pub const AUDIT_BATCH_MAX: usize = 16;
/// The most that so many can be, in bytes, as JSON.
pub const AUDIT_BATCH_BYTES_MAX: usize = 512 * 1024;
/// How long it waits until the one that leads has taken them; then it tells them again.
pub const AUDIT_TELL_WAIT: Duration = Duration::from_secs(5);
/// Control planes that the one that leads tells apart when they tell what they have refused.
pub const CONTROL_PLANES_MAX: usize = 64;
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
