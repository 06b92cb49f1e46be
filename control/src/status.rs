//! What the control plane shows of itself: one immutable snapshot, made after each change and each second.
//!
//! The API and the live table of the demo read the same snapshot, so that reading never waits for a decision,
//! and a decision never for a reader.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serin_config::{
    Generation, Plan, ServiceName, Split, VersionName, Weight, limits::RECENT_LATENCY_SECONDS_MAX,
    terms::Terms,
};
use serin_judge::{Verdict, explain, explain_as_kept, explain_so_far};

use crate::{
    collect::{Collector, Counts, Second},
    freeze::Freezes,
    hook::{HookStatus, Hooks},
    notify::Told,
    observed::{Observed, Shares},
    rollout::{self, Rollout, words},
    settled::Settled,
    state::State,
    tokens::Tokens,
    totals::Total,
    waiting::Waiting,
    watch::course::Course,
};

/// Weights by version.
pub type Weights = BTreeMap<VersionName, Weight>;

/// The weights of a split, as the API shows them.
pub fn weights(split: &Split) -> Weights {
    split.iter().map(|(version, weight)| (version.clone(), weight)).collect()
}

/// The whole snapshot.
#[derive(Debug, Clone)]
pub struct Status {
    /// The plan in force.
    pub plan: Arc<Plan>,
    /// Whether all of it is stored: false after a canary was taken out while the store could not be written.
    pub stored: bool,
    /// The services, sorted by name.
    pub services: BTreeMap<ServiceName, ServiceStatus>,
    /// The tokens of the API.
    pub tokens: Arc<Tokens>,
    /// What the file says of all rollouts.
    pub terms: Arc<Terms>,
    /// What was frozen by hand.
    pub freezes: Arc<Freezes>,
    /// How far recipients were told of decisions.
    pub told: Arc<Told>,
    /// What webhooks were asked, and said.
    pub hooks: Arc<Hooks>,
}

impl Status {
    /// What keeps a service from going forward at that time, in words.
    pub fn frozen(&self, service: &str, now_ms: u64) -> Option<String> {
        crate::freeze::frozen(&self.terms, &self.freezes, service, now_ms)
    }
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: ServiceName,
    /// The plan in force.
    pub generation: Generation,
    /// The share of each version.
    pub weights: Weights,
    /// The version that is trusted.
    pub stable: VersionName,
    /// The version under test.
    pub canary: Option<VersionName>,
    /// Whether what is counted just now is known here: only the control plane that leads counts. Where it is not, counts of
    /// versions are null and there are no seconds.
    #[serde(default = "yes")]
    pub counted: bool,
    /// Whether proxies hold the canary back to a few requests a second (`rollout.probe`), since it is new to users: its share
    /// is not observed until that is over.
    #[serde(default)]
    pub probing: bool,
    /// What each version did in the last seconds that had traffic.
    pub versions: Vec<VersionStatus>,
    /// The rollout in progress, or the last one.
    pub rollout: Option<RolloutStatus>,
    /// Earlier rollouts, the newest first.
    pub earlier: Vec<EarlierRollout>,
    /// The newest seconds with traffic, the oldest first.
    pub seconds: Vec<SecondStatus>,
}

fn yes() -> bool {
    true
}

/// What one version did lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionStatus {
    /// Its name.
    pub version: VersionName,
    /// Its share.
    pub weight: Weight,
    /// How many of the last seconds these counts cover.
    pub seconds: usize,
    /// What was counted; none where that is not known here.
    pub counts: Option<CountsStatus>,
    /// All that windows ever told of it, each window once; requests that the split did not send there are in none.
    #[serde(default)]
    pub total: Total,
    /// The share that it was observed to have under the present split; none before a request.
    #[serde(default)]
    pub observed: Option<Observed>,
}

/// One second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondStatus {
    /// Which: seconds since 1970.
    pub at: u64,
    /// What each version did in it.
    pub versions: BTreeMap<VersionName, CountsStatus>,
}

