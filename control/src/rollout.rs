//! The way from one split to another: a state, and what each event makes of it.
//!
//! All transitions stand in one match, [`State::on`]; whatever it does not list is a named error. The rules
//! that are easy to get wrong, and are wrong in other controllers:
//!
//! - A failing guard acts in every live state, paused and held too: a person who pauses wants to look, not to
//!   go on harming users.
//! - No traffic is not evidence. A step that ran out of time without one request of the canary is held,
//!   whatever the policy says of timeouts; it goes on by itself when traffic comes.
//! - The step whose weight is 100 % is the end, not a gate: beside it there is no stable version left to
//!   compare with, so it could only wait for ever.
//! - A step may ask for a person's approval: it is then passed by evidence first and by the person after, never by
//!   one of them alone.
//! - Webhooks may be asked before a step, and at one. The judge's way forward then leads through them; whatever takes
//!   the canary out does not, and nor does what a person does by hand. While one is asked before the first step the
//!   rollout has begun and the canary has nothing: no event may give it more but the one that admits it.
//! - Where going back would do more harm, a failing guard holds the rollout at its share and calls somebody. A person may
//!   still abort it.
//! - After the step that gives the canary everything there may be another at 100 %, the bake: the canary is watched
//!   against its limits while the stable version stays ready.
//! - An ended rollout stays ended. To try again is to start another. What it did can be taken back, once, which
//!   brings back the split from before it, whatever had ended it but a roll-back: that one gave the canary
//!   nothing for a reason.
//! - Steps may give the canary copies of requests in place of users; they come first. A canary that is taken out there has harmed
//!   nobody, so nothing stands against taking it out.
//! - Serious evidence that is not yet a verdict halves the canary's share; it comes back when the evidence has
//!   gone. That is no step: the rollout stays where it is, and is judged as before, at less cost.

use serde::{Deserialize, Serialize};
use serin_config::{
    Generation, ServiceName, Split, VersionName, Weight, limits::HALVINGS_MAX, wire::TripCause,
};
use serin_judge::Verdict;

use crate::watch::course::Course;

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

/// What happens to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The judge is content with this step.
    Pass,
    /// The time of a step on the clock is over, and nothing speaks against the canary.
    ClockOver {
        /// Whether the canary had a request since the rollout began.
        traffic: bool,
    },
    /// A guard failed.
    Fail,
    /// A guard failed, and going back would do more harm.
    FailUnsafe,
    /// The judge is content with this step, or its time is over, and the policy asks for an approval.
    AwaitApproval,
    /// Asked for by hand.
    Approve,
    /// It may go on to everything, but others of its group may not yet.
    AwaitGroup,
    /// The last one that others of its group waited for may go on.
    GroupReady,
    /// Another rollout of its group was rolled back.
    GroupOut,
    /// It may go on, but a webhook must allow it first.
    AwaitHook,
    /// The webhooks that are asked before the first step allow it.
    Admitted,
    /// A webhook does not allow it.
    Denied,
    /// A proxy has taken the canary out, for this cause.
    Trip(TripCause),
    /// There is serious evidence against the canary, short of a verdict.
    Mounting,
    /// That evidence has gone.
    Subsided,
    /// Something is wrong that the canary is not shown to be the cause of.
    Doubt,
    /// It is over.
    Cleared,
    /// The step ran out of time with some traffic on the canary; the policy says what then.
    TimedOut(serin_config::policy::OnTimeout),
    /// The step ran out of time, and the canary had no request in it.
    TimedOutWithoutTraffic,
    /// The canary has traffic in this step.
    TrafficSeen,
    /// Asked for by hand.
    Pause,
    /// Asked for by hand.
    Resume,
    /// Asked for by hand; `full` goes straight to the end.
    Promote {
        /// Straight to 100 %.
        full: bool,
    },
    /// Asked for by hand: the present step is left out.
    Skip,
    /// Asked for by hand: the split from before the rollout comes back.
    Undo,
    /// The rollout is to end without promotion.
    Abort(AbortedBy),
}

