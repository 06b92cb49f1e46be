//! What a file means for what was decided since the last one.
//!
//! The file says where a split begins, the control plane moves on from there. So a file whose split is the
//! same as at the last load takes nothing back; one whose split is new is a decision like any other, by the
//! actor `file`. A file never changes the rules of a rollout in progress: a reload that tries is refused
//! whole, and at start-up, where there is nobody to refuse, the file wins and the rollout ends.

use std::{collections::BTreeMap, sync::Arc};

use serin_config::{
    Catalogue, Generation, Plan, Service, ServiceName, Split, VersionName, Weight,
    limits::{GENERATIONS_OF_A_LIFE, GENERATIONS_UNSTORED_MAX},
    policy::OnNewCanary,
};

use super::{freeze, in_order, same_weights};
use crate::{
    command::Actor,
    journal::{Action, Entry},
    refusal::Refusal,
    repeat::Repeats,
    rollout::{self, AbortedBy, Rollout},
    state::{self, Decision, Record, State},
    store::FactChanges,
    tokens::Tokens,
};

/// What a store knows; empty before the first start.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The plan in force.
    pub generation: Generation,
    /// What was decided for each service.
    pub services: BTreeMap<ServiceName, Arc<Record>>,
    /// The sequence of the next journal entry.
    pub next_entry: u64,
    /// The number of the next rollout.
    pub next_rollout: u64,
    /// The tokens of the API.
    pub tokens: Arc<Tokens>,
    /// The changes that are known again when they are sent twice.
    pub repeats: Arc<Repeats>,
}

impl From<&State> for Stored {
    fn from(state: &State) -> Self {
        Self {
            generation: state.plan.generation(),
            services: state.services.clone(),
            next_entry: state.next_entry,
            next_rollout: state.next_rollout,
            tokens: state.tokens.clone(),
            repeats: state.repeats.clone(),
        }
    }
}

impl Default for Stored {
    fn default() -> Self {
        Self {
            generation: Generation::NONE,
            services: BTreeMap::new(),
            next_entry: 1,
            next_rollout: 1,
            tokens: Arc::default(),
            repeats: Arc::default(),
        }
    }
}

/// The rules of a rollout of this service, as text that can be compared.
pub(super) fn rules(service: &Service) -> String {
    serde_json::json!({ "stable": service.stable, "canary": service.canary, "policy": service.rollout })
        .to_string()
}

/// Takes a changed file, or refuses it whole. None: routes and services are what they were.
pub fn reload(state: &State, catalogue: &Arc<Catalogue>, now_ms: u64) -> Result<Option<Decision>, Refusal> {
    if **state.plan.catalogue() == **catalogue {
        return Ok(None);
    }
    let gone = |name: &&ServiceName| catalogue.service(name.as_str()).is_none();
    if let Some(name) = state.services.keys().filter(gone).find(|name| state.live(name.as_str()).is_some()) {
        return Err(Refusal::ReloadDropsService(name.clone()));
    }
    let generation = state.plan.generation().next();
    let mut merged = Vec::new();
    for service in catalogue.services() {
        let old = state.services.get(&service.name).map(AsRef::as_ref);
        let part = match (Merge { service, old }).superseded(generation, now_ms) {
            Some(superseded) => superseded,
            None => Merge { service, old }.or_refuse()?,
        };
        if old.is_some_and(|old| freeze::rises(service, &old.split, &part.record.split)) {
            state.not_frozen(&service.name, false, now_ms)?;
        }
        merged.push((service.name.clone(), part));
    }
    let stored = Stored::from(state);
    let next = stored.generation.next();
    let mut decision = load(&stored, next, catalogue, merged, "the file was reloaded", now_ms)?;
    Arc::make_mut(&mut decision.state.plan).go_on_from(&state.plan);
    remember(&mut decision.state);
    (decision.state.terms, decision.state.freezes) = (state.terms.clone(), state.freezes.clone());
    (decision.state.told, decision.state.hooks) = (state.told.clone(), state.hooks.clone());
    Ok(Some(decision))
}

