//! The plan: everything that a proxy needs to serve, immutable, with a generation and its parent.
//!
//! A plan is a [`Catalogue`] and one [`Split`] for each of its services. Changing a weight shares the
//! catalogue and copies a few words, so fifty changes a second cost nothing.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    catalogue::Catalogue,
    name::{ServiceName, VersionName},
    service::Service,
    weight::Split,
};

/// The number of a plan. It only grows; a receiver refuses an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// Before the first plan.
    pub const NONE: Self = Self(0);

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

/// Everything that a proxy needs to serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    generation: Generation,
    parent: Generation,
    catalogue: Arc<Catalogue>,
    splits: Vec<Split>,
}

impl Plan {
    /// A plan with the splits that the file asks for.
    pub fn new(catalogue: Arc<Catalogue>, generation: Generation, parent: Generation) -> Self {
        let splits = catalogue.services().iter().map(|service| service.split.clone()).collect();
        Self { generation, parent, catalogue, splits }
    }

    /// The same, with one service's split replaced; a child of this plan.
    pub fn with_split(&self, service: &str, split: Split) -> Result<Self, PlanError> {
        let mut child = self.clone();
        child.set_split(service, split)?;
        (child.parent, child.generation) = (self.generation, self.generation.next());
        Ok(child)
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