/// Why an event can't happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Nothing happens to an ended rollout.
    #[error("has ended ({0}): start another")]
    Ended(State),
    /// It is paused.
    #[error("is paused already (step {})", .step + 1)]
    AlreadyPaused {
        /// Where.
        step: usize,
    },
    /// It is neither paused nor held.
    #[error("is running (step {}): there is nothing to resume", .step + 1)]
    NotPaused {
        /// Where.
        step: usize,
    },
    /// After this step comes the end.
    #[error(
        "is at step {}, its last before the canary has everything: to leave it out is to promote it, so promote it",
        .step + 1
    )]
    LastStep {
        /// Where.
        step: usize,
    },
    /// It has not ended.
    #[error("is in progress ({0}): abort it, which takes the canary out at once")]
    InProgress(State),
    /// It took the canary out for a reason.
    #[error("has ended ({0}): the canary has nothing already; to try it again, retry")]
    OutAlready(State),
    /// It does not wait for an approval.
    #[error("does not wait for an approval ({0}): to go on without evidence, promote it")]
    NothingToApprove(State),
    /// Its first step has not begun.
    #[error(
        "waits for a webhook before its first step, and has nothing yet: to begin without it, promote it; or abort it"
    )]
    NotBegun,
    /// The event says nothing new in this state.
    #[error("stays as it is ({0})")]
    Unmoved(State),
}

