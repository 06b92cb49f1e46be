//! What would let a step be decided in its time: more traffic, more time, or less that must be proven.
//!
//! How many requests the proof of the error rate takes follows from the rates that are planned for; the proof
//! of latencies is judged by how far it came in the rehearsals.

use serde::Serialize;
use serin_config::{
    Outcome, Weight,
    policy::{Margin, RolloutPolicy, Step},
};

use super::{Traffic, plan::Good};
use crate::{
    error_rate::{Counts, Tolerance},
    non_inferiority::NonInferiority,
    numerics::ln_threshold,
    verdict::Lacking,
};

/// So much more than is needed in the middle case is planned with.
const SPARE: f64 = 1.25;
/// The widest margin that is proposed. What is wider promotes what nobody wants.
const MARGIN_MAX: u32 = 20_000;
/// The largest share that is proposed for a step that gathers evidence.
const SHARE_MAX: u32 = 500_000;

/// What would let a step be decided in its time. Each by itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Help {
    /// What was lacking when its time was over.
    pub lacking: Vec<Lacking>,
    /// The requests of the canary that it takes, as far as that can be told.
    pub requests: Option<u64>,
    /// A share that brings enough in the step's time.
    pub weight: Option<Weight>,
    /// How long it takes at the step's own share, in seconds.
    pub max_duration: Option<u64>,
    /// A margin for the error rate that can be proven in the step's time.
    pub margin: Option<Weight>,
}

/// For a step that mostly is not decided.
pub(super) fn help(policy: &RolloutPolicy, traffic: &Traffic, step: &Step, good: &Good) -> Help {
    let case = Case { policy, traffic, step, good };
    let time = step.max_duration.as_secs_f64();
    let enough = |needed: Option<f64>, weight: Weight, time: f64| {
        needed.is_some_and(|needed| needed * SPARE <= traffic.rps * weight.fraction() * time)
    };
    let asked = case.asked();
    let present = step.mirror.unwrap_or(step.weight);
    let requests = case.requests(present, asked);
    let weight = nice().take_while(|weight| weight.ppm() <= SHARE_MAX);
    let weight = weight
        .filter(|weight| *weight > present)
        .find(|weight| enough(case.requests(*weight, asked), *weight, time));
    let margins = nice().take_while(|margin| margin.ppm() <= MARGIN_MAX);
    let margin = asked.filter(|_| case.lacks(|lacking| matches!(lacking, Lacking::NonInferiority { .. })));
    let margin = margin.and_then(|asked| {
        let mut wider = margins.filter(|margin| *margin > asked.margin);
        wider.find(|margin| {
            let asked = Some(Margin { margin: *margin, ..asked });
            enough(case.requests(present, asked), present, time)
        })
    });
    let seconds = requests.map(|requests| requests * SPARE / (traffic.rps * present.fraction()));
    Help {
        lacking: good.waited_for.clone(),
        requests: requests.map(up),
        weight,
        max_duration: seconds.filter(|seconds| seconds.is_finite()).map(seconds_up),
        margin,
    }
}

struct Case<'a> {
    policy: &'a RolloutPolicy,
    traffic: &'a Traffic,
    step: &'a Step,
    good: &'a Good,
}

impl Case<'_> {
    fn lacks(&self, which: impl Fn(&Lacking) -> bool) -> bool {
        self.good.waited_for.iter().any(which)
    }

    /// The margin that the step asks for; none where errors are not compared.
    fn asked(&self) -> Option<Margin> {
        let full = self.policy.guards.errors.as_ref().map(serin_config::policy::ErrorComparison::pass);
        full.map(|full| self.step.pass.unwrap_or(full))
    }

    /// The requests of the canary that everything takes that was lacking, if its share were `weight` and the margin
    /// `asked`; none if that can't be told, or never comes.
    fn requests(&self, weight: Weight, asked: Option<Margin>) -> Option<f64> {
        let each = self.good.waited_for.iter().filter_map(|lacking| match lacking {
            Lacking::MinRequests { need, .. } => Some(Some(*need as f64)),
            Lacking::NonInferiority { .. } => Some(self.for_errors(weight, asked?)),
            Lacking::NoSlower { requests, .. } => {
                Some(requests.map(|more| self.good.requests.saturating_add(more) as f64))
            }
            _ => None,
        });
        let each: Option<Vec<f64>> = each.collect();
        each?.into_iter().max_by(f64::total_cmp)
    }

    fn for_errors(&self, weight: Weight, asked: Margin) -> Option<f64> {
        let counted = f64::from(self.policy.error_weights.of(Outcome::Http5xx)) / 1000.0;
        let (canary, failing) = (weight.fraction(), self.traffic.error_rate * counted);
        // Of copies there are as many as of requests that were copied.
        let stable = if self.step.mirror.is_some() { canary } else { 1.0 - canary };
        let counts = Counts { canary, canary_bad: canary * failing, stable, stable_bad: stable * failing };
        let boundary = Tolerance { ratio: asked.ratio, margin: asked.margin.fraction() };
        let proof = NonInferiority::new(boundary);
        proof.requests_needed(&counts, 1.0, ln_threshold(self.policy.false_pass)).map(|needed| needed as f64)
    }
}

/// Shares that a person would write: 1, 2 or 5 and zeros, rising.
fn nice() -> impl Iterator<Item = Weight> {
    let digits = (0..6).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u32.pow(power)));
    digits.filter_map(Weight::from_ppm)
}

/// Seconds up to the next whole minute, or hour where there are several.
fn seconds_up(seconds: f64) -> u64 {
    let unit = if seconds > 7_200.0 { 3_600.0 } else { 60.0 };
    up((seconds / unit).ceil() * unit)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn up(number: f64) -> u64 {
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn needed(error_rate: f64, weight: &str, ratio: f64, margin: &str) -> f64 {
        let policy = RolloutPolicy::default();
        let (p50, p99) = (Duration::from_millis(50), Duration::from_millis(160));
        let traffic = Traffic { rps: 1000.0, error_rate, p50, p99 };
        let step = Step::at(weight.parse().unwrap());
        let good = Good { seen: 1, passed: 0, by_time: 0, seconds: None, requests: 0, waited_for: vec![] };
        let asked = Margin { ratio, margin: margin.parse().unwrap() };
        Case { policy: &policy, traffic: &traffic, step: &step, good: &good }
            .for_errors(step.weight, asked)
            .unwrap()
    }

    #[test]
    fn the_requests_that_a_proof_takes_are_near_those_that_were_computed_for_it() {
        // Published for the method; the first template that arrives is late by a part of its evidence.
        for (error_rate, weight, ratio, margin, computed) in [
            (0.0, "1%", 1.5, "0.05%", 8_012.0),
            (1e-3, "1%", 1.5, "0.05%", 13_143.0),
            (1e-3, "10%", 1.5, "0.05%", 14_328.0),
            (1e-3, "10%", 1.5, "0.2%", 3_360.0),
            (1e-2, "1%", 2.0, "1%", 448.0),
        ] {
            let needed = needed(error_rate, weight, ratio, margin);
            assert!((0.95..1.7).contains(&(needed / computed)), "{needed} where {computed} were computed");
        }
    }

    #[test]
    fn shares_and_times_are_those_that_a_person_would_write() {
        let shown: Vec<_> = nice().map(|weight| weight.to_string()).collect();
        assert_eq!((shown.len(), &*shown[0], &*shown[13], &*shown[17]), (18, "0.0001%", "2%", "50%"));
        assert_eq!((seconds_up(61.0), seconds_up(7_201.0)), (120, 10_800));
    }
}
