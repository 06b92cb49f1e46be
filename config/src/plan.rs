//! The plan: everything that a proxy needs to serve, immutable, with a generation and its parent.
//!
//! A plan is a [`Catalogue`] and one [`Split`] for each of its services. Changing a weight shares the
//! catalogue and copies a few words, so fifty changes a second cost nothing. Where a rollout begins with copies, the plan also
//! says of which share of the stable version's requests the canary gets some; and where a canary has everything though its
//! rollout is not over, that the stable version stands by.
//!
//! A number alone does not say which plan it is: a store that was lost, or set back to an earlier copy, gives numbers again
//! that proxies have met already. So a plan has an [`Identity`] as well, made of all that it says.

use std::{
    fmt::{self, Write},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::{
    catalogue::Catalogue,
    name::{ServiceName, VersionName},
    service::Service,
    weight::{Split, Weight},
};

/// The number of a plan. It only grows; a receiver refuses an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// Before the first plan.
    pub const NONE: Self = Self(0);
    /// The highest: readers of JSON tell numbers apart up to there.
    pub const MAX: Self = Self(1 << 53);

    /// The one after.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which plan it is, beside its number: the same for plans that say the same, and for no others. Whoever was told it gives
/// it back as it came, so that releases may make it otherwise. Empty where a release did not tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The identity of that name; empty where none was told.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Whether both are known, and not the same.
    pub fn contradicts(&self, other: &Self) -> bool {
        !self.0.is_empty() && !other.0.is_empty() && self != other
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a plan can't be changed in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The service is not in the plan.
    #[error("there is no service \"{0}\"")]
    NoService(String),
    /// The split names a version that the service does not have.
    #[error("service \"{service}\" has no version \"{version}\"")]
    NoVersion {
        /// The service.
        service: ServiceName,
        /// The version that the split names.
        version: VersionName,
    },
}

/// Why parts don't make a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {
    /// A part does not fit the catalogue.
    #[error(transparent)]
    Misfit(#[from] PlanError),
    /// A service without a split.
    #[error("service \"{0}\" has no split")]
    NoSplit(ServiceName),
}

/// What a plan says of one service beside the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The service.
    pub service: String,
    /// Its split.
    pub split: Split,
    /// See [`Plan::canary_since`].
    pub canary_since: Generation,
    /// See [`Plan::mirror`].
    pub mirror: Weight,
    /// See [`Plan::stands_by`].
    pub stands_by: bool,
}

/// Everything that a proxy needs to serve. Two are equal that say the same, whatever they are called.
#[derive(Debug, Clone)]
pub struct Plan {
    generation: Generation,
    parent: Generation,
    catalogue: Arc<Catalogue>,
    splits: Vec<Split>,
    /// For each service, the generation that gave its canary weight, or copies, after it had none.
    canary_since: Vec<Generation>,
    /// For each service, the share of its stable version's requests that the canary gets copies of.
    mirrors: Vec<Weight>,
    /// For each service, whether its stable version takes over from a canary that has everything.
    standbys: Vec<bool>,
    /// What whoever made it elsewhere calls it.
    told_as: Option<Identity>,
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        let numbers = |plan: &Self| (plan.generation, plan.parent);
        numbers(self) == numbers(other)
            && self.catalogue == other.catalogue
            && self.splits == other.splits
            && self.canary_since == other.canary_since
            && self.mirrors == other.mirrors
            && self.standbys == other.standbys
    }
}

impl Plan {
    /// A plan with the splits that the file asks for.
    pub fn new(catalogue: Arc<Catalogue>, generation: Generation, parent: Generation) -> Self {
        let splits: Vec<_> = catalogue.services().iter().map(|service| service.split.clone()).collect();
        let canary_since = vec![generation; splits.len()];
        let (mirrors, standbys) = (vec![Weight::ZERO; splits.len()], vec![false; splits.len()]);
        Self { generation, parent, catalogue, splits, canary_since, mirrors, standbys, told_as: None }
    }

