//! A simulated rollout, second by second, as the control plane conducts it: it asks after each beat and each window, halves
//! the share while evidence mounts, goes on when a step is passed and does what the policy says when its time is over.

use std::time::Duration;

use serin_config::{
    Weight,
    limits::FORESEEN_BAD_SECONDS,
    policy::{Mounting as Policy, OnTimeout, RolloutPolicy, Step},
};

use super::{
    dice::Dice,
    mounting::Mounting,
    traffic::{BEATS, World},
};
use crate::{
    block::Trials,
    evidence::Evidence,
    guard::Guard,
    judgement::Advice,
    verdict::{Lacking, State},
};

/// Seconds of the stable version alone before the rollout begins.
const BEFORE: u64 = 60;

/// What a second brought.
pub(super) enum Turn {
    Stays,
    /// It goes on to the next step: proven, or because its time is over.
    Passes {
        by_time: bool,
    },
    /// It is out, after so many beats of this second: proven, or because its time is over.
    Out {
        by_time: bool,
        beats: u64,
    },
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

#[derive(Clone)]
pub(super) struct Rollout<'a> {
    policy: &'a RolloutPolicy,
    evidence: Evidence,
    dice: Dice,
    mounting: Mounting,
    /// Seconds since the rollout began.
    second: u64,
    /// Those of them without users.
    copied: u64,
    /// Seconds in this step.
    here: u64,
    step: usize,
    /// The canary's requests so far.
    pub(super) canary: Trials,
    /// The copies that it got so far.
    pub(super) copies: Trials,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(policy: &'a RolloutPolicy, world: &World, seed: u64) -> Self {
        let (mut evidence, mut dice) = (Evidence::new(policy), Dice::new(seed));
        for second in 0..BEFORE {
            // Long after any probe, so that nothing keeps traffic low.
            evidence.pre(&world.second(u64::MAX - second, Weight::ZERO, &mut dice).window);
        }
        let mounting = Mounting::default();
        Self {
            policy,
            evidence,
            dice,
            mounting,
            second: 0,
            copied: 0,
            here: 0,
            step: 0,
            canary: Trials::default(),
            copies: Trials::default(),
        }
    }

    /// The steps that are waited for: the last is all of the traffic.
    pub(super) fn gates(&self) -> usize {
        self.policy.steps.len().saturating_sub(1)
    }

    pub(super) fn begin(&mut self, step: usize) {
        (self.step, self.here) = (step, 0);
        self.evidence.begin_step();
    }

    /// Whether it is out because the blast radius is spent.
    pub(super) fn is_spent(&self) -> bool {
        let culprit = self.step().and_then(|step| self.evidence.judge(step, self.elapsed()).culprit);
        matches!(culprit, Some(Guard::FailedRequests | Guard::AddedLatency))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.here)
    }

    pub(super) fn step(&self) -> Option<&'a Step> {
        self.policy.steps.get(self.step)
    }

    /// What keeps the step from being passed at this moment.
    pub(super) fn lacking(&self) -> Vec<Lacking> {
        self.step().map(|step| self.evidence.verdict(step, self.elapsed()).lacking).unwrap_or_default()
    }

    /// Whether the end of the step's time changes nothing, since the soak is waited for.
    pub(super) fn waits_on(&self, lacking: &[Lacking]) -> bool {
        let soaks = |lacking: &Lacking| matches!(lacking, Lacking::Soak { .. });
        let alone = !lacking.is_empty() && lacking.iter().all(soaks);
        alone || self.policy.on_timeout == OnTimeout::Promote && lacking.iter().any(soaks)
    }

    pub(super) fn advance(&mut self, world: &World) -> Turn {
        let Some(step) = self.step() else { return Turn::Stays };
        let second = match step.mirror {
            Some(mirror) => world.copied(mirror, &mut self.dice),
            // The probe begins with the first users.
            None => {
                let weight = self.mounting.left_of(step.weight);
                world.second(self.second - self.copied, weight, &mut self.dice)
            }
        };
        if step.mirror.is_some() {
            self.copied += 1;
            self.copies.add(second.window.total().canary.failures());
        }
        let beats = if step.mirror.is_some() { &[][..] } else { &second.beats[..] };
        for (beats, beat) in (1..).zip(beats.iter().copied()) {
            self.canary.add(beat.canary);
            self.evidence.beat(beat, second.probing);
            if self.evidence.judge(step, self.elapsed()).state == State::Fail {
                return Turn::Out { by_time: false, beats };
            }
        }
        self.evidence.observe(&second.window);
        (self.second, self.here) = (self.second + 1, self.here + 1);
        let judged = self.evidence.judge(step, self.elapsed());
        if judged.state == State::Fail {
            return Turn::Out { by_time: false, beats: BEATS };
        }
        if self.policy.actions.mounting == Policy::Lower && step.mirror.is_none() {
            self.mounting.note(&judged, self.second);
        }
        if judged.state == State::Pass && !self.mounting.lowers() {
            return Turn::Passes { by_time: false };
        }
        let held = matches!(judged.advice, Advice::Hold { .. } | Advice::Lower);
        if self.elapsed() < step.max_duration { Turn::Stays } else { self.late(held) }
    }

    /// The step's time is over. What waits for the soak alone waits on; nothing rises before it is over.
    fn late(&self, held: bool) -> Turn {
        if self.policy.on_timeout == OnTimeout::Hold {
            return Turn::Stays;
        }
        let lacking = self.lacking();
        let without = |lacking: &Lacking| matches!(lacking, Lacking::NoCanaryTraffic { .. });
        if self.waits_on(&lacking) || lacking.iter().any(without) {
            return Turn::Stays;
        }
        match self.policy.on_timeout {
            OnTimeout::Rollback => Turn::Out { by_time: true, beats: BEATS },
            OnTimeout::Promote if !held => Turn::Passes { by_time: true },
            OnTimeout::Promote | OnTimeout::Hold => Turn::Stays,
        }
    }

    /// Goes on as a canary that has turned bad.
    pub(super) fn turn(mut self, world: &World, number: u64) -> Fate {
        self.dice = self.dice.fork(number);
        self.canary = Trials::default();
        let mut fate = Fate::default();
        let mut seconds = 0;
        while seconds < FORESEEN_BAD_SECONDS && self.step < self.gates() && !fate.out {
            match self.advance(world) {
                Turn::Stays => seconds += 1,
                Turn::Passes { .. } => {
                    seconds += 1;
                    self.begin(self.step + 1);
                }
                Turn::Out { beats, .. } => (fate.out, fate.beats) = (true, seconds * BEATS + beats),
            }
        }
        if !fate.out {
            fate.beats = seconds * BEATS;
        }
        (fate.requests, fate.harmed) = (self.canary.requests, world.harmed(self.canary));
        fate
    }
}
