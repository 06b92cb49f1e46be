//! The whole verdict: the answer with everything that it rests on.

use std::time::Duration;

use serin_config::policy::Step;

use crate::{
    decide::millis,
    evidence::Evidence,
    guard::Guard,
    mode::{Rule, Standing, Standings},
    numerics::ln_threshold,
    verdict::{
        ArmReport, EventReport, GuardReport, LimitReport, RatioReport, ScoreReport, StepReport, Verdict,
        finite, proof,
    },
    window::Arm,
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
            route: None,
            lacking,
            against: proof(judgement.ln_e, judgement.ln_threshold),
            score: self.score(&standings),
            non_inferiority: self.non_inferiority(step),
            no_slower: self.no_slower(),
            guards: standings.iter().map(|standing| self.guard_report(standing, step)).collect(),
            strata: Vec::new(),
            spent: self.harm.spent().collect(),
            clump: self.clumped_requests(),
            canary: arm_report(&self.rollout.canary),
            stable: arm_report(&self.rollout.stable),
            recent: self.recent.sum(),
            recent_seconds: self.recent.len(),
            seconds: self.windows,
            step: StepReport {
                weight: step.weight,
                elapsed_ms: millis(elapsed),
                failures: self.step.failures(),
            },
            ratio: self.ratio_report(),
        }
    }

    /// The canary's points, where points are counted.
    pub(crate) fn score(&self, standings: &Standings) -> Option<ScoreReport> {
        let threshold = ln_threshold(self.rules.false_alarm);
        let points = self.rules.mode.points(standings, threshold, |standing| standing.own_fault)?;
        let Rule::Score { fail_below, pass_from } = self.rules.mode else { return None };
        Some(ScoreReport { points, fail_below, pass_from })
    }

    fn guard_report(&self, standing: &Standing, step: &Step) -> GuardReport {
        let Standing { guard, weight, ln_e, .. } = *standing;
        let limit = self.limits.iter().find(|limit| limit.guard() == guard);
        let event = match guard {
            Guard::Event(number) => self.events.get(usize::from(number)),
            _ => None,
        };
        let outage = self.lane.as_ref().filter(|_| guard == Guard::FastLane).map(crate::lane::Lane::outage);
        GuardReport {
            guard,
            weight,
            ln_e: finite(ln_e),
            limit: limit.map(|limit| LimitReport {
                allowed: limit.share(),
                limit_ms: limit.limit_ms(),
                step: limit.count(&self.step),
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

fn arm_report(arm: &Arm) -> ArmReport {
    let quantile_ms = |q| arm.headers.quantile(q).map(|micros| micros / 1e3);
    ArmReport {
        requests: arm.judged,
        failed: arm.failed,
        error_rate: (arm.judged > 0).then(|| arm.failed as f64 / arm.judged as f64),
        p50_ms: quantile_ms(0.5),
        p99_ms: quantile_ms(0.99),
    }
}