impl State {
    /// THE table: what an event makes of this state, in a rollout with these step weights.
    pub fn on(self, event: Event, weights: &[Weight]) -> Result<Self, StateError> {
        use serin_config::policy::OnTimeout as T;
        // The last one is the end; one at 100 % before it is the bake.
        let next = |step: usize, why| match step + 2 < weights.len() {
            true => Self::Running { step: step + 1 },
            false => Self::Promoted { why },
        };
        match (self, event) {
            (Self::Promoted { .. }, Event::Undo) => Ok(Self::Undone { was: WasUndone::Promoted }),
            (Self::Aborted { .. }, Event::Undo) => Ok(Self::Undone { was: WasUndone::Aborted }),
            (Self::RolledBack { .. }, Event::Undo) => Err(StateError::OutAlready(self)),
            (Self::Running { .. } | Self::Paused { .. } | Self::Held { .. }, Event::Undo) => {
                Err(StateError::InProgress(self))
            }

            (
                Self::Promoted { .. } | Self::Aborted { .. } | Self::RolledBack { .. } | Self::Undone { .. },
                _,
            ) => Err(StateError::Ended(self)),

            (Self::Held { why: HeldFor::Start, .. }, Event::Admitted | Event::Promote { full: false }) => {
                Ok(match weights.len() {
                    0 | 1 => Self::Promoted { why: PromotedBy::Command },
                    _ => Self::Running { step: 0 },
                })
            }
            (Self::Held { why: HeldFor::Start, .. }, Event::Denied) => {
                Ok(Self::Aborted { why: AbortedBy::Webhook })
            }
            (Self::Held { why: HeldFor::Start, .. }, Event::Pause | Event::Resume) => {
                Err(StateError::NotBegun)
            }
            (
                Self::Held { why: HeldFor::Start, .. },
                Event::Pass
                | Event::ClockOver { .. }
                | Event::AwaitApproval
                | Event::AwaitGroup
                | Event::GroupReady
                | Event::FailUnsafe
                | Event::Mounting
                | Event::Subsided,
            ) => Err(StateError::Unmoved(self)),
            (_, Event::Denied) => Ok(Self::RolledBack { why: RolledBackFor::Webhook }),
            (
                Self::Running { step }
                | Self::Held { step, why: HeldFor::Evidence | HeldFor::Traffic | HeldFor::Doubt },
                Event::AwaitHook,
            ) => Ok(Self::Held { step, why: HeldFor::Webhook }),
            (Self::Held { step, why: HeldFor::Webhook }, Event::TimedOut(T::Promote)) => {
                Ok(next(step, PromotedBy::Timeout))
            }
            (_, Event::AwaitHook | Event::Admitted) => Err(StateError::Unmoved(self)),

            (_, Event::Fail) => Ok(Self::RolledBack {
                why: if self.has_copies(weights) { RolledBackFor::Copies } else { RolledBackFor::Evidence },
            }),
            (_, Event::Trip(TripCause::Fault)) => Ok(Self::RolledBack { why: RolledBackFor::Trip }),
            (_, Event::Trip(TripCause::FailedRequests | TripCause::AddedLatency)) => {
                Ok(Self::RolledBack { why: RolledBackFor::BlastRadius })
            }
            (_, Event::Abort(why)) => Ok(Self::Aborted { why }),
            (_, Event::Promote { full: true }) => Ok(Self::Promoted { why: PromotedBy::Command }),
            (
                Self::Running { step } | Self::Paused { step } | Self::Held { step, .. },
                Event::Promote { full: false },
            ) => Ok(next(step, PromotedBy::Command)),

            (Self::Running { step } | Self::Paused { step } | Self::Held { step, .. }, Event::Skip) => {
                match weights.get(step + 1) {
                    Some(weight) if *weight < Weight::WHOLE => Ok(Self::Running { step: step + 1 }),
                    _ => Err(StateError::LastStep { step }),
                }
            }
            (Self::Held { why: HeldFor::Unsafe, .. }, Event::FailUnsafe)
            | (
                Self::Held { why: HeldFor::Approval | HeldFor::Unsafe, .. },
                Event::Pass | Event::ClockOver { .. } | Event::AwaitApproval,
            )
            | (Self::Paused { .. }, Event::AwaitApproval) => Err(StateError::Unmoved(self)),
            (Self::Running { step } | Self::Paused { step } | Self::Held { step, .. }, Event::FailUnsafe) => {
                Ok(Self::Held { step, why: HeldFor::Unsafe })
            }
            (Self::Running { step } | Self::Held { step, .. }, Event::AwaitApproval) => {
                Ok(Self::Held { step, why: HeldFor::Approval })
            }
            (Self::Held { step, why: HeldFor::Approval }, Event::Approve) => {
                Ok(next(step, PromotedBy::Approval))
            }
            (_, Event::Approve) => Err(StateError::NothingToApprove(self)),

            (_, Event::GroupOut) => Ok(Self::RolledBack { why: RolledBackFor::Group }),
            (Self::Held { step, why: HeldFor::Group }, Event::GroupReady) => {
                Ok(next(step, PromotedBy::Group))
            }
            (_, Event::GroupReady) | (Self::Held { why: HeldFor::Group, .. }, Event::AwaitGroup) => {
                Err(StateError::Unmoved(self))
            }
            (Self::Running { step } | Self::Paused { step } | Self::Held { step, .. }, Event::AwaitGroup) => {
                Ok(Self::Held { step, why: HeldFor::Group })
            }

            (Self::Running { step } | Self::Held { step, .. }, Event::Pass) => {
                Ok(next(step, PromotedBy::Evidence))
            }
            (Self::Running { step } | Self::Held { step, .. }, Event::ClockOver { traffic }) => {
                Ok(next(step, if traffic { PromotedBy::Clock } else { PromotedBy::ClockWithoutTraffic }))
            }
            (Self::Running { step }, Event::TimedOut(T::Hold)) => {
                Ok(Self::Held { step, why: HeldFor::Evidence })
            }
            (Self::Running { step }, Event::TimedOut(T::Promote)) => Ok(next(step, PromotedBy::Timeout)),
            (Self::Running { .. }, Event::TimedOut(T::Rollback)) => {
                Ok(Self::RolledBack { why: RolledBackFor::Timeout })
            }
            (Self::Running { step }, Event::TimedOutWithoutTraffic) => {
                Ok(Self::Held { step, why: HeldFor::Traffic })
            }
            (Self::Held { step, why: HeldFor::Traffic }, Event::TrafficSeen)
            | (Self::Held { step, why: HeldFor::Doubt }, Event::Cleared) => Ok(Self::Running { step }),
            (Self::Running { step }, Event::Doubt) => Ok(Self::Held { step, why: HeldFor::Doubt }),

            // Neither is a step; the share follows from `Rollout::halvings`.
            (Self::Running { .. } | Self::Paused { .. } | Self::Held { .. }, Event::Mounting)
            | (Self::Running { .. } | Self::Held { .. }, Event::Subsided) => Ok(self),

            (Self::Running { step } | Self::Held { step, .. }, Event::Pause) => Ok(Self::Paused { step }),
            (Self::Paused { step } | Self::Held { step, .. }, Event::Resume) => Ok(Self::Running { step }),
            (Self::Paused { step }, Event::Pause) => Err(StateError::AlreadyPaused { step }),
            (Self::Running { step }, Event::Resume) => Err(StateError::NotPaused { step }),

            (
                Self::Paused { .. },
                Event::Pass
                | Event::ClockOver { .. }
                | Event::TimedOut(_)
                | Event::TimedOutWithoutTraffic
                | Event::Subsided
                | Event::Doubt,
            )
            | (Self::Held { .. }, Event::TimedOut(_) | Event::TimedOutWithoutTraffic | Event::Doubt)
            | (
                Self::Running { .. } | Self::Paused { .. } | Self::Held { .. },
                Event::TrafficSeen | Event::Cleared,
            ) => Err(StateError::Unmoved(self)),
        }
    }

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

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Running { step } => write!(f, "running, step {}", step + 1),
            Self::Paused { step } => write!(f, "paused, step {}", step + 1),
            Self::Held { step, why: HeldFor::Evidence } => {
                write!(f, "held, step {}: not enough evidence in time", step + 1)
            }
            Self::Held { step, why: HeldFor::Traffic } => {
                write!(f, "held, step {}: no traffic on the canary", step + 1)
            }
            Self::Held { step, why: HeldFor::Doubt } => {
                write!(f, "held, step {}: something is wrong, and not shown to be the canary's own", step + 1)
            }
            Self::Held { step, why: HeldFor::Approval } => {
                write!(f, "held, step {}: passed, waits for an approval", step + 1)
            }
            Self::Held { step, why: HeldFor::Unsafe } => {
                write!(
                    f,
                    "held, step {}: it would be rolled back, and going back is held as unsafe",
                    step + 1
                )
            }
            Self::Held { step, why: HeldFor::Group } => {
                write!(f, "held, step {}: passed, waits for its group", step + 1)
            }
            Self::Held { step, why: HeldFor::Webhook } => {
                write!(f, "held, step {}: may go on, waits for a webhook", step + 1)
            }
            Self::Held { step, why: HeldFor::Start } => {
                write!(f, "held before step {}: waits for a webhook", step + 1)
            }
            Self::Promoted { why: PromotedBy::Evidence } => f.write_str("promoted on evidence"),
            Self::Promoted { why: PromotedBy::Command } => f.write_str("promoted by hand"),
            Self::Promoted { why: PromotedBy::Timeout } => f.write_str("promoted on timeout"),
            Self::Promoted { why: PromotedBy::Group } => f.write_str("promoted with its group"),
            Self::Promoted { why: PromotedBy::Approval } => f.write_str("promoted by an approval"),
            Self::Promoted { why: PromotedBy::Clock } => {
                f.write_str("promoted by the clock of its last step")
            }
            Self::Promoted { why: PromotedBy::ClockWithoutTraffic } => {
                f.write_str("promoted by the clock, without one request of the canary")
            }
            Self::Aborted { why: AbortedBy::Command } => f.write_str("aborted by hand"),
            Self::Aborted { why: AbortedBy::File } => f.write_str("aborted by the file"),
            Self::Aborted { why: AbortedBy::Group } => f.write_str("aborted with its group"),
            Self::Aborted { why: AbortedBy::Webhook } => f.write_str("not begun, denied by a webhook"),
            Self::Aborted { why: AbortedBy::Superseded } => {
                f.write_str("superseded by another canary in the file")
            }
            Self::RolledBack { why: RolledBackFor::Evidence } => f.write_str("rolled back on evidence"),
            Self::RolledBack { why: RolledBackFor::Copies } => {
                f.write_str("rolled back on evidence of copies, before it had a user")
            }
            Self::RolledBack { why: RolledBackFor::Timeout } => f.write_str("rolled back on timeout"),
            Self::RolledBack { why: RolledBackFor::Group } => f.write_str("rolled back with its group"),
            Self::RolledBack { why: RolledBackFor::Webhook } => {
                f.write_str("rolled back, denied by a webhook")
            }
            Self::RolledBack { why: RolledBackFor::Trip } => f.write_str("rolled back by the trip-wire"),
            Self::RolledBack { why: RolledBackFor::BlastRadius } => {
                f.write_str("rolled back because its blast radius was spent")
            }
            Self::Undone { was: WasUndone::Promoted } => f.write_str("undone by hand after its promotion"),
            Self::Undone { was: WasUndone::Aborted } => f.write_str("undone by hand after it was aborted"),
        }
    }
}

