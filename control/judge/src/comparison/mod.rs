//! The canary against the stable version: errors and latencies, route by route and all together.
//!
//! Two questions are asked of each second: does the canary fail more, and is it slower, than the stable version
//! in the same second on the same route? And two the other way round, for promotion: is it proven to fail no more, to be
//! no slower, than is accepted? The evidence of the first two is a mixture with fixed parts:
//!
//! ```text
//! E = ½·E(all strata together) + ½·Σ E(stratum)/K          each E = ½·E(errors) + ½·E(latency)
//! ```
//!
//! All together finds what is spread over routes, one stratum what is in one route only. All together is not
//! a comparison of sums: in each window, the factors of the strata whose blocks are complete are
//! multiplied, template by template, and cut at the cap once. So a changed mix of routes is no regression. With
//! one route both are the same, and E is it.

mod choose;
mod sum;
#[cfg(test)]
mod tests;
mod view;

use serde::{Deserialize, Serialize};
use serin_config::policy::{Margin, RolloutPolicy, Step};

use self::{
    sum::{SoFar, Sum},
    view::StratumView,
};
use crate::{
    elementary::exp,
    error_rate::Tolerance,
    exact,
    non_inferiority::NonInferiority,
    not_slower::NotSlower,
    numerics::ln_add_exp,
    ratio::Ratio,
    scheme::{Ladder, Scheme},
    setup::Setup,
    stratum::{Closed, Processes, Stratum},
    window::{Pairing, Window},
};

/// Strata with an error in a window that the ratio's interval takes each for itself; further ones it takes together. The
/// interval is for people, and its grid is longer than all the rest of a stratum's work.
const RATIO_STRATA: usize = 4;

/// With more strata than the first, half of them have their blocks evaluated in each window, in turns: blocks then last
/// two seconds. With more than the second, a quarter, and four seconds. So a thousand routes cost less than half a
/// millisecond a second. Whose turn it is depends on nothing that was counted.
const STRATA_AT_ONCE: [usize; 2] = [64, 512];

/// How far a promotion is proven: natural logarithms; none of what is not asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Proven {
    /// That the canary fails no more than is accepted.
    pub(crate) ln_errors: Option<f64>,
    /// That it is no slower.
    pub(crate) ln_latency: Option<f64>,
}

/// The evidence of one rollout's comparison. See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    setup: Setup,
    ladder: Ladder,
    /// Windows taken, those before the rollout included.
    pushed: u64,
    /// The number of the next window.
    next: u64,
    /// The window number at which the evidence began.
    began: u64,
    started: bool,
    all: Processes,
    /// By name; the rest, if there is one, comes last.
    strata: Vec<Stratum>,
    proofs: Vec<NonInferiority>,
    /// The same proofs by requests, once failing clients are what is counted. A client counts once, however often it
    /// fails: that convicts nobody for one broken client, but where all clients of a canary fail again and again, soon nobody is
    /// left to be counted, and it would look better and better.
    #[serde(default)]
    by_request: Option<(Vec<NonInferiority>, SoFar)>,
    not_slower: NotSlower,
    ratio: Ratio,
    /// What both arms did so far, for what is foreseen.
    so_far: SoFar,
    #[serde(with = "exact")]
    ln_errors: f64,
    #[serde(with = "exact")]
    ln_latency: f64,
}

impl Comparison {
    /// Before the first window of a rollout.
    pub(crate) fn new(policy: &RolloutPolicy, scheme: Scheme) -> Self {
        let mut margins: Vec<Tolerance> = Vec::new();
        if let Some(errors) = &policy.guards.errors {
            margins.push(Tolerance { ratio: errors.pass_ratio, margin: errors.pass_margin.fraction() });
            for margin in policy.steps.iter().filter_map(|step| step.pass) {
                let boundary = boundary(&margin);
                if !margins.contains(&boundary) {
                    margins.push(boundary);
                }
            }
        }
        Self::with(Setup::new(policy, scheme), scheme, &margins)
    }

    pub(crate) fn with(setup: Setup, scheme: Scheme, margins: &[Tolerance]) -> Self {
        Self {
            setup,
            ladder: scheme.into(),
            pushed: 0,
            next: 0,
            began: 0,
            started: false,
            all: Processes::new(),
            strata: Vec::new(),
            proofs: margins.iter().copied().map(NonInferiority::new).collect(),
            by_request: None,
            not_slower: NotSlower::new(),
            ratio: Ratio::new(),
            so_far: SoFar::default(),
            ln_errors: f64::NEG_INFINITY,
            ln_latency: f64::NEG_INFINITY,
        }
    }

