//! Which endpoint of a version an attempt goes to.
//!
//! Four ways: [power of two choices](Balancer::p2c) by expected cost, the same by requests in flight alone,
//! one after the other, and a [ring](ring) on which a key always meets the same endpoint. All but the ring look
//! at one or two endpoints however many there are, so a pick costs the same with two and with a thousand.
//!
//! Each worker balances by what it has seen itself ([`Account`]). That is less than the whole, but needs no
//! word between cores; and since the two choices are random, workers do not run after the same endpoint as
//! they would if each took the best of all.
//!
//! An endpoint that is new or came back takes its share bit by bit (*slow start*): a draw of it is accepted
//! with a chance that grows from a tenth to one. That keeps its share proportional whatever the load, which
//! a cost divided by the weight does not: under light load a cost ten times as high is never chosen at all.

mod account;
mod draw;
mod key;
mod ring;
#[cfg(test)]
mod simulation;

use std::{cell::Cell, sync::Arc, time::Instant};

use self::draw::Draws;
pub use self::{
    account::{Account, Ended},
    key::key,
    ring::Ring,
};

/// The endpoints that one request has tried already: the next attempt goes elsewhere if it can.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tried {
    ids: [u32; Self::REMEMBERED],
    count: usize,
}

impl Tried {
    /// More attempts than anybody makes; of a longer row the first are forgotten.
    const REMEMBERED: usize = 8;

    /// Notes an endpoint by the id of its [`Account`].
    pub fn add(&mut self, id: u32) {
        self.ids[self.count % Self::REMEMBERED] = id;
        self.count += 1;
    }

    /// Whether the endpoint was noted.
    pub fn contains(&self, id: u32) -> bool {
        self.ids[..self.count.min(Self::REMEMBERED)].contains(&id)
    }

    /// Whether this is the first attempt.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// What a pick is made from besides the endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The moment.
    pub now: Instant,
    /// Uniform over all 64 bits.
    pub random: u64,
    /// The request's key, for a ring; see [`key`].
    pub key: Option<u64>,
    /// What the request has tried.
    pub tried: &'a Tried,
}

/// A way to choose, with its own state.
#[derive(Debug)]
pub enum Balancer {
    /// See [`Balancer::p2c`].
    P2c,
    /// The one of two drawn at random that has fewer requests in flight.
    LeastRequest,
    /// One after the other.
    RoundRobin(Cell<u32>),
    /// The endpoint that owns the key.
    RingHash(Arc<Ring>),
}

impl Balancer {
    /// The cheaper of two drawn at random, by recent peak latency, requests in flight and failures.
    pub fn p2c() -> Self {
        Self::P2c
    }

    /// One after the other, beginning anywhere, so that workers do not all begin with the first.
    pub fn round_robin(random: u64) -> Self {
        Self::RoundRobin(Cell::new(draw::high(random)))
    }

    /// The position of the endpoint for an attempt, among those of `ready` (positions in `all`, rising). One
    /// that was tried is chosen only if all were; none if none is ready.
    pub fn pick<A: AsRef<Account>>(&self, all: &[A], ready: &[u32], asked: &Asked<'_>) -> Option<usize> {
        if !asked.tried.is_empty() && !matches!(self, Self::RingHash(_)) {
            return self.pick_again(all, ready, asked);
        }
        let account = |at: u32| all.get(at as usize).map(AsRef::as_ref);
        let picked = match (self, ready) {
            (_, []) => return None,
            (_, [only]) => *only,
            (Self::P2c, _) => two(ready, asked, account, |account| account.cost(asked.now))?,
            (Self::LeastRequest, _) => two(ready, asked, account, |account| f64::from(account.in_flight()))?,
            (Self::RoundRobin(turn), _) => next(turn, ready, asked, account)?,
            (Self::RingHash(ring), _) => {
                let from = asked.key.unwrap_or(asked.random);
                let untried = |at| account(at).is_some_and(|account| !asked.tried.contains(account.id()));
                let is_ready = |at: u32| ready.binary_search(&at).is_ok();
                ring.owner(from, |at| is_ready(at) && untried(at)).or_else(|| ring.owner(from, is_ready))?
            }
        };
        Some(picked as usize)
    }

    /// Off the usual way: another attempt of a request.
    #[cold]
    fn pick_again<A: AsRef<Account>>(&self, all: &[A], ready: &[u32], asked: &Asked<'_>) -> Option<usize> {
        let untried = |at: &&u32| {
            all.get(**at as usize).is_some_and(|account| !asked.tried.contains(account.as_ref().id()))
        };
        let left: Vec<u32> = ready.iter().filter(untried).copied().collect();
        let asked = Asked { tried: &Tried::default(), ..*asked };
        self.pick(all, if left.is_empty() { ready } else { &left }, &asked)
    }
}

/// The one of two different ones that costs less; the first drawn if they cost the same.
fn two<'a>(
    ready: &[u32],
    asked: &Asked<'_>,
    account: impl Fn(u32) -> Option<&'a Account>,
    cost: impl Fn(&Account) -> f64,
) -> Option<u32> {
    let mut draws = Draws::from(asked.random);
    let draw = |count: usize, draws: &mut Draws| {
        let mut at = draws.below(count);
        for _ in 0..REDRAWS {
            if account(*ready.get(at)?)?.is_admitted(asked.now, draws) {
                break;
            }
            at = draws.below(count);
        }
        Some(at)
    };
    let first = draw(ready.len(), &mut draws)?;
    // The others move up into the place of the first, so that no second draw is lost.
    let second = draws.below(ready.len() - 1);
    let second = if second >= first { second + 1 } else { second };
    let (first, second) = (*ready.get(first)?, *ready.get(second)?);
    let (a, b) = (account(first)?, account(second)?);
    let second_stands = b.is_admitted(asked.now, &mut draws);
    Some(if second_stands && cost(b) < cost(a) { second } else { first })
}

