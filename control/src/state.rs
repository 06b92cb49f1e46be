//! Everything that the control plane has decided: the plan in force, and what each service's part of it came
//! from. The planner makes a new one from an old one; the store keeps what it says.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serin_config::{Generation, Plan, ServiceName, Split, VersionName, Weight, terms::Terms};

use crate::{
    freeze::Freezes, hook::Hooks, journal::Entry, notify::Told, repeat::Repeats, rollout::Rollout,
    store::FactChanges, tokens::Tokens,
};

/// What was decided for one service, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The split that the file asked for when it was last loaded. A file that asks for the same again does
    /// not undo what was decided since.
    pub file_split: Split,
    /// The split in force.
    pub split: Split,
    /// The rollout in progress, or the last one.
    pub rollout: Option<Rollout>,
    /// Since when the canary has had weight, or copies, without a break. None: it has none, or an older release wrote this.
    #[serde(default)]
    pub since: Option<Since>,
}

/// A canary, and the plan that gave it weight or copies. What proxies held against it before that is forgiven, and by
/// nothing else: not by a control plane that starts anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The canary.
    pub canary: VersionName,
    /// The number of the plan.
    pub generation: Generation,
}

impl Record {
    /// The rollout in progress.
    pub fn live(&self) -> Option<&Rollout> {
        self.rollout.as_ref().filter(|rollout| rollout.state.is_live())
    }

    /// The share of the stable version's requests that the canary gets copies of.
    pub fn mirror(&self) -> Weight {
        self.live().map_or(Weight::ZERO, Rollout::mirror)
    }

    /// Whether the canary has everything, and the stable version stands by since the rollout is not over.
    pub fn stands_by(&self) -> bool {
        self.live().is_some_and(|rollout| self.split.of(&rollout.canary) == Weight::WHOLE)
    }
}

/// Everything that is decided.
#[derive(Debug, Clone)]
pub struct State {
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// For each service of the plan, what was decided.
    pub services: BTreeMap<ServiceName, Arc<Record>>,
    /// The sequence of the next journal entry.
    pub next_entry: u64,
    /// The number of the next rollout.
    pub next_rollout: u64,
    /// The tokens of the API.
    pub tokens: Arc<Tokens>,
    /// The changes that are known again when they are sent twice.
    pub repeats: Arc<Repeats>,
    /// What the file says of all rollouts.
    pub terms: Arc<Terms>,
    /// What was frozen by hand.
    pub freezes: Arc<Freezes>,
    /// How far recipients were told of decisions.
    pub told: Arc<Told>,
    /// What webhooks were asked, and said. Not stored: what is open after a restart is asked again.
    pub hooks: Arc<Hooks>,
}

impl State {
    /// The rollout in progress on a service.
    pub fn live(&self, service: &str) -> Option<&Rollout> {
        self.services.get(service).and_then(|record| record.live())
    }

    /// Whether there is a rollout in progress on any.
    pub fn is_rolling(&self) -> bool {
        self.services.values().any(|record| record.live().is_some())
    }
}

/// Says in a plan, for one of its services, what its record says beside the split.
pub(crate) fn complete(plan: &mut Plan, service: &str, record: &Record) {
    plan.set_mirror(service, record.mirror());
    plan.set_standby(service, record.stands_by());
}

/// Says in a plan since when a canary has had its weight, if that is known of the one that the plan's file names.
pub(crate) fn go_on_since(plan: &mut Plan, service: &str, since: Option<&Since>) {
    let canary = plan.catalogue().service(service).and_then(|service| service.canary.clone());
    if let Some(since) = since.filter(|since| canary.as_ref() == Some(&since.canary)) {
        plan.set_canary_since(service, since.generation);
    }
}

/// Keeps in a record what the plan says of its canary.
pub(crate) fn remember(plan: &Plan, service: &str, record: &mut Record) {
    let canary = plan.catalogue().service(service).and_then(|service| service.canary.clone());
    let has_any =
        |canary: &VersionName| record.split.of(canary) > Weight::ZERO || record.mirror() > Weight::ZERO;
    let generation = plan.canary_since(service);
    record.since = canary.filter(has_any).map(|canary| Since { canary, generation });
}

/// What the planner decided: a new state, and what must be written with it.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The state that it makes. Its plan's parent is the generation that it may replace.
    pub state: State,
    /// The services whose record is new; those that `state` no longer has are gone.
    pub touched: Vec<ServiceName>,
    /// What the journal says of it.
    pub entries: Vec<Entry>,
    /// What changes of everything else that is kept.
    pub facts: FactChanges,
    /// Whether it takes a canary out and nothing else. Such a decision protects users, and so is not made to
    /// wait for the store; every other one is.
    pub protects: bool,
}
