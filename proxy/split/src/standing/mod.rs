//! Which endpoints of a version are ready, and why the others are not.
//!
//! One value holds everything that is known of a version's endpoints from outside of any worker: where they
//! are, what health checks say, and who is ejected. Whatever happens is told to it with the moment at which
//! it happened, and it says who is ready; carrying that to the workers is the shell's.
//!
//! **Ready** is an endpoint that is not known to be down and is not ejected, with three refinements:
//! - While no endpoint of the version has passed a check, those that were not checked yet count as ready: a
//!   start does not wait for checks. Later on, one that joins must first pass.
//! - If everything that is well is ejected, ejections are set aside: a doubtful endpoint is better than none.
//! - What is down stays down, even if that leaves none: then the version has no endpoint.

mod ejection;
mod health;

use std::time::Instant;

use serin_config::{Address, EndpointPolicy};

pub use self::{
    ejection::{Ejection, Interval, Reason},
    health::Health,
};

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Where it is.
    pub address: Address,
    /// What health checks say.
    pub health: Health,
    /// What the last health check that failed said; empty if none has.
    pub complaint: String,
    /// Whether it is left out because of how its attempts end.
    pub ejection: Ejection,
    /// Whether it is in use.
    pub ready: bool,
    /// Since when it has been in use, or out of use.
    pub since: Instant,
}

/// All endpoints of a version.
#[derive(Debug)]
pub struct Standings {
    policy: EndpointPolicy,
    members: Vec<Standing>,
}

impl Standings {
    /// A version without endpoints.
    pub fn new(policy: EndpointPolicy) -> Self {
        Self { policy, members: Vec::new() }
    }

    /// All endpoints, in the order in which they were given.
    pub fn members(&self) -> &[Standing] {
        &self.members
    }

    /// How they are looked after.
    pub fn policy(&self) -> &EndpointPolicy {
        &self.policy
    }

    /// Another policy. Without checks there is nothing known of health; without ejection none is ejected.
    pub fn set_policy(&mut self, policy: &EndpointPolicy, now: Instant) {
        if self.policy.health.as_ref().map(|check| &check.probe) != policy.health.as_ref().map(|c| &c.probe) {
            for member in &mut self.members {
                (member.health, member.complaint) = (Health::Unknown, String::new());
            }
        }
        if policy.outlier.is_none() {
            self.members.iter_mut().for_each(|member| member.ejection.until = None);
        }
        self.policy = policy.clone();
        self.settle(now);
    }

    /// Other endpoints; what is known of those that stay is kept. True if anything changed.
    pub fn set_addresses(&mut self, addresses: &[Address], now: Instant) -> bool {
        if self.members.iter().map(|member| &member.address).eq(addresses) {
            return false;
        }
        let mut before = std::mem::take(&mut self.members);
        self.members.reserve(addresses.len());
        for address in addresses {
            let kept = before.iter().position(|member| member.address == *address);
            self.members.push(match kept {
                Some(at) => before.swap_remove(at),
                None => Standing {
                    address: address.clone(),
                    health: Health::Unknown,
                    complaint: String::new(),
                    ejection: Ejection::default(),
                    ready: false,
                    since: now,
                },
            });
        }
        self.settle(now);
        true
    }

    /// A health check of an endpoint ended; the error says why it failed. True if anybody became ready or
    /// ceased to be.
    pub fn checked(&mut self, address: &Address, result: Result<(), String>, now: Instant) -> bool {
        let Some(check) = &self.policy.health else { return false };
        let (rise, fall) = (check.rise, check.fall);
        let Some(member) = self.members.iter_mut().find(|member| member.address == *address) else {
            return false;
        };
        member.health = member.health.after(result.is_ok(), rise, fall);
        member.complaint = result.err().unwrap_or_default();
        self.settle(now)
    }

    /// An endpoint has failed as often in a row as its policy allows. True if it was ejected.
    pub fn failing(&mut self, address: &Address, now: Instant) -> bool {
        let at = self.members.iter().position(|member| member.address == *address);
        let ejected = at.is_some_and(|at| self.eject(at, Reason::ConsecutiveFailures, now));
        if ejected {
            self.settle(now);
        }
        ejected
    }

    /// An interval is over, in which each endpoint (in the order of [`Self::members`]) did so. Returns the
    /// positions of those that were ejected for it.
    pub fn interval(&mut self, intervals: &[Interval], now: Instant) -> Vec<usize> {
        let Some(policy) = self.policy.outlier else { return Vec::new() };
        self.members.iter_mut().for_each(|member| member.ejection.interval());
        let Some(rule) = policy.success_rate else { return Vec::new() };
        let far = ejection::outliers(&rule, intervals);
        let ejected: Vec<_> =
            far.into_iter().filter(|at| self.eject(*at, Reason::SuccessRate, now)).collect();
        self.settle(now);
        ejected
    }

    fn eject(&mut self, at: usize, reason: Reason, now: Instant) -> bool {
        let Some(policy) = self.policy.outlier else { return false };
        let ejected = self.members.iter().filter(|member| member.ejection.is_ejected()).count();
        let ready =
            self.members.iter().filter(|member| member.ready && !member.ejection.is_ejected()).count();
        let all = self.members.len();
        let Some(member) = self.members.get_mut(at).filter(|member| member.ready) else { return false };
        if member.ejection.is_ejected() || !ejection::may_eject(&policy, all, ejected, ready) {
            return false;
        }
        member.ejection.begin(reason, &policy, now);
        true
    }

    /// Ends ejections whose time has come. Returns the positions of those endpoints.
    pub fn expire(&mut self, now: Instant) -> Vec<usize> {
        let each = self.members.iter_mut().enumerate();
        let back: Vec<_> =
            each.filter_map(|(at, member)| member.ejection.expire(now).then_some(at)).collect();
        if !back.is_empty() {
            self.settle(now);
        }
        back
    }

    /// When the next ejection ends.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.members.iter().filter_map(|member| member.ejection.until).map(|(until, _)| until).min()
    }

    /// Works out who is ready. True if anybody became ready or ceased to be.
    fn settle(&mut self, now: Instant) -> bool {
        let any_up = self.members.iter().any(|member| member.health.is_up());
        let checked = self.policy.health.is_some();
        let well = |member: &Standing| match member.health {
            Health::Up { .. } => true,
            Health::Down { .. } => false,
            Health::Unknown => !checked || !any_up,
        };
        let spared = !self.members.iter().any(|member| well(member) && !member.ejection.is_ejected());
        let mut changed = false;
        for member in &mut self.members {
            let ready = well(member) && (spared || !member.ejection.is_ejected());
            if member.ready != ready {
                (member.ready, member.since, changed) = (ready, now, true);
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests;