/// One rollout, from its start on. Its rules are fixed when it starts; the file may only change them when
/// no rollout runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Its number, unique in one store.
    pub id: u64,
    /// The service.
    pub service: ServiceName,
    /// The version under test.
    pub canary: VersionName,
    /// The version that is trusted.
    pub stable: VersionName,
    /// The rules it runs by, as JSON text: roles and policy as they were when it started.
    pub rules: String,
    /// The weights of its steps.
    pub weights: Vec<Weight>,
    /// For each step, the share of the stable version's requests that the canary gets copies of; empty where no step copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Weight>,
    /// The split from before it; none in one that an older release began.
    #[serde(default)]
    pub before: Option<Split>,
    /// How far it is.
    pub state: State,
    /// How often the canary's share at this step is halved, since evidence mounts against it.
    #[serde(default)]
    pub halvings: u8,
    /// The service of its group whose rollout ended this one; none where it ended by itself.
    #[serde(default)]
    pub with: Option<ServiceName>,
    /// The plan that began it. Windows counted under an older one are not its evidence.
    pub start_generation: Generation,
    /// The plan that began its present step. Windows counted under an older one don't count for the step.
    pub step_generation: Generation,
    /// The plan that gave the canary its present share.
    #[serde(default = "no_generation")]
    pub share_generation: Generation,
    /// Whether it began as an urgent change: freezes don't stop it.
    #[serde(default)]
    pub urgent: bool,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
    /// When its present step began, in milliseconds since 1970.
    pub step_began_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: Option<u64>,
    /// What its steps took; complete when it has ended.
    #[serde(default)]
    pub course: Course,
    /// The last verdict that a decision rests on; once it has ended, what was known then, whatever ended it.
    #[serde(default, deserialize_with = "crate::journal::verdict_or_none")]
    pub verdict: Option<Verdict>,
}

