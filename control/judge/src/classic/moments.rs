//! Mean and variance of what a histogram of latencies holds, each bucket taken at its middle.

use serin_config::wire::{LatencyCounts, bucket_edge};

/// Sums over latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Moments {
    pub(super) n: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    pub(super) fn add(&mut self, latencies: &LatencyCounts) {
        for (bucket, count) in &latencies.0 {
            let (count, middle) = (f64::from(*count), middle_ms(*bucket));
            self.n += count;
            self.sum += count * middle;
            self.squares += count * middle * middle;
        }
    }

    /// None without a latency.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.n > 0.0).then(|| self.sum / self.n)
    }

    /// Of the sample, unbiased; none below two latencies.
    pub(super) fn variance(&self) -> Option<f64> {
        (self.n > 1.0).then(|| ((self.squares - self.sum * self.sum / self.n) / (self.n - 1.0)).max(0.0))
    }
}

/// The mean of a histogram in milliseconds; none if it is empty.
pub(super) fn mean_ms(latencies: &LatencyCounts) -> Option<f64> {
    let mut moments = Moments::default();
    moments.add(latencies);
    moments.mean()
}

fn middle_ms(bucket: u16) -> f64 {
    (bucket_edge(bucket) + bucket_edge(bucket.saturating_add(1))) / 2e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_octaves_apart_are_what_a_pencil_says() {
        // Buckets that begin at 1024 us and 4096 us; their middles are 1.0112 and 4.0448 ms.
        let width = (1.0_f64 / 32.0).exp2();
        let (low, high) = (1.024 * (1.0 + width) / 2.0, 4.096 * (1.0 + width) / 2.0);
        let mut moments = Moments::default();
        moments.add(&LatencyCounts(vec![(320, 3), (384, 1)]));
        assert!((moments.mean().unwrap() - (3.0 * low + high) / 4.0).abs() < 1e-12);
        // Deviations from the mean are -d/4 three times and 3d/4 once: 12 d^2/16 over n - 1 = 3.
        let d = high - low;
        assert!((moments.variance().unwrap() - d * d / 4.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_has_no_mean_and_one_has_no_variance() {
        assert_eq!(mean_ms(&LatencyCounts::default()), None);
        let mut one = Moments::default();
        one.add(&LatencyCounts(vec![(320, 1)]));
        assert_eq!(one.variance(), None);
    }
}
