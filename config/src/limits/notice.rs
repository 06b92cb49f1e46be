//! Bounds of whom decisions are told, and who is asked before one.

use std::time::Duration;

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
/// For how long a recipient is not told before that is a warning; at once where somebody has to change something. Shorter than
/// that a server is being restarted.
pub const NOTIFICATION_WARN_AFTER: Duration = Duration::from_secs(30);
/// How often a recipient that is still not told is warned of again.
pub const NOTIFICATION_WARN_AGAIN: Duration = Duration::from_secs(60 * 60);
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
