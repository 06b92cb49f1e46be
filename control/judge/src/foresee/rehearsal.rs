//! One simulated rollout of a good canary, and from the beginning of each of its steps a few more whose canary turns
//! bad there.
//!
//! A bad canary inherits what the good one has gathered, as it would in life: evidence in its favour, a filled
//! histogram, a part of the soak. It goes on through the steps until it is out, or has everything, or a time is over.

use std::time::Duration;

use serin_config::{
    Weight,
    limits::{FORESEEN_BAD_SECONDS, FORESEEN_STEP_SECONDS},
    policy::{OnTimeout, RolloutPolicy},
};

use super::{
    Regression, Traffic,
    dice::Dice,
    traffic::{BEATS, World},
};
use crate::{
    block::Trials,
    evidence::Evidence,
    judgement::Advice,
    verdict::{Lacking, State},
};

/// Seconds of the stable version alone before the rollout begins.
const BEFORE: u64 = 60;
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
    /// Whether the good canary was taken out.
    pub(super) false_alarm: bool,
}

/// A good canary at one step.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    /// Whether it passed within the step's longest time.
    pub(super) passed: bool,
    /// How long it took, or was waited.
    pub(super) seconds: u64,
    /// Its requests in this step.
    pub(super) requests: u64,
    /// What was lacking last.
    pub(super) lacking: Vec<Lacking>,
}

/// A bad canary, from when it turned bad.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    /// Whether it was taken out.
    pub(super) out: bool,
    /// How long that took, or was waited, in beats.
    pub(super) beats: u64,
    /// Its requests until then.
    pub(super) requests: u64,
    /// Those of them whose users were worse off.
    pub(super) harmed: u64,
}

/// What a second brought.
enum Turn {
    Stays,
    Passes,
    Ends { out: bool, beats: u64 },
}

#[derive(Clone)]
struct Rollout<'a> {
    policy: &'a RolloutPolicy,
    evidence: Evidence,
    dice: Dice,
    /// Seconds since the rollout began.
    second: u64,
    /// Seconds in this step.
    here: u64,
    step: usize,
    canary: Trials,
}

impl<'a> Rollout<'a> {
    fn new(policy: &'a RolloutPolicy, world: &World, seed: u64) -> Self {
        let (mut evidence, mut dice) = (Evidence::new(policy), Dice::new(seed));
        for second in 0..BEFORE {
            // Long after any probe, so that nothing keeps traffic low.
            evidence.pre(&world.second(u64::MAX - second, Weight::ZERO, &mut dice).window);
        }
        evidence.begin_step();
        Self { policy, evidence, dice, second: 0, here: 0, step: 0, canary: Trials::default() }
    }

    /// The steps that are waited for: the last is all of the traffic.
    fn gates(&self) -> usize {
        self.policy.steps.len().saturating_sub(1)
    }

    fn begin(&mut self, step: usize) {
        (self.step, self.here) = (step, 0);
        self.evidence.begin_step();
    }

    fn advance(&mut self, world: &World) -> Turn {
        let Some(step) = self.policy.steps.get(self.step) else { return Turn::Ends { out: false, beats: 0 } };
        let second = world.second(self.second, step.weight, &mut self.dice);
        for (beats, beat) in (1..).zip(second.beats) {
            self.canary.add(beat.canary);
            self.evidence.beat(beat, second.probing);
            let elapsed = Duration::from_secs(self.here);
            if self.evidence.judge(step, elapsed).state == State::Fail {
                return Turn::Ends { out: true, beats };
            }
        }
        self.evidence.observe(&second.window);
        (self.second, self.here) = (self.second + 1, self.here + 1);
        let elapsed = Duration::from_secs(self.here);
        let judged = self.evidence.judge(step, elapsed);
        let late =
            elapsed >= step.max_duration && !matches!(judged.advice, Advice::Hold { .. } | Advice::Lower);
        match (judged.state, self.policy.on_timeout) {
            (State::Fail, _) => Turn::Ends { out: true, beats: BEATS },
            (State::Pass, _) => Turn::Passes,
            (State::Insufficient, OnTimeout::Promote) if late => Turn::Passes,
            (State::Insufficient, OnTimeout::Rollback) if late => Turn::Ends { out: true, beats: BEATS },
            (State::Insufficient, _) => Turn::Stays,
        }
    }

    /// Goes on as a canary that has turned bad.
    fn turn(mut self, world: &World, number: u64) -> Fate {
        self.dice = self.dice.fork(number);
        self.canary = Trials::default();
        let mut fate = Fate::default();
        let mut seconds = 0;
        while seconds < FORESEEN_BAD_SECONDS && self.step < self.gates() {
            match self.advance(world) {
                Turn::Stays => seconds += 1,
                Turn::Passes => {
                    seconds += 1;
                    self.begin(self.step + 1);
                }
                Turn::Ends { out, beats } => {
                    // The second that ended it is counted in beats.
                    (fate.out, fate.beats) = (out, seconds * BEATS + beats);
                    break;
                }
            }
        }
        if !fate.out {
            fate.beats = seconds * BEATS;
        }
        (fate.requests, fate.harmed) = (self.canary.requests, world.harmed(self.canary));
        fate
    }
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
    let mut rehearsal = Rehearsal { good: Vec::new(), bad: Vec::new(), false_alarm: false };
    for step in 0..rollout.gates() {
        rollout.begin(step);
        let fates = (0..).zip(&turned).map(|(number, world)| rollout.clone().turn(world, number));
        rehearsal.bad.push(fates.collect());
        let (gate, out) = gate(&mut rollout, &world);
        rehearsal.good.push(gate);
        if out {
            rehearsal.false_alarm = true;
            break;
        }
    }
    rehearsal
}

/// A good canary at its step, until it passes, or is out, or the step's time is over.
fn gate(rollout: &mut Rollout<'_>, world: &World) -> (Gate, bool) {
    let before = rollout.canary.requests;
    let mut gate = Gate { passed: false, seconds: 0, requests: 0, lacking: Vec::new() };
    let mut out = false;
    let Some(step) = rollout.policy.steps.get(rollout.step) else { return (gate, out) };
    let longest = step.max_duration.as_secs().clamp(1, FORESEEN_STEP_SECONDS);
    while gate.seconds < longest && !gate.passed && !out {
        if gate.seconds < ASKED_EACH_SECOND || gate.seconds.is_multiple_of(10) || gate.seconds + 1 == longest
        {
            gate.lacking = rollout.evidence.verdict(step, Duration::from_secs(gate.seconds)).lacking;
        }
        gate.seconds += 1;
        match rollout.advance(world) {
            Turn::Stays => {}
            Turn::Passes => gate.passed = true,
            Turn::Ends { .. } => out = true,
        }
    }
    gate.requests = rollout.canary.requests - before;
    (gate, out)
}
