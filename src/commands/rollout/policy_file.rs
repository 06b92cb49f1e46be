//! The service of a file whose policy is planned with, or replayed.
//!
//! A policy stands where services stand: in the file of `serin run` and in that of `serin control`. Both are taken for what
//! their sections say they are, and checked as that command would check them.

use serin_config::{Purpose, Service, ServiceName};

use super::super::config_file::{ConfigFile, LoadError};

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPolicy {
    #[error(transparent)]
    File(#[from] LoadError),
    #[error(
        "{path}: this is a proxy's file, whose services come from its control plane: give the file of serin control"
    )]
    OfProxy { path: String },
    #[error("there is no service \"{name}\"; the file has {known}")]
    NoService { name: ServiceName, known: String },
    #[error("which service is meant? Give --service with one of {which}")]
    Which { which: String },
}

/// The service that is meant; where none is named, the only one, or the only one with a canary.
pub(super) fn service(file: &ConfigFile, name: Option<&ServiceName>) -> Result<Service, NoPolicy> {
    let config = file.load_for_any()?;
    if config.purpose == Purpose::Proxy {
        return Err(NoPolicy::OfProxy { path: file.path.display().to_string() });
    }
    chosen(config.catalogue.services(), name).cloned()
}

fn chosen<'a>(services: &'a [Service], name: Option<&ServiceName>) -> Result<&'a Service, NoPolicy> {
    let listed = |services: &[&Service]| {
        services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let all: Vec<_> = services.iter().collect();
    if let Some(name) = name {
        let found = services.iter().find(|service| service.name == *name);
        return found.ok_or_else(|| NoPolicy::NoService { name: name.clone(), known: listed(&all) });
    }
    let with_canary: Vec<_> = services.iter().filter(|service| service.canary.is_some()).collect();
    match (&with_canary[..], &all[..]) {
        ([only], _) | ([], [only]) => Ok(only),
        ([], several) | (several, _) => Err(NoPolicy::Which { which: listed(several) }),
    }
}
