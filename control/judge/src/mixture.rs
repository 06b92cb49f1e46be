//! A mixture over templates and over starting times: the e-process that all guards share.
//!
//! How much worse a canary is, and since when, is not known beforehand. Both are answered by betting on
//! all of them at once: a fixed capital is spread over templates (how much worse) and over starting times (since
//! when), and each part is multiplied by its own factors. The sum of capitals is at most one, so the mixture is
//! an e-process again; the right bet outgrows the others and the price of not knowing is the logarithm of its
//! share. Without later starts, good history would hide a late regression for as long again.
//!
//! Half of the capital bets from the first block on. The other half starts at the boundaries of every
//! `windows` windows: `1 − late_share` of it in equal parts over the first `horizon` boundaries (a planned hour),
//! and `late_share` over all boundaries after those, in parts that fall with the square of the time. A canary
//! that is held for days is then still watched, a breach after a day costs some nine nats more than one at the
//! start, and the planned hour pays a tenth of a nat for it.

use serde::{Deserialize, Serialize};

use crate::{
    exact,
    numerics::{ln_add_exp, ln_mean_exp},
};

/// When capital is set out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Restarts {
    /// Windows between two boundaries.
    pub(crate) windows: u64,
    /// Boundaries with equal parts.
    pub(crate) horizon: u64,
    /// The part of the later capital, 0 to 1, that is kept for boundaries after the horizon.
    #[serde(with = "exact")]
    pub(crate) late_share: f64,
}

impl Default for Restarts {
    /// 15 s × 240 is one hour.
    fn default() -> Self {
        Self { windows: 15, horizon: 240, late_share: 0.1 }
    }
}

impl Restarts {
    /// The boundary that window number `window` (from 0) lies behind.
    pub(crate) fn boundary(&self, window: u64) -> u64 {
        window / self.windows
    }

    /// ln of the capital that is set out between two boundaries; −∞ for none.
    pub(crate) fn ln_due(&self, before: u64, boundary: u64) -> f64 {
        if boundary > before { self.mass(before, boundary).ln() } else { f64::NEG_INFINITY }
    }

    /// The capital of the boundaries after `from` up to and including `to`. Over all boundaries it is 1/2.
    fn mass(&self, from: u64, to: u64) -> f64 {
        let horizon = self.horizon as f64;
        let planned = to.min(self.horizon) - from.min(self.horizon);
        let equal = planned as f64 * (1.0 - self.late_share) / (2.0 * horizon);
        let (from, to) = (from.max(self.horizon) as f64, to.max(self.horizon) as f64);
        // Σ horizon/((k−1)k) over from < k ≤ to, which telescopes to one over all k > horizon.
        equal + 0.5 * self.late_share * horizon * (to - from) / (from * to)
    }
}

/// The most that one window or block may add to a bet, so that no single second decides.
///
/// A pause of a process, or a hiccup of one machine, makes hundreds of requests bad at once; they are one event,
/// not hundreds of proofs. Cutting a factor from above keeps its expectation at most one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cap {
    /// In nats.
    #[serde(with = "exact")]
    pub(crate) nats: f64,
    /// No cap where at least half of the canary's requests are bad: that is an outage, not a hiccup.
    pub(crate) lifted_by_majority: bool,
}

impl Cap {
    /// The cap for a canary with `bad` of `requests`.
    pub(crate) fn of(&self, requests: u64, bad: u64) -> f64 {
        if self.lifted_by_majority && bad >= requests.div_ceil(2) { f64::INFINITY } else { self.nats }
    }
}

/// The running capital of every template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mixture {
    restarts: Restarts,
    /// The last boundary whose capital is set out; none before the first block.
    boundary: Option<u64>,
    #[serde(with = "exact::many")]
    ln: Vec<f64>,
}

impl Mixture {
    pub(crate) fn new(templates: usize, restarts: Restarts) -> Self {
        Self { restarts, boundary: None, ln: vec![f64::NEG_INFINITY; templates] }
    }

    /// Forgets all evidence.
    pub(crate) fn restart(&mut self) {
        self.boundary = None;
        self.ln.fill(f64::NEG_INFINITY);
    }

    /// Takes a block that closed in window number `window` (from 0): sets out the capital that is due, then
    /// multiplies each template's by its factor, given as a logarithm.
    pub(crate) fn multiply(&mut self, window: u64, ln_factor: impl Fn(usize) -> f64) {
        let boundary = self.restarts.boundary(window);
        let before = self.boundary.unwrap_or_else(|| {
            self.ln.fill(0.5_f64.ln());
            0
        });
        let due = self.restarts.ln_due(before, boundary);
        self.boundary = Some(boundary.max(before));
        for (template, ln) in self.ln.iter_mut().enumerate() {
            *ln = ln_add_exp(*ln, due) + ln_factor(template);
        }
    }

    /// Gives away what exceeds `most`, which leaves an e-process: capital only goes down.
    pub(crate) fn bound(&mut self, most: f64) {
        let surplus = self.ln_e() - most;
        if surplus > 0.0 {
            self.ln.iter_mut().for_each(|ln| *ln -= surplus);
        }
    }

    /// The logarithm of the evidence; −∞ before the first block.
    pub(crate) fn ln_e(&self) -> f64 {
        ln_mean_exp(&self.ln)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_majority_of_bad_requests_lifts_the_cap() {
        let cap = Cap { nats: 2.0, lifted_by_majority: true };
        assert_eq!(cap.of(10, 4), 2.0);
        assert_eq!(cap.of(10, 5), f64::INFINITY);
        assert_eq!(cap.of(3, 1), 2.0);
        assert_eq!(cap.of(3, 2), f64::INFINITY);
        assert_eq!(Cap { nats: 2.0, lifted_by_majority: false }.of(10, 10), 2.0);
    }

    #[test]
    fn a_breach_after_a_day_still_finds_capital() {
        let restarts = Restarts::default();
        let day = 24 * 3600 / restarts.windows;
        let (early, late) = (restarts.mass(0, 1).ln(), restarts.mass(day - 1, day).ln());
        assert!((8.0..9.5).contains(&(early - late)), "{early} {late}");
    }

    proptest! {
        #[test]
        fn capital_never_exceeds_one(mut windows in proptest::collection::vec(0_u64..10_000_000, 1..50), late_share in 0.0..=1.0_f64) {
            windows.sort_unstable();
            let mut mixture = Mixture::new(3, Restarts { late_share, ..Restarts::default() });
            for window in windows {
                mixture.multiply(window, |_| 0.0);
            }
            prop_assert!(mixture.ln_e() <= 1e-12);
            prop_assert!(mixture.ln_e() >= 0.5_f64.ln() - 1e-12);
        }

        #[test]
        fn capital_is_the_same_whether_boundaries_pass_singly_or_at_once(from in 0_u64..1000, via in 0_u64..1000, to in 0_u64..1000) {
            let mut at = [from, via, to];
            at.sort_unstable();
            let restarts = Restarts::default();
            let (whole, parts) = (restarts.mass(at[0], at[2]), restarts.mass(at[0], at[1]) + restarts.mass(at[1], at[2]));
            prop_assert!((whole - parts).abs() < 1e-14);
        }
    }
}
