//! Routes and services that fit together: everything of a plan but the weights.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use xxhash_rust::xxh3::xxh3_128;

use crate::{
    name::{RouteName, ServiceName, VersionName},
    route::Route,
    service::Service,
};

/// Why routes and services do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Two services of one name.
    #[error("service \"{0}\" stands twice")]
    ServiceTwice(ServiceName),
    /// Two routes of one name.
    #[error("route \"{0}\" stands twice")]
    RouteTwice(RouteName),
    /// Two routes that match the same requests.
    #[error("routes \"{0}\" and \"{1}\" match the same requests")]
    SameMatch(RouteName, RouteName),
    /// A route that leads nowhere.
    #[error("route \"{route}\" leads to service \"{service}\", which is not there")]
    NoService {
        /// The route.
        route: RouteName,
        /// The service that it names.
        service: ServiceName,
    },
    /// A service without versions, or a version twice, or neither endpoints nor a way to find them.
    #[error(
        "service \"{0}\" needs versions with distinct names and at least one endpoint, or a way to find them, each"
    )]
    Versions(ServiceName),
    /// A role or weight for a version that is not there.
    #[error("service \"{service}\" names version \"{version}\", which it does not have")]
    NoVersion {
        /// The service.
        service: ServiceName,
        /// The version that it names.
        version: VersionName,
    },
    /// One version is both stable and canary.
    #[error("service \"{0}\" has one version as both stable and canary")]
    SameRoles(ServiceName),
}

/// The text that routes and services were read from, for a proxy to read them from too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    text: Arc<str>,
    digest: Arc<str>,
}

impl Source {
    fn new(text: String) -> Self {
        // Whoever could choose texts with one digest could change the file itself.
        let digest = format!("{:032x}", xxh3_128(text.as_bytes()));
        Self { text: text.into(), digest: digest.into() }
    }

    /// The sections `routes` and `services` of a file, in one form for all ways to write the same.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// 32 hexadecimal digits that other texts do not have.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Checked routes and services. Routes are sorted by priority; services by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    routes: Vec<Route>,
    services: Vec<Service>,
    source: Option<Source>,
}

impl Catalogue {
    /// Checks that everything that is named exists, once, and sorts the routes by priority.
    pub fn try_new(mut routes: Vec<Route>, mut services: Vec<Service>) -> Result<Self, CatalogueError> {
        services.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = services.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(CatalogueError::ServiceTwice(pair[0].name.clone()));
        }
        services.iter().try_for_each(check_service)?;
        // The sort is stable: what is alike stays in the order of the file.
        routes.sort_by_key(Route::rank);
        let (mut names, mut matches) = (HashSet::new(), HashMap::new());
        for route in &routes {
            if !names.insert(&route.name) {
                return Err(CatalogueError::RouteTwice(route.name.clone()));
            }
            if let Some(other) = matches.insert((&route.host, &route.path, &route.conditions), &route.name) {
                return Err(CatalogueError::SameMatch(other.clone(), route.name.clone()));
            }
            let missing = |named: &&ServiceName| {
                services.binary_search_by(|service| service.name.as_str().cmp(named.as_str())).is_err()
            };
            if let Some(service) = route.service().filter(missing) {
                return Err(CatalogueError::NoService {
                    route: route.name.clone(),
                    service: service.clone(),
                });
            }
        }
        Ok(Self { routes, services, source: None })
    }

    /// The same, knowing the text that it was read from.
    #[must_use]
    pub fn with_source(self, text: String) -> Self {
        Self { source: Some(Source::new(text)), ..self }
    }

    /// The text that it was read from; none if it was not made from a file.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// Routes in the order in which they are tried.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Services, sorted by name.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// Where a service stands in [`Self::services`].
    pub fn position(&self, name: &str) -> Option<usize> {
        self.services.binary_search_by(|service| service.name.as_str().cmp(name)).ok()
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.position(name).map(|at| &self.services[at])
    }
}

fn check_service(service: &Service) -> Result<(), CatalogueError> {
    let mut names = HashSet::new();
    let distinct = service.versions.iter().all(|version| {
        let found = !version.endpoints.is_empty() || version.discovery.is_some();
        found && names.insert(&version.name)
    });
    if !distinct || names.is_empty() {
        return Err(CatalogueError::Versions(service.name.clone()));
    }
    let pinned = service.overrides.iter().filter_map(|pin| pin.version.as_ref());
    let mirrored = service.mirror.iter().map(|mirror| &mirror.version);
    let named =
        service.split.iter().map(|(version, _)| version).chain([&service.stable]).chain(&service.canary);
    let named = named.chain(pinned).chain(mirrored);
    for version in named {
        if !names.contains(version) {
            return Err(CatalogueError::NoVersion {
                service: service.name.clone(),
                version: version.clone(),
            });
        }
    }
    if service.canary.as_ref() == Some(&service.stable) {
        return Err(CatalogueError::SameRoles(service.name.clone()));
    }
    Ok(())
}
