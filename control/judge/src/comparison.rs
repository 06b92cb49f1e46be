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
//!
//! Strata are chosen by requests, never by how they ended: the busiest routes of the time before the rollout,
//! then, as long as there is room, whatever routes appear. The others are the rest. A stratum that appears later is given
//! its part of the capital that the strata have at that moment: capital is moved, never made.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serin_config::{
    RouteName,
    limits::STRATA_MAX,
    policy::{Margin, RolloutPolicy, Step},
};

use crate::{
    elementary::exp,
    error_rate::{self, Counts, Tolerance},
    exact,
    non_inferiority::NonInferiority,
    not_slower::NotSlower,
    numerics::ln_add_exp,
    ratio::Ratio,
    scheme::{Ladder, Scheme},
    setup::Setup,
    stratum::{Closed, Processes, Stratum, Worth},
    templates,
    window::{Pairing, Window},
};

/// Strata with an error in a window that the ratio's interval takes each for itself; further ones it takes together. The
/// interval is for people, and its grid is longer than all the rest of a stratum's work.
const RATIO_STRATA: usize = 4;

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
    not_slower: NotSlower,
    ratio: Ratio,
    /// What both arms did so far, for what is foreseen.
    so_far: SoFar,
    #[serde(with = "exact")]
    ln_errors: f64,
    #[serde(with = "exact")]
    ln_latency: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct SoFar {
    #[serde(with = "exact")]
    canary: f64,
    #[serde(with = "exact")]
    canary_bad: f64,
    #[serde(with = "exact")]
    stable: f64,
    #[serde(with = "exact")]
    stable_bad: f64,
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

    /// Takes a second from before the rollout: which routes are busy, and how long the stable version takes.
    /// Once the rollout has begun it changes nothing any more.
    pub(crate) fn pre(&mut self, window: &Window) {
        if self.started {
            return;
        }
        // More candidates than places, so that a route that is quiet in the first second is not passed over.
        let candidates = 2 * self.places();
        let buckets = self.ladder.scheme().count();
        for (name, pairing) in &window.routes {
            let at = match self.find(name) {
                Ok(at) => at,
                Err(at) if self.strata.len() < candidates => {
                    self.strata.insert(at, Stratum::new(Some(name.clone()), 0, 0, buckets));
                    at
                }
                Err(_) => self.rest(),
            };
            self.strata[at].remember(pairing);
        }
        self.turn();
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

    /// How far a promotion is proven under a margin.
    pub(crate) fn proof(&self, margin: usize) -> Proven {
        Proven {
            ln_errors: self.proofs.get(margin).map(NonInferiority::ln_e),
            ln_latency: self.setup.proves_latency.then(|| self.not_slower.ln_e()),
        }
    }

    /// How many more requests of the canary the proof of errors takes, if all goes on as it did; none if it never comes.
    pub(crate) fn requests_for_errors(&self, margin: usize, clump: f64, ln_threshold: f64) -> Option<u64> {
        let clump = clump * self.setup.clump;
        self.proofs.get(margin)?.requests_needed(&self.so_far.into(), clump, ln_threshold)
    }

    /// The same for the proof of latencies.
    pub(crate) fn requests_for_latency(&self, ln_threshold: f64) -> Option<u64> {
        self.not_slower.requests_needed(ln_threshold)
    }

    fn places(&self) -> usize {
        self.setup.strata.clamp(1, STRATA_MAX)
    }

    /// Where the stratum of a route is, or would be.
    fn find(&self, name: &RouteName) -> Result<usize, usize> {
        self.strata.binary_search_by(|stratum| match stratum.name() {
            Some(mine) => mine.cmp(name),
            None => Ordering::Greater,
        })
    }

    /// Where the rest is; it begins if it is not there.
    fn rest(&mut self) -> usize {
        if self.strata.last().is_none_or(|last| last.name().is_some()) {
            let phase = self.strata.len() as u64;
            self.strata.push(Stratum::new(None, phase, self.next, self.ladder.scheme().count()));
        }
        self.strata.len() - 1
    }

    /// Chooses the strata from what was before: the busiest routes, and names decide between equals.
    fn start(&mut self) {
        self.started = true;
        let mut rank: Vec<(u64, usize)> = self
            .strata
            .iter()
            .enumerate()
            .filter(|(_, stratum)| stratum.name().is_some())
            .map(|(at, stratum)| (stratum.requests, at))
            .collect();
        rank.sort_unstable_by_key(|(requests, at)| (std::cmp::Reverse(*requests), *at));
        let mut dropped: Vec<usize> = rank.into_iter().skip(self.places()).map(|(_, at)| at).collect();
        dropped.sort_unstable();
        for at in dropped.into_iter().rev() {
            let stratum = self.strata.remove(at);
            let rest = self.rest();
            self.strata[rest].inherit(&stratum);
        }
        let share = -(self.strata.len().max(1) as f64).ln();
        for (phase, stratum) in (0_u64..).zip(&mut self.strata) {
            stratum.place(phase);
            stratum.ln_share = share;
        }
    }

    /// Counts what each stratum did; says whether all routes had theirs. Where there is no room for more, those without
    /// one of their own have the rest.
    fn feed(&mut self, window: &Window) -> bool {
        let (setup, places) = (&self.setup, self.places());
        let has_rest = self.strata.last().is_some_and(|last| last.name().is_none());
        let named = self.strata.len() - usize::from(has_rest);
        let (named, rest) = self.strata.split_at_mut(named);
        let mut rest = rest.first_mut().filter(|_| named.len() >= places);
        let mut strata = named.iter_mut();
        let (mut candidate, mut known) = (strata.next(), 0);
        // Both are in the order of names.
        for (name, pairing) in &window.routes {
            while candidate.as_ref().is_some_and(|stratum| stratum.name() < Some(name)) {
                candidate = strata.next();
            }
            let own = candidate.take_if(|stratum| stratum.name() == Some(name));
            let is_own = own.is_some();
            if let Some(stratum) = own.or(rest.as_deref_mut()) {
                stratum.add(pairing, setup);
                known += 1;
            }
            if is_own {
                candidate = strata.next();
            }
        }
        known == window.routes.len()
    }

    /// Gives routes that have no stratum one of their own while there is room, the busiest first; the others are the
    /// rest. Counts what they did.
    fn admit(&mut self, number: u64, window: &Window) {
        let mut strangers: Vec<(&RouteName, &Pairing)> =
            window.routes.iter().filter(|(name, _)| self.find(name).is_err()).collect();
        let named = self.strata.iter().filter(|stratum| stratum.name().is_some()).count();
        let room = self.places().saturating_sub(named).min(strangers.len());
        let before = self.strata.len();
        if room > 0 {
            let requests = |pairing: &Pairing| pairing.canary.judged.saturating_add(pairing.stable.judged);
            strangers.sort_by_key(|(name, pairing)| (std::cmp::Reverse(requests(pairing)), *name));
        }
        let rest_is_new =
            room < strangers.len() && self.strata.last().is_none_or(|last| last.name().is_some());
        let new = room + usize::from(rest_is_new);
        let ln_share = self.make_room(new);
        for (i, (name, pairing)) in strangers.into_iter().enumerate() {
            let at = if i < room {
                let at = self.find(name).unwrap_or_else(|at| at);
                let phase = (before + i) as u64;
                let mut stratum =
                    Stratum::new(Some(name.clone()), phase, number, self.ladder.scheme().count());
                stratum.ln_share = ln_share;
                self.strata.insert(at, stratum);
                at
            } else {
                let rest = self.rest();
                if rest_is_new && i == room {
                    self.strata[rest].restart(number);
                    self.strata[rest].ln_share = ln_share;
                }
                rest
            };
            self.strata[at].begin(number, &self.setup, &self.ladder);
            self.strata[at].add(pairing, &self.setup);
        }
    }

    /// Takes from the capital of all strata what `new` further ones get, and gives ln of the part of each.
    fn make_room(&mut self, new: usize) -> f64 {
        let (before, after) = (self.strata.len() as f64, (self.strata.len() + new) as f64);
        if new == 0 || before == 0.0 {
            return -after.max(1.0).ln();
        }
        if let [only] = &mut self.strata[..] {
            // Until now the evidence of all strata was that of the only one.
            only.processes = self.all.clone();
        }
        let mut capital = f64::NEG_INFINITY;
        for stratum in &mut self.strata {
            let (errors, latency) =
                (stratum.processes.ln_e_errors(), stratum.processes.ln_e_latency(&self.setup));
            let own = mean_of(&self.setup, errors, latency);
            // Before its first block a process has all of its capital, though none of it is at stake.
            let own = if own == f64::NEG_INFINITY { 0.0 } else { own };
            capital = ln_add_exp(capital, stratum.ln_share + own);
            stratum.ln_share += (before / after).ln();
        }
        capital - after.ln()
    }

    /// Takes the blocks that are complete after window `number`.
    fn close(&mut self, number: u64, clump: f64) {
        let (setup, many) = (&self.setup, self.strata.len() > 1);
        let mut sum = Sum::default();
        let (mut with_errors, mut pooled) = (0, SoFar::default());
        let mut closed = Closed::default();
        for stratum in &mut self.strata {
            if !stratum.close(number, setup, clump, &mut closed) {
                continue;
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

/// One stratum, for who reports it.
pub(crate) struct StratumView<'a> {
    stratum: &'a Stratum,
    processes: &'a Processes,
    setup: &'a Setup,
}

impl<'a> StratumView<'a> {
    /// The route; none for the rest.
    pub(crate) fn name(&self) -> Option<&'a RouteName> {
        self.stratum.name()
    }

    /// Its own evidence that the canary fails more.
    pub(crate) fn ln_e_errors(&self) -> f64 {
        self.processes.ln_e_errors()
    }

    /// Its own evidence that the canary is slower.
    pub(crate) fn ln_e_latency(&self) -> f64 {
        self.processes.ln_e_latency(self.setup)
    }

    /// Requests and failures since the rollout began.
    pub(crate) fn totals(&self) -> crate::block::Pair {
        self.stratum.totals()
    }

    /// The same of about the last minute.
    pub(crate) fn recent(&self) -> crate::block::Pair {
        self.stratum.recent()
    }
}

/// What the blocks of one window are worth together.
#[derive(Default)]
struct Sum {
    closed: bool,
    worth: Worth,
    canary: f64,
    canary_bad: f64,
}

impl Sum {
    fn add(&mut self, closed: &Closed) {
        self.closed = true;
        self.canary += closed.counts.canary;
        self.canary_bad += closed.counts.canary_bad;
        add_to(&mut self.worth.errors, &closed.worth.errors);
        add_to(&mut self.worth.tight, &closed.worth.tight);
        add_to(&mut self.worth.loose, &closed.worth.loose);
    }

    fn worth(mut self) -> Option<Worth> {
        self.worth.majority = self.canary_bad >= 0.5 * self.canary;
        self.closed.then_some(self.worth)
    }
}

fn add_to<const N: usize>(sum: &mut Option<[f64; N]>, part: &Option<[f64; N]>) {
    match (sum, part) {
        (Some(sum), Some(part)) => sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
        (sum @ None, Some(part)) => *sum = Some(*part),
        (_, None) => {}
    }
}

impl SoFar {
    fn add(&mut self, block: &Counts) {
        self.canary += block.canary;
        self.canary_bad += block.canary_bad;
        self.stable += block.stable;
        self.stable_bad += block.stable_bad;
    }
}

impl From<SoFar> for Counts {
    fn from(so_far: SoFar) -> Self {
        let SoFar { canary, canary_bad, stable, stable_bad } = so_far;
        Self { canary, canary_bad, stable, stable_bad }
    }
}

const _: () = assert!(templates::COUNT == 20 && error_rate::TEMPLATES.len() == 10);
