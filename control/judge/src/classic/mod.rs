//! The rules that others decide by, for comparison: the same windows in, their decision and its price out.
//!
//! Whoever reads that a rollout was stopped after twenty seconds wants to know what the rule of the house would
//! have done. A replay answers that on the record itself: each rule takes the windows second by second, knows
//! no more than it would have known then, and says when it would have acted and how many requests had failed
//! by then. What a record can't show is what a rule would have done to the split: the windows have the weights
//! that the rollout had. So rules are charged with the traffic that was there, which flatters those that
//! are slow, because most of them would have raised the canary's share meanwhile.
//!
//! Each rule has the settings of its own documentation, written down beside it; thresholds are absolute where theirs
//! are. Delays that a cluster adds (scrapes, reconciliation, pushing a new split) are not charged to anybody.

mod argo;
mod chi_squared;
mod flagger;
mod kayenta;
mod mann_whitney;
mod moments;
mod span;
mod two_sigma;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::window::{Pairing, Window};

/// A rule, with the settings of its documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Flagger as its README shows it: ten failed checks, one a minute.
    Flagger,
    /// Flagger with the threshold that its code falls back to: one failed check.
    FlaggerOnce,
    /// Argo Rollouts, an analysis within a step: five measurements, one a minute, none may fail.
    Argo,
    /// Argo Rollouts, an analysis in the background: one measurement in five minutes, three may fail.
    ArgoBackground,
    /// Kayenta's Mann-Whitney judge, asked every ten minutes.
    Kayenta,
    /// Errors or mean latency two standard errors above the stable version's, looked at every second.
    TwoSigma,
    /// A chi-squared test of failed requests, five per cent, looked at every minute.
    ChiSquared,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 7] = [
        Self::Flagger,
        Self::FlaggerOnce,
        Self::Argo,
        Self::ArgoBackground,
        Self::Kayenta,
        Self::TwoSigma,
        Self::ChiSquared,
    ];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flagger => "flagger",
            Self::FlaggerOnce => "flagger_once",
            Self::Argo => "argo",
            Self::ArgoBackground => "argo_background",
            Self::Kayenta => "kayenta",
            Self::TwoSigma => "two_sigma",
            Self::ChiSquared => "chi_squared",
        }
    }

    /// What it asks, in a line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Flagger => "each minute 99 % without 5xx and p99 below 500 ms, 10 failed checks",
            Self::FlaggerOnce => "each minute 99 % without 5xx and p99 below 500 ms, 1 failed check",
            Self::Argo => "each minute 95 % successful over 5 min, 5 measurements, none may fail",
            Self::ArgoBackground => "every 5 min 95 % successful over 5 min, 3 may fail",
            Self::Kayenta => "every 10 min Mann-Whitney on error rate, mean and p99 by minute, score 75",
            Self::TwoSigma => "each second error rate or mean latency 2 sigma above stable's",
            Self::ChiSquared => "each minute chi-squared on failed requests, p below 5 %",
        }
    }

    fn start(self) -> Box<dyn Watch> {
        match self {
            Self::Flagger => Box::new(flagger::Flagger::new(flagger::README_THRESHOLD)),
            Self::FlaggerOnce => Box::new(flagger::Flagger::new(flagger::CODE_THRESHOLD)),
            Self::Argo => Box::new(argo::Argo::inline()),
            Self::ArgoBackground => Box::new(argo::Argo::background()),
            Self::Kayenta => Box::new(kayenta::Kayenta::default()),
            Self::TwoSigma => Box::new(two_sigma::TwoSigma::default()),
            Self::ChiSquared => Box::new(chi_squared::ChiSquared::default()),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a rule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The canary goes.
    Rollback,
    /// The rule is done and content; it would have looked no further.
    Promote,
    /// The record ended before the rule did.
    Continue,
}

/// What a rule would have done with a record, and what it would have cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it came to.
    pub decision: Decision,
    /// Seconds from the beginning of the record to the decision; to its end where there was none.
    pub at_second: u64,
    /// The canary's failed requests until a rollback. Without one the canary stays, so all of the record's count.
    pub harmed_requests: u64,
}