    /// The same, called as whoever made it calls it.
    #[must_use]
    pub fn told_as(self, identity: &str) -> Self {
        Self { told_as: Some(Identity::new(identity)), ..self }
    }

    /// What it is called beside its number: as it was told, or else made of all that it says.
    pub fn identity(&self) -> Identity {
        if let Some(told) = &self.told_as {
            return told.clone();
        }
        let digest = self.catalogue.source().map_or("", |source| source.digest());
        let mut text = format!("{} {} {digest}", self.generation, self.parent);
        let besides = self.canary_since.iter().zip(&self.mirrors).zip(&self.standbys);
        for ((service, split), ((since, mirror), stands_by)) in self.services().zip(besides) {
            // Writing to a text does not fail.
            let _ = write!(text, "\n{} {since}", service.name);
            for (version, weight) in split.iter() {
                let _ = write!(text, " {version}={}", weight.ppm());
            }
            if *mirror > Weight::ZERO {
                let _ = write!(text, " copies of {}", mirror.ppm());
            }
            if *stands_by {
                text.push_str(" standby");
            }
        }
        Identity(format!("{:032x}", xxh3_128(text.as_bytes())).into())
    }

    /// The same under a higher number; a child of this plan.
    #[must_use]
    pub fn renumbered(&self, generation: Generation) -> Self {
        Self { generation, parent: self.generation, told_as: None, ..self.clone() }
    }

    /// A plan of all its parts, as another process has made it: one part for each service.
    pub fn of_parts(
        catalogue: Arc<Catalogue>,
        generation: Generation,
        parent: Generation,
        parts: Vec<Part>,
    ) -> Result<Self, PartsError> {
        let mut plan = Self::new(catalogue, generation, parent);
        let mut missing: Vec<bool> = plan.splits.iter().map(|_| true).collect();
        for Part { service, split, canary_since, mirror, stands_by } in parts {
            plan.set_split(&service, split)?;
            if let Some(at) = plan.catalogue.position(&service) {
                (plan.canary_since[at], plan.mirrors[at], missing[at]) = (canary_since, mirror, false);
                plan.standbys[at] = stands_by;
            }
        }
        match missing.iter().position(|missing| *missing) {
            Some(at) => Err(PartsError::NoSplit(plan.catalogue.services()[at].name.clone())),
            None => Ok(plan),
        }
    }

    /// The same, with one service's split replaced; a child of this plan.
    pub fn with_split(&self, service: &str, split: Split) -> Result<Self, PlanError> {
        self.with_splits([(service, split)])
    }

    /// The same, with the splits of several services replaced at once; one child of this plan. A canary is given weight anew
    /// where it had none and got no copies either, and where it gets its first users.
    pub fn with_splits<'a>(
        &self,
        splits: impl IntoIterator<Item = (&'a str, Split)>,
    ) -> Result<Self, PlanError> {
        let mut child = self.renumbered(self.generation.next());
        for (service, split) in splits {
            child.set_split(service, split)?;
            if let Some(at) = self.catalogue.position(service)
                && canary_weight(self, at) == Weight::ZERO
                && (self.mirrors[at] == Weight::ZERO || canary_weight(&child, at) > Weight::ZERO)
            {
                child.canary_since[at] = child.generation;
            }
        }
        Ok(child)
    }

    /// Takes over from an earlier plan since when each canary has had its weight, where it had some there, or copies, and
    /// is the same version: a new catalogue alone gives no canary another chance.
    pub fn go_on_from(&mut self, earlier: &Self) {
        for (at, service) in self.catalogue.clone().services().iter().enumerate() {
            let Some(there) = earlier.catalogue.position(service.name.as_str()) else { continue };
            let same = earlier.catalogue.services()[there].canary == service.canary;
            let had = canary_weight(earlier, there) > Weight::ZERO || earlier.mirrors[there] > Weight::ZERO;
            if same && had {
                self.canary_since[at] = earlier.canary_since[there];
            }
        }
    }

