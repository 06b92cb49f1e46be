//! What holds for rollouts of all services: when nothing goes forward, which services go together, and how many at
//! once, and who is asked on the way. Proxies need none of it, so it is no part of a plan.

use serde::Serialize;

use crate::{
    freeze::Freeze,
    name::{GroupName, ServiceName},
    webhook::{Webhook, When},
};

/// The terms of all rollouts.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Terms {
    /// When nothing goes forward; at most [`FREEZES_MAX`](crate::limits::FREEZES_MAX).
    pub freezes: Vec<Freeze>,
    /// Services that are rolled out together; each is in one group at most.
    pub groups: Vec<Group>,
    /// Rollouts in progress at once; none for no bound.
    pub max_parallel_rollouts: Option<usize>,
    /// Who is asked, or told, around steps; at most [`WEBHOOKS_MAX`](crate::limits::WEBHOOKS_MAX).
    #[serde(skip)]
    pub webhooks: Vec<Webhook>,
}

/// Services that are rolled out together: started in one plan, given all of the traffic in one plan, and taken out in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// At least two, each once.
    pub services: Vec<ServiceName>,
}

impl Terms {
    /// The group of a service.
    pub fn group(&self, service: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.services.iter().any(|name| name.as_str() == service))
    }

    /// Who is asked, or told, of this service at that moment.
    pub fn webhooks(&self, service: &str, when: When) -> impl Iterator<Item = &Webhook> {
        self.webhooks.iter().filter(move |webhook| webhook.is_about(service, when))
    }

    /// A webhook by its name.
    pub fn webhook(&self, name: &str) -> Option<&Webhook> {
        self.webhooks.iter().find(|webhook| webhook.name.as_str() == name)
    }

    /// A freeze that holds this service at that time, in milliseconds since 1970.
    pub fn freeze(&self, service: &str, now_ms: u64) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.covers(service) && freeze.is_in_force(now_ms))
    }
}
