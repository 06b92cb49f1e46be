//! What an event makes of a state: one match, in which each pair has its place.
//!
//! It reads from the particular to the general. What ended stays ended, and what waits before its first step has rules of its own;
//! so both come first, and no later line has to think of them.

use serin_config::{Weight, wire::TripCause};

use super::{AbortedBy, Event, HeldFor, PromotedBy, RolledBackFor, State, StateError, WasUndone};

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
}
