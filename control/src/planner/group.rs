//! Services that are rolled out together.
//!
//! A group shares three moments, each of them one plan: the start of one is the start of all that have a canary; nobody
//! gets everything before all can, and whoever is ready waits; and where one is taken out all are. In between each
//! walks its own steps at its own pace, since evidence comes where traffic is.
//!
//! A rollout that reaches a [`threshold`] waits until no other in progress is behind it.

use serin_config::{ServiceName, policy::OnFail};

use super::{Because, Moved, Who, moved};
use crate::{
    group::{threshold, waits_at},
    refusal::Refusal,
    rollout::{AbortedBy, Event, RolledBackFor, Rollout, State as S},
    state::State,
};

/// What another of the group has come to because of `leader`: its reason names that one, and so does a rollout that ended so.
fn taken_along(leader: &Rollout, mut moved: Moved, who: &Who<'_>) -> Moved {
    let why = if who.reason.is_empty() { String::new() } else { format!(": {}", who.reason) };
    let reason = format!("with {} of its group{why}", leader.service);
    moved.because = Some(Because { with: leader.service.clone(), reason });
    if let Some(rollout) = &mut moved.record.rollout
        && matches!(
            rollout.state,
            S::RolledBack { why: RolledBackFor::Group } | S::Aborted { why: AbortedBy::Group }
        )
    {
        rollout.with = Some(leader.service.clone());
    }
    moved
}

impl State {
    /// The other services of the group.
    pub(super) fn companions(&self, service: &ServiceName) -> impl Iterator<Item = &ServiceName> {
        let group = self.terms.group(service.as_str());
        group.into_iter().flat_map(|group| &group.services).filter(move |name| *name != service)
    }

    /// The other rollouts of the group that are in progress.
    fn live_companions(&self, service: &ServiceName) -> impl Iterator<Item = &Rollout> {
        self.companions(service).filter_map(|name| self.live(name.as_str()))
    }

    /// Whether a rollout may go on to `after`, as far as its group is concerned.
    pub(super) fn must_wait(&self, before: &Rollout, after: S) -> bool {
        let promoted = matches!(after, S::Promoted { .. });
        let (from, to) = (threshold(before.state, &before.weights), threshold(after, &before.weights));
        let crosses = to > from && (promoted || after.is_live());
        let behind = |other: &Rollout| {
            threshold(other.state, &other.weights) < to
                && waits_at(other.state, &other.weights).is_none_or(|at| at < to)
        };
        crosses && self.live_companions(&before.service).any(behind)
    }

    /// What the move of one rollout makes of the others of its group.
    pub(super) fn follow(
        &self,
        leader: &Rollout,
        event: Event,
        after: S,
        who: &Who<'_>,
    ) -> Result<Vec<Moved>, Refusal> {
        let at = threshold(after, &leader.weights);
        let event_of = |other: &Rollout| match after {
            S::RolledBack { .. } => Some(self.taken_out(other)),
            S::Aborted { .. } => Some(Event::Abort(AbortedBy::Group)),
            S::Promoted { .. } if event == (Event::Promote { full: true }) => Some(event),
            // Those that do not wait to begin have nothing to learn from it.
            _ if event == Event::Admitted => Some(event),
            _ => {
                waits_at(other.state, &other.weights).filter(|waits| *waits <= at).map(|_| Event::GroupReady)
            }
        };
        let mut all = Vec::new();
        for other in self.live_companions(&leader.service) {
            // A rollout whose state the event says nothing new to stays where it is.
            let Some(event) = event_of(other) else { continue };
            if let Ok(then) = other.state.on(event, &other.weights) {
                all.push(taken_along(leader, moved(self, other, event, then, None, who)?, who));
            }
        }
        Ok(all)
    }

    fn taken_out(&self, rollout: &Rollout) -> Event {
        let service = self.plan.catalogue().service(rollout.service.as_str());
        match service.map(|service| &service.rollout.on_fail) {
            Some(OnFail::Hold { .. }) => Event::FailUnsafe,
            _ => Event::GroupOut,
        }
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
pub(super) mod tests;
