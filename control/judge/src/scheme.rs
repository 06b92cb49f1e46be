//! How latencies are sorted into buckets: edges in equal ratios, so that a tolerance is a shift by whole buckets.
//!
//! Proxies count on a scale of 32 buckets an octave from a microsecond. Others may hand in windows on a scale of
//! their own; nothing in the comparison depends on which, except how finely a tolerance can be expressed.

use serde::{Deserialize, Serialize};
use serin_config::{
    limits::SCHEME_BUCKETS_MAX,
    wire::{BUCKETS, BUCKETS_PER_OCTAVE},
};

use crate::exact;

/// A scale of buckets: bucket i holds latencies from first · 2^(i/per_octave) on, the last one everything longer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scheme {
    #[serde(with = "exact")]
    first_us: f64,
    per_octave: u16,
    count: u16,
}

impl Scheme {
    /// What proxies count on.
    #[expect(clippy::cast_possible_truncation, reason = "32 and 832")]
    pub const PRODUCTION: Self =
        Self { first_us: 1.0, per_octave: BUCKETS_PER_OCTAVE as u16, count: BUCKETS as u16 };

    /// A scale of `count` buckets from `first_us` microseconds, `per_octave` in each doubling. None if it has no bucket
    /// or more than are accepted, no step, or no finite positive beginning and end.
    pub fn new(first_us: f64, per_octave: u16, count: u16) -> Option<Self> {
        let scheme = Self { first_us, per_octave, count };
        let sized = (1..=SCHEME_BUCKETS_MAX).contains(&count) && per_octave >= 1;
        let ranged = sized && first_us.is_finite() && first_us > 0.0 && scheme.edge(count).is_finite();
        ranged.then_some(scheme)
    }

    /// The lower edge of a bucket in microseconds.
    pub fn edge(&self, bucket: u16) -> f64 {
        self.first_us * (f64::from(bucket) / f64::from(self.per_octave)).exp2()
    }

    /// The number of buckets.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// How many buckets come nearest to a latency that is longer by `part` of itself; at least one, unless it is zero.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and it is not negative"
    )]
    pub(crate) fn shift(&self, part: f64) -> u16 {
        if part > 0.0 {
            (part.ln_1p() / 2_f64.ln() * f64::from(self.per_octave)).round().max(1.0) as u16
        } else {
            0
        }
    }
}

/// A scale with its edges worked out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Scheme", into = "Scheme")]
pub(crate) struct Ladder {
    scheme: Scheme,
    edges: Box<[f64]>,
}

impl Ladder {
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The first bucket that is at least `shift` buckets above `bucket` and begins at least `min_us` later. Where none
    /// is, the number of buckets: nothing is counted there.
    pub(crate) fn beyond(&self, bucket: u16, shift: u16, min_us: f64) -> u16 {
        let from = bucket.saturating_add(shift).min(self.scheme.count);
        let edge = |at: u16| self.edges.get(usize::from(at)).copied().unwrap_or(f64::INFINITY);
        let least = edge(bucket) + min_us;
        (from..self.scheme.count).find(|at| edge(*at) >= least).unwrap_or(self.scheme.count)
    }
}

impl From<Scheme> for Ladder {
    fn from(scheme: Scheme) -> Self {
        Self { scheme, edges: (0..=scheme.count).map(|bucket| scheme.edge(bucket)).collect() }
    }
}

impl From<Ladder> for Scheme {
    fn from(ladder: Ladder) -> Self {
        ladder.scheme
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tolerance_is_two_buckets_of_a_proxy_and_one_of_the_coarser_scale() {
        let coarse = Scheme::new(500.0, 16, 240).unwrap();
        assert_eq!((Scheme::PRODUCTION.shift(0.044), coarse.shift(0.044)), (2, 1));
        assert_eq!((Scheme::PRODUCTION.shift(0.0), coarse.shift(0.001)), (0, 1));
    }

    #[test]
    fn a_shift_is_at_least_the_least_difference() {
        let ladder = Ladder::from(Scheme::PRODUCTION);
        let at = serin_config::wire::bucket_of(2_000);
        let beyond = ladder.beyond(at, 2, 1_000.0);
        let (edge, before) = (Scheme::PRODUCTION.edge(beyond), Scheme::PRODUCTION.edge(beyond - 1));
        assert!(
            edge >= Scheme::PRODUCTION.edge(at) + 1_000.0 && before < Scheme::PRODUCTION.edge(at) + 1_000.0
        );
        assert_eq!(ladder.beyond(600, 2, 1_000.0), 602);
        assert_eq!(ladder.beyond(831, 2, 1_000.0), 832);
        assert_eq!(ladder.beyond(u16::MAX, u16::MAX, f64::MAX), 832);
    }

    #[test]
    fn a_scale_without_buckets_steps_or_ends_is_refused() {
        for (first_us, per_octave, count) in [
            (1.0, 32, 0),
            (1.0, 0, 10),
            (0.0, 32, 10),
            (-1.0, 32, 10),
            (f64::NAN, 32, 10),
            (1.0, 1, 4096),
            (1.0, 32, u16::MAX),
        ] {
            assert_eq!(Scheme::new(first_us, per_octave, count), None, "{first_us} {per_octave} {count}");
        }
    }
}
