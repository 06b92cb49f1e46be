//! Rehearsals → a plan: medians, and what would help where a step can't be decided in its time.

use serde::Serialize;
use serin_config::Weight;

use super::{
    Foresight, Regression,
    help::{Help, help},
    rehearsal::{End, Gate, Rehearsal},
    rollout::Fate,
    traffic::BEATS,
};
use crate::verdict::Lacking;

/// What a rollout is expected to take and to cost. All numbers are medians over the rehearsals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// So many rollouts were simulated.
    pub rehearsals: usize,
    /// Requests a second, both versions together.
    pub rps: f64,
    /// Seconds until a good canary has everything; absent if most never get there in the time of their steps.
    pub seconds: Option<u64>,
    /// Good canaries that were taken out on evidence: false alarms.
    pub false_alarms: usize,
    /// Good canaries that were taken out because the blast radius was spent. Every version has a few failures, so a bound that
    /// is smaller than these ends good rollouts too.
    pub spent: usize,
    /// Each step but the last, which is all of the traffic.
    pub steps: Vec<StepPlan>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepPlan {
    /// The canary's share.
    pub weight: Weight,
    /// The share of the requests that it gets copies of, in a step without users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Weight>,
    /// Its requests in a second, or copies.
    pub rps: f64,
    /// A good canary.
    pub good: Good,
    /// Canaries that turn bad at the beginning of this step.
    pub bad: Vec<Bad>,
    /// What would let it be decided in its time, if it is not.
    pub help: Option<Help>,
}

/// A good canary at one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Good {
    /// Rehearsals that came here.
    pub seen: usize,
    /// Those of them in which it went on to the next.
    pub passed: usize,
    /// Those of them in which it did so unproven, because the step's time was over and the policy said so.
    pub by_time: usize,
    /// Seconds until it passes; absent if most don't.
    pub seconds: Option<u64>,
    /// Its requests in this step until then.
    pub requests: u64,
    /// What was lacking last.
    pub waited_for: Vec<Lacking>,
}

/// A canary that turns bad.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bad {
    /// How.
    pub regression: Regression,
    /// Rehearsals that came here.
    pub seen: usize,
    /// Those of them in which it was taken out within an hour.
    pub caught: usize,
    /// Seconds until it is out; absent if most are not.
    pub seconds: Option<f64>,
    /// Its requests until then.
    pub requests: u64,
    /// Those of them whose users were worse off: failed, or slower.
    pub harmed: u64,
}

/// Medians of all of it.
pub(super) fn plan(foresight: &Foresight, rehearsals: &[Rehearsal]) -> Plan {
    let steps = &foresight.policy.steps;
    let gates = steps.split_last().map_or(&[][..], |(_, gates)| gates);
    let total = |rehearsal: &Rehearsal| {
        let through = rehearsal.good.len() == gates.len() && rehearsal.good.iter().all(|gate| gate.passed);
        through.then(|| rehearsal.good.iter().map(|gate| gate.seconds).sum::<u64>())
    };
    let planned = gates.iter().enumerate().map(|(number, step)| {
        let good: Vec<_> = rehearsals.iter().filter_map(|rehearsal| rehearsal.good.get(number)).collect();
        let bad: Vec<_> = rehearsals.iter().filter_map(|rehearsal| rehearsal.bad.get(number)).collect();
        let rps = foresight.traffic.rps * step.mirror.unwrap_or(step.weight).fraction();
        let summed = summed(&good);
        let help = (2 * summed.passed < summed.seen)
            .then(|| help(&foresight.policy, &foresight.traffic, step, &summed));
        let bad = (0..).zip(&foresight.regressions).map(|(number, regression)| {
            let fates: Vec<_> = bad.iter().filter_map(|fates| fates.get(number).copied()).collect();
            caught(*regression, &fates)
        });
        StepPlan { weight: step.weight, mirror: step.mirror, rps, bad: bad.collect(), good: summed, help }
    });
    Plan {
        rehearsals: rehearsals.len(),
        rps: foresight.traffic.rps,
        seconds: median(rehearsals.iter().map(total).collect()),
        false_alarms: rehearsals.iter().filter(|rehearsal| rehearsal.end == End::FalseAlarm).count(),
        spent: rehearsals.iter().filter(|rehearsal| rehearsal.end == End::Spent).count(),
        steps: planned.collect(),
    }
}

/// The middle one; nothing is more than everything, and where the middle one is nothing, so is the median.
fn median<T: PartialOrd + Copy>(mut values: Vec<Option<T>>) -> Option<T> {
    values.sort_by(|a, b| match (a, b) {
        (Some(a), Some(b)) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    values.get(values.len().saturating_sub(1) / 2).copied().flatten()
}

fn summed(gates: &[&Gate]) -> Good {
    let seconds = median(gates.iter().map(|gate| gate.passed.then_some(gate.seconds)).collect());
    // The one in the middle speaks for the others.
    let mut by_time: Vec<_> = gates.iter().collect();
    by_time.sort_by_key(|gate| (!gate.passed, gate.seconds));
    let middle = by_time.get(by_time.len().saturating_sub(1) / 2);
    Good {
        seen: gates.len(),
        passed: gates.iter().filter(|gate| gate.passed).count(),
        by_time: gates.iter().filter(|gate| gate.passed && gate.by_time).count(),
        seconds,
        requests: middle.map_or(0, |gate| gate.requests),
        waited_for: middle.map(|gate| gate.lacking.clone()).unwrap_or_default(),
    }
}

fn caught(regression: Regression, fates: &[Fate]) -> Bad {
    let all = |of: fn(&Fate) -> u64| median(fates.iter().map(|fate| Some(of(fate))).collect()).unwrap_or(0);
    let seconds = median(fates.iter().map(|fate| fate.out.then_some(fate.beats)).collect());
    Bad {
        regression,
        seen: fates.len(),
        caught: fates.iter().filter(|fate| fate.out).count(),
        seconds: seconds.map(|beats| beats as f64 / BEATS as f64),
        requests: all(|fate| fate.requests),
        harmed: all(|fate| fate.harmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_counts_what_never_came_as_the_longest() {
        assert_eq!(median(vec![Some(3), None, Some(1)]), Some(3));
        assert_eq!(median(vec![Some(3), None, None]), None);
        assert_eq!(median(vec![Some(4), Some(1), Some(2), Some(3)]), Some(2));
        assert_eq!(median::<u64>(vec![]), None);
    }
}