    /// See [`crate::Evidence::without_late_starts`]; to be called before the first window.
    pub(crate) fn drop_late_starts(&mut self) {
        self.setup.restarts.late_share = 0.0;
    }

    /// Takes window `number`, counted from 0, each greater than the one before. `clump` divides what each block is
    /// worth: 1, or more where the stable version is seen to differ from itself.
    pub(crate) fn observe(&mut self, number: u64, window: &Window, clump: f64) {
        if !self.started {
            self.start();
        }
        self.next = number.saturating_add(1);
        for stratum in &mut self.strata {
            stratum.begin(number, &self.setup, &self.ladder);
        }
        if !self.feed(window) {
            self.admit(number, window);
        }
        self.close(number, clump);
        self.turn();
        self.sum_up();
    }

    /// The same where there is but one stratum, which needs no name.
    pub(crate) fn observe_alone(&mut self, number: u64, pairing: &Pairing, clump: f64) {
        self.started = true;
        self.next = number.saturating_add(1);
        let only = self.rest();
        self.strata[only].begin(number, &self.setup, &self.ladder);
        self.strata[only].add(pairing, &self.setup);
        self.close(number, clump);
        self.turn();
        self.sum_up();
    }

    /// Forgets all evidence. What is known of the stable version and which routes are strata stays.
    pub(crate) fn restart(&mut self) {
        self.began = self.next;
        self.all = Processes::new();
        let share = -(self.strata.len().max(1) as f64).ln();
        for stratum in &mut self.strata {
            stratum.restart(self.next);
            stratum.ln_share = share;
        }
        self.proofs.iter_mut().for_each(NonInferiority::restart);
        if let Some((proofs, _)) = &mut self.by_request {
            proofs.iter_mut().for_each(NonInferiority::restart);
        }
        self.not_slower = NotSlower::new();
        self.sum_up();
    }

    /// Whether errors are compared.
    pub(crate) fn compares_errors(&self) -> bool {
        self.setup.harmless.is_some()
    }

    /// Whether latencies are.
    pub(crate) fn compares_latency(&self) -> bool {
        self.setup.latency
    }

    /// The evidence against the canary; −∞ before the first complete block.
    pub(crate) fn ln_e(&self) -> f64 {
        mean_of(&self.setup, self.ln_errors, self.ln_latency)
    }

    /// Its part that rests on errors, all strata.
    pub(crate) fn ln_e_errors(&self) -> f64 {
        self.ln_errors
    }

    /// Its part that rests on latencies, all strata.
    pub(crate) fn ln_e_latency(&self) -> f64 {
        self.ln_latency
    }

