//! How the guards' evidence becomes one answer.
//!
//! Evidence of several guards is added up with fixed weights, and the sum is compared with 1/α: then the promise holds
//! exactly, whatever depends on what. The other modes are for those who know them from elsewhere.
//!
//! - Any: the largest weighted evidence instead of the sum. It keeps the promise too, and is a little slower.
//! - All: the smallest evidence, unweighted. A canary that fails outright has no latency that could convict it, so
//!   this alone would leave it in for good.
//! - Score: points. No evidence makes 100, the threshold 0, what is between is counted in nats, and the guards'
//!   points are averaged with the weights of the budget. `fail_below` 50 with two equal guards means that one of them
//!   at its threshold is enough. Points make no promise of their own.
//!
//! In every mode the fast lane convicts alone, within its part of the promise: whether a canary is dead is no
//! question of how opinions are weighed.

use serde::{Deserialize, Serialize};
use serin_config::{limits::EVENTS_MAX, policy::Mode};

use crate::{guard::Guard, numerics::ln_add_exp};

/// The most guards that there can be: two comparisons, the fast lane, two limits, and events.
const GUARDS_MAX: usize = 5 + EVENTS_MAX;

/// Where one guard stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    pub(crate) guard: Guard,
    /// Its part of the promise, 0 to 1.
    pub(crate) weight: f64,
    pub(crate) ln_e: f64,
    /// Whether what it finds is held against the canary.
    pub(crate) own_fault: bool,
}

impl Standing {
    pub(crate) fn ln_weighted(&self) -> f64 {
        self.weight.ln() + self.ln_e
    }
}

/// Where all guards stand, without an allocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standings {
    all: [Standing; GUARDS_MAX],
    len: usize,
}

impl FromIterator<Standing> for Standings {
    fn from_iter<T: IntoIterator<Item = Standing>>(standings: T) -> Self {
        let nothing =
            Standing { guard: Guard::Errors, weight: 0.0, ln_e: f64::NEG_INFINITY, own_fault: true };
        let mut all = [nothing; GUARDS_MAX];
        let len = all.iter_mut().zip(standings).map(|(place, standing)| *place = standing).count();
        Self { all, len }
    }
}

impl Standings {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Standing> {
        self.all.iter().take(self.len)
    }

    fn lane(&self) -> Option<&Standing> {
        self.iter().find(|standing| standing.guard == Guard::FastLane)
    }

    /// Those whose opinions are weighed.
    fn weighed(&self) -> impl Iterator<Item = &Standing> {
        self.iter().filter(|standing| standing.guard != Guard::FastLane)
    }
}

/// The policy's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    Sum,
    Any,
    All,
    Score { fail_below: u8, pass_from: u8 },
}

impl From<Mode> for Rule {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Evidence => Self::Sum,
            Mode::Any => Self::Any,
            Mode::All => Self::All,
            Mode::Score { fail_below, pass_from } => Self::Score { fail_below, pass_from },
        }
    }
}

impl Rule {
    /// The evidence against the canary, of the guards that `keep` lets through.
    pub(crate) fn ln_e(self, standings: &Standings, keep: impl Fn(&Standing) -> bool) -> f64 {
        let nothing = f64::NEG_INFINITY;
        let weighted = |standing: &Standing| if keep(standing) { standing.ln_weighted() } else { nothing };
        match self {
            Self::Sum | Self::Score { .. } => standings.iter().map(weighted).fold(nothing, ln_add_exp),
            Self::Any => standings.iter().map(weighted).fold(nothing, f64::max),
            Self::All => {
                let each =
                    standings.weighed().map(|standing| if keep(standing) { standing.ln_e } else { nothing });
                let least = each.reduce(f64::min).unwrap_or(nothing);
                standings.lane().map(weighted).into_iter().fold(least, f64::max)
            }
        }
    }