/// Takes the file at start-up. It is never refused: where it and a rollout in progress disagree, the
/// rollout ends.
pub fn start_up(stored: &Stored, catalogue: &Arc<Catalogue>, now_ms: u64) -> Result<Decision, Refusal> {
    let first = first_after(stored.generation);
    let merged = catalogue.services().iter().map(|service| {
        let merge = Merge { service, old: stored.services.get(&service.name).map(AsRef::as_ref) };
        let merged = merge.superseded(first, now_ms).unwrap_or_else(|| merge.or_yield(first, now_ms));
        (service.name.clone(), merged)
    });
    let mut decision =
        load(stored, first, catalogue, merged.collect(), "the file was read at start-up", now_ms)?;
    let plan = Arc::make_mut(&mut decision.state.plan);
    for (name, record) in &decision.state.services {
        // What proxies elsewhere hold against a canary is forgiven by who gives it weight, not by who starts.
        let Some(before) = stored.services.get(name) else { continue };
        let goes_on = |now: &&Rollout| before.live().is_some_and(|before| before.id == now.id);
        match (&before.since, record.live().filter(goes_on)) {
            (Some(since), _) => state::go_on_since(plan, name.as_str(), Some(since)),
            (None, Some(rollout)) => plan.set_canary_since(name.as_str(), rollout.start_generation),
            (None, None) => {}
        }
    }
    remember(&mut decision.state);
    Ok(decision)
}

/// Keeps in every record what the plan says of its canary.
fn remember(state: &mut State) {
    for (name, record) in &mut state.services {
        state::remember(&state.plan, name.as_str(), Arc::make_mut(record));
    }
}

/// The first plan of a control plane's life: the first of the next thousand. A life that ended in a crash may have taken
/// canaries out in plans that it could not store, and proxies may serve by them. So the numbers right after the stored one
/// may be in use; a proxy that met one of them again would take it for what it has.
pub(super) fn first_after(stored: Generation) -> Generation {
    if stored == Generation::NONE {
        return stored.next();
    }
    let lives = stored.0.saturating_add(GENERATIONS_UNSTORED_MAX) / GENERATIONS_OF_A_LIFE + 1;
    Generation(lives.saturating_mul(GENERATIONS_OF_A_LIFE)).next()
}

/// What is decided, for one who only looks: the splits that are stored, on the services of his own file. A service whose
/// stored split names a version that this file does not have is shown as the file has it. `parent`: the plan before.
pub fn present(stored: &Stored, parent: Generation, catalogue: &Arc<Catalogue>) -> State {
    let mut plan = Plan::new(catalogue.clone(), stored.generation, parent);
    let mut services = BTreeMap::new();
    for (name, record) in &stored.services {
        if plan.set_split(name.as_str(), record.split.clone()).is_ok() {
            state::complete(&mut plan, name.as_str(), record);
            state::go_on_since(&mut plan, name.as_str(), record.since.as_ref());
            services.insert(name.clone(), record.clone());
        }
    }
    State {
        plan: Arc::new(plan),
        services,
        next_entry: stored.next_entry,
        next_rollout: stored.next_rollout,
        tokens: stored.tokens.clone(),
        repeats: stored.repeats.clone(),
        terms: Arc::default(),
        freezes: Arc::default(),
        told: Arc::default(),
        hooks: Arc::default(),
    }
}

/// A record and, if its split or its rollout is not what it was, why.
struct Merged {
    record: Record,
    change: Option<(Action, String)>,
}

/// One service of the file, and what was decided for it.
struct Merge<'a> {
    service: &'a Service,
    old: Option<&'a Record>,
}

