//! Choosing an endpoint on one worker: the roster that all share, and what this worker knows of each.
//!
//! A [`Choice`] belongs to a version and outlives plans; so do the connections and the account of every
//! endpoint that stays in the roster. What left the roster is let go here and ends with its last request.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use rand::RngCore;
use serin_config::{
    Address, Balance, Outcome,
    tls::{EndpointTls, HttpProtocol},
};
use serin_split::{
    balance::{Account, Asked, Balancer, Ended, Tried},
    control,
    standing::Interval,
};

use super::upstream::{Pool, Pools, Target};
use crate::{
    clock,
    endpoints::{Counts, Roster, RosterReader},
    shared::{VersionShared, terms::Terms},
};

/// The endpoints of one version, as one worker chooses among them.
#[derive(Debug)]
pub(crate) struct Choice {
    shared: Arc<VersionShared>,
    pools: Rc<Pools>,
    inner: RefCell<Inner>,
    /// Counts on by a step that reaches every number; whoever draws from it mixes it first.
    random: Cell<u64>,
}

#[derive(Debug)]
struct Inner {
    reader: RosterReader,
    /// The one that the rest was made from.
    roster: Arc<Roster>,
    members: Vec<Listed>,
    reach: Reach,
    balancer: Balancer,
    next_id: u32,
}

/// How the version's endpoints are reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reach {
    pub(crate) protocol: HttpProtocol,
    pub(crate) tls: Option<EndpointTls>,
}

impl Reach {
    fn target(&self, address: &Address) -> Target {
        Target { address: address.clone(), protocol: self.protocol, tls: self.tls.clone() }
    }
}

/// One endpoint on one worker.
#[derive(Debug)]
pub(crate) struct Member {
    pool: Rc<Pool>,
    account: Account,
    counts: Arc<Counts>,
    alarm_at: Cell<u32>,
    interval: Cell<Interval>,
    ready_since: Cell<Option<Instant>>,
    /// Its place in an order that stays, for the negative control.
    rank: Cell<u32>,
}

#[derive(Debug)]
struct Listed(Rc<Member>);

impl AsRef<Account> for Listed {
    fn as_ref(&self) -> &Account {
        &self.0.account
    }
}

impl Choice {
    /// Among the endpoints of a version, whoever they are at the moment.
    pub(crate) fn new(shared: Arc<VersionShared>, pools: Rc<Pools>) -> Self {
        let inner = Inner {
            reader: shared.endpoints.reader(),
            roster: Arc::default(),
            members: Vec::new(),
            reach: Reach::default(),
            balancer: Balancer::p2c(),
            next_id: 0,
        };
        Self { shared, pools, inner: RefCell::new(inner), random: Cell::new(clock::entropy().next_u64()) }
    }

    /// The endpoints are reached in this way from now on.
    pub(crate) fn set_reach(&self, reach: Reach) {
        let inner = &mut *self.inner.borrow_mut();
        if inner.reach != reach {
            inner.reach = reach;
            // Not the one that is read: the next attempt takes it over anew.
            inner.roster = Arc::default();
        }
    }

    /// Whether any endpoint is ready.
    pub(crate) fn has_ready(&self) -> bool {
        !self.inner.borrow_mut().reader.load().ready.is_empty()
    }

    /// The endpoint for an attempt; none if none is ready. One that was tried is chosen only if all were.
    pub(crate) fn choose(&self, now: Instant, key: Option<u64>, tried: &Tried) -> Option<Chosen> {
        let random = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(random);
        let inner = &mut *self.inner.borrow_mut();
        if !Arc::ptr_eq(inner.reader.load(), &inner.roster) {
            inner.take_over(&self.pools, &self.shared, random, now);
        }
        let asked = Asked { now, random, key, tried };
        let at = inner.balancer.pick(&inner.members, &inner.roster.ready, &asked)?;
        let member = inner.members.get(at)?.0.clone();
        member.account.begin();
        // Not the bits that the balancer goes by.
        let in_control = self.shared.terms.control().takes(member.rank.get(), random.swap_bytes() >> 8);
        Some(Chosen { member, shared: self.shared.clone(), began: now, in_control, ended: false })
    }

    /// How attempts are counted for the comparison of versions.
    pub(crate) fn terms(&self) -> &Terms {
        &self.shared.terms
    }

    /// Hands in what was counted since the last time.
    pub(crate) fn hand_in(&self) {
        for Listed(member) in &self.inner.borrow().members {
            let interval = member.interval.take();
            if interval.attempts > 0 {
                member.counts.add(interval);
            }
        }
    }
}

