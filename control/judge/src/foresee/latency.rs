//! Latencies of a simulated version: lognormal, given by their median and 99th percentile, and drawn as the
//! histogram of a whole second.
//!
//! How likely each bucket is follows from the normal density of the logarithm, integrated over the bucket. A slower
//! version is the same density moved to the right: all of it, or only the part above the 90th percentile.

use std::time::Duration;

use serin_config::wire::{BUCKETS, LatencyCounts, bucket_edge};

use super::dice::Dice;

/// The 99th and the 90th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;
const Z90: f64 = 1.281_551_565_544_600_4;
/// How far from the median anything is expected, in standard deviations.
const FAR: f64 = 8.0;
/// Up to so many requests are drawn one by one.
const ONE_BY_ONE: u64 = 200;

/// How a slower version differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Slower {
    /// Not at all.
    No,
    /// Each request takes so many times as long.
    All(f64),
    /// Each request above the 90th percentile does, and so does the 99th.
    Tail(f64),
}

/// The chance of each bucket.
#[derive(Debug, Clone)]
pub(super) struct Latency {
    first: u16,
    /// Of a request that reached it, the chance that it ends in each bucket from `first` on.
    stays: Vec<f64>,
    /// The chance to end at or before each.
    up_to: Vec<f64>,
}

impl Latency {
    pub(super) fn new(p50: Duration, p99: Duration, slower: Slower) -> Self {
        let median = (p50.as_secs_f64() * 1e6).max(1.0).ln();
        // A distribution of one point would be as wide as a bucket all the same.
        let sigma = (((p99.as_secs_f64() * 1e6).max(1.0).ln() - median) / Z99).max(1e-3);
        let chance = |bucket: usize| {
            let z = |edge: f64| (edge - median) / sigma;
            let (from, to) = (edge(bucket), edge(bucket + 1));
            match slower {
                Slower::No => mass(z(from), z(to)),
                Slower::All(factor) => mass(z(from - factor.ln()), z(to - factor.ln())),
                Slower::Tail(factor) => {
                    let beyond = mass(z(from - factor.ln()).max(Z90), z(to - factor.ln()));
                    mass(z(from), z(to).min(Z90)) + beyond
                }
            }
        };
        let chances: Vec<f64> = (0..BUCKETS).map(chance).collect();
        let first = chances.iter().position(|chance| *chance > 0.0).unwrap_or(0);
        let last = chances.iter().rposition(|chance| *chance > 0.0).unwrap_or(0);
        let total: f64 = chances.iter().sum();
        let (mut stays, mut up_to, mut left, mut sum) = (Vec::new(), Vec::new(), total, 0.0);
        for chance in chances.get(first..=last).unwrap_or_default() {
            stays.push(if left > 0.0 { (chance / left).min(1.0) } else { 1.0 });
            left -= chance;
            sum += chance / total;
            up_to.push(sum);
        }
        // Nothing goes beyond the last, however the sums were rounded.
        stays.iter_mut().next_back().into_iter().for_each(|last| *last = 1.0);
        Self { first: u16::try_from(first).unwrap_or(0), stays, up_to }
    }

    /// The histogram of `n` requests.
    pub(super) fn draw(&self, n: u64, dice: &mut Dice) -> LatencyCounts {
        let buckets = self.first..;
        if n > ONE_BY_ONE {
            let mut left = n;
            let each = buckets.zip(&self.stays).map(|(bucket, stays)| {
                let here = dice.binomial(left, *stays);
                left -= here;
                (bucket, u32::try_from(here).unwrap_or(u32::MAX))
            });
            return LatencyCounts(each.filter(|(_, count)| *count > 0).collect());
        }
        let last = self.up_to.len().saturating_sub(1);
        let mut at: Vec<u16> = (0..n)
            .map(|_| {
                let u = dice.uniform();
                let index = self.up_to.partition_point(|up_to| *up_to < u).min(last);
                self.first + u16::try_from(index).unwrap_or(0)
            })
            .collect();
        at.sort_unstable();
        let runs = at.chunk_by(|a, b| a == b);
        let counted =
            runs.filter_map(|run| Some((*run.first()?, u32::try_from(run.len()).unwrap_or(u32::MAX))));
        LatencyCounts(counted.collect())
    }
}

/// The logarithm of a bucket's lower edge in microseconds; the first begins at nothing, the last never ends.
fn edge(bucket: usize) -> f64 {
    match u16::try_from(bucket) {
        Ok(0) => f64::NEG_INFINITY,
        Ok(bucket) if usize::from(bucket) < BUCKETS => bucket_edge(bucket).ln(),
        _ => f64::INFINITY,
    }
}

/// The part of the standard normal distribution between two points, by Simpson's rule: as exact as a plan needs
/// where the points are near each other, as the edges of a bucket are.
fn mass(from: f64, to: f64) -> f64 {
    let (from, to) = (from.max(-FAR), to.min(FAR));
    if from >= to {
        return 0.0;
    }
    let density = |z: f64| (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let pieces = (((to - from) / 0.1).ceil()).clamp(1.0, 2.0 * FAR / 0.1);
    let width = (to - from) / pieces;
    let mut sum = 0.0;
    let mut piece = 0.0;
    while piece < pieces {
        let at = from + piece * width;
        sum += density(at) + 4.0 * density(at + width / 2.0) + density(at + width);
        piece += 1.0;
    }
    sum * width / 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantile_ms(slower: Slower, n: u64, q: f64) -> f64 {
        let latency = Latency::new(Duration::from_millis(50), Duration::from_millis(200), slower);
        let mut dice = Dice::new(7);
        let mut all = LatencyCounts::default();
        (0..40).for_each(|_| all.merge(&latency.draw(n, &mut dice)));
        assert_eq!(all.total(), 40 * n);
        all.quantile(q).unwrap() / 1e3
    }

    fn near(value: f64, wanted: f64) {
        assert!((value / wanted - 1.0).abs() < 0.05, "{value} is not about {wanted}");
    }

    #[test]
    fn the_mass_of_the_normal_distribution_is_as_in_the_tables() {
        assert!((mass(-FAR, FAR) - 1.0).abs() < 1e-7);
        assert!((mass(-FAR, Z99) - 0.99).abs() < 1e-7 && (mass(Z90, FAR) - 0.1).abs() < 1e-7);
        assert_eq!((mass(1.0, 1.0), mass(2.0, 1.0), mass(f64::NEG_INFINITY, -9.0)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn quantiles_are_those_that_were_asked_for_whether_drawn_one_by_one_or_not() {
        for n in [ONE_BY_ONE, 20_000] {
            near(quantile_ms(Slower::No, n, 0.5), 50.0);
            near(quantile_ms(Slower::No, n, 0.99), 200.0);
            near(quantile_ms(Slower::All(2.0), n, 0.5), 100.0);
            near(quantile_ms(Slower::Tail(1.5), n, 0.5), 50.0);
            near(quantile_ms(Slower::Tail(1.5), n, 0.99), 300.0);
        }
    }

    #[test]
    fn latencies_beyond_all_buckets_stay_in_the_first_and_the_last() {
        let long = Latency::new(Duration::from_secs(600), Duration::from_secs(900), Slower::All(10.0));
        let short = Latency::new(Duration::ZERO, Duration::ZERO, Slower::No);
        let mut dice = Dice::new(1);
        for n in [5, 5_000] {
            assert_eq!(usize::from(long.draw(n, &mut dice).0[0].0), BUCKETS - 1);
            assert_eq!(short.draw(n, &mut dice).total(), n);
        }
    }
}
