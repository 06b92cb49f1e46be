//! From evidence to an answer: pass, fail or insufficient; and what to do about it.
//!
//! - `fail`: the guards' evidence, as the policy's mode combines it, has reached 1/false_alarm, and what it says is the
//!   canary's own fault; or a bound on what the canary may cost is spent.
//! - `pass`: the step has had its requests and its time, nothing is suspect, and every guard that is on has what
//!   it asks for: a comparison its proof, a limit a share of bad requests within it.
//! - `insufficient`: anything else, with a list of what is lacking. It never counts as a failure.
//!
//! The advice is graduated. Evidence of 20 to 1 stops the way up: a healthy canary ever gets there with a
//! chance of at most one in twenty, and somebody may want to look. From half of the way to a verdict on, in
//! nats, the weight is lowered: should it be a false alarm after all, it costs a little time. What both versions
//! suffer holds the rollout, since taking the canary out would help nobody.

use std::time::Duration;

use serin_config::{
    Weight,
    policy::{Step, Until},
};

use crate::{
    budget::Present,
    evidence::Evidence,
    guard::Guard,
    harm::Spent,
    judgement::{Advice, Judgement},
    lane::Lane,
    limit_guard::LimitGuard,
    mode::{Standing, Standings},
    numerics::{ln_add_exp, ln_threshold},
    verdict::{Lacking, Proof, State, proof},
};

/// Evidence from which a guard is suspect: no step forward while it lasts. A healthy canary ever gets there with
/// a chance of at most one in twenty.
const SUSPECT: f64 = 20.0;
/// The part of the way to the threshold, in nats, from which evidence mounts.
const MOUNTING: f64 = 0.5;

/// Whether a guard's evidence is high enough to be held against a step forward. Weights sum to one, so evidence
/// that is suspect in sum is suspect in at least one guard.
pub(crate) fn is_suspect(ln_e: f64) -> bool {
    ln_e >= SUSPECT.ln()
}

impl Evidence {
    /// The answer at this moment on `step`, which began `elapsed` ago, in short and without an allocation.
    pub fn judge(&self, step: &Step, elapsed: Duration) -> Judgement {
        self.decide(&self.standings(step), step, elapsed, |_| ())
    }

    /// Decides, and names each thing that keeps the answer from being `pass`, if it is `insufficient`.
    pub(crate) fn decide(
        &self,
        standings: &Standings,
        step: &Step,
        elapsed: Duration,
        mut name: impl FnMut(Lacking),
    ) -> Judgement {
        let (mode, threshold) = (self.rules.mode, ln_threshold(self.rules.false_alarm));
        let own = |standing: &Standing| standing.own_fault;
        let ln_own = mode.ln_e(standings, own);
        let ln_e = mode.ln_e(standings, |_| true);
        let spent = self.harm.spent().find(Spent::is_all);
        if spent.is_some() || mode.fails(standings, threshold, own) {
            let heaviest = || {
                let own = standings.iter().filter(|standing| standing.own_fault);
                own.max_by(|a, b| a.ln_weighted().total_cmp(&b.ln_weighted())).map(|standing| standing.guard)
            };
            let culprit = spent.map(|spent| spent.guard).or_else(heaviest);
            return Judgement {
                state: State::Fail,
                advice: Advice::Rollback,
                ln_e,
                ln_threshold: threshold,
                culprit,
            };
        }
        let (mut passes, mut holds) = (true, None);
        let mut lack = |lacking: Lacking| {
            passes = false;
            if let Some(notify) = lacking.holds() {
                holds = Some(notify || holds == Some(true));
            }
            name(lacking);
        };
        let shared = ln_e >= threshold;
        self.lacks_of_guards(standings, shared, step, &mut lack);
        self.lacks_of_step(step, elapsed, &mut lack);
        self.lacks_of_proofs(step, &mut lack);
        let mounts = ln_own >= (threshold * MOUNTING).max(SUSPECT.ln());
        let advice = match holds {
            _ if passes => Advice::Promote,
            _ if mounts && self.rules.lowers => Advice::Lower,
            Some(notify) => Advice::Hold { notify },
            None => Advice::Continue,
        };
        let state = if passes { State::Pass } else { State::Insufficient };
        Judgement { state, advice, ln_e, ln_threshold: threshold, culprit: None }
    }

    /// Where each guard stands.
    pub(crate) fn standings(&self, step: &Step) -> Standings {
        let present = Present {
            errors: self.comparison.compares_errors(),
            latency: self.comparison.compares_latency(),
            lane: self.lane.as_ref().is_some_and(Lane::has_begun),
            others: self.limits.len() + self.events.len(),
        };
        let standing =
            |guard, ln_e, own_fault| Standing { guard, weight: present.weight(guard), ln_e, own_fault };
        let (errors, latency) = (self.comparison.ln_e_errors(), self.comparison.ln_e_latency());
        let errors = present.errors.then(|| standing(Guard::Errors, errors, true));
        let latency = present.latency.then(|| standing(Guard::Latency, latency, true));
        let lane = self.lane.iter().filter(|lane| lane.has_begun());
        let lane = lane.map(|lane| standing(Guard::FastLane, lane.ln_e(), true));
        let limits = self.limits.iter().map(|limit| {
            let own = self.rules.blames_alone || self.is_worse(limit, step);
            standing(limit.guard(), limit.ln_e(), own)
        });
        let events =
            (0_u8..).zip(&self.events).map(|(n, event)| standing(Guard::Event(n), event.ln_e(), true));
        errors.into_iter().chain(latency).chain(lane).chain(limits).chain(events).collect()
    }

