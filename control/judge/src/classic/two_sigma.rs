//! Two standard errors, looked at every second.
//!
//! The test that a textbook gives for one look: the canary goes when its error rate, or its mean latency, lies
//! two standard errors above the stable version's, over all seconds so far. Looked at again and again it stops
//! about half of all healthy canaries within an hour, which is why it is here.

use super::{Decision, Watch, moments::Moments};
use crate::{block::Pair, window::Pairing};

/// Standard errors.
const SIGMAS: f64 = 2.0;
/// Each version needs so many before it is asked.
const LEAST: f64 = 30.0;

#[derive(Debug, Default)]
pub(super) struct TwoSigma {
    failures: Pair,
    canary: Moments,
    stable: Moments,
}

impl Watch for TwoSigma {
    fn observe(&mut self, _: u64, window: Pairing) -> Decision {
        self.failures.add(window.failures());
        self.canary.add(&window.canary.headers);
        self.stable.add(&window.stable.headers);
        let worse = [z_of_shares(&self.failures), z_of_means(&self.canary, &self.stable)];
        if worse.into_iter().flatten().any(|z| z > SIGMAS) { Decision::Rollback } else { Decision::Continue }
    }
}

/// The pooled two-proportion statistic; none where nothing, or everything, failed, or an arm is too small.
fn z_of_shares(pair: &Pair) -> Option<f64> {
    let (canary, stable) = (pair.canary.requests as f64, pair.stable.requests as f64);
    if canary < LEAST || stable < LEAST {
        return None;
    }
    let pooled = (pair.canary.bad as f64 + pair.stable.bad as f64) / (canary + stable);
    let error = (pooled * (1.0 - pooled) * (1.0 / canary + 1.0 / stable)).sqrt();
    (error > 0.0).then(|| (pair.canary.bad as f64 / canary - pair.stable.bad as f64 / stable) / error)
}

/// Welch's statistic.
fn z_of_means(canary: &Moments, stable: &Moments) -> Option<f64> {
    if canary.n < LEAST || stable.n < LEAST {
        return None;
    }
    let error = (canary.variance()? / canary.n + stable.variance()? / stable.n).sqrt();
    (error > 0.0).then(|| canary.mean().zip(stable.mean()).map(|(c, s)| (c - s) / error))?
}

#[cfg(test)]
mod tests {
    use serin_config::wire::LatencyCounts;

    use super::*;
    use crate::block::Trials;

    #[test]
    fn shares_are_compared_as_by_hand() {
        let pair =
            Pair { canary: Trials { requests: 100, bad: 5 }, stable: Trials { requests: 900, bad: 9 } };
        // Pooled 0.014; standard error sqrt(0.014 * 0.986 * (1/100 + 1/900)) = 0.012385; difference 0.04.
        assert!((z_of_shares(&pair).unwrap() - 3.22985).abs() < 1e-4);
        assert_eq!(z_of_shares(&Pair { canary: Trials { requests: 29, bad: 29 }, ..pair }), None);
    }

    #[test]
    fn means_are_compared_as_by_hand() {
        let arm = |low, high| {
            let mut moments = Moments::default();
            moments.add(&LatencyCounts(vec![(320, low), (384, high)]));
            moments
        };
        // With d between the two middles: means differ by d/4; variances are n p q d^2/(n-1) with
        // p = 1/2 and 1/4, so the squared error is d^2 (100/4/99/100 + 100*3/16/99/100) = d^2 * 0.0044192.
        let z = z_of_means(&arm(50, 50), &arm(75, 25)).unwrap();
        assert!((z - 0.25 / 0.004_419_19_f64.sqrt()).abs() < 1e-4, "{z}");
    }

    #[test]
    fn a_second_that_looks_bad_by_chance_is_enough() {
        let mut rule = TwoSigma::default();
        let second =
            |failed| Pairing { canary: crate::Arm::counted(50, failed), stable: crate::Arm::counted(950, 1) };
        assert_eq!(rule.observe(1, second(0)), Decision::Continue);
        assert_eq!(rule.observe(2, second(1)), Decision::Rollback);
    }
}
