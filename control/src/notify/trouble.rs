//! Which failures to tell a recipient are worth a warning. Pure: failures and times come in.
//!
//! One that passes by itself is not worth one at once: a server is restarted, a connection breaks off. One that nobody mends
//! would hide among those for ever. So a warning comes when it lasts, or at once where somebody has to change something, and
//! then rarely: what fails is tried again each minute.

use std::time::Duration;

use serin_config::limits::{NOTIFICATION_WARN_AFTER, NOTIFICATION_WARN_AGAIN};

/// How long one recipient was not told.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since_ms: Option<u64>,
    warned_ms: Option<u64>,
}

impl Trouble {
    /// It was not told once more; `lasts` where that will not work before somebody has changed something. Gives whether people are
    /// to be warned. `now_ms` is in milliseconds since 1970.
    pub(super) fn again(&mut self, lasts: bool, now_ms: u64) -> bool {
        let since_ms = *self.since_ms.get_or_insert(now_ms);
        let over =
            |since_ms: u64, time: Duration| u128::from(now_ms.saturating_sub(since_ms)) >= time.as_millis();
        let worth = lasts || over(since_ms, NOTIFICATION_WARN_AFTER);
        let warns = worth && self.warned_ms.is_none_or(|warned_ms| over(warned_ms, NOTIFICATION_WARN_AGAIN));
        if warns {
            self.warned_ms = Some(now_ms);
        }
        warns
    }

    /// It was told. Gives whether people were warned that it was not.
    pub(super) fn is_over(&mut self) -> bool {
        self.since_ms = None;
        self.warned_ms.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    #[test]
    fn what_passes_is_no_warning_and_what_lasts_is_one_an_hour() {
        let mut trouble = Trouble::default();
        assert!(!trouble.again(false, 0) && !trouble.again(false, 29_999));
        assert!(!trouble.is_over(), "nobody was warned");
        let warned = (0..150).filter(|minute| trouble.again(false, minute * MINUTE_MS));
        assert_eq!(warned.collect::<Vec<_>>(), [1, 61, 121]);
        assert!(trouble.is_over() && !trouble.is_over());
        assert!(!trouble.again(false, 200 * MINUTE_MS), "it begins anew");
    }

    #[test]
    fn what_somebody_has_to_change_is_a_warning_at_once_and_no_flood() {
        let mut trouble = Trouble::default();
        let warned = (0..60).filter(|minute| trouble.again(true, minute * MINUTE_MS)).count();
        assert_eq!(warned, 1);
    }
}