impl Inner {
    /// Takes over the roster as it is now. Endpoints that stay keep what is known of them.
    #[cold]
    fn take_over(&mut self, pools: &Pools, version: &Arc<VersionShared>, random: u64, now: Instant) {
        let roster = self.reader.load().clone();
        let before = std::mem::take(&mut self.members);
        let expected = typical_latency(&before);
        let ranks = control::ranks(roster.members.iter().map(|listed| listed.address.to_string()));
        for (listed, rank) in roster.members.iter().zip(ranks) {
            let pool = pools.of(&self.reach.target(&listed.address), version);
            let kept = before.iter().map(|Listed(member)| member).find(|member| {
                Rc::ptr_eq(&member.pool, &pool) && Arc::ptr_eq(&member.counts, &listed.counts)
            });
            let member = kept.cloned().unwrap_or_else(|| {
                self.next_id = self.next_id.wrapping_add(1);
                Rc::new(Member {
                    pool,
                    account: Account::new(self.next_id, now),
                    counts: listed.counts.clone(),
                    alarm_at: Cell::new(0),
                    interval: Cell::default(),
                    ready_since: Cell::new(None),
                    rank: Cell::new(rank),
                })
            });
            member.alarm_at.set(roster.alarm_at);
            member.rank.set(rank);
            if let Some(latency) = expected {
                member.account.expect_latency(latency, now);
            }
            let became_ready = member.ready_since.replace(Some(listed.since)) != Some(listed.since);
            if let (true, Some(window)) = (became_ready, roster.slow_start) {
                member.account.start_slowly(listed.since, window);
            }
            self.members.push(Listed(member));
        }
        // A turn goes on where it was.
        let goes_on =
            matches!((&self.balancer, &roster.balance), (Balancer::RoundRobin(_), Balance::RoundRobin));
        if !goes_on {
            self.balancer = match (&roster.balance, &roster.ring) {
                (Balance::RoundRobin, _) => Balancer::round_robin(random),
                (Balance::LeastRequest, _) => Balancer::LeastRequest,
                (Balance::RingHash { .. }, Some(ring)) => Balancer::RingHash(ring.clone()),
                (Balance::P2c | Balance::RingHash { .. }, _) => Balancer::p2c(),
            };
        }
        self.roster = roster;
    }
}

/// What can be expected of an endpoint that is new among these.
fn typical_latency(members: &[Listed]) -> Option<f64> {
    let mut known: Vec<f64> =
        members.iter().filter_map(|Listed(member)| member.account.latency_us()).collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied()
}

/// An endpoint that was chosen for an attempt; it is told how the attempt went.
#[derive(Debug)]
pub(crate) struct Chosen {
    member: Rc<Member>,
    shared: Arc<VersionShared>,
    began: Instant,
    in_control: bool,
    ended: bool,
}

impl Chosen {
    /// Its connections.
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.member.pool
    }

    /// What [`Tried`] knows it by.
    pub(crate) fn id(&self) -> u32 {
        self.member.account.id()
    }

    /// Whether the attempt is in the negative control.
    pub(crate) fn is_in_control(&self) -> bool {
        self.in_control
    }

    /// The attempt went out at `now`, not when the endpoint was chosen.
    pub(crate) fn went_out(&mut self, now: Instant) {
        self.began = now;
    }

    /// The head of the answer has come.
    pub(crate) fn answered(&self, now: Instant) {
        self.member.account.answered(now.saturating_duration_since(self.began), now);
    }

    /// The attempt has ended.
    pub(crate) fn end(mut self, outcome: Outcome, now: Instant) {
        self.ended = true;
        let member = &self.member;
        let ended = match outcome {
            outcome if outcome.is_failure() => Ended::Badly,
            outcome if outcome.counts() => Ended::Well,
            _ => Ended::Unknown,
        };
        member.account.end(ended, now);
        let failed = match ended {
            Ended::Well => false,
            Ended::Badly => true,
            Ended::Unknown => return,
        };
        let Interval { attempts, failures } = member.interval.get();
        member.interval.set(Interval { attempts: attempts + 1, failures: failures + u64::from(failed) });
        if !failed {
            member.counts.succeeded();
        } else if member.counts.failed(member.alarm_at.get()) {
            self.shared.endpoints.alarm.notify_one();
        }
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        if !self.ended {
            self.member.account.end(Ended::Unknown, self.began);
        }
    }
}