    /// Says since when a service's canary has had its weight, for building a plan from stored parts: a start of the
    /// control plane alone gives no canary another chance.
    pub fn set_canary_since(&mut self, service: &str, since: Generation) {
        if let Some(at) = self.catalogue.position(service) {
            self.canary_since[at] = since;
        }
    }

    /// Says of which share of the stable version's requests a service's canary gets copies, without counting a
    /// generation. None for a service that has no canary.
    pub fn set_mirror(&mut self, service: &str, share: Weight) {
        if let Some(at) = self.catalogue.position(service) {
            let has_canary = self.catalogue.services()[at].canary.is_some();
            self.mirrors[at] = if has_canary { share } else { Weight::ZERO };
        }
    }

    /// Of which share of the stable version's requests a service's canary gets copies; zero but in a step of its rollout
    /// that says so. Nobody gets what it answers.
    pub fn mirror(&self, service: &str) -> Weight {
        self.catalogue.position(service).map_or(Weight::ZERO, |at| self.mirrors[at])
    }

    /// Says whether a service's stable version stands by, without counting a generation. It never does where there is no
    /// canary.
    pub fn set_standby(&mut self, service: &str, stands_by: bool) {
        if let Some(at) = self.catalogue.position(service) {
            self.standbys[at] = stands_by && self.catalogue.services()[at].canary.is_some();
        }
    }

    /// Whether the stable version of a service, which the split gives nothing, takes over from a canary that has everything:
    /// so it is while a rollout is there and not over, in a bake or at a step of 100 %. A proxy then watches the canary as it
    /// does beside a stable version that has weight, and sends everything back if its trip-wire trips.
    pub fn stands_by(&self, service: &str) -> bool {
        self.catalogue.position(service).is_some_and(|at| self.standbys[at])
    }

    /// Since which generation the canary of a service has had weight without a break; before it has users, since which it gets
    /// copies. What was held against the canary under an earlier one is forgiven: somebody gave it weight anew.
    pub fn canary_since(&self, service: &str) -> Generation {
        self.catalogue.position(service).map_or(Generation::NONE, |at| self.canary_since[at])
    }

    /// Replaces one service's split without counting a generation, for building a plan from stored parts.
    pub fn set_split(&mut self, service: &str, split: Split) -> Result<(), PlanError> {
        let at = self.catalogue.position(service).ok_or_else(|| PlanError::NoService(service.into()))?;
        let known = &self.catalogue.services()[at];
        if let Some((version, _)) = split.iter().find(|(version, _)| known.version(version).is_none()) {
            return Err(PlanError::NoVersion { service: known.name.clone(), version: version.clone() });
        }
        self.splits[at] = split;
        Ok(())
    }

    /// Its number.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The number of the plan that it was made from.
    pub fn parent(&self) -> Generation {
        self.parent
    }

    /// Routes and services.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Services with their splits, sorted by name.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &Split)> {
        self.catalogue.services().iter().zip(&self.splits)
    }

    /// The split of the service of that name.
    pub fn split(&self, service: &str) -> Option<&Split> {
        self.catalogue.position(service).map(|at| &self.splits[at])
    }
}

