//! Rate limits: token buckets that all workers share.
//!
//! A bucket is one number: the time at which it will be full again (the *theoretical arrival time* of the generic
//! cell rate algorithm, ITU-T I.371). A request moves it on by the time that one token takes to come back, and is
//! refused if that would put it further into the future than the burst allows. So a bucket needs no refilling, and
//! workers share it by one compare-and-swap: the limit holds exactly, for all of them together.
//!
//! Where each client has a bucket, they stand in a table of fixed size, in sets of eight; a client's hash names its
//! set. No lock is taken and nothing is allocated. A new client takes the place of the one whose bucket is fullest:
//! a bucket that is full, as those of idle clients are, loses nothing by being forgotten. What is not exact: when
//! more clients than a set holds are busy at once, the one that has used least of its burst gets it anew; and when
//! two workers fill the same place in the same moment, a client may be charged for a request of the other.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use serin_config::{limits::RATE_LIMIT_KEYS_MAX, rate_limit::RateLimit};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::pick;

/// Buckets in one set.
const WAYS: usize = 8;
const SETS: usize = RATE_LIMIT_KEYS_MAX / WAYS;

/// How fast tokens come back, and how many there may be. Times are nanoseconds since a beginning that all who share
/// a bucket have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// For one token.
    interval: u64,
    /// For all tokens but one.
    tolerance: u64,
}

