//! One simulated rollout of a good canary, and from the beginning of each of its steps a few more whose canary turns
//! bad there.
//!
//! A bad canary inherits what the good one has gathered, as it would in life: evidence in its favour, a filled
//! histogram, a part of the soak. It goes on through the steps until it is out, or has everything, or a time is over.

use serin_config::{limits::FORESEEN_STEP_SECONDS, policy::RolloutPolicy};

use super::{
    Regression, Traffic,
    rollout::{Fate, Rollout, Turn},
    traffic::World,
};
use crate::verdict::Lacking;

/// Up to this second of a step what it waits for is asked each second, from there on each tenth: an answer in
/// full is dearer than one in short.
const ASKED_EACH_SECOND: u64 = 120;

/// What one simulated rollout came to.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// A good canary, step by step; fewer steps than there are where it was taken out.
    pub(super) good: Vec<Gate>,
    /// For each of these steps, the regressions in their order.
    pub(super) bad: Vec<Vec<Fate>>,
    /// How it ended for the good canary.
    pub(super) end: End,
}

/// How a rollout ended for a good canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It went through, or ran out of time.
    Fair,
    /// It was taken out on evidence.
    FalseAlarm,
    /// It was taken out because the blast radius was spent.
    Spent,
}

/// A good canary at one step.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    /// Whether it went on to the next.
    pub(super) passed: bool,
    /// Whether it did so, or was taken out, because the step's time was over.
    pub(super) by_time: bool,
    /// How long it took, or was waited.
    pub(super) seconds: u64,
    /// Its requests in this step.
    pub(super) requests: u64,
    /// What was lacking last.
    pub(super) lacking: Vec<Lacking>,
}

/// Simulates a rollout, and the bad ones that branch off from it.
pub(super) fn rehearse(
    policy: &RolloutPolicy,
    traffic: &Traffic,
    regressions: &[Regression],
    seed: u64,
) -> Rehearsal {
    let world = World::new(policy, traffic);
    let turned: Vec<_> = regressions.iter().map(|regression| world.turned(*regression)).collect();
    let mut rollout = Rollout::new(policy, &world, seed);
    let mut rehearsal = Rehearsal { good: Vec::new(), bad: Vec::new(), end: End::Fair };
    for step in 0..rollout.gates() {
        rollout.begin(step);
        let fates = (0..).zip(&turned).map(|(number, world)| rollout.clone().turn(world, number));
        rehearsal.bad.push(fates.collect());
        let (gate, out) = gate(&mut rollout, &world);
        if out && !gate.by_time {
            rehearsal.end = if rollout.is_spent() { End::Spent } else { End::FalseAlarm };
        }
        rehearsal.good.push(gate);
        if out {
            break;
        }
    }
    rehearsal
}

/// A good canary at its step, until it passes, or is out, or the step's time is over; what the soak holds back waits
/// on. Where it is not decided the next step begins all the same, as if somebody had promoted it.
fn gate(rollout: &mut Rollout<'_>, world: &World) -> (Gate, bool) {
    let before = rollout.canary.requests + rollout.copies.requests;
    let (mut gate, mut out) = (Gate::default(), false);
    let longest =
        rollout.step().map_or(0, |step| step.max_duration.as_secs().clamp(1, FORESEEN_STEP_SECONDS));
    while !gate.passed
        && !out
        && gate.seconds < FORESEEN_STEP_SECONDS
        && (gate.seconds < longest || rollout.waits_on(&gate.lacking))
    {
        let asks = gate.seconds < ASKED_EACH_SECOND || gate.seconds + 1 >= longest;
        if asks || gate.seconds.is_multiple_of(10) {
            gate.lacking = rollout.lacking();
        }
        gate.seconds += 1;
        match rollout.advance(world) {
            Turn::Stays => {}
            Turn::Passes { by_time } => (gate.passed, gate.by_time) = (true, by_time),
            Turn::Out { by_time, .. } => (out, gate.by_time) = (true, by_time),
        }
    }
    gate.requests = rollout.canary.requests + rollout.copies.requests - before;
    (gate, out)
}