/// How often an endpoint that is still starting slowly is passed over before it is taken all the same.
const REDRAWS: usize = 3;

fn next<'a>(
    turn: &Cell<u32>,
    ready: &[u32],
    asked: &Asked<'_>,
    account: impl Fn(u32) -> Option<&'a Account>,
) -> Option<u32> {
    let mut draws = Draws::from(asked.random);
    let mut last = None;
    for _ in 0..ready.len() {
        let at = turn.get();
        turn.set(at.wrapping_add(1));
        let at = *ready.get(at as usize % ready.len())?;
        last = Some(at);
        if account(at)?.is_admitted(asked.now, &mut draws) {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn accounts(count: u32, now: Instant) -> Vec<Account> {
        (0..count).map(|id| Account::new(id, now)).collect()
    }

    impl AsRef<Account> for Account {
        fn as_ref(&self) -> &Account {
            self
        }
    }

    fn asked(now: Instant, random: u64, tried: &Tried) -> Asked<'_> {
        Asked { now, random, key: None, tried }
    }

    fn balancers() -> Vec<Balancer> {
        let ring = Ring::new((0..4).map(|port| format!("127.0.0.1:{port}")));
        vec![
            Balancer::p2c(),
            Balancer::LeastRequest,
            Balancer::round_robin(7),
            Balancer::RingHash(Arc::new(ring)),
        ]
    }

    #[test]
    fn only_what_is_ready_is_chosen_and_none_if_none_is() {
        let now = crate::test_start();
        let all = accounts(4, now);
        let tried = Tried::default();
        for balancer in balancers() {
            assert_eq!(balancer.pick(&all, &[], &asked(now, 1, &tried)), None);
            for random in 0..1_000 {
                let random = draw::mixed(random);
                assert_eq!(balancer.pick(&all, &[2], &asked(now, random, &tried)), Some(2));
                let picked = balancer.pick(&all, &[1, 3], &asked(now, random, &tried));
                assert!(matches!(picked, Some(1 | 3)), "{balancer:?}");
            }
        }
    }

    #[test]
    fn what_was_tried_is_chosen_again_only_if_everything_was() {
        let now = crate::test_start();
        let all = accounts(4, now);
        for balancer in balancers() {
            for random in 0..200 {
                let mut tried = Tried::default();
                let mut seen = Vec::new();
                for _ in 0..3 {
                    let picked = balancer.pick(&all, &[0, 1, 3], &asked(now, random, &tried)).unwrap();
                    tried.add(all[picked].id());
                    seen.push(picked);
                }
                seen.sort_unstable();
                assert_eq!(seen, [0, 1, 3], "{balancer:?}");
                assert!(balancer.pick(&all, &[0, 1, 3], &asked(now, random, &tried)).is_some());
            }
        }
    }

    #[test]
    fn round_robin_takes_one_after_the_other_from_anywhere() {
        let now = crate::test_start();
        let (all, tried) = (accounts(3, now), Tried::default());
        let balancer = Balancer::round_robin(draw::mixed(5));
        let turns: Vec<_> =
            (0..6).map(|_| balancer.pick(&all, &[0, 1, 2], &asked(now, 0, &tried)).unwrap()).collect();
        assert_eq!(turns[..3], turns[3..]);
        let mut once = turns[..3].to_vec();
        once.sort_unstable();
        assert_eq!(once, [0, 1, 2]);
    }

    #[test]
    fn of_two_the_one_with_fewer_requests_in_flight_is_taken() {
        let now = crate::test_start();
        let (all, tried) = (accounts(2, now), Tried::default());
        all[0].begin();
        for balancer in [Balancer::p2c(), Balancer::LeastRequest] {
            for random in 0..100 {
                let random = draw::mixed(random);
                assert_eq!(balancer.pick(&all, &[0, 1], &asked(now, random, &tried)), Some(1));
            }
        }
    }

    #[test]
    fn an_endpoint_that_starts_slowly_gets_a_share_that_grows() {
        let start = crate::test_start();
        let window = Duration::from_secs(10);
        for balancer in &balancers()[..3] {
            let share = |after: Duration| {
                let all = accounts(4, start);
                all[3].start_slowly(start, window);
                let tried = Tried::default();
                let mut picks = [0_u32; 4];
                for random in 0..40_000 {
                    let asked = asked(start + after, draw::mixed(random), &tried);
                    picks[balancer.pick(&all, &[0, 1, 2, 3], &asked).unwrap()] += 1;
                }
                f64::from(picks[3]) / f64::from(picks[0])
            };
            let shares = [0, 25, 50, 75, 100].map(|part| share(window * part / 100));
            assert!(shares[0] > 0.03 && shares[0] < 0.2, "{balancer:?} {shares:?}");
            assert!(shares.is_sorted(), "{balancer:?} {shares:?}");
            assert!((shares[4] - 1.0).abs() < 0.05, "{balancer:?} {shares:?}");
        }
    }
}
