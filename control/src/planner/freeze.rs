//! What a freeze stops, and how one begins and ends by hand.
//!
//! One rule, at the one place where splits change: while a service is frozen no version but the stable one gets more of
//! its traffic, nor more copies of it. So a freeze stops starts, steps, promotions, weights by hand and those of a changed file alike, and never
//! a rollback, an abort, or a share that is lowered. A change that can't wait is sent as urgent, with a reason; a rollout
//! that began so walks its steps through the freeze.

use std::sync::Arc;

use serin_config::{Service, ServiceName, Split, VersionName, Weight, limits::FREEZES_BY_HAND_MAX};

use super::Who;
use crate::{
    freeze::{self, Freeze},
    journal::{Action, Entry},
    refusal::Refusal,
    state::{Decision, State},
};

impl State {
    /// What keeps a service from going forward at that time, in words.
    pub fn frozen(&self, service: &str, now_ms: u64) -> Option<String> {
        freeze::frozen(&self.terms, &self.freezes, service, now_ms)
    }

    /// Refuses what a freeze stops. `urgent`: the change can't wait.
    pub(super) fn not_frozen(&self, service: &ServiceName, urgent: bool, now_ms: u64) -> Result<(), Refusal> {
        match self.frozen(service.as_str(), now_ms).filter(|_| !urgent) {
            Some(freeze) => Err(Refusal::Frozen { service: service.clone(), freeze }),
            None => Ok(()),
        }
    }

    /// Freezes services by hand.
    pub(super) fn freeze(
        &self,
        services: &[ServiceName],
        until_ms: Option<u64>,
        who: &Who<'_>,
    ) -> Result<Decision, Refusal> {
        if let Some(missing) = services.iter().find(|name| !self.services.contains_key(*name)) {
            return Err(Refusal::NoService(missing.to_string()));
        }
        if until_ms.is_some_and(|until| until <= who.now_ms) {
            return Err(Refusal::FreezeInThePast);
        }
        let mut state = self.clone();
        let freezes = Arc::make_mut(&mut state.freezes);
        freezes.0.retain(|_, freeze| freeze.is_in_force(who.now_ms));
        if freezes.0.len() >= FREEZES_BY_HAND_MAX {
            return Err(Refusal::TooManyFreezes);
        }
        let freeze = Freeze {
            services: services.to_vec(),
            since_ms: who.now_ms,
            until_ms,
            reason: who.reason.to_owned(),
        };
        // The entry's number is never given again.
        freezes.0.insert(state.next_entry, freeze);
        Ok(self.noted(state, Action::Freeze, services, who))
    }

    /// Lifts one.
    pub(super) fn thaw(&self, number: u64, who: &Who<'_>) -> Result<Decision, Refusal> {
        let mut state = self.clone();
        let freezes = Arc::make_mut(&mut state.freezes);
        let lifted = freezes.0.remove(&number).ok_or(Refusal::NoFreeze(number))?;
        freezes.0.retain(|_, freeze| freeze.is_in_force(who.now_ms));
        Ok(self.noted(state, Action::Thaw, &lifted.services, who))
    }

    /// A decision that changes no plan. It is told of one service, of several, or of all.
    fn noted(&self, mut state: Self, action: Action, services: &[ServiceName], who: &Who<'_>) -> Decision {
        let (service, services) = match services {
            [service] => (Some(service.clone()), Vec::new()),
            all_or_several => (None, all_or_several.to_vec()),
        };
        let entry = Entry {
            sequence: state.next_entry,
            at_ms: who.now_ms,
            actor: who.actor,
            who: who.caller.cloned(),
            service,
            services,
            group: None,
            action,
            from: None,
            to: None,
            mirror: Weight::ZERO,
            generation: self.plan.generation(),
            reason: who.reason.to_owned(),
            with: None,
            rollout: None,
            state: None,
            verdict: None,
        };
        state.next_entry += 1;
        let facts = state.freezes.facts_since(&self.freezes);
        Decision { state, touched: Vec::new(), entries: vec![entry], facts, protects: false }
    }
}

/// Whether any version but the stable one gets more than it had.
pub(super) fn rises(service: &Service, before: &Split, after: &Split) -> bool {
    let gains =
        |(version, weight): (&VersionName, Weight)| *version != service.stable && weight > before.of(version);
    after.iter().any(gains)
}

#[cfg(test)]
#[path = "freeze_tests.rs"]
mod tests;
