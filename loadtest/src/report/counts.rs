//! A histogram as it is written down: the values that occurred, with how often they did.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::measure::latency_histogram;

/// Microseconds with how many requests took that long, rising. A value stands for all that share its bucket (three
/// significant digits), by its upper end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(Vec<(u64, u64)>);

impl Counts {
    /// Writes a histogram down.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let values = histogram.iter_recorded();
        Self(values.map(|value| (value.value_iterated_to(), value.count_at_value())).collect())
    }

    /// The histogram again.
    pub fn histogram(&self) -> Histogram<u64> {
        let mut histogram = latency_histogram();
        for (value, count) in &self.0 {
            histogram.saturating_record_n(*value, *count);
        }
        histogram
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Values with their counts, rising.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// The value at a quantile from 0 to 1, the least of which that share is no larger; none without any.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let total = self.total();
        let wanted = (q * total as f64).ceil().max(1.0);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += count;
            seen as f64 >= wanted
        });
        found.or(self.0.last()).map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_what_was_counted() {
        let mut histogram = latency_histogram();
        for value in (1..200_000).step_by(7) {
            histogram.saturating_record(value);
        }
        let counts = Counts::of(&histogram);
        assert_eq!(counts.histogram(), histogram);
        assert_eq!(counts.total(), histogram.len());
        for q in [0.0, 0.01, 0.5, 0.99, 0.9999, 1.0] {
            assert_eq!(counts.quantile(q), Some(histogram.value_at_quantile(q)), "{q}");
        }
        assert_eq!(Counts::default().quantile(0.5), None);
    }
}
