//! One route under test: its counts, its cuts, and its own evidence.
//!
//! Routes differ: one that is slow by nature, or fails often, gets more of the traffic at some hours. Were all requests
//! thrown together, a changed mix would look like a changed version. So the busiest routes are each compared for
//! itself, each with cuts from its own latencies, and the others are pooled in "the rest". What a block of a stratum
//! is worth goes into two places: the stratum's own evidence, which finds a regression of one route alone and gives the
//! culprit its name, and the evidence of all strata together, which finds what is spread over them.

use serde::{Deserialize, Serialize};
use serin_config::RouteName;

use crate::{
    block::Pair,
    capital::Capital,
    error_rate::{self, Counts},
    exact,
    minute::Minute,
    mixture::Restarts,
    not_slower,
    numerics::ln_add_exp,
    scheme::Ladder,
    setup::Setup,
    stratum_block::StratumBlock,
    templates::{self, PROOF_COUNT},
    thresholds::{Cuts, Past, Thresholds},
    window::Pairing,
};

const ERROR_WEIGHTS: [f64; error_rate::TEMPLATES.len()] = [0.1; error_rate::TEMPLATES.len()];

/// What one block is worth against the canary, in nats for each template.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Worth {
    /// Of the errors; none if that comparison is off.
    pub(crate) errors: Option<[f64; error_rate::TEMPLATES.len()]>,
    /// Of the latencies, with the tolerance; none if they are not compared or an arm had no success, and during
    /// warm-up.
    pub(crate) tight: Option<[f64; templates::COUNT]>,
    /// The same with the tolerance of a warm-up; none if there is no such phase.
    pub(crate) loose: Option<[f64; templates::COUNT]>,
    /// Whether the canary failed at least half of its requests, so that errors are not cut at the cap.
    pub(crate) majority: bool,
}

/// A block of a stratum that is complete.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Closed {
    pub(crate) counts: Counts,
    /// The same by requests, where those are of failing clients.
    pub(crate) by_request: Option<Counts>,
    pub(crate) worth: Worth,
    /// What its latencies are worth for the proof, and the canary's requests that it rests on.
    pub(crate) not_slower: Option<([f64; PROOF_COUNT], u64)>,
}

/// The evidence of one question: are errors, are latencies worse?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Processes {
    errors: Capital<{ error_rate::TEMPLATES.len() }>,
    tight: Capital<{ templates::COUNT }>,
    loose: Capital<{ templates::COUNT }>,
}

impl Processes {
    pub(crate) fn new() -> Self {
        Self { errors: Capital::new(), tight: Capital::new(), loose: Capital::new() }
    }

    /// Takes what blocks that closed in a window are worth together; `age` is the windows since the evidence began.
    pub(crate) fn observe(&mut self, setup: &Setup, restarts: &Restarts, age: u64, worth: &Worth) {
        if let Some(errors) = &worth.errors {
            let cap = if worth.majority && setup.error_cap.lifted_by_majority {
                f64::INFINITY
            } else {
                setup.error_cap.nats
            };
            self.errors.multiply(restarts, age, errors, cap, &ERROR_WEIGHTS);
        }
        let cap = setup.latency_cap;
        if let Some(tight) = &worth.tight {
            self.tight.multiply(restarts, age.saturating_sub(setup.warm_up), tight, cap, &templates::WEIGHTS);
        }
        if let Some(loose) = &worth.loose {
            self.loose.multiply(restarts, age, loose, cap, &templates::WEIGHTS);
        }
    }

    pub(crate) fn ln_e_errors(&self) -> f64 {
        self.errors.ln_e()
    }

    /// With a warm-up, half of the capital is on each tolerance.
    pub(crate) fn ln_e_latency(&self, setup: &Setup) -> f64 {
        let tight = self.tight.ln_e();
        if setup.warm_up > 0 { ln_add_exp(tight, self.loose.ln_e()) - 2_f64.ln() } else { tight }
    }
}

/// A route, or the rest of them, under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stratum {
    name: Option<RouteName>,
    /// Its place among the strata at its beginning: what is done every so many windows is spread by it.
    phase: u64,
    /// The window number at which its evidence began.
    began: u64,
    block: StratumBlock,
    past: Past,
    thresholds: Option<Thresholds>,
    /// The window from which on the cuts are worked out anew; none before the first time.
    refresh_at: Option<u64>,
    pub(crate) processes: Processes,
    /// ln of its part of the capital of all strata.
    #[serde(with = "exact")]
    pub(crate) ln_share: f64,
    totals: Pair,
    /// Requests before the rollout began, for its rank among routes.
    pub(crate) requests: u64,
    minute: Minute,
}

impl Stratum {
    pub(crate) fn new(name: Option<RouteName>, phase: u64, began: u64, buckets: u16) -> Self {
        Self {
            name,
            phase,
            began,
            block: StratumBlock::default(),
            past: Past::new(buckets),
            thresholds: None,
            refresh_at: None,
            processes: Processes::new(),
            ln_share: 0.0,
            totals: Pair::default(),
            requests: 0,
            minute: Minute::default(),
        }
    }