impl Merge<'_> {
    /// The end of a rollout whose own rules say that another canary in the file supersedes it.
    fn superseded(&self, generation: Generation, now_ms: u64) -> Option<Merged> {
        let old = self.old?;
        let rollout = old.live()?;
        let newer = self.supersedes(rollout)?;
        let ended = Rollout {
            state: rollout::State::Aborted { why: AbortedBy::Superseded },
            step_generation: generation,
            ended_ms: Some(now_ms),
            never_began: rollout.has_not_begun(),
            verdict: None,
            ..rollout.clone()
        };
        let mut merged = if same_weights(&old.file_split, &self.service.split) {
            self.decided_split(&Record { split: Split::whole(rollout.stable.clone()), ..old.clone() })
        } else {
            self.split_of_file(old, "the file has a new split")
        };
        merged.change = Some((Action::Abort, format!("the file names another canary, {newer}")));
        merged.record.rollout = Some(ended);
        Some(merged)
    }

    /// The canary that takes the place of a rollout's, where the rules by which it began say so.
    fn supersedes(&self, rollout: &Rollout) -> Option<&VersionName> {
        let newer = self.service.canary.as_ref().filter(|canary| **canary != rollout.canary)?;
        let rules: serde_json::Value = serde_json::from_str(&rollout.rules).ok()?;
        let yields = rules["policy"]["on_new_canary"] == serde_json::json!(OnNewCanary::Supersede);
        (yields && self.service.stable == rollout.stable).then_some(newer)
    }

    fn or_refuse(&self) -> Result<Merged, Refusal> {
        let Some(old) = self.old else { return Ok(self.new_service()) };
        let moved = !same_weights(&old.file_split, &self.service.split);
        if let Some(rollout) = old.live() {
            let what = match (moved, self.keeps_rules(rollout)) {
                (false, true) => None,
                (true, _) => Some("the split"),
                (false, false) => Some("its roles or its rollout policy"),
            };
            if let Some(what) = what {
                return Err(Refusal::ReloadDuringRollout {
                    service: self.service.name.clone(),
                    canary: rollout.canary.clone(),
                    state: rollout.state,
                    what,
                    newer: self.service.canary.clone().filter(|newer| {
                        *newer != rollout.canary && self.service.stable == rollout.stable && !moved
                    }),
                });
            }
        }
        if moved {
            return Ok(self.split_of_file(old, "the file has a new split"));
        }
        match self.left_out(&old.split) {
            Some(version) => Err(Refusal::ReloadDropsVersion {
                service: self.service.name.clone(),
                version: version.clone(),
                split: old.split.clone(),
            }),
            None => Ok(self.decided_split(old)),
        }
    }

    fn or_yield(&self, generation: Generation, now_ms: u64) -> Merged {
        let Some(old) = self.old else { return self.new_service() };
        let moved = !same_weights(&old.file_split, &self.service.split);
        let dropped = self.left_out(&old.split).is_some();
        let ended =
            old.live().filter(|rollout| moved || dropped || !self.keeps_rules(rollout)).map(|rollout| {
                Rollout {
                    state: rollout::State::Aborted { why: AbortedBy::File },
                    step_generation: generation,
                    ended_ms: Some(now_ms),
                    never_began: rollout.has_not_begun(),
                    verdict: None,
                    ..rollout.clone()
                }
            });
        let mut merged = match (&ended, moved) {
            (_, true) => self.split_of_file(old, "the file has a new split"),
            (None, _) if dropped => self
                .split_of_file(old, "the file leaves out a version that had traffic, so its own split holds"),
            (None, _) => self.decided_split(old),
            (Some(rollout), false) if self.service.version(&rollout.stable).is_some() => {
                let out = Record { split: Split::whole(rollout.stable.clone()), ..old.clone() };
                self.decided_split(&out)
            }
            (Some(_), false) => self.split_of_file(old, "the file leaves out the stable version"),
        };
        if let Some(rollout) = ended {
            let why = if moved { "its split" } else { "the roles, the policy or the versions" };
            let reason = format!("the file changed {why} while the rollout was in progress");
            merged.change = Some((Action::Abort, reason));
            merged.record.rollout = Some(rollout);
        }
        merged
    }

    fn keeps_rules(&self, rollout: &Rollout) -> bool {
        rules(self.service) == rollout.rules
    }

    /// A version with weight that the file does not have.
    fn left_out<'b>(&self, split: &'b Split) -> Option<&'b VersionName> {
        let missing = |(name, weight): &(&VersionName, Weight)| {
            *weight > Weight::ZERO && self.service.version(name).is_none()
        };
        split.iter().find(missing).map(|(name, _)| name)
    }

    fn new_service(&self) -> Merged {
        let split = in_order(self.service, &self.service.split);
        let record = Record { file_split: self.service.split.clone(), split, rollout: None, since: None };
        Merged { record, change: Some((Action::SetWeights, "the service is new in the file".into())) }
    }

    fn split_of_file(&self, old: &Record, why: &str) -> Merged {
        let split = in_order(self.service, &self.service.split);
        let (file_split, rollout) = (self.service.split.clone(), old.rollout.clone());
        let record = Record { file_split, split, rollout, since: None };
        Merged { record, change: Some((Action::SetWeights, why.into())) }
    }

    fn decided_split(&self, old: &Record) -> Merged {
        let split = in_order(self.service, &old.split);
        let (file_split, rollout) = (self.service.split.clone(), old.rollout.clone());
        let record = Record { file_split, split, rollout, since: None };
        Merged { record, change: None }
    }
}