    /// The canary's points, 0 to 100, where points are counted.
    pub(crate) fn points(
        self,
        standings: &Standings,
        ln_threshold: f64,
        keep: impl Fn(&Standing) -> bool,
    ) -> Option<f64> {
        let Self::Score { .. } = self else { return None };
        let lost = |standing: &&Standing| {
            let part = if keep(standing) { (standing.ln_e / ln_threshold).clamp(0.0, 1.0) } else { 0.0 };
            standing.weight * part
        };
        let weights: f64 = standings.weighed().map(|standing| standing.weight).sum();
        let lost: f64 = standings.weighed().map(|standing| lost(&standing)).sum();
        Some(if weights > 0.0 { 100.0 * (1.0 - lost / weights) } else { 100.0 })
    }

    /// Whether the canary fails.
    pub(crate) fn fails(
        self,
        standings: &Standings,
        ln_threshold: f64,
        keep: impl Fn(&Standing) -> bool,
    ) -> bool {
        let dead = standings.lane().is_some_and(|lane| lane.ln_weighted() >= ln_threshold);
        dead || match self {
            Self::Score { fail_below, .. } => self
                .points(standings, ln_threshold, keep)
                .is_some_and(|points| points < f64::from(fail_below)),
            Self::Sum | Self::Any | Self::All => self.ln_e(standings, keep) >= ln_threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLD: f64 = 9.2;
    const SCORE: Rule = Rule::Score { fail_below: 50, pass_from: 80 };

    fn standings(each: &[(Guard, f64, f64)]) -> Standings {
        let standing = |(guard, weight, ln_e): &(Guard, f64, f64)| Standing {
            guard: *guard,
            weight: *weight,
            ln_e: *ln_e,
            own_fault: *guard != Guard::MaxP99,
        };
        each.iter().map(standing).collect()
    }

    fn fails(each: &[(Guard, f64, f64)]) -> [bool; 4] {
        let standings = standings(each);
        [Rule::Sum, Rule::Any, Rule::All, SCORE]
            .map(|rule| rule.fails(&standings, THRESHOLD, |s| s.own_fault))
    }

    #[test]
    fn half_a_proof_each_is_enough_in_sum_only() {
        let just_short = THRESHOLD + 2_f64.ln() - 0.5;
        assert_eq!(
            fails(&[(Guard::Errors, 0.5, just_short), (Guard::Latency, 0.5, just_short)]),
            [true, false, true, true]
        );
    }

    #[test]
    fn one_guard_alone_convicts_except_where_all_must_agree() {
        assert_eq!(
            fails(&[(Guard::Errors, 0.5, 12.0), (Guard::Latency, 0.5, -3.0)]),
            [true, true, false, false]
        );
        assert_eq!(
            fails(&[(Guard::Errors, 0.6, 12.0), (Guard::Latency, 0.4, -3.0)]),
            [true, true, false, true]
        );
    }

    #[test]
    fn a_dead_canary_is_out_in_every_mode() {
        let dead = [
            (Guard::Errors, 0.45, 1.0),
            (Guard::Latency, 0.45, f64::NEG_INFINITY),
            (Guard::FastLane, 0.1, 11.6),
        ];
        assert_eq!(fails(&dead), [true; 4]);
    }

    #[test]
    fn what_is_not_the_canarys_fault_is_left_out() {
        assert_eq!(fails(&[(Guard::MaxP99, 1.0, 50.0)]), [false; 4]);
        assert_eq!(
            fails(&[(Guard::Errors, 0.5, 20.0), (Guard::MaxP99, 0.5, 50.0)]),
            [true, true, false, false]
        );
    }

    #[test]
    fn points_fall_from_a_hundred_to_none() {
        let points = |ln_e| SCORE.points(&standings(&[(Guard::Errors, 1.0, ln_e)]), THRESHOLD, |_| true);
        assert_eq!(points(f64::NEG_INFINITY), Some(100.0));
        assert_eq!(points(-5.0), Some(100.0));
        assert!((points(THRESHOLD / 4.0).unwrap() - 75.0).abs() < 1e-9);
        assert_eq!(points(1e6), Some(0.0));
        assert_eq!(Rule::Sum.points(&standings(&[]), THRESHOLD, |_| true), None);
    }

    #[test]
    fn without_a_guard_nothing_fails() {
        assert_eq!(fails(&[]), [false; 4]);
    }
}
