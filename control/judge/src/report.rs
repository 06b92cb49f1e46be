//! The whole verdict: the answer with everything that it rests on.

use std::time::Duration;

use serin_config::{RouteName, limits::STRATA_REPORTED_MAX, policy::Step};

use crate::{
    block::{Pair, Trials},
    decide::{is_suspect, millis},
    evidence::Evidence,
    guard::Guard,
    lane::Lane,
    mode::{Rule, Standing, Standings},
    numerics::ln_threshold,
    verdict::{
        EventReport, GuardReport, LimitReport, RatioReport, ScoreReport, StepReport, StratumReport, Verdict,
        finite, proof,
    },
};

impl Evidence {
    /// The verdict at this moment on `step`, which began `elapsed` ago.
    pub fn verdict(&self, step: &Step, elapsed: Duration) -> Verdict {
        let standings = self.standings(step);
        let mut lacking = Vec::new();
        let judgement = self.decide(&standings, step, elapsed, |lack| lacking.push(lack));
        Verdict {
            state: judgement.state,
            advice: judgement.advice,
            culprit: judgement.culprit,
            route: self.route(&standings, judgement.culprit),
            lacking,
            against: proof(judgement.ln_e, judgement.ln_threshold),
            score: self.score(&standings),
            non_inferiority: self.non_inferiority(step),
            no_slower: self.no_slower(step),
            guards: standings.iter().map(|standing| self.guard_report(standing, step)).collect(),
            strata: self.stratum_reports(),
            spent: self.harm.spent().collect(),
            clump: self.control.clumped_requests(),
            canary: self.rollout.canary(),
            stable: self.rollout.stable(),
            lately: Some(self.lately.report()),
            recent: self.recent.sum(),
            recent_seconds: self.recent.len(),
            seconds: self.windows,
            step: StepReport {
                weight: step.weight,
                mirror: step.mirror,
                elapsed_ms: millis(elapsed),
                failures: self.step,
            },
            ratio: self.ratio_report(),
            counted: Some(self.counted.sum()).filter(|counted| *counted != thousandths(self.recent.sum())),
            ended: false,
            is_of_copies: self.is_of_copies(),
            copies: self.copies,
        }
    }

    /// What is known of a canary whose rollout something else ends at `step`. If nothing was counted in that step yet
    /// (`has_counts`), it says so, and what copies came to is not taken for a judgement by users.
    pub fn at_the_end(&self, step: &Step, elapsed: Duration, has_counts: bool) -> Verdict {
        let begun = (!has_counts).then(|| {
            let mut begun = self.clone();
            if step.mirror.is_none() {
                begun.begin_users();
            }
            begun.begin_step();
            begun
        });
        begun.as_ref().unwrap_or(self).verdict(step, elapsed).overtaken()
    }

    /// The canary's points, where points are counted.
    pub(crate) fn score(&self, standings: &Standings) -> Option<ScoreReport> {
        let threshold = ln_threshold(self.rules.false_alarm);
        let points = self.rules.mode.points(standings, threshold, |standing| standing.own_fault)?;
        let Rule::Score { fail_below, pass_from } = self.rules.mode else { return None };
        Some(ScoreReport { points, fail_below, pass_from })
    }

    /// The routes with the most evidence, where there are several.
    fn stratum_reports(&self) -> Vec<StratumReport> {
        let mut reports: Vec<_> = self
            .comparison
            .strata()
            .map(|stratum| {
                let (errors, latency) = (stratum.ln_e_errors(), stratum.ln_e_latency());
                let report = StratumReport {
                    route: stratum.name().cloned(),
                    ln_e_errors: finite(errors),
                    ln_e_latency: finite(latency),
                    failures: stratum.totals(),
                    recent: stratum.recent(),
                };
                (errors.max(latency), report)
            })
            .collect();
        if reports.len() < 2 {
            return Vec::new();
        }
        reports.sort_by(|a, b| b.0.total_cmp(&a.0));
        reports.into_iter().map(|(_, report)| report).take(STRATA_REPORTED_MAX).collect()
    }

    /// The one route that shows what is held against the canary: its own evidence is suspect, and the others, which
    /// had the traffic to show the same, don't. Evidence of one and the same fault grows as the requests do: so if it
    /// were everywhere, the others would have the route's evidence times their requests over its own.
    fn route(&self, standings: &Standings, culprit: Option<Guard>) -> Option<RouteName> {
        let suspect = || {
            let suspect = standings.iter().filter(|standing| is_suspect(standing.ln_e));
            suspect.max_by(|a, b| a.ln_weighted().total_cmp(&b.ln_weighted())).map(|standing| standing.guard)
        };
        let by_latency = match culprit.or_else(suspect)? {
            Guard::Latency | Guard::MaxP99 | Guard::AddedLatency => true,
            Guard::Errors | Guard::FastLane | Guard::MaxErrorRate | Guard::FailedRequests => false,
            Guard::Event(_) => return None,
        };
        let mut shown: Vec<_> = self
            .comparison
            .strata()
            .map(|stratum| {
                let ln_e = if by_latency { stratum.ln_e_latency() } else { stratum.ln_e_errors() };
                (ln_e, stratum.recent().canary.requests as f64, stratum.name())
            })
            .collect();
        shown.sort_by(|a, b| b.0.total_cmp(&a.0));
        let ((highest, requests, route), others) = shown.split_first()?;
        let due: f64 = others.iter().map(|(_, others, _)| highest * others / requests.max(1.0)).sum();
        let seen: f64 = others.iter().map(|(ln_e, _, _)| nats(*ln_e)).sum();
        let alone = is_suspect(*highest) && is_suspect(due) && seen < 0.5 * due.min(*highest);
        route.filter(|_| alone).cloned()
    }

    fn guard_report(&self, standing: &Standing, step: &Step) -> GuardReport {
        let Standing { guard, weight, ln_e, .. } = *standing;
        let limit = self.limits.iter().find(|limit| limit.guard() == guard);
        let event = match guard {
            Guard::Event(number) => self.events.get(usize::from(number)),
            _ => None,
        };
        let outage = self.lane.as_ref().filter(|_| guard == Guard::FastLane).map(Lane::outage);
        GuardReport {
            guard,
            weight,
            ln_e: finite(ln_e),
            limit: limit.map(|limit| LimitReport {
                allowed: limit.share(),
                limit_ms: limit.limit_ms(),
                step: limit.step(),
                recent: limit.recent(),
                own_fault: self.is_worse(limit, step),
            }),
            event: event.map(|event| EventReport {
                event: event.name().clone(),
                fewer_is_bad: event.fewer_is_bad(),
                recent: event.recent(),
            }),
            outage: outage.filter(|outage| outage.canary.requests > 0),
        }
    }

    fn ratio_report(&self) -> RatioReport {
        let failures = self.rollout.failures();
        let estimate = match (failures.canary.rate(), failures.stable.rate()) {
            (Some(canary), Some(stable)) if stable > 0.0 => Some(canary / stable),
            _ => None,
        };
        let (lower, upper) = self.comparison.ratio().interval();
        RatioReport { estimate, lower, upper }
    }
}

fn thousandths(pair: Pair) -> Pair {
    let whole = |trials: Trials| Trials { bad: trials.bad.saturating_mul(1000), ..trials };
    Pair { canary: whole(pair.canary), stable: whole(pair.stable) }
}

/// Nats of a stratum's evidence, with no evidence at all as none.
fn nats(ln_e: f64) -> f64 {
    ln_e.max(0.0)
}
