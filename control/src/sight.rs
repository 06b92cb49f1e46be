//! What somebody may see, who is limited to some services: the one place where others are left out of what leaves the API.
//!
//! The rule: no name of a service that is not the caller's, and no name of a group unless all of its services are. What
//! happens to a service of the caller because of another one is told, and that it was another one; not which, nor why
//! there, since reasons tell of routes and versions, too. What concerns the whole fleet is told without the names of
//! proxies, or not at all, as the list of proxies is. What people write as a reason is shown as they wrote it.
//!
//! Nothing is cut out of a sentence here. Whatever can name another service has it as data beside the words, and the words
//! are made anew without it.

use std::{borrow::Cow, sync::Arc};

use serin_config::{Grant, GroupName, ServiceName, terms::Terms};

use crate::{
    journal::{Action, Entry},
    refusal::Refusal,
    status::{EarlierRollout, RolloutStatus, ServiceStatus, Status},
};

/// Why something happened because of a service that may not be named.
const OF_ANOTHER: &str = "with another service of its group";
/// What is told of proxies that have not followed, to those who may not see them.
const NOT_EVERYWHERE: &str = "the plan takes a canary out or lowers its share, and some proxies have not put it in force in time; who \
                              may see the fleet sees which";

/// What whoever has this grant may see.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight<'a> {
    grant: &'a Grant,
    terms: &'a Terms,
}

impl<'a> Sight<'a> {
    /// With these terms, which say who is in a group.
    pub(crate) fn new(grant: &'a Grant, terms: &'a Terms) -> Self {
        Self { grant, terms }
    }

    fn service(&self, name: &ServiceName) -> bool {
        self.grant.covers(name.as_str())
    }

    /// Whether a group may be named and seen: all of its services are the caller's. Of one that the file no longer has, nobody knows who was in it.
    pub(crate) fn group(&self, name: &GroupName) -> bool {
        let group = self.terms.groups.iter().find(|group| group.name == *name);
        !self.grant.is_limited()
            || group.is_some_and(|group| group.services.iter().all(|name| self.service(name)))
    }

    /// How things are, without services that are not the caller's. The plan in it is whole.
    pub(crate) fn status(&self, all: &Arc<Status>) -> Arc<Status> {
        if !self.grant.is_limited() {
            return all.clone();
        }
        let own = all.services.iter().filter(|(name, _)| self.service(name));
        let services = own.map(|(name, status)| (name.clone(), self.of_service(status.clone())));
        Arc::new(Status { services: services.collect(), ..all.as_ref().clone() })
    }

    fn of_service(&self, mut status: ServiceStatus) -> ServiceStatus {
        status.rollout = status.rollout.map(|rollout| self.rollout(rollout));
        status.earlier = status.earlier.into_iter().map(|earlier| self.earlier(earlier)).collect();
        status
    }

    fn rollout(&self, mut rollout: RolloutStatus) -> RolloutStatus {
        let foreign = |name: &ServiceName| !self.service(name);
        rollout.with.take_if(|with| foreign(with));
        if let Some(waiting) = &mut rollout.waiting
            && let Some(refusal) = waiting.refusal.take()
        {
            waiting.why = self.refusal(refusal).to_string();
        }
        rollout.summary = rollout.in_words();
        rollout
    }

    fn earlier(&self, mut earlier: EarlierRollout) -> EarlierRollout {
        earlier.with.take_if(|with| !self.service(with));
        earlier.summary = earlier.in_words();
        earlier
    }

    /// What was decided, as the caller may read it; none of what is not for it.
    pub(crate) fn entry<'e>(&self, entry: &'e Entry) -> Option<Cow<'e, Entry>> {
        if !self.grant.is_limited() {
            return Some(Cow::Borrowed(entry));
        }
        let of_fleet = matches!(entry.action, Action::Renumber | Action::Duplicate);
        let foreign = entry.about().next().is_some() && !entry.about().any(|name| self.service(name));
        if of_fleet || foreign {
            return None;
        }
        let mut seen = entry.clone();
        seen.services.retain(|name| self.service(name));
        seen.group.take_if(|group| !self.group(group));
        if seen.with.take_if(|with| !self.service(with)).is_some() {
            seen.reason = OF_ANOTHER.into();
        }
        if seen.action == Action::Unacknowledged {
            seen.reason = NOT_EVERYWHERE.into();
        }
        Some(Cow::Owned(seen))
    }

    /// Why something was refused, or waits.
    pub(crate) fn refusal(&self, refusal: Refusal) -> Refusal {
        match refusal {
            _ if !self.grant.is_limited() => refusal,
            Refusal::TooManyRollouts { most, running, begins } => {
                let own = |name: &ServiceName| self.service(name);
                Refusal::TooManyRollouts { most, running: running.naming(own), begins: begins.naming(own) }
            }
            other if other.service().is_some_and(|service| !self.service(service)) => {
                Refusal::OfAnother { kind: other.kind() }
            }
            own => own,
        }
    }
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
