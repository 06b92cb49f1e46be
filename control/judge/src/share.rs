//! Did the canary get the share of requests that was set?
//!
//! If not, something between the plan and the requests is broken: a route past the split, a version that is ejected
//! half of the time, clients that give up on one of the two. Comparisons within the same seconds still hold, but
//! who is compared is no longer chosen by chance alone. So the rollout is held and somebody is told; a
//! canary is never taken out for that.
//!
//! The null hypothesis has a tolerance inside, as everywhere: the canary's share of both versions' requests lies
//! within a fifth of the smaller share of what was set. Against each end of that range runs a likelihood ratio of
//! shares, with alternatives whose odds are multiples of the odds at the end:
//!
//! ```text
//! ln S = x·ln(p′/p₀) + (n − x)·ln((1 − p′)/(1 − p₀)),   p′/(1 − p′) = θ^±1 · p₀/(1 − p₀)
//! ```
//!
//! It has an expectation of at most one on the near side of p₀. The odds are relative, so one process covers all steps
//! of a rollout. It is capped for each window and restarts as the comparisons do. Where the split is sticky
//! it is clients that are shared out, not requests; then a window states no share, and nothing is tested.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serin_config::{Weight, limits::RECENT_WINDOWS};

use crate::{
    limit_guard::CAP_NATS,
    mixture::{Mixture, Restarts},
    numerics::{ln_mean_exp, ln_threshold},
};

/// Harmless: so much of the smaller version's share.
const TOLERANCE: f64 = 0.2;
/// Alternatives: multiples of the odds at the end of the range.
const ODDS: [f64; 3] = [1.5, 3.0, 10.0];
/// The chance that a share which is within the tolerance is ever reported.
const FALSE_ALARM: f64 = 1e-4;
/// Nats that are kept beyond the threshold: a share that is right again takes that much to be believed.
const SURPLUS: f64 = 4.0;

/// Requests of one window or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Seen {
    canary: u64,
    all: u64,
    /// What the canary should have had, in millionths of a request.
    due: u64,
}

/// What was set and what was seen, in the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShareReport {
    /// The canary's part of both versions' requests that the splits in force asked for, 0 to 1.
    pub set: f64,
    /// The part that it had.
    pub seen: f64,
    /// Requests of both versions that this rests on.
    pub requests: u64,
}

/// The evidence that the canary's share is not what was set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    more: Mixture,
    fewer: Mixture,
    recent: VecDeque<Seen>,
}

impl Share {
    pub(crate) fn new() -> Self {
        let mixture = || Mixture::new(ODDS.len(), Restarts::default());
        Self { more: mixture(), fewer: mixture(), recent: VecDeque::with_capacity(RECENT_WINDOWS) }
    }

    /// Takes window number `number`, in which the canary had `canary` of `all` requests while its share was set
    /// to `set`; none if it changed meanwhile, or says nothing.
    pub(crate) fn observe(&mut self, number: u64, canary: u64, all: u64, set: Option<Weight>) {
        let set = set.filter(|set| all > 0 && Weight::ZERO < *set && *set < Weight::WHOLE);
        let canary = canary.min(all);
        if let Some(weight) = set {
            let set = weight.fraction();
            let slack = TOLERANCE * set.min(1.0 - set);
            multiply(&mut self.more, number, canary, all, set + slack, 1.0);
            multiply(&mut self.fewer, number, canary, all, set - slack, -1.0);
        }
        while self.recent.len() >= RECENT_WINDOWS {
            self.recent.pop_front();
        }
        let due = |weight: Weight| all.saturating_mul(u64::from(weight.ppm()));
        let seen = set.map(|weight| Seen { canary, all, due: due(weight) });
        self.recent.push_back(seen.unwrap_or_default());
        // What is over needs no further warning: evidence beyond what is needed would only prolong it.
        let most = ln_threshold(FALSE_ALARM) + SURPLUS;
        self.more.bound(most);
        self.fewer.bound(most);
    }

    fn ln_e(&self) -> f64 {
        ln_mean_exp(&[self.more.ln_e(), self.fewer.ln_e()])
    }

    fn is_proven(&self) -> bool {
        self.ln_e() >= ln_threshold(FALSE_ALARM)
    }

    /// What was set and seen, if it is proven that they differ by more than is harmless.
    pub(crate) fn off(&self) -> Option<ShareReport> {
        if self.is_proven() { self.report() } else { None }
    }