fn no_generation() -> Generation {
    Generation::NONE
}

impl Rollout {
    /// How far it is in words, and who of its group ended it.
    pub fn summary(&self) -> String {
        match &self.with {
            Some(with) => format!("{}, because of {with}", self.state),
            None => self.state.to_string(),
        }
    }

    /// The split from before it. An older release did not keep it; then, and nearly always, the stable version
    /// had everything.
    pub fn split_before(&self) -> Split {
        self.before.clone().unwrap_or_else(|| Split::whole(self.stable.clone()))
    }

    /// The split that its state asks for.
    pub fn split(&self) -> Split {
        match self.state {
            State::Undone { .. } => self.split_before(),
            _ => Split::canary_and_stable(self.canary.clone(), self.canary_weight(), self.stable.clone()),
        }
    }

    /// The share that the canary has now.
    pub fn canary_weight(&self) -> Weight {
        if matches!(self.state, State::Undone { .. }) {
            return self.split_before().of(&self.canary);
        }
        let weight = self.state.canary_weight(&self.weights);
        if !self.state.is_live() || weight == Weight::ZERO {
            return weight;
        }
        let halved = weight.ppm().checked_shr(u32::from(self.halvings)).unwrap_or(0).max(1);
        Weight::from_ppm(halved).unwrap_or(weight)
    }

    /// The share of the stable version's requests that the canary gets copies of now.
    pub fn mirror(&self) -> Weight {
        let share = self.state.step().and_then(|step| self.mirrors.get(step)).copied();
        share.filter(|_| self.state.has_copies(&self.weights)).unwrap_or(Weight::ZERO)
    }

    /// How often its share is halved after this event.
    pub(crate) fn halvings_after(&self, event: Event, after: State) -> u8 {
        match event {
            _ if after.step() != self.state.step() => 0,
            Event::Mounting => self.halvings.saturating_add(1).min(HALVINGS_MAX),
            Event::Subsided => self.halvings.saturating_sub(1),
            _ => self.halvings,
        }
    }
}

#[cfg(test)]
#[path = "rollout_tests.rs"]
mod tests;
