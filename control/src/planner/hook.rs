//! What webhooks around steps mean for a rollout: what is asked, what waits for it, and what a denial does.
//!
//! They come in where the judge lets a rollout go on, and nowhere else: behind the evidence, and before the person whose
//! approval a step may ask for and before the group, so that nobody is called, and no other service kept waiting, for a
//! step that a gate would refuse. What a person does by hand goes on without them, as it does without evidence; so
//! does a rollout that began as urgent. And a rollback never comes past here.
//!
//! A start with webhooks before its first step is a rollout at once, whose canary has nothing yet. A group begins when all
//! of its gates are open, in one plan as ever.

use std::{collections::BTreeMap, sync::Arc};

use serin_config::{
    ServiceName,
    policy::{OnFail, OnTimeout},
    webhook::When,
};

use super::{Who, steer};
use crate::{
    command::Actor,
    hook::{Asked, Hooks, Question, Said, Stands},
    rollout::{Event, HeldFor, Rollout, State as S},
    state::{Decision, State},
};

/// Takes what a webhook said. An answer to what is not asked any more says nothing.
pub fn heard(state: &mut State, question: &Question, said: Said, now_ms: u64) {
    let Some(webhook) = state.terms.webhook(question.webhook.as_str()) else { return };
    let Some(asked) = state.hooks.0.get(question) else { return };
    let asked = asked.heard(webhook, question.when, said, now_ms);
    Arc::make_mut(&mut state.hooks).0.insert(question.clone(), asked);
}

/// Opens the questions that the rollouts in progress ask by now, and forgets the others.
pub fn follow_hooks(state: &mut State, now_ms: u64) {
    let wanted = state.questions();
    if wanted.iter().eq(state.hooks.0.keys()) {
        return;
    }
    let open = |question: Question| {
        let asked = state.hooks.0.get(&question).cloned();
        (question, asked.unwrap_or_else(|| Asked::open(now_ms)))
    };
    let next: BTreeMap<_, _> = wanted.into_iter().map(open).collect();
    state.hooks = Arc::new(Hooks(next));
}

/// Decides on what webhooks said of a service's rollout: a denial takes its canary out, and what waited to begin begins.
/// None: nothing changes. What waits in the midst goes on with the judge's next look.
pub fn hooked(state: &State, service: &ServiceName, now_ms: u64) -> Option<Decision> {
    let rollout = state.live(service.as_str())?;
    let denial =
        state.hooks.of(service.as_str(), rollout.id).find(|(_, asked)| asked.stands == Stands::Denies);
    let waits_to_begin = is_at_start(rollout);
    let (event, reason) = match denial {
        Some((question, asked)) => {
            let said = asked.last.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
            (state.denied(rollout), format!("{question} does not allow it{said}"))
        }
        None if waits_to_begin && state.all_may_begin(rollout) => {
            (Event::Admitted, "its webhooks allow it to begin".to_owned())
        }
        None => return None,
    };
    let who = Who { actor: Actor::Webhook, caller: None, reason: &reason, now_ms, urgent: false };
    steer(state, service, event, None, &who).ok()
}

fn is_at_start(rollout: &Rollout) -> bool {
    matches!(rollout.state, S::Held { why: HeldFor::Start, .. })
}

impl State {
    /// All that is asked at this moment, in order.
    fn questions(&self) -> Vec<Question> {
        let mut all = Vec::new();
        if self.terms.webhooks.is_empty() {
            return all;
        }
        for rollout in self.services.values().filter_map(|record| record.live()) {
            let Some(step) = rollout.state.step() else { continue };
            if is_at_start(rollout) {
                all.extend(self.of_moment(rollout, step, When::BeforeStep));
                continue;
            }
            let at: Vec<_> = self.of_moment(rollout, step, When::AtStep).collect();
            // A gate in front of the next step is asked when nothing else stands in the way: its answer may grow old.
            let ready = at.iter().all(|question| self.hooks.allow(question));
            all.extend(at);
            if ready && matches!(rollout.state, S::Held { why: HeldFor::Webhook, .. }) {
                all.extend(self.of_moment(rollout, step + 1, When::BeforeStep));
            }
        }
        all.sort();
        all
    }

    fn of_moment<'a>(
        &'a self,
        rollout: &'a Rollout,
        step: usize,
        when: When,
    ) -> impl Iterator<Item = Question> + 'a {
        self.terms.webhooks(rollout.service.as_str(), when).map(move |webhook| Question {
            service: rollout.service.clone(),
            rollout: rollout.id,
            step,
            when,
            webhook: webhook.name.clone(),
        })
    }

    /// Whether a rollout of this service, if it begins now, is asked about before its first step.
    pub(super) fn asks_before_start(&self, service: &ServiceName) -> bool {
        self.terms.webhooks(service.as_str(), When::BeforeStep).next().is_some()
    }

    /// The webhooks that have to allow a step forward first, in words; none where it may be made.
    pub(super) fn gates(&self, before: &Rollout, event: Event) -> Option<String> {
        let forward = matches!(
            event,
            Event::Pass
                | Event::ClockOver { .. }
                | Event::AwaitApproval
                | Event::TimedOut(OnTimeout::Promote)
        );
        let step = match before.state {
            S::Running { step }
            | S::Held {
                step,
                why: HeldFor::Evidence | HeldFor::Traffic | HeldFor::Doubt | HeldFor::Webhook,
            } => step,
            // Those that wait for a person or for their group were let through before.
            _ => return None,
        };
        if !forward || before.urgent || self.terms.webhooks.is_empty() {
            return None;
        }
        let at = self.of_moment(before, step, When::AtStep);
        let next = self.of_moment(before, step + 1, When::BeforeStep);
        let closed = at.chain(next).filter(|question| !self.hooks.allow(question));
        let closed: Vec<String> = closed.map(|question| question.to_string()).collect();
        (!closed.is_empty()).then(|| closed.join(" and "))
    }

    /// Whether a rollout that waits to begin, and all of its group that do, are allowed to.
    fn all_may_begin(&self, rollout: &Rollout) -> bool {
        let others = self.companions(&rollout.service).filter_map(|name| self.live(name.as_str()));
        let mut waiting = std::iter::once(rollout).chain(others.filter(|other| is_at_start(other)));
        waiting.all(|rollout| {
            self.of_moment(rollout, 0, When::BeforeStep).all(|question| self.hooks.allow(&question))
        })
    }

    /// What a denial is to a rollout: where going back does more harm it calls a person, as a failing guard does.
    fn denied(&self, rollout: &Rollout) -> Event {
        let service = self.plan.catalogue().service(rollout.service.as_str());
        match service.map(|service| &service.rollout.on_fail) {
            Some(OnFail::Hold { .. }) if !is_at_start(rollout) => Event::FailUnsafe,
            _ => Event::Denied,
        }
    }
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