impl Rate {
    /// The rate of a limit.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are between one a day and a million a second"
    )]
    pub fn new(limit: &RateLimit) -> Self {
        let interval = (1e9 / limit.requests_per_second).ceil().max(1.0) as u64;
        Self { interval, tolerance: interval.saturating_mul(limit.burst.saturating_sub(1)) }
    }

    /// Whether a bucket that will be full at `full_at` has a token at `now`: then when it will be full without it;
    /// else how long it takes until there is one.
    pub fn decide(self, full_at: u64, now: u64) -> Result<u64, Duration> {
        let from = full_at.max(now);
        match from.saturating_sub(now).checked_sub(self.tolerance) {
            None | Some(0) => Ok(from.saturating_add(self.interval)),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    /// Takes a token out of a bucket that others take from, too.
    fn take(self, bucket: &AtomicU64, now: u64) -> Result<(), Duration> {
        let mut full_at = bucket.load(Relaxed);
        loop {
            let then = self.decide(full_at, now)?;
            match bucket.compare_exchange_weak(full_at, then, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(moved) => full_at = moved,
            }
        }
    }
}

/// The buckets of one limit.
#[derive(Debug)]
pub struct Buckets {
    rate: Rate,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    One(AtomicU64),
    Many { seed: u64, sets: Box<[[Slot; WAYS]]> },
}

/// A bucket and whose it is; zero is nobody.
#[derive(Debug, Default)]
struct Slot {
    owner: AtomicU64,
    full_at: AtomicU64,
}

impl Buckets {
    /// One bucket, which is full.
    pub fn one(rate: Rate) -> Self {
        Self { rate, kind: Kind::One(AtomicU64::new(0)) }
    }

    /// One bucket for each key. `seed` is random, so that nobody can choose keys that share a place.
    pub fn many(rate: Rate, seed: u64) -> Self {
        let sets = std::iter::repeat_with(Default::default).take(SETS).collect();
        Self { rate, kind: Kind::Many { seed, sets } }
    }

    /// Takes a token for `key` at `now`; the error is how long it takes until there is one.
    pub fn take(&self, key: &[u8], now: u64) -> Result<(), Duration> {
        match &self.kind {
            Kind::One(bucket) => self.rate.take(bucket, now),
            Kind::Many { seed, sets } => {
                let hash = xxh3_64_with_seed(key, *seed).max(1);
                let set = &sets[usize::try_from(hash % SETS as u64).unwrap_or(0)];
                self.rate.take(&slot(set, hash, now).full_at, now)
            }
        }
    }

    /// The same for a client's address, as [`pick::of_client`] tells clients apart.
    pub fn take_for(&self, client: IpAddr, now: u64) -> Result<(), Duration> {
        pick::of_client(client, |bytes| self.take(bytes, now))
    }
}

/// The place of `owner` in its set: its own, or that of whoever has the fullest bucket, which is full then.
fn slot(set: &[Slot; WAYS], owner: u64, now: u64) -> &Slot {
    if let Some(own) = set.iter().find(|slot| slot.owner.load(Relaxed) == owner) {
        return own;
    }
    let mut fullest = &set[0];
    for slot in set {
        if slot.full_at.load(Relaxed) < fullest.full_at.load(Relaxed) {
            fullest = slot;
        }
    }
    let before = fullest.owner.load(Relaxed);
    if fullest.owner.compare_exchange(before, owner, Relaxed, Relaxed).is_ok() {
        fullest.full_at.store(now, Relaxed);
    }
    fullest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serin_config::rate_limit::LimitKey;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(requests_per_second: f64, burst: u64) -> Rate {
        Rate::new(&RateLimit { requests_per_second, burst, key: LimitKey::Route })
    }

    #[test]
    fn a_burst_passes_at_once_and_then_one_at_each_interval() {
        let bucket = Buckets::one(rate(10.0, 3));
        let now = 5 * SECOND;
        assert_eq!([(); 5].map(|()| bucket.take(b"", now).is_ok()), [true, true, true, false, false]);
        assert_eq!(bucket.take(b"", now), Err(Duration::from_millis(100)));
        assert!(bucket.take(b"", now + SECOND / 10).is_ok());
        assert!(bucket.take(b"", now + SECOND / 10).is_err());
        // After a long rest the burst is there again, and no more than that.
        let later = now + 3_600 * SECOND;
        assert_eq!((0..9).filter(|_| bucket.take(b"", later).is_ok()).count(), 3);
    }

    #[test]
    fn each_key_has_its_own_bucket_and_addresses_of_one_household_share_theirs() {
        let buckets = Buckets::many(rate(1.0, 1), 7);
        for key in [&b"a"[..], b"b", b""] {
            assert!(buckets.take(key, 0).is_ok());
            assert!(buckets.take(key, 0).is_err());
        }
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(buckets.take_for(address("2001:db8:0:1::1"), 0).is_ok());
        assert!(buckets.take_for(address("2001:db8:0:1::2"), 0).is_err());
        assert!(buckets.take_for(address("2001:db8:0:2::1"), 0).is_ok());
        assert!(buckets.take_for(address("192.0.2.1"), 0).is_ok());
        assert!(buckets.take_for(address("::ffff:192.0.2.1"), 0).is_err());
    }

    #[test]
    fn more_keys_than_places_are_served_and_a_busy_one_stays_limited() {
        let buckets = Buckets::many(rate(1.0, 10), 7);
        let busy = || (0..20).filter(|_| buckets.take(b"busy", SECOND).is_ok()).count();
        assert_eq!(busy(), 10);
        for key in 0..RATE_LIMIT_KEYS_MAX as u64 * 2 {
            assert!(buckets.take(&key.to_be_bytes(), SECOND).is_ok());
        }
        // Everybody else has used one token, the busy one ten: it was never the one to go.
        assert_eq!(busy(), 0);
    }

    #[test]
    fn workers_together_get_what_the_limit_says() {
        let buckets = Buckets::many(rate(1_000.0, 500), 7);
        let taken: usize = std::thread::scope(|scope| {
            let worker = || (0..1_000).filter(|_| buckets.take(b"key", SECOND).is_ok()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(taken, 500);
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_gets_more_than_the_burst_and_what_came_back_in_it(
            per_second in 1_u32..1_000,
            burst in 1_u64..50,
            pauses in proptest::collection::vec(0_u64..200_000_000, 1..300),
        ) {
            let rate = rate(f64::from(per_second), burst);
            let bucket = Buckets::one(rate);
            let (mut now, mut passed) = (SECOND, Vec::new());
            for pause in pauses {
                now += pause;
                match bucket.take(b"", now) {
                    Ok(()) => passed.push(now),
                    // With one who takes, the next token is never further away than one interval.
                    Err(wait) => prop_assert!(wait <= Duration::from_nanos(rate.interval)),
                }
            }
            for (i, from) in passed.iter().enumerate() {
                for (n, to) in passed[i..].iter().enumerate() {
                    let allowed = burst + (to - from) / rate.interval;
                    prop_assert!((n as u64) < allowed, "{} in {} ns", n + 1, to - from);
                }
            }
        }
    }
}
