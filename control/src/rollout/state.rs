//! How far a rollout is, and what that means: the states, each with its cause, and the shares that follow from them.
//!
//! The causes are words of the journal, the API and what is stored: a new one may come, none changes its name.

use serde::{Deserialize, Serialize};
use serin_config::Weight;

/// How far a rollout is. Steps count from zero here, and from one where a person reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// At a step, waiting for its evidence.
    Running {
        /// Which step.
        step: usize,
    },
    /// Stays at a step until resumed.
    Paused {
        /// Which step.
        step: usize,
    },
    /// A step ran out of time; stays at its weight.
    Held {
        /// Which step.
        step: usize,
        /// What it ran out of time for.
        why: HeldFor,
    },
    /// Ended: the canary has everything.
    Promoted {
        /// How that came about.
        why: PromotedBy,
    },
    /// Ended by hand or by a changed file.
    Aborted {
        /// How that came about.
        why: AbortedBy,
    },
    /// Ended by the judge: the canary has nothing.
    RolledBack {
        /// How that came about.
        why: RolledBackFor,
    },
    /// Taken back by hand after its end: the split is the one from before it.
    Undone {
        /// What it had come to.
        was: WasUndone,
    },
}

/// What a rollout had come to that was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WasUndone {
    /// The canary had everything.
    Promoted,
    /// The canary had nothing.
    Aborted,
}

/// What a held step lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldFor {
    /// There was traffic, but not enough evidence in time.
    Evidence,
    /// The canary got no request at all.
    Traffic,
    /// Something is wrong that the canary is not to blame for, or not shown to be: both versions breach a limit,
    /// or the canary's share is not what was set. Somebody should look.
    Doubt,
    /// The step is passed, and somebody must approve before the next.
    Approval,
    /// A guard failed, and the policy says that going back would do more harm. Somebody must decide.
    Unsafe,
    /// It could have everything, and waits until the others of its group can.
    Group,
    /// It may go on, and waits for a webhook that is asked at this step, or before the next.
    Webhook,
    /// It was started, and waits for a webhook that is asked before the first step. The canary has nothing.
    Start,
}

/// What ended a rollout at 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotedBy {
    /// The last gate was passed on evidence.
    Evidence,
    /// Somebody asked for it.
    Command,
    /// The last gate ran out of time, and the policy says `promote`.
    Timeout,
    /// The last gate was passed, and somebody approved.
    Approval,
    /// It had passed its last gate, and so had then all others of its group.
    Group,
    /// The last gate is one on the clock: its time was over, and nothing spoke against the canary.
    Clock,
    /// The same, and the canary had no request since the rollout began: nothing was judged.
    ClockWithoutTraffic,
}

/// What aborted a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortedBy {
    /// Somebody asked for it.
    Command,
    /// The file, read at start-up, asks for something else.
    File,
    /// The file names another canary, and the policy says that it supersedes this one.
    Superseded,
    /// Another rollout of its group was aborted.
    Group,
    /// A webhook that was asked before the first step did not allow it.
    Webhook,
}

/// What took the canary out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolledBackFor {
    /// A guard failed.
    Evidence,
    /// A guard failed on copies of requests, before the canary had a user.
    Copies,
    /// A step ran out of time, and the policy says `rollback`.
    Timeout,
    /// A proxy's trip-wire had taken the canary out already.
    Trip,
    /// The rollout's blast radius was spent: what it may cost at most, whatever the evidence says.
    BlastRadius,
    /// Another rollout of its group was rolled back.
    Group,
    /// A webhook said so.
    Webhook,
}

impl State {
    /// Whether anything can still happen to it.
    pub fn is_live(self) -> bool {
        self.step().is_some()
    }

    /// Whether it is held since something is wrong that a person should look at.
    pub fn wants_attention(self) -> bool {
        matches!(self, Self::Held { why: HeldFor::Doubt | HeldFor::Unsafe, .. })
    }

    /// Whether it is at a step that gives the canary copies, in a rollout with these step weights: no other has none.
    pub fn has_copies(self, weights: &[Weight]) -> bool {
        let begun = !matches!(self, Self::Held { why: HeldFor::Start, .. });
        begun && self.step().is_some_and(|step| weights.get(step) == Some(&Weight::ZERO))
    }

    /// The step it is at, from zero; none once it has ended.
    pub fn step(self) -> Option<usize> {
        match self {
            Self::Running { step } | Self::Paused { step } | Self::Held { step, .. } => Some(step),
            Self::Promoted { .. } | Self::Aborted { .. } | Self::RolledBack { .. } | Self::Undone { .. } => {
                None
            }
        }
    }

    /// The share that the canary has in this state; that of an undone rollout is the one from before it
    /// ([`Rollout::canary_weight`]), here nothing.
    pub fn canary_weight(self, weights: &[Weight]) -> Weight {
        match self {
            Self::Promoted { .. } => Weight::WHOLE,
            Self::Aborted { .. }
            | Self::RolledBack { .. }
            | Self::Undone { .. }
            | Self::Held { why: HeldFor::Start, .. } => Weight::ZERO,
            Self::Running { step } | Self::Paused { step } | Self::Held { step, .. } => {
                weights.get(step).copied().unwrap_or(Weight::ZERO)
            }
        }
    }
}