    fn report(&self) -> Option<ShareReport> {
        let sum = self.recent.iter().fold(Seen::default(), |sum, seen| Seen {
            canary: sum.canary.saturating_add(seen.canary),
            all: sum.all.saturating_add(seen.all),
            due: sum.due.saturating_add(seen.due),
        });
        (sum.all > 0).then(|| ShareReport {
            set: sum.due as f64 / 1e6 / sum.all as f64,
            seen: sum.canary as f64 / sum.all as f64,
            requests: sum.all,
        })
    }
}

/// One window against the end `p0` of the range; `sign`: whether alternatives lie above it or below.
fn multiply(mixture: &mut Mixture, number: u64, canary: u64, all: u64, p0: f64, sign: f64) {
    let (canary, others) = (canary as f64, all.saturating_sub(canary) as f64);
    let odds = p0 / (1.0 - p0);
    mixture.multiply(number, |template| {
        let theta = ODDS[template].powf(sign);
        // (1 − p′)/(1 − p₀) = (1 + odds)/(1 + θ·odds), and p′/p₀ is θ times that.
        let ln_others = ((1.0 + odds) / (1.0 + theta * odds)).ln();
        (canary * (theta.ln() + ln_others) + others * ln_others).min(CAP_NATS)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ppm(ppm: u32) -> Option<Weight> {
        Weight::from_ppm(ppm)
    }

    /// Windows until the check says something, of `limit` with `canary` requests of `all`.
    fn windows(limit: u64, canary: u64, all: u64, set: u32) -> Option<u64> {
        let mut share = Share::new();
        (1..=limit).find(|number| {
            share.observe(number - 1, canary, all, ppm(set));
            share.off().is_some()
        })
    }

    #[test]
    fn a_canary_that_gets_what_was_set_is_never_reported() {
        for (canary, all, set) in
            [(50, 1000, 50_000), (58, 1000, 50_000), (42, 1000, 50_000), (1, 2, 500_000), (9, 10, 900_000)]
        {
            assert_eq!(windows(3_600, canary, all, set), None, "{canary} of {all} at {set}");
        }
    }

    #[test]
    fn a_share_that_is_off_is_found_within_a_minute_and_no_second_decides_alone() {
        for (canary, all, set) in [
            (0, 1000, 50_000),
            (100, 1000, 50_000),
            (300, 1000, 500_000),
            (500, 1000, 900_000),
            (0, 100, 50_000),
        ] {
            let found = windows(60, canary, all, set);
            assert!(found.is_some_and(|windows| windows >= 5), "{canary} of {all} at {set}: {found:?}");
        }
    }

    #[test]
    fn without_a_share_there_is_nothing_to_test() {
        let mut share = Share::new();
        for (number, set) in [None, ppm(0), ppm(1_000_000)].into_iter().cycle().take(300).enumerate() {
            share.observe(number as u64, 10, 10, set);
        }
        assert_eq!(share.off(), None);
        assert_eq!(share.ln_e(), f64::NEG_INFINITY);
    }

    #[test]
    fn one_process_covers_all_steps_and_a_late_fault_is_found() {
        let mut share = Share::new();
        for number in 0..3_000 {
            let set = [10_000, 50_000, 100_000][number as usize / 1_000];
            share.observe(number, u64::from(set) / 1_000, 1_000, ppm(set));
            assert_eq!(share.off(), None, "window {number}");
        }
        let found = (3_000..3_120).find(|number| {
            share.observe(*number, 250, 1_000, ppm(500_000));
            share.off().is_some()
        });
        let report = share.off().unwrap();
        assert!(found.is_some() && report.seen < report.set, "{found:?} {report:?}");
    }

    #[test]
    fn what_is_right_again_is_no_longer_reported() {
        let mut share = Share::new();
        (0..600).for_each(|number| share.observe(number, 0, 1_000, ppm(50_000)));
        assert!(share.off().is_some());
        (600..660).for_each(|number| share.observe(number, 50, 1_000, ppm(50_000)));
        assert_eq!(share.off(), None);
    }

    #[test]
    fn huge_counts_stay_numbers() {
        let mut share = Share::new();
        for number in 0..100 {
            share.observe(number, u64::MAX, u64::MAX - 1, ppm(50_000));
            assert!(!share.ln_e().is_nan());
        }
    }
}
