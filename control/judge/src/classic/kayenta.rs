//! Kayenta's judge: three series with a point a minute, each classified by a Mann-Whitney test.
//!
//! Error rate, mean and 99th percentile of both versions are compared as series of minutes, not of requests: ten
//! requests in a minute weigh as much as ten thousand. A series is *high* when the interval of the shift lies above a
//! quarter of the shift's estimate and the canary's mean is not below the stable version's. Three groups weigh
//! the same, so one high series scores 67, below the 75 of the documentation's examples. Half of the
//! series without data score 0. Asked every ten minutes, over all minutes so far.

use super::{Decision, Watch, mann_whitney::shift, moments::mean_ms, span::Span};
use crate::window::{Arm, Pairing};

/// Seconds for each point.
const STEP: usize = 60;
/// Points between two judgements.
const POINTS: usize = 10;
/// A shift counts if its interval lies above this part of its estimate.
const TOLERANCE: f64 = 0.25;
/// Constant series get noise of this part of their value, so smaller differences say nothing.
const NOISE: f64 = 1e-5;
/// The score to pass.
const PASS: f64 = 75.0;
/// Series.
const METRICS: usize = 3;

/// Points of both versions; minutes in which one had no data are left out of its own series.
#[derive(Debug, Default)]
struct Series {
    canary: Vec<f64>,
    stable: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Pass,
    High,
    NoData,
}

impl Series {
    fn classify(&self) -> Class {
        if self.canary.is_empty() || self.stable.is_empty() {
            return Class::NoData;
        }
        if self.is_same() {
            return Class::Pass;
        }
        let shift = shift(&self.canary, &self.stable);
        let mean = |points: &[f64]| points.iter().sum::<f64>() / points.len() as f64;
        let higher = mean(&self.canary) >= mean(&self.stable);
        if higher && shift.lower > TOLERANCE * shift.estimate.abs() { Class::High } else { Class::Pass }
    }

    /// Point by point, up to the noise that the judge adds to series without any.
    fn is_same(&self) -> bool {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= NOISE * b.abs();
        self.canary.len() == self.stable.len() && self.canary.iter().zip(&self.stable).all(near)
    }
}

#[derive(Debug)]
pub(super) struct Kayenta {
    minute: Span,
    points: usize,
    metrics: [Series; METRICS],
}

impl Default for Kayenta {
    fn default() -> Self {
        Self { minute: Span::new(STEP), points: 0, metrics: Default::default() }
    }
}

impl Watch for Kayenta {
    fn observe(&mut self, second: u64, window: Pairing) -> Decision {
        self.minute.push(window);
        if !second.is_multiple_of(STEP as u64) {
            return Decision::Continue;
        }
        let minute = self.minute.take();
        self.points += 1;
        let (canary, stable) = (points(&minute.canary), points(&minute.stable));
        for (series, (canary, stable)) in self.metrics.iter_mut().zip(canary.into_iter().zip(stable)) {
            series.canary.extend(canary);
            series.stable.extend(stable);
        }
        let judges = self.points.is_multiple_of(POINTS);
        if judges && score(&self.metrics) < PASS { Decision::Rollback } else { Decision::Continue }
    }
}

fn points(arm: &Arm) -> [Option<f64>; METRICS] {
    [arm.failures().rate(), mean_ms(&arm.headers), arm.headers.quantile(0.99).map(|micros| micros / 1e3)]
}

fn score(metrics: &[Series; METRICS]) -> f64 {
    let classes = metrics.each_ref().map(Series::classify);
    let count = |class| classes.iter().filter(|each| **each == class).count();
    if 2 * count(Class::NoData) >= METRICS {
        return 0.0;
    }
    100.0 * count(Class::Pass) as f64 / (count(Class::Pass) + count(Class::High)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(canary: &[f64], stable: &[f64]) -> Series {
        Series { canary: canary.to_vec(), stable: stable.to_vec() }
    }

    const STABLE: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];

    #[test]
    fn a_series_is_high_when_its_shift_is_beyond_doubt() {
        let shifted = |by: f64| STABLE.map(|point| point + by);
        // The least of all differences is by − 4, the estimate is `by`: 2 > 0.25 · 6, but not 1 > 0.25 · 5.
        assert_eq!(series(&shifted(6.0), &STABLE).classify(), Class::High);
        assert_eq!(series(&shifted(5.0), &STABLE).classify(), Class::Pass);
        assert_eq!(series(&STABLE, &STABLE).classify(), Class::Pass);
        assert_eq!(series(&[], &STABLE).classify(), Class::NoData);
        assert_eq!(series(&shifted(-6.0), &STABLE).classify(), Class::Pass, "lower is no harm here");
    }

    #[test]
    fn one_high_series_of_three_fails_and_two_without_data_score_nothing() {
        let good = || series(&STABLE, &STABLE);
        let high = series(&[11.0, 12.0, 13.0, 14.0, 15.0], &STABLE);
        assert_eq!(score(&[good(), good(), good()]), 100.0);
        assert!((score(&[good(), high, good()]) - 200.0 / 3.0).abs() < 1e-12);
        assert_eq!(score(&[good(), good(), series(&[], &STABLE)]), 100.0);
        assert_eq!(score(&[good(), series(&[], &STABLE), series(&[], &STABLE)]), 0.0);
    }
}
