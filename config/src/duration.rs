//! How a duration is written: a whole number in the largest unit that fits.

use std::time::Duration;

/// `1500ms`, `30s`, `5m` or `1h`; what is finer than a millisecond is left out.
pub fn show(time: Duration) -> String {
    let milliseconds = time.as_millis();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if milliseconds > 0 && milliseconds.is_multiple_of(size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    format!("{milliseconds}ms")
}

/// Serialises a duration as the file writes it: `"1s"`.
pub(crate) fn serialize<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&show(*time))
}

/// The same where there may be none.
pub(crate) fn serialize_any<S: serde::Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.serialize_some(&show(*time)),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::raw::decode::Leaf;

    #[test]
    fn the_largest_unit_that_fits_is_used() {
        let shown = [0, 250, 1_500, 60_000, 90_000, 7_200_000].map(|ms| show(Duration::from_millis(ms)));
        assert_eq!(shown, ["0ms", "250ms", "1500ms", "1m", "90s", "2h"]);
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(milliseconds in 0_u64..1 << 40) {
            let time = Duration::from_millis(milliseconds);
            prop_assert_eq!(Duration::read(&show(time)), Ok(time));
        }
    }
}