/// Counts of one version.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CountsStatus {
    /// All attempts that stand in windows: not those that the split did not send where they went.
    pub requests: u64,
    /// Attempts that count in a comparison of versions.
    pub judged: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Median time to response headers in milliseconds, of what did not fail.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// Its number.
    pub id: u64,
    /// The version under test.
    pub canary: VersionName,
    /// The version that is trusted.
    pub stable: VersionName,
    /// How far it is.
    #[serde(flatten)]
    pub state: rollout::State,
    /// The same in words, and what waits to take its place.
    pub summary: String,
    /// The service of its group whose rollout ended this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<ServiceName>,
    /// The canary that was to take its place, and was called off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_off: Option<VersionName>,
    /// The canary that has superseded this one and does not begin yet.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// Whether it ended before its first step: the canary had nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_began: bool,
    /// Whether it is in progress.
    pub live: bool,
    /// The canary's share now.
    pub weight: Weight,
    /// The shares of its steps.
    pub steps: Vec<Weight>,
    /// For each step, the share of the stable version's requests that the canary gets copies of; empty where no step copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Weight>,
    /// The same now; absent where it gets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Weight>,
    /// The share of all requests of the service that it was observed to get copies of; those whose method is not copied are among
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<Observed>,
    /// How often the share at its step is halved, since evidence mounts against the canary.
    #[serde(default)]
    pub halvings: u8,
    /// What webhooks are asked about it at this moment, and how each stands; none where that is not known here, since
    /// only the control plane that leads asks them.
    #[serde(default)]
    pub webhooks: Option<Vec<HookStatus>>,
    /// Whether it began as an urgent change, which no freeze stops.
    #[serde(default)]
    pub urgent: bool,
    /// What its steps took.
    #[serde(default)]
    pub course: Course,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
    /// When its present step began.
    pub step_began_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
    /// The latest verdict; once it has ended, what was known then.
    pub verdict: Option<Verdict>,
}

impl RolloutStatus {
    /// Its verdict in sentences; none without one.
    pub fn explained(&self) -> Vec<String> {
        if self.never_began {
            let canary = &self.canary;
            return vec![format!(
                "It ended before its first step: {canary} had no traffic, so nothing was judged."
            )];
        }
        let words = match &self.webhooks {
            _ if !self.state.is_live() => explain,
            // Who does not know what is asked just now does not know what happens just now.
            None => explain_as_kept,
            Some(_) => explain_so_far,
        };
        let verdict = self.verdict.as_ref();
        verdict.map(|verdict| words(verdict, self.canary.as_str(), self.stable.as_str())).unwrap_or_default()
    }

    /// Its summary, of what stands here.
    pub(crate) fn in_words(&self) -> String {
        let own = words::summary(self.state, self.with.as_ref(), self.called_off.as_ref());
        self.waiting.as_ref().map(|waiting| format!("{own}; {waiting}")).unwrap_or(own)
    }

    /// Its summary in fewer words: who waits to take its place is named, and why is left out.
    pub(crate) fn brief(&self) -> String {
        let own = words::summary(self.state, self.with.as_ref(), self.called_off.as_ref());
        self.waiting.as_ref().map(|waiting| format!("{own}, {} waits", waiting.canary)).unwrap_or(own)
    }

    /// What webhooks are asked, as far as it is known.
    pub fn asked(&self) -> impl Iterator<Item = &HookStatus> {
        self.webhooks.iter().flatten()
    }
}

/// One earlier rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlierRollout {
    /// Its number.
    pub id: u64,
    /// The version that was under test.
    pub canary: VersionName,
    /// The version that was trusted.
    pub stable: VersionName,
    /// How it ended.
    #[serde(flatten)]
    pub state: rollout::State,
    /// The same in words.
    pub summary: String,
    /// The service of its group whose rollout ended this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<ServiceName>,
    /// The canary that was to take its place, and was called off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called_off: Option<VersionName>,
    /// When it started, in milliseconds since 1970.
    pub started_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
}

impl EarlierRollout {
    /// Its summary, of what stands here.
    pub(crate) fn in_words(&self) -> String {
        words::summary(self.state, self.with.as_ref(), self.called_off.as_ref())
    }
}

/// What a snapshot is made from.
pub(crate) struct Sources<'a> {
    pub(crate) state: &'a State,
    pub(crate) stored: bool,
    pub(crate) collector: &'a Collector,
    pub(crate) settled: &'a Settled,
    pub(crate) shares: &'a Shares,
    pub(crate) verdicts: &'a BTreeMap<ServiceName, Verdict>,
    pub(crate) courses: BTreeMap<ServiceName, Course>,
    pub(crate) ended: &'a BTreeMap<ServiceName, Vec<Arc<Rollout>>>,
    pub(crate) waiting: &'a BTreeMap<ServiceName, Waiting>,
    /// Whether it is counted here.
    pub(crate) counted: bool,
}

