//! What must hold, whatever happens: every law of the control plane, and nothing else.
//!
//! 1. **One line of plans.** Each plan that is pushed is the child of the one pushed before it, and generations only grow,
//!    also over the lives of a control plane: no proxy ever sees a number twice that means two things.
//! 2. **Nothing rises that is not stored.** A plan that gives a canary more than the plan before is in the store before it
//!    is pushed.
//! 3. **Nothing rises by itself.** A canary gets more only by a decision that may give it more (start, pass, promote, raise,
//!    weights set by hand, a changed file), and the journal holds that decision under that plan's generation.
//! 4. **Who pauses stays.** While a rollout is paused its canary's share does not rise but by a hand, or back to where it was
//!    before evidence had halved it; while it is held, by a pass as well.
//! 5. **The split is the rollout's.** While a rollout is in progress, its canary has the share of its step, halved as often as
//!    it was lowered, and the stable version has the rest; where that is nothing it stands by, and at no other time.
//! 6. **A failing verdict is acted on.** No rollout in progress has a verdict that says `fail` once its event is over.
//! 7. **What has ended has ended.** A rollout whose end is stored never goes on.
//! 8. **The journal has no gaps.** Entries are numbered one after the other, their generations never fall.
//! 9. **A gate holds the judge.** Where a webhook is asked, a canary gets more by the judge, or by the webhook's leave, only
//!    when everything that is asked at that moment is allowed.
//! 10. **It ends well.** When everything works again and the canary fails every request, it is out within five seconds, and
//!     every proxy serves by the plan in force.

use std::{collections::BTreeSet, sync::Arc};

use serin_config::{Generation, Plan, Weight};
use serin_judge::State as Judged;

use crate::{
    command::Actor,
    fixtures::{canary_share, version},
    journal::{Action, Entry},
    rollout::State,
    status::Status,
    store::Loaded,
};

/// What was seen so far.
#[derive(Default)]
pub(super) struct Laws {
    last: Option<Arc<Plan>>,
    ended: BTreeSet<u64>,
}

/// The control plane after an event.
pub(super) struct Seen<'a> {
    /// Plans that the event pushed, in order.
    pub(super) pushed: &'a [Arc<Plan>],
    /// What it shows of itself.
    pub(super) status: &'a Status,
    /// Its journal, the newest entry first.
    pub(super) journal: &'a [Arc<Entry>],
    /// Whether nothing that a webhook was asked before the event, and answered by it, stood in the way.
    pub(super) gates: bool,
    /// What a crash would leave.
    pub(super) stored: &'a dyn Fn() -> Loaded,
}

impl Laws {
    /// A life of the control plane begins with this plan.
    pub(super) fn life_begins(&mut self, plan: &Arc<Plan>) {
        if let Some(last) = &self.last {
            assert!(
                plan.generation() > last.generation(),
                "law 1: {} after {}",
                plan.generation(),
                last.generation()
            );
        }
        self.last = Some(plan.clone());
    }

    /// Checks what an event left.
    pub(super) fn hold(&mut self, seen: &Seen<'_>) {
        for plan in seen.pushed {
            self.pushed(plan, seen);
        }
        for pair in seen.journal.windows(2) {
            assert_eq!(pair[0].sequence, pair[1].sequence + 1, "law 8: a gap");
            assert!(pair[0].generation >= pair[1].generation, "law 8: {pair:?}");
        }
        let (plan, rollout) = (&seen.status.plan, seen.status.services["shop"].rollout.as_ref());
        let whole = rollout.is_some_and(|rollout| rollout.live && rollout.weight == Weight::WHOLE);
        assert_eq!(plan.stands_by("shop"), whole, "law 5: {plan:?}");
        let Some(rollout) = rollout else { return };
        if rollout.live {
            assert!(!self.ended.contains(&rollout.id), "law 7: rollout {} goes on", rollout.id);
            assert_eq!(canary_share(plan), rollout.weight, "law 5");
            let stable = plan.split("shop").map(|split| split.of(&version("v1")).ppm());
            assert_eq!(stable, Some(1_000_000 - rollout.weight.ppm()), "law 5");
            let failing = rollout.verdict.as_ref().is_some_and(|verdict| verdict.state == Judged::Fail);
            assert!(!failing, "law 6: {rollout:?}");
        }
    }

    /// Remembers which ends are stored; to be asked before a control plane is gone.
    pub(super) fn crashed(&mut self, stored: &Loaded) {
        self.ended.extend(stored.ended.values().flatten().map(|rollout| rollout.id));
    }

    fn pushed(&mut self, plan: &Arc<Plan>, seen: &Seen<'_>) {
        let Some(last) = self.last.replace(plan.clone()) else { return };
        let (before, after) = (canary_share(&last), canary_share(plan));
        assert_eq!(plan.parent(), last.generation(), "law 1: {plan:?}");
        assert!(plan.generation() > last.generation(), "law 1: {plan:?}");
        let entries = seen.journal.iter().filter(|entry| entry.generation == plan.generation());
        let entries: Vec<&Arc<Entry>> = entries.collect();
        assert!(!entries.is_empty(), "law 3: no entry for plan {}", plan.generation());
        if after > before {
            let stored = (seen.stored)().stored.generation;
            assert!(
                stored >= plan.generation(),
                "law 2: {after} of plan {} while {stored} is stored",
                plan.generation()
            );
            assert!(entries.iter().any(|entry| may_raise(entry.action)), "law 3: {entries:?}");
            let judged = |entry: &&Arc<Entry>| {
                matches!(entry.actor, Actor::Judge | Actor::Webhook)
                    && matches!(entry.action, Action::Pass | Action::Promote)
            };
            assert!(seen.gates || !entries.iter().any(judged), "law 9: {entries:?}");
            let by_hand = entries.iter().any(|entry| {
                matches!(
                    entry.action,
                    Action::Resume | Action::Promote | Action::Start | Action::SetWeights | Action::Load
                )
            });
            let resting = seen.journal.iter().find(|entry| entry.generation == last.generation());
            let back = entries.iter().any(|entry| entry.action == Action::Raise);
            let passed = entries.iter().any(|entry| entry.action == Action::Pass);
            match resting.and_then(|entry| entry.state) {
                Some(State::Paused { .. }) => assert!(by_hand || back, "law 4: {entries:?}"),
                Some(State::Held { .. }) => assert!(by_hand || back || passed, "law 4: {entries:?}"),
                _ => {}
            }
        }
    }
}

fn may_raise(action: Action) -> bool {
    use Action as A;
    matches!(action, A::Start | A::Pass | A::Promote | A::Raise | A::Resume | A::SetWeights | A::Load)
}

/// The end of a schedule, when all works and the canary fails.
pub(super) fn ended_well(status: &Status, proxies: impl IntoIterator<Item = Generation>) {
    assert_eq!(canary_share(&status.plan), Weight::ZERO, "law 10: the canary is in");
    for generation in proxies {
        assert_eq!(generation, status.plan.generation(), "law 10: a proxy is behind");
    }
}