fn load(
    stored: &Stored,
    generation: Generation,
    catalogue: &Arc<Catalogue>,
    merged: Vec<(ServiceName, Merged)>,
    reason: &str,
    now_ms: u64,
) -> Result<Decision, Refusal> {
    let mut plan = Plan::new(catalogue.clone(), generation, stored.generation);
    let mut services = BTreeMap::new();
    let mut entries = Vec::new();
    let mut next_entry = stored.next_entry;
    let mut entry = |service: Option<&ServiceName>, record: Option<&Record>, action, reason: String| {
        let ended = record.and_then(|record| record.rollout.as_ref()).filter(|_| action == Action::Abort);
        entries.push(Entry {
            sequence: next_entry,
            at_ms: now_ms,
            actor: Actor::File,
            who: None,
            service: service.cloned(),
            services: Vec::new(),
            group: None,
            action,
            from: service.and_then(|name| stored.services.get(name)).map(|old| old.split.clone()),
            to: record.map(|record| record.split.clone()),
            mirror: record.map_or(Weight::ZERO, Record::mirror),
            generation,
            reason,
            with: None,
            rollout: ended.map(|rollout| rollout.id),
            state: ended.map(|rollout| rollout.state),
            verdict: None,
        });
        next_entry += 1;
    };
    entry(None, None, Action::Load, reason.to_owned());
    for (name, Merged { record, change }) in merged {
        plan.set_split(name.as_str(), record.split.clone())?;
        state::complete(&mut plan, name.as_str(), &record);
        if let Some((action, why)) = change {
            entry(Some(&name), Some(&record), action, why);
        }
        services.insert(name, Arc::new(record));
    }
    let touched = stored.services.keys().filter(|name| !services.contains_key(*name)).cloned();
    let touched: Vec<ServiceName> = touched.chain(services.keys().cloned()).collect();
    let state = State {
        plan: Arc::new(plan),
        services,
        next_entry,
        next_rollout: stored.next_rollout,
        tokens: stored.tokens.clone(),
        repeats: stored.repeats.clone(),
        terms: Arc::default(),
        freezes: Arc::default(),
        told: Arc::default(),
        hooks: Arc::default(),
    };
    Ok(Decision { state, touched, entries, facts: FactChanges::new(), protects: false })
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
