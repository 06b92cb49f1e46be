//! The traffic of a simulated rollout: four beats and a window for each second.

use std::{collections::BTreeMap, time::Duration};

use serin_config::{
    Outcome, RouteName, Weight,
    policy::{ErrorWeights, Probe, RolloutPolicy},
};

use super::{
    Regression,
    dice::Dice,
    latency::{Latency, Slower},
};
use crate::{
    block::{Pair, Trials},
    window::{Arm, Pairing, Window},
};

/// Beats in a second.
pub(super) const BEATS: u64 = 4;
/// The part of a version's requests above its 90th percentile.
const TAIL: f64 = 0.1;

/// What a service gets, and how its stable version answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Requests a second, both versions together.
    pub rps: f64,
    /// The share of them that fail, 0 to 1.
    pub error_rate: f64,
    /// The median time to response headers.
    pub p50: Duration,
    /// Its 99th percentile.
    pub p99: Duration,
}

/// One version.
#[derive(Debug, Clone)]
struct Version {
    error_rate: f64,
    latency: Latency,
}

/// A stable version, a canary, and who asks them.
#[derive(Debug, Clone)]
pub(super) struct World {
    traffic: Traffic,
    stable: Version,
    canary: Version,
    regression: Option<Regression>,
    probe: Option<Probe>,
    weights: ErrorWeights,
    route: Option<RouteName>,
}

/// A second of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Second {
    pub(super) beats: [Pair; BEATS as usize],
    pub(super) window: Window,
    /// Whether the canary's traffic was kept low.
    pub(super) probing: bool,
}

impl World {
    /// A world whose canary is as good as the stable version.
    pub(super) fn new(policy: &RolloutPolicy, traffic: &Traffic) -> Self {
        let latency = Latency::new(traffic.p50, traffic.p99, Slower::No);
        let stable = Version { error_rate: traffic.error_rate, latency };
        Self {
            traffic: *traffic,
            canary: stable.clone(),
            stable,
            regression: None,
            probe: policy.probe,
            weights: policy.error_weights,
            route: RouteName::try_new("all").ok(),
        }
    }

    /// The same with a canary that has got worse.
    pub(super) fn turned(&self, regression: Regression) -> Self {
        let Traffic { p50, p99, error_rate, .. } = self.traffic;
        let (error_rate, slower) = match regression {
            Regression::Errors { to } => (to, Slower::No),
            Regression::Latency { by } => (error_rate, Slower::All(by)),
            Regression::Tail { by } => (error_rate, Slower::Tail(by)),
        };
        let canary = Version { error_rate, latency: Latency::new(p50, p99, slower) };
        Self { canary, regression: Some(regression), ..self.clone() }
    }

    /// Second number `second` of the rollout, in which the canary has this share.
    pub(super) fn second(&self, second: u64, weight: Weight, dice: &mut Dice) -> Second {
        let probe = self.probe.filter(|probe| second < probe.duration.as_secs());
        let quarter = self.traffic.rps / BEATS as f64;
        let mut sum = Pair::default();
        let beats = [0, 1, 2, 3].map(|beat| {
            let due = dice.poisson(quarter * weight.fraction());
            // Evenly spaced over the second; what is more goes to the stable version, and is left out.
            let most = probe.map(|probe| {
                let rate = u64::from(probe.rate);
                (beat + 1) * rate / BEATS - beat * rate / BEATS
            });
            let canary = due.min(most.unwrap_or(u64::MAX));
            let stable = dice.poisson(quarter * (1.0 - weight.fraction()));
            let mut trials = |requests, version: &Version| Trials {
                requests,
                bad: dice.binomial(requests, version.error_rate),
            };
            let pair = Pair { canary: trials(canary, &self.canary), stable: trials(stable, &self.stable) };
            sum.add(pair);
            pair
        });
        let mut arm = |trials: Trials, version: &Version| {
            let charged = trials.bad.saturating_mul(self.weights.of(Outcome::Http5xx).into());
            let headers = version.latency.draw(trials.requests.saturating_sub(trials.bad), dice);
            Arm { charged, ..Arm::counted(trials.requests, trials.bad) }.with_headers(headers)
        };
        let pairing =
            Pairing { canary: arm(sum.canary, &self.canary), stable: arm(sum.stable, &self.stable) };
        let routes: BTreeMap<_, _> =
            self.route.iter().map(|route| (route.clone(), pairing.clone())).collect();
        let share = probe.is_none().then_some(weight);
        let window = Window { routes, share, ..Window::default() };
        Second { beats, window, probing: probe.is_some() }
    }