fn canary_weight(plan: &Plan, at: usize) -> Weight {
    let canary = plan.catalogue.services()[at].canary.as_ref();
    canary.map_or(Weight::ZERO, |canary| plan.splits[at].of(canary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Version;

    fn shop() -> Arc<Catalogue> {
        let name = |text| VersionName::try_new(text).unwrap();
        let version = |text, port: u16| {
            Version::new(name(text), vec![crate::Address::Tcp(([127, 0, 0, 1], port).into())])
        };
        let versions = vec![version("v1", 1), version("v2", 2)];
        let service = Service {
            canary: Some(name("v2")),
            ..Service::new(ServiceName::try_new("shop").unwrap(), versions, name("v1"))
        };
        Arc::new(Catalogue::try_new(vec![], vec![service]).unwrap())
    }

    fn at(percent: u32) -> Split {
        let name = |text| VersionName::try_new(text).unwrap();
        Split::canary_and_stable(name("v2"), Weight::from_ppm(percent * 10_000).unwrap(), name("v1"))
    }

    #[test]
    fn a_canary_has_its_weight_since_it_last_had_none() {
        let plan = Plan::new(shop(), Generation(1), Generation(0));
        let five = plan.with_split("shop", at(5)).unwrap();
        let ten = five.with_split("shop", at(10)).unwrap();
        assert_eq!((five.canary_since("shop"), ten.canary_since("shop")), (Generation(2), Generation(2)));
        let out = ten.with_split("shop", at(0)).unwrap();
        assert_eq!(out.canary_since("shop"), Generation(2));
        assert_eq!(out.with_split("shop", at(5)).unwrap().canary_since("shop"), Generation(5));
    }

    #[test]
    fn a_plan_in_the_middle_of_copies_forgives_nothing_and_the_first_users_begin_anew() {
        let mut copied = Plan::new(shop(), Generation(1), Generation(0)).with_split("shop", at(0)).unwrap();
        copied.set_mirror("shop", Weight::WHOLE);
        assert_eq!(copied.canary_since("shop"), Generation(2));
        let paused = copied.with_split("shop", at(0)).unwrap();
        assert_eq!((paused.canary_since("shop"), paused.mirror("shop")), (Generation(2), Weight::WHOLE));
        let mut reloaded = Plan::new(shop(), Generation(4), Generation(3));
        reloaded.go_on_from(&paused);
        assert_eq!(reloaded.canary_since("shop"), Generation(2));
        let mut users = paused.with_split("shop", at(5)).unwrap();
        users.set_mirror("shop", Weight::ZERO);
        assert_eq!(users.canary_since("shop"), Generation(4));
        // It ended there, and its copies with it: who begins again begins anew.
        let mut ended = paused.with_split("shop", at(0)).unwrap();
        ended.set_mirror("shop", Weight::ZERO);
        assert_eq!(ended.canary_since("shop"), Generation(2));
        assert_eq!(ended.with_split("shop", at(0)).unwrap().canary_since("shop"), Generation(5));
    }

    #[test]
    fn plans_of_one_number_that_do_not_say_the_same_have_different_identities() {
        let plan = Plan::new(shop(), Generation(4), Generation(3));
        assert_eq!(plan.identity(), plan.clone().identity());
        let mut half = plan.clone();
        half.set_split("shop", at(50)).unwrap();
        let mut baked = plan.clone();
        baked.set_standby("shop", true);
        let mut forgiven = plan.clone();
        forgiven.set_canary_since("shop", Generation(2));
        let orphan = Plan::new(shop(), Generation(4), Generation(2));
        let texts = Catalogue::clone(&shop()).with_source("other".into());
        let renamed = Plan::new(Arc::new(texts), Generation(4), Generation(3));
        for other in [half, baked, forgiven, orphan, renamed, plan.renumbered(Generation(5))] {
            assert!(plan.identity().contradicts(&other.identity()), "{other:?}");
        }
        assert!(!plan.identity().contradicts(&Identity::default()), "it is not known which it is");
        assert_eq!(plan.clone().told_as("x").with_split("shop", at(5)).unwrap().told_as, None);
    }

    #[test]
    fn a_new_catalogue_gives_no_canary_another_chance() {
        let plan = Plan::new(shop(), Generation(1), Generation(0)).with_split("shop", at(5)).unwrap();
        let mut reloaded = Plan::new(shop(), Generation(3), Generation(2));
        reloaded.go_on_from(&plan);
        assert_eq!(reloaded.canary_since("shop"), Generation(2));
        let out = plan.with_split("shop", at(0)).unwrap();
        let mut reloaded = Plan::new(shop(), Generation(4), Generation(3));
        reloaded.go_on_from(&out);
        assert_eq!(reloaded.canary_since("shop"), Generation(4));
    }
}