    /// The route; none for the rest.
    pub(crate) fn name(&self) -> Option<&RouteName> {
        self.name.as_ref()
    }

    /// Requests and failures of both versions since the rollout began.
    pub(crate) fn totals(&self) -> Pair {
        self.totals
    }

    /// The same of about the last minute.
    pub(crate) fn recent(&self) -> Pair {
        self.minute.sum()
    }

    /// Takes a second of the stable version's past.
    pub(crate) fn remember(&mut self, pairing: &Pairing) {
        self.requests = self.requests.saturating_add(pairing.stable.judged);
        self.past.push(&pairing.stable.headers);
    }

    /// Takes over what another stratum remembers.
    pub(crate) fn inherit(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.past.merge(&other.past);
    }

    /// Sets its place at the beginning of the evidence.
    pub(crate) fn place(&mut self, phase: u64) {
        self.phase = phase;
    }

    /// Ends a generation of what is remembered.
    pub(crate) fn rotate(&mut self) {
        self.past.rotate();
    }

    /// Before window `number`: works the cuts out anew if they are due. Never within a block.
    pub(crate) fn begin(&mut self, number: u64, setup: &Setup, ladder: &Ladder) {
        self.minute.begin(number);
        if self.refresh_at.is_some_and(|at| number < at) || self.block.is_open() || !setup.latency {
            return;
        }
        // The first time sets the phase: otherwise all strata would do this work in the same window.
        let spread = if self.refresh_at.is_none() { self.phase % setup.refresh } else { 0 };
        self.refresh_at = Some(number.saturating_add(setup.refresh - spread));
        if let Some(stable) = self.past.cuts() {
            let mut cuts = Cuts::new(stable, &setup.shifts, ladder);
            if setup.proves_latency {
                cuts.gaps = self.past.gaps(&cuts);
            }
            self.thresholds = Some(cuts.into());
        }
    }

    /// Takes what a route of the stratum did in the window.
    pub(crate) fn add(&mut self, pairing: &Pairing, setup: &Setup) {
        let failures = pairing.failures();
        self.totals.add(failures);
        self.minute.add(failures);
        self.block.count(pairing);
        if let Some(thresholds) = &self.thresholds {
            self.block.sort(pairing, &thresholds.cuts, setup.warm_up > 0);
        }
        self.past.push(&pairing.stable.headers);
    }

    /// Whether window `number` is its turn, where it has one in every `turns`.
    pub(crate) fn has_turn(&self, number: u64, turns: u64) -> bool {
        number.wrapping_add(self.phase).is_multiple_of(turns)
    }

    /// After window `number`: whether that completes the block, and if so, what it is worth.
    pub(crate) fn close(&mut self, number: u64, setup: &Setup, clump: f64, closed: &mut Closed) -> bool {
        let block = &self.block;
        if !block.is_complete() {
            return false;
        }
        let counts = block.counts();
        closed.counts = counts;
        closed.by_request = block.by_request();
        closed.worth.majority = counts.canary_bad >= 0.5 * counts.canary;
        closed.worth.errors = setup
            .harmless
            .map(|harmless| harmless.ln_factors(&counts, &error_rate::TEMPLATES, clump * setup.clump));
        (closed.worth.tight, closed.worth.loose, closed.not_slower) = (None, None, None);
        let (canary, stable) = block.successes();
        if let Some(thresholds) = self.thresholds.as_ref().filter(|_| canary >= 1 && stable >= 1) {
            let bets = thresholds.templates.bets(canary, stable, clump);
            if setup.warm_up > 0 {
                bets.slower(&block.loose, &block.stable, closed.worth.loose.insert([0.0; templates::COUNT]));
            }
            if number >= setup.warm_up {
                bets.slower(&block.tight, &block.stable, closed.worth.tight.insert([0.0; templates::COUNT]));
                if setup.proves_latency {
                    let mut factors = bets.not_slower(&block.tight, block.proof, &block.stable);
                    not_slower::by_share(&thresholds.cuts, block, clump, &mut factors);
                    closed.not_slower = Some((factors, canary));
                }
            }
        }
        self.block = StratumBlock::default();
        true
    }

    /// Windows since its evidence began, shifted by its place, so that not all strata set out capital at once.
    pub(crate) fn age(&self, number: u64, restarts: &Restarts) -> u64 {
        number.saturating_sub(self.began) + self.phase % restarts.windows
    }

    /// Goes on with evidence that began in window number `began`.
    pub(crate) fn take_over(&mut self, processes: &Processes, began: u64) {
        (self.processes, self.began) = (processes.clone(), began);
    }

    /// Forgets its evidence, and nothing else.
    pub(crate) fn restart(&mut self, number: u64) {
        (self.processes, self.began) = (Processes::new(), number);
    }
}
