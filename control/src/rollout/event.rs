//! What happens to a rollout, and why something can't: the other half of the table's input, and its refusals.

use serin_config::wire::TripCause;

use super::{AbortedBy, State};

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
