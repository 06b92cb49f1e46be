//! The way from one split to another: a state, and what each event makes of it.
//!
//! All transitions stand in one match, [`State::on`] (`table.rs`); whatever it does not list is a named error. The rules
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

mod event;
mod state;
mod table;
pub(crate) mod words;

use serde::{Deserialize, Serialize};
use serin_config::{Generation, ServiceName, Split, VersionName, Weight, limits::HALVINGS_MAX};
use serin_judge::Verdict;

pub use self::{
    event::{Event, StateError},
    state::{AbortedBy, HeldFor, PromotedBy, RolledBackFor, State, WasUndone},
};
use crate::watch::course::Course;

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
    /// The canary of the file that was to take its place by itself, and that somebody has called off while it waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_off: Option<VersionName>,
    /// Whether it ended before its first step: the canary had nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_began: bool,
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
    /// How far it is in words, who of its group ended it, and which canary does not take its place after all.
    pub fn summary(&self) -> String {
        words::summary(self.state, self.with.as_ref(), self.called_off.as_ref())
    }

    /// Whether it would end before its first step, if it ended there: a webhook is asked whether it may begin.
    pub(crate) fn has_not_begun(&self) -> bool {
        self.never_began || matches!(self.state, State::Held { why: HeldFor::Start, .. })
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
mod tests;