impl Sources<'_> {
    pub(crate) fn status(&self) -> Status {
        let plan = self.state.plan.clone();
        let services =
            plan.services().map(|(service, split)| (service.name.clone(), self.service(service, split)));
        let State { terms, freezes, told, tokens, hooks, .. } = self.state;
        Status {
            services: services.collect(),
            plan,
            stored: self.stored,
            tokens: tokens.clone(),
            terms: terms.clone(),
            freezes: freezes.clone(),
            told: told.clone(),
            hooks: hooks.clone(),
        }
    }

    fn service(&self, service: &serin_config::Service, split: &Split) -> ServiceStatus {
        let name = service.name.as_str();
        let seconds: Vec<&Second> = self.collector.recent(name).collect();
        let newest = &seconds[seconds.len().saturating_sub(RECENT_LATENCY_SECONDS_MAX)..];
        let versions = service.versions.iter().map(|version| {
            let mut sum = Counts::default();
            for counts in newest.iter().filter_map(|second| second.versions.get(&version.name)) {
                sum.merge(&counts.outcomes, &counts.headers);
            }
            VersionStatus {
                version: version.name.clone(),
                weight: split.of(&version.name),
                seconds: newest.len(),
                counts: self.counted.then(|| CountsStatus::from(&sum)),
                total: self.settled.total(name, version.name.as_str()),
                observed: self.shares.of(name, &version.name),
            }
        });
        let rollout = self.state.services.get(name).and_then(|record| record.rollout.as_ref());
        let ended = self.ended.get(name).map(Vec::as_slice).unwrap_or_default();
        let earlier = ended.iter().rev().filter(|ended| Some(ended.id) != rollout.map(|rollout| rollout.id));
        ServiceStatus {
            name: service.name.clone(),
            generation: self.state.plan.generation(),
            weights: weights(split),
            stable: service.stable.clone(),
            canary: service.canary.clone(),
            counted: self.counted,
            probing: self.shares.is_probing(name),
            versions: versions.collect(),
            rollout: rollout.map(|rollout| self.rollout(rollout)),
            earlier: earlier.map(|ended| EarlierRollout::from(ended.as_ref())).collect(),
            seconds: seconds.into_iter().map(SecondStatus::from).collect(),
        }
    }

    fn hooks(&self, rollout: &Rollout) -> Vec<HookStatus> {
        let asked = self.state.hooks.of(rollout.service.as_str(), rollout.id);
        asked.map(|(question, asked)| HookStatus::of(question, asked)).collect()
    }

    fn rollout(&self, rollout: &Rollout) -> RolloutStatus {
        let live = rollout.state.is_live();
        let waiting = self.waiting.get(&rollout.service).filter(|_| !live);
        let latest = self.verdicts.get(&rollout.service).filter(|_| live);
        let mirror = Some(rollout.mirror()).filter(|share| *share > Weight::ZERO);
        let shown = RolloutStatus {
            id: rollout.id,
            canary: rollout.canary.clone(),
            stable: rollout.stable.clone(),
            state: rollout.state,
            summary: String::new(),
            with: rollout.with.clone(),
            called_off: rollout.called_off.clone(),
            waiting: waiting.cloned(),
            never_began: rollout.never_began,
            live,
            weight: rollout.canary_weight(),
            steps: rollout.weights.clone(),
            mirrors: rollout.mirrors.clone(),
            mirror,
            copied: mirror.and_then(|_| self.shares.copied(rollout.service.as_str())),
            halvings: rollout.halvings,
            urgent: rollout.urgent,
            webhooks: self.counted.then(|| self.hooks(rollout)),
            course: self.courses.get(&rollout.service).filter(|_| live).unwrap_or(&rollout.course).clone(),
            started_ms: rollout.started_ms,
            step_began_ms: rollout.step_began_ms,
            ended_ms: rollout.ended_ms,
            verdict: latest.or(rollout.verdict.as_ref()).cloned(),
        };
        RolloutStatus { summary: shown.in_words(), ..shown }
    }
}

impl From<&Counts> for CountsStatus {
    fn from(counts: &Counts) -> Self {
        let (p50_ms, p99_ms) = counts.quantiles_ms();
        Self {
            requests: counts.outcomes.total(),
            judged: counts.outcomes.judged(),
            failed: counts.outcomes.failed(),
            p50_ms,
            p99_ms,
        }
    }
}

impl From<&Second> for SecondStatus {
    fn from(second: &Second) -> Self {
        let versions = second.versions.iter().map(|(name, counts)| (name.clone(), counts.into()));
        Self { at: second.at, versions: versions.collect() }
    }
}

impl From<&Rollout> for EarlierRollout {
    fn from(rollout: &Rollout) -> Self {
        Self {
            id: rollout.id,
            canary: rollout.canary.clone(),
            stable: rollout.stable.clone(),
            state: rollout.state,
            summary: rollout.summary(),
            with: rollout.with.clone(),
            called_off: rollout.called_off.clone(),
            started_ms: rollout.started_ms,
            ended_ms: rollout.ended_ms,
        }
    }
}