/// Shows the windows of a record, one a second, to `rule`.
pub fn replay(rule: Rule, windows: &mut dyn Iterator<Item = &Window>) -> Outcome {
    let mut watch = rule.start();
    let mut promoted = None;
    let (mut second, mut harmed_requests) = (0, 0_u64);
    for window in windows {
        second += 1;
        let total = window.total();
        harmed_requests = harmed_requests.saturating_add(total.canary.failed);
        if promoted.is_some() {
            continue;
        }
        match watch.observe(second, total) {
            Decision::Continue => {}
            Decision::Promote => promoted = Some(second),
            Decision::Rollback => {
                return Outcome { decision: Decision::Rollback, at_second: second, harmed_requests };
            }
        }
    }
    let decision = if promoted.is_some() { Decision::Promote } else { Decision::Continue };
    Outcome { decision, at_second: promoted.unwrap_or(second), harmed_requests }
}

/// A rule at work.
trait Watch {
    /// Takes the counts of second number `second`, from 1.
    fn observe(&mut self, second: u64, window: Pairing) -> Decision;
}

#[cfg(test)]
mod tests {
    use serin_config::{
        RouteName,
        wire::{LatencyCounts, bucket_of},
    };

    use super::*;
    use crate::window::Arm;

    fn seconds(n: usize, failed: u64, latency_us: u64) -> Vec<Window> {
        let arm = |judged: u64, failed: u64| {
            let good = u32::try_from(judged - failed).unwrap();
            Arm::counted(judged, failed).with_headers(LatencyCounts(vec![(bucket_of(latency_us), good)]))
        };
        let window = Window::of(
            &RouteName::try_new("all").unwrap(),
            Pairing { canary: arm(50, failed), stable: arm(950, 0) },
        );
        vec![window; n]
    }

    fn of(rule: Rule, windows: &[Window]) -> Outcome {
        replay(rule, &mut windows.iter())
    }

    #[test]
    fn a_dead_canary_costs_each_rule_what_its_settings_say() {
        let dead = seconds(3600, 50, 20_000);
        let rollback =
            |at_second| Outcome { decision: Decision::Rollback, at_second, harmed_requests: 50 * at_second };
        assert_eq!(of(Rule::Flagger, &dead), rollback(660));
        assert_eq!(of(Rule::FlaggerOnce, &dead), rollback(120));
        assert_eq!(of(Rule::Argo, &dead), rollback(60));
        assert_eq!(of(Rule::ArgoBackground, &dead), rollback(1200));
        assert_eq!(of(Rule::Kayenta, &dead), rollback(600));
        assert_eq!(of(Rule::TwoSigma, &dead), rollback(1));
        assert_eq!(of(Rule::ChiSquared, &dead), rollback(60));
    }

    #[test]
    fn a_perfect_canary_is_left_alone_by_all_and_promoted_by_the_one_that_counts_to_five() {
        let good = seconds(3600, 0, 20_000);
        for rule in Rule::ALL {
            let (decision, at_second) = match rule {
                Rule::Argo => (Decision::Promote, 300),
                _ => (Decision::Continue, 3600),
            };
            assert_eq!(of(rule, &good), Outcome { decision, at_second, harmed_requests: 0 }, "{rule}");
        }
    }

    #[test]
    fn what_fails_after_a_promotion_is_charged_to_it() {
        let mut late = seconds(300, 0, 20_000);
        late.extend(seconds(100, 1, 20_000));
        let outcome = of(Rule::Argo, &late);
        assert_eq!(outcome, Outcome { decision: Decision::Promote, at_second: 300, harmed_requests: 100 });
    }

    #[test]
    fn every_rule_has_a_name_of_its_own_and_an_empty_record_says_nothing() {
        let names: std::collections::BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert_eq!(
                of(rule, &[]),
                Outcome { decision: Decision::Continue, at_second: 0, harmed_requests: 0 }
            );
        }
    }

    #[test]
    fn counts_at_the_edge_of_what_can_be_counted_are_survived() {
        let huge = |failed| Arm::counted(u64::MAX, failed).with_headers(LatencyCounts(vec![(0, u32::MAX)]));
        let absurd = Arm::counted(1, u64::MAX);
        let route = RouteName::try_new("all").unwrap();
        let windows: Vec<Window> = (0..1300)
            .map(|second| match second % 3 {
                0 => Pairing { canary: huge(u64::MAX), stable: huge(0) },
                1 => Pairing { canary: absurd.clone(), stable: Arm::default() },
                _ => Pairing::default(),
            })
            .map(|pairing| Window::of(&route, pairing))
            .collect();
        for rule in Rule::ALL {
            assert_eq!(of(rule, &windows).harmed_requests, u64::MAX, "{rule}");
        }
    }
}
