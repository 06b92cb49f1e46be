//! Why the planner refuses: one closed enum. A refused request changes nothing; each text says what was
//! wrong and what would be right, and can be shown to whoever asked.

use std::sync::Arc;

use serin_config::{Generation, Plan, ServiceName, Split, VersionName, Weight, plan::PlanError};

use crate::rollout::{State, StateError};

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The caller looked at an older plan than the one in force.
    #[error("the request rests on generation {given}, but generation {} is in force: read it and decide again", current.generation())]
    Stale {
        /// What the caller gave.
        given: Generation,
        /// The plan in force.
        current: Arc<Plan>,
    },
    /// The service is not in the plan.
    #[error("there is no service \"{0}\"")]
    NoService(String),
    /// The split names a version that the service does not have.
    #[error("service \"{service}\" has no version \"{version}\"{}", list(known))]
    NoVersion {
        /// The service.
        service: ServiceName,
        /// The version that is not there.
        version: VersionName,
        /// Those that are.
        known: Vec<VersionName>,
    },
    /// Weights can't be set by hand while a rollout moves them.
    #[error(
        "a rollout of \"{canary}\" is in progress on service \"{service}\" ({state}): abort it, or promote it to the end, \
         before setting weights by hand; to stay at the present weight, pause it"
    )]
    RolloutRuns {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
        /// How far the rollout is.
        state: State,
    },
    /// A second rollout can't start.
    #[error(
        "a rollout of \"{canary}\" is in progress on service \"{service}\" ({state}): abort or promote it first"
    )]
    AlreadyRuns {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
        /// How far the rollout is.
        state: State,
    },
    /// There is nothing to roll out.
    #[error("service \"{0}\" has no canary: name the version under test as its `canary` in the file")]
    NoCanary(ServiceName),
    /// The canary has everything already.
    #[error(
        "\"{canary}\" has all of the traffic of service \"{service}\" already: name it as `stable` in the file, \
         or set its weight lower first"
    )]
    AlreadyWhole {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
    },
    /// A version that is neither stable nor canary has weight.
    #[error(
        "version \"{version}\" of service \"{service}\" has {weight} of the traffic and is neither stable nor canary: \
         set its weight to 0% before a rollout"
    )]
    ThirdVersion {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
        /// Its share.
        weight: Weight,
    },
    /// No rollout was ever started.
    #[error("service \"{0}\" has no rollout: start one first")]
    NoRollout(ServiceName),
    /// The rollout is in a state in which this can't be done.
    #[error("the rollout of service \"{service}\" {error}")]
    Rollout {
        /// The service.
        service: ServiceName,
        /// What stands against it.
        error: StateError,
    },
    /// A changed file asks for another split, or other rules, while a rollout runs.
    #[error(
        "service \"{service}\": the file changes {what} while a rollout of \"{canary}\" is in progress ({state}): \
         abort or promote the rollout first, or take the change back"
    )]
    ReloadDuringRollout {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
        /// How far the rollout is.
        state: State,
        /// What the file changes.
        what: &'static str,
    },
    /// A changed file leaves out a version that serves traffic.
    #[error(
        "service \"{service}\": the file leaves out version \"{version}\", which has traffic ({split}): \
         set its weight to 0% first, or give the service a new split in the file"
    )]
    ReloadDropsVersion {
        /// The service.
        service: ServiceName,
        /// The version that is left out.
        version: VersionName,
        /// The split in force.
        split: Split,
    },
    /// A changed file leaves out a service whose rollout is in progress.
    #[error(
        "service \"{0}\": the file leaves it out while its rollout is in progress: abort or promote the rollout first"
    )]
    ReloadDropsService(ServiceName),
}

impl From<PlanError> for Refusal {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NoService(service) => Self::NoService(service),
            PlanError::NoVersion { service, version } => {
                Self::NoVersion { service, version, known: Vec::new() }
            }
        }
    }
}

fn list(known: &[VersionName]) -> String {
    let names: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}