    /// A second in which the canary has no user, and copies of this share of the stable version's requests.
    pub(super) fn copied(&self, mirror: Weight, dice: &mut Dice) -> Second {
        let requests = dice.poisson(self.traffic.rps * mirror.fraction());
        let mut arm = |version: &Version| {
            let bad = dice.binomial(requests, version.error_rate);
            let charged = bad.saturating_mul(self.weights.of(Outcome::Http5xx).into());
            let headers = version.latency.draw(requests - bad, dice);
            Arm { charged, ..Arm::counted(requests, bad) }.with_headers(headers)
        };
        let pairing = Pairing { canary: arm(&self.canary), stable: arm(&self.stable) };
        let routes = self.route.iter().map(|route| (route.clone(), pairing.clone())).collect();
        Second { window: Window { routes, copies: true, ..Window::default() }, ..Second::default() }
    }

    /// Of so many requests of the canary, of which so many failed, those whose users were worse off.
    pub(super) fn harmed(&self, canary: Trials) -> u64 {
        match self.regression {
            None => 0,
            Some(Regression::Errors { .. }) => canary.bad,
            Some(Regression::Latency { .. }) => canary.requests,
            Some(Regression::Tail { .. }) => tail(canary.requests),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a tenth of a count")]
fn tail(requests: u64) -> u64 {
    (requests as f64 * TAIL).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        let (p50, p99) = (Duration::from_millis(50), Duration::from_millis(160));
        Traffic { rps: 1000.0, error_rate: 0.01, p50, p99 }
    }

    fn weight(text: &str) -> Weight {
        text.parse().unwrap()
    }

    #[test]
    fn beats_add_up_to_the_window_and_the_window_to_the_traffic() {
        let world = World::new(&RolloutPolicy::default(), &traffic());
        let mut dice = Dice::new(1);
        let mut all = Pairing::default();
        for second in 10..110 {
            let second = world.second(second, weight("5%"), &mut dice);
            let total = second.window.total();
            let beats = second.beats.iter().fold(Pair::default(), |mut sum, beat| {
                sum.add(*beat);
                sum
            });
            assert_eq!(total.failures(), beats);
            assert_eq!(total.canary.headers.total(), total.canary.judged - total.canary.failed);
            assert_eq!((second.window.share, second.probing), (Some(weight("5%")), false));
            all.merge(&total);
        }
        assert!((4_700..5_300).contains(&all.canary.judged), "{}", all.canary.judged);
        assert!((94_000..96_000).contains(&all.stable.judged), "{}", all.stable.judged);
        assert!((850..1_050).contains(&all.stable.failed), "{}", all.stable.failed);
    }

    #[test]
    fn a_probe_keeps_the_first_seconds_small_and_they_state_no_share() {
        let world = World::new(&RolloutPolicy::default(), &traffic());
        let second = world.second(9, weight("50%"), &mut Dice::new(2));
        assert_eq!(second.window.total().canary.judged, 20);
        assert!(second.probing && second.window.share.is_none());
        assert!(second.beats.iter().all(|beat| beat.canary.requests == 5));
    }

    #[test]
    fn a_regression_is_the_canarys_alone() {
        let world = World::new(&RolloutPolicy::default(), &traffic());
        let mut dice = Dice::new(3);
        let dead = world.turned(Regression::Errors { to: 1.0 });
        let total = dead.second(60, weight("50%"), &mut dice).window.total();
        assert_eq!(total.canary.failed, total.canary.judged);
        assert!(total.stable.failed < 20);
        assert_eq!(dead.harmed(total.canary.failures()), total.canary.failed);
        let slow = world.turned(Regression::Latency { by: 2.0 });
        let total = slow.second(60, weight("50%"), &mut dice).window.total();
        let median = |arm: &Arm| arm.headers.quantile(0.5).unwrap();
        assert!(median(&total.canary) > 1.7 * median(&total.stable));
        assert_eq!(slow.harmed(Trials { requests: 7, bad: 1 }), 7);
        let tail = world.turned(Regression::Tail { by: 2.0 });
        assert_eq!(tail.harmed(Trials { requests: 100, bad: 1 }), 10);
        assert_eq!(world.harmed(Trials { requests: 100, bad: 1 }), 0);
    }
}