    /// The strata by name, then the rest if there is one.
    pub(crate) fn strata(&self) -> impl Iterator<Item = StratumView<'_>> {
        let alone = (self.strata.len() == 1).then_some(&self.all);
        self.strata.iter().map(move |stratum| StratumView {
            stratum,
            processes: alone.unwrap_or(&stratum.processes),
            setup: &self.setup,
        })
    }

    #[cfg(test)]
    pub(crate) fn shifts(&self) -> crate::thresholds::Shifts {
        self.setup.shifts
    }

    /// The ratio of error rates.
    pub(crate) fn ratio(&self) -> &Ratio {
        &self.ratio
    }

    /// The number of the margin that a step asks for, for [`Self::proof`].
    pub(crate) fn margin_of(&self, step: &Step) -> usize {
        let asked = step.pass.as_ref().map(boundary);
        asked.and_then(|asked| self.proofs.iter().position(|proof| proof.boundary() == asked)).unwrap_or(0)
    }

    /// Whether a margin accepts more errors than the guard's own.
    pub(crate) fn is_eased(&self, margin: usize) -> bool {
        let margin_at = |at: usize| self.proofs.get(at).map(|proof| proof.boundary().margin);
        margin_at(margin) > margin_at(0)
    }

    /// How far a promotion is proven under a margin.
    pub(crate) fn proof(&self, margin: usize) -> Proven {
        Proven {
            ln_errors: self.proofs.get(margin).map(|proof| {
                let by_request = self.by_request.as_ref().and_then(|(proofs, _)| proofs.get(margin));
                by_request.map_or(f64::INFINITY, NonInferiority::ln_e).min(proof.ln_e())
            }),
            ln_latency: self.setup.proves_latency.then(|| self.not_slower.ln_e()),
        }
    }

    /// How many more requests of the canary the proof of errors takes, if all goes on as it did; none if it never comes.
    pub(crate) fn requests_for_errors(&self, margin: usize, clump: f64, ln_threshold: f64) -> Option<u64> {
        let clump = clump * self.setup.clump;
        let needed = |proofs: &[NonInferiority], so_far: SoFar| {
            proofs.get(margin)?.requests_needed(&so_far.into(), clump, ln_threshold)
        };
        let by_client = needed(&self.proofs, self.so_far)?;
        match &self.by_request {
            Some((proofs, so_far)) => Some(needed(proofs, *so_far)?.max(by_client)),
            None => Some(by_client),
        }
    }

    /// The same for the proof of latencies.
    pub(crate) fn requests_for_latency(&self, ln_threshold: f64) -> Option<u64> {
        self.not_slower.requests_needed(ln_threshold)
    }

    /// Takes the blocks that are complete after window `number`.
    fn close(&mut self, number: u64, clump: f64) {
        let (setup, many) = (&self.setup, self.strata.len() > 1);
        let mut sum = Sum::default();
        let (mut with_errors, mut pooled) = (0, SoFar::default());
        let mut closed = Closed::default();
        let turns = STRATA_AT_ONCE
            .iter()
            .fold(1, |turns, most| if self.strata.len() > *most { 2 * turns } else { turns });
        for stratum in &mut self.strata {
            if !stratum.has_turn(number, turns) || !stratum.close(number, setup, clump, &mut closed) {
                continue;
            }
            // Up to here both were the same.
            if closed.by_request.is_some() && self.by_request.is_none() {
                self.by_request = Some((self.proofs.clone(), self.so_far));
            }
            if let Some((proofs, so_far)) = &mut self.by_request {
                let requests = closed.by_request.unwrap_or(closed.counts);
                proofs.iter_mut().for_each(|proof| proof.observe(&requests, clump * setup.clump));
                so_far.add(&requests);
            }
            for proof in &mut self.proofs {
                proof.observe(&closed.counts, clump * setup.clump);
            }
            if let Some((factors, requests)) = &closed.not_slower {
                self.not_slower.observe(factors, *requests);
            }
            if closed.counts.canary_bad + closed.counts.stable_bad > 0.0 {
                if with_errors < RATIO_STRATA {
                    self.ratio.observe(&closed.counts);
                } else {
                    pooled.add(&closed.counts);
                }
                with_errors += 1;
            }
            self.so_far.add(&closed.counts);
            if many {
                let age = stratum.age(number, &setup.restarts);
                stratum.processes.observe(setup, &setup.restarts, age, &closed.worth);
            }
            sum.add(&closed);
        }
        self.ratio.observe(&pooled.into());
        if let Some(worth) = sum.worth() {
            self.all.observe(setup, &setup.restarts, number.saturating_sub(self.began), &worth);
        }
    }

    /// A window is over: after so many a generation of what is remembered ends.
    fn turn(&mut self) {
        self.pushed += 1;
        if self.pushed.is_multiple_of(self.setup.generation) {
            self.strata.iter_mut().for_each(Stratum::rotate);
        }
    }

    /// ln of the sum of the strata's evidence, each times its part of the capital.
    fn sum_over_strata(&self, ln_e: impl Fn(&Processes) -> f64) -> f64 {
        let each = || self.strata.iter().map(|stratum| stratum.ln_share + ln_e(&stratum.processes));
        let high = each().fold(f64::NEG_INFINITY, f64::max);
        if high == f64::NEG_INFINITY {
            return high;
        }
        high + each().map(|ln| exp(ln - high)).sum::<f64>().ln()
    }

    fn sum_up(&mut self) {
        let mut errors = self.all.ln_e_errors();
        let mut latency = self.all.ln_e_latency(&self.setup);
        if self.strata.len() > 1 {
            let each_errors = self.sum_over_strata(Processes::ln_e_errors);
            let each_latency = self.sum_over_strata(|processes| processes.ln_e_latency(&self.setup));
            errors = ln_add_exp(errors, each_errors) - 2_f64.ln();
            latency = ln_add_exp(latency, each_latency) - 2_f64.ln();
        }
        (self.ln_errors, self.ln_latency) = (errors, latency);
    }
}

fn boundary(margin: &Margin) -> Tolerance {
    Tolerance { ratio: margin.ratio, margin: margin.margin.fraction() }
}

fn mean_of(setup: &Setup, errors: f64, latency: f64) -> f64 {
    match (setup.harmless.is_some(), setup.latency) {
        (true, true) => ln_add_exp(errors, latency) - 2_f64.ln(),
        (true, false) => errors,
        (false, _) => latency,
    }
}