    /// The evidence of all guards without the fast lane, before that has begun.
    pub(crate) fn ln_e_of_all(&self) -> f64 {
        let whole = Step::at(Weight::WHOLE);
        self.standings(&whole).iter().map(Standing::ln_weighted).fold(f64::NEG_INFINITY, ln_add_exp)
    }

    /// Whether a breach of the limit is the canary's own: it is shown to do worse than the stable version, or
    /// there is nothing to compare it with.
    pub(crate) fn is_worse(&self, limit: &LimitGuard, step: &Step) -> bool {
        let nothing_to_compare = step.weight == Weight::WHOLE || limit.recent().stable.requests == 0;
        let more_errors = limit.guard() == Guard::MaxErrorRate && self.comparison.ratio().interval().0 > 1.0;
        nothing_to_compare || more_errors || is_suspect(limit.ln_worse())
    }

    fn lacks_of_guards(
        &self,
        standings: &Standings,
        shared: bool,
        step: &Step,
        lack: &mut impl FnMut(Lacking),
    ) {
        if let Some(share) = self.share.off().filter(|_| step.weight < Weight::WHOLE) {
            lack(Lacking::ShareOff { share });
        }
        for standing in standings.iter() {
            let (guard, ln_e) = (standing.guard, standing.ln_e);
            if !standing.own_fault && shared && is_suspect(ln_e) {
                lack(Lacking::BothVersionsBreach { guard });
            } else if is_suspect(ln_e) && self.score(standings).is_none() {
                lack(Lacking::Suspect { guard, ln_e });
            } else if let Some(limit) = self.limits.iter().find(|limit| limit.guard() == guard)
                && limit.is_over()
            {
                lack(Lacking::OverLimit { guard });
            }
        }
        if let Some(score) = self.score(standings).filter(|score| score.points < f64::from(score.pass_from)) {
            lack(Lacking::Score { score });
        }
    }

    fn lacks_of_step(&self, step: &Step, elapsed: Duration, lack: &mut impl FnMut(Lacking)) {
        // A step on the clock asks for no traffic.
        if step.until == Until::Pass {
            self.lacks_of_traffic(step, lack);
        }
        if elapsed < step.min_duration {
            let (elapsed_ms, need_ms) = (millis(elapsed), millis(step.min_duration));
            lack(Lacking::MinDuration { elapsed_ms, need_ms });
        }
        // The first window is a part of a second, mostly.
        let (have, need) = (self.windows.saturating_sub(1), self.rules.soak);
        if self.rules.soaks_at == Some(step.weight) && have < need {
            lack(Lacking::Soak { have, need });
        }
    }

    fn lacks_of_traffic(&self, step: &Step, lack: &mut impl FnMut(Lacking)) {
        let (have, need) = (self.step.canary.requests, step.min_requests);
        if self.recent.sum().canary.requests == 0 || have == 0 {
            lack(Lacking::NoCanaryTraffic { seconds: self.recent.len() });
        }
        let compares = self.comparison.compares_errors() || self.comparison.compares_latency();
        if compares && step.weight < Weight::WHOLE && self.recent.sum().stable.requests == 0 {
            lack(Lacking::NoStableTraffic { seconds: self.recent.len() });
        }
        if have < need {
            lack(Lacking::MinRequests { have, need, seconds: self.seconds_for(need - have) });
        }
    }

    fn lacks_of_proofs(&self, step: &Step, lack: &mut impl FnMut(Lacking)) {
        if step.weight == Weight::WHOLE || step.until == Until::Time {
            // There is no stable version left to compare with, and nothing more to expose; or a clock decides.
            return;
        }
        let lacks = |proof: &Proof| !proof.reached();
        if let Some(proof) = self.non_inferiority(step).filter(lacks) {
            let (margin, clump) = (self.comparison.margin_of(step), self.control.clump());
            let requests = self.comparison.requests_for_errors(margin, clump, proof.ln_threshold);
            let seconds = requests.and_then(|requests| self.seconds_for(requests));
            lack(Lacking::NonInferiority { proof, requests, seconds });
        }
        if let Some(proof) = self.no_slower(step).filter(lacks) {
            let requests = self.comparison.requests_for_latency(proof.ln_threshold);
            let seconds = requests.and_then(|requests| self.seconds_for(requests));
            lack(Lacking::NoSlower { proof, requests, seconds });
        }
    }

    /// That the canary fails no more than this step accepts.
    pub(crate) fn non_inferiority(&self, step: &Step) -> Option<Proof> {
        let proven = self.comparison.proof(self.comparison.margin_of(step));
        Some(proof(proven.ln_errors?, ln_threshold(self.rules.false_pass)))
    }

    /// That it is no slower than is accepted. A step that accepts more errors than the guard does is an early one, whose
    /// next step exposes few users: there it is enough that nothing is suspect. The proof takes thousands of requests.
    pub(crate) fn no_slower(&self, step: &Step) -> Option<Proof> {
        let margin = self.comparison.margin_of(step);
        let proven = self.comparison.proof(margin);
        let ln_latency = proven.ln_latency.filter(|_| !self.comparison.is_eased(margin))?;
        Some(proof(ln_latency, ln_threshold(self.rules.false_pass)))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and it is positive"
    )]
    fn seconds_for(&self, requests: u64) -> Option<u64> {
        self.recent.canary_rate().map(|rate| (requests as f64 / rate).ceil() as u64)
    }
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
