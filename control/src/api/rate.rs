//! How much each caller may ask for: a token bucket for each name, and one for each address of those who have none.
//!
//! Pure but for its lock: the time is handed in. Where nobody must say who it is there are no names to tell apart, and
//! no limit but that on requests at once.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use serin_config::limits::{API_BURST, API_RATE, API_RATE_KEYS_MAX, API_STRANGER_BURST, API_STRANGER_RATE};

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// Those of a token or a certificate.
    Name(String),
    /// Those of an address that has shown neither.
    Address(String),
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at_ms: u64,
}

/// The buckets of all callers.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<Key, Bucket>>);

impl Key {
    /// Requests a second, and at once.
    fn bounds(&self) -> (f64, f64) {
        match self {
            Self::Name(_) => (f64::from(API_RATE), f64::from(API_BURST)),
            Self::Address(_) => (f64::from(API_STRANGER_RATE), f64::from(API_STRANGER_BURST)),
        }
    }
}

impl Rates {
    /// Takes one request. False: it is one too many.
    pub(super) fn take(&self, key: Key, now_ms: u64) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= API_RATE_KEYS_MAX && !buckets.contains_key(&key) {
            make_room(&mut buckets, now_ms);
        }
        let (_, burst) = key.bounds();
        let left = buckets.get(&key).map_or(burst, |bucket| bucket.left(&key, now_ms));
        let granted = left >= 1.0;
        let left = if granted { left - 1.0 } else { left };
        buckets.insert(key, Bucket { left, at_ms: now_ms });
        granted
    }
}

impl Bucket {
    fn left(&self, key: &Key, now_ms: u64) -> f64 {
        let (rate, burst) = key.bounds();
        let seconds = now_ms.saturating_sub(self.at_ms) as f64 / 1_000.0;
        (self.left + rate * seconds).min(burst)
    }
}

/// Forgets those who are at rest; if nobody is, whoever misses least.
fn make_room(buckets: &mut HashMap<Key, Bucket>, now_ms: u64) {
    buckets.retain(|key, bucket| bucket.left(key, now_ms) < key.bounds().1);
    if buckets.len() >= API_RATE_KEYS_MAX {
        let missing = |key: &Key, bucket: &Bucket| key.bounds().1 - bucket.left(key, now_ms);
        let least = buckets.iter().min_by(|a, b| missing(a.0, a.1).total_cmp(&missing(b.0, b.1)));
        if let Some(key) = least.map(|(key, _)| key.clone()) {
            buckets.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Key {
        Key::Name(text.into())
    }

    #[test]
    fn a_caller_may_burst_and_then_gets_its_rate_whatever_others_do() {
        let rates = Rates::default();
        let granted =
            |key: &Key, times: u32, now| (0..times).filter(|_| rates.take(key.clone(), now)).count();
        assert_eq!(granted(&name("ci"), 2 * API_BURST, 0), API_BURST as usize);
        assert_eq!(granted(&name("ci"), API_BURST, 100), API_RATE as usize / 10);
        assert_eq!(granted(&name("other"), 5, 100), 5);
        let stranger = Key::Address("10.0.0.7".into());
        assert_eq!(granted(&stranger, 100, 100), API_STRANGER_BURST as usize);
    }

    #[test]
    fn what_is_kept_of_callers_is_bounded() {
        let rates = Rates::default();
        let n = 2 * API_RATE_KEYS_MAX as u64;
        for i in 0..n {
            assert!(rates.take(Key::Address(i.to_string()), i));
            assert!(rates.0.lock().unwrap().len() <= API_RATE_KEYS_MAX);
        }
        // Who has spent all is not forgotten for those who have spent little.
        let greedy = name("greedy");
        while rates.take(greedy.clone(), n) {}
        for i in 0..API_RATE_KEYS_MAX as u64 {
            rates.take(Key::Address(format!("later {i}")), n);
        }
        assert!(!rates.take(greedy, n));
    }
}
