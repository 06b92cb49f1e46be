//! Sets of defaults, for those who don't want to choose each number.
//!
//! A preset says how sure the judge must be before it acts, in either direction; its price is time. The
//! threshold of a rollback is ln(1/false_alarm) nats and one second is worth two at most, so that a clear regression
//! in errors takes six seconds with `cautious`, five with `balanced` and four with `fast`: the presets
//! differ little in what a bad canary costs, and much in how often a good one is lost and in how long it takes
//! to get through. What depends on the service and not on taste (tolerances, warm-up, blast radius) is the same in
//! all three.

use std::time::Duration;

use serde::Serialize;

use super::{
    Actions, BlastRadius, Copying, ErrorComparison, ErrorWeights, Guards, Mode, Mounting, OnFail,
    OnNewCanary, OnTimeout, Probe, RolloutPolicy, Step, Strategy, step,
};
use crate::weight::Weight;

/// The default of [`RolloutPolicy::strata`].
pub const STRATA_DEFAULT: usize = 20;

/// A set of defaults, named by how much is risked for speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Fewer false alarms still, and a longer look.
    Cautious,
    /// What suits most.
    #[default]
    Balanced,
    /// Quicker in both directions.
    Fast,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Cautious, Self::Balanced, Self::Fast];

    /// The name in the file.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cautious => "cautious",
            Self::Balanced => "balanced",
            Self::Fast => "fast",
        }
    }

    /// The bound on the chance that a healthy canary is ever rolled back by its guards.
    pub const fn false_alarm(self) -> f64 {
        match self {
            Self::Cautious => 1e-5,
            Self::Balanced => 1e-4,
            Self::Fast => 1e-3,
        }
    }

    /// The accepted chance that a canary outside the promotion margin is passed.
    pub const fn false_pass(self) -> f64 {
        match self {
            Self::Cautious => 0.01,
            Self::Balanced => 0.05,
            Self::Fast => 0.1,
        }
    }

    /// How long the whole rollout is watched before the canary gets everything.
    pub const fn soak(self) -> Duration {
        Duration::from_secs(match self {
            Self::Cautious => 600,
            Self::Balanced => 300,
            Self::Fast => 60,
        })
    }

    /// The canary's shares, in parts per million. Evidence is cheapest in users at small ones, so most of the steps are
    /// there.
    pub const fn weights(self) -> &'static [u32] {
        match self {
            Self::Cautious => &[10_000, 20_000, 50_000, 100_000, 250_000, 500_000, 1_000_000],
            Self::Balanced => &[10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000],
            Self::Fast => &[50_000, 250_000, 500_000, 1_000_000],
        }
    }

    /// A step at `weight`, with the conditions of this preset and the full margin.
    pub const fn step(self, weight: Weight) -> Step {
        let (min_requests, seconds) = match self {
            Self::Cautious => (1_000, 30),
            Self::Balanced => (step::STEP_MIN_REQUESTS_DEFAULT, step::STEP_MIN_DURATION_DEFAULT.as_secs()),
            Self::Fast => (200, 5),
        };
        Step { min_requests, min_duration: Duration::from_secs(seconds), ..Step::at(weight) }
    }

    /// The tolerances of the comparison of errors. `fast` asks for a proof that takes a quarter of the requests.
    pub fn errors(self) -> ErrorComparison {
        let balanced = ErrorComparison::default();
        match (self, Weight::from_ppm(2_000)) {
            (Self::Fast, Some(pass_margin)) => ErrorComparison { pass_ratio: 2.0, pass_margin, ..balanced },
            _ => balanced,
        }
    }

    /// What a new version gets at first.
    pub fn probe(self) -> Probe {
        match self {
            Self::Cautious => Probe { rate: 10, duration: Duration::from_secs(20) },
            Self::Balanced => Probe::default(),
            Self::Fast => Probe { duration: Duration::from_secs(5), ..Probe::default() },
        }
    }

    /// What is done on evidence that is not yet a verdict. At a lower weight evidence comes more slowly.
    pub fn actions(self) -> Actions {
        let mounting = match self {
            Self::Cautious | Self::Balanced => Mounting::Lower,
            Self::Fast => Mounting::Hold,
        };
        Actions { mounting, ..Actions::default() }
    }

    /// The whole policy.
    pub fn policy(self) -> RolloutPolicy {
        let errors = self.errors();
        let weights = self.weights().iter().filter_map(|ppm| Weight::from_ppm(*ppm));
        let mut steps: Vec<_> = weights.map(|weight| self.step(weight)).collect();
        step::graduate(&mut steps, errors.pass());
        RolloutPolicy {
            preset: self,
            steps,
            mirror: Copying::default(),
            on_timeout: OnTimeout::Hold,
            guards: Guards { errors: Some(errors), ..Guards::default() },
            false_alarm: self.false_alarm(),
            false_pass: self.false_pass(),
            soak: self.soak(),
            warm_up: Duration::ZERO,
            strata: STRATA_DEFAULT,
            probe: Some(self.probe()),
            actions: self.actions(),
            blast_radius: BlastRadius::default(),
            mode: Mode::Evidence,
            error_weights: ErrorWeights::default(),
            strategy: Strategy::default(),
            bake: Duration::ZERO,
            on_fail: OnFail::default(),
            on_new_canary: OnNewCanary::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_each_preset_rise_to_the_whole_and_the_last_asks_for_nothing() {
        for preset in Preset::ALL {
            let steps = preset.policy().steps;
            assert_eq!(steps.len(), preset.weights().len());
            assert!(steps.is_sorted_by(|a, b| a.weight < b.weight), "{preset:?}");
            assert_eq!(steps.last().unwrap().weight, Weight::WHOLE);
            assert_eq!(steps.last().unwrap().pass, None);
        }
    }

    #[test]
    fn presets_go_from_few_false_alarms_to_speed() {
        let policies = Preset::ALL.map(Preset::policy);
        assert!(policies.is_sorted_by(|a, b| {
            a.false_alarm < b.false_alarm && a.false_pass < b.false_pass && a.soak > b.soak
        }));
        let margins = policies.map(|policy| policy.guards.errors.unwrap().pass_margin.to_string());
        assert_eq!(margins, ["0.05%", "0.05%", "0.2%"]);
    }

    #[test]
    fn the_balanced_steps_ask_for_more_as_more_is_risked() {
        let policy = RolloutPolicy::default();
        assert_eq!(policy.preset, Preset::Balanced);
        let margins: Vec<_> =
            policy.steps.iter().map(|step| step.pass.map(|m| m.margin.to_string())).collect();
        assert_eq!(margins, [Some("1%".into()), Some("0.2%".into()), None, None, None, None]);
    }
}
