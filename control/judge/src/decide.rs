//! From evidence to verdict: pass, fail or insufficient; and why.
//!
//! - `fail`: the guards' evidence, weighted, has reached 1/false_alarm, and what it says is the canary's own fault.
//! - `pass`: the step has had its requests and its time, nothing is suspect, and every guard that is on has what
//!   it asks for: the comparison its proof, a limit a share of bad requests within it.
//! - `insufficient`: anything else, with a list of what is lacking. It never counts as a failure.

use std::time::Duration;

use serin_config::{Weight, policy::Step};

use crate::{
    budget::{Guard, weight},
    evidence::Evidence,
    limit_guard::LimitGuard,
    numerics::{ln_add_exp, ln_threshold},
    verdict::{ArmReport, GuardReport, Lacking, LimitReport, Proof, RatioReport, State, StepReport, Verdict},
    window::Arm,
};

/// Evidence from which a guard is suspect: no step forward while it lasts. A healthy canary ever gets there with
/// a chance of at most one in twenty.
const SUSPECT: f64 = 20.0;

impl Evidence {
    /// The verdict at this moment on `step`, which began `elapsed` ago.
    pub fn verdict(&self, step: &Step, elapsed: Duration) -> Verdict {
        let guards = self.guard_reports(step);
        let threshold = ln_threshold(self.false_alarm);
        let total = ln_total(guards.iter());
        let own = ln_total(guards.iter().filter(|report| is_own_fault(report)));
        let fail = own >= threshold;
        let culprit = || {
            let own = guards.iter().filter(|report| is_own_fault(report));
            own.max_by(|a, b| ln_weighted(a).total_cmp(&ln_weighted(b))).map(|report| report.guard)
        };
        let mut lacking = Vec::new();
        if !fail {
            if total >= threshold {
                lacking.extend(
                    guards
                        .iter()
                        .filter(|report| !is_own_fault(report) && is_suspect(report))
                        .map(|report| Lacking::BothVersionsBreach { guard: report.guard }),
                );
            }
            self.lacks_of_step(step, elapsed, &mut lacking);
            self.lacks_of_guards(&guards, &mut lacking);
        }
        Verdict {
            state: match (fail, lacking.is_empty()) {
                (true, _) => State::Fail,
                (false, true) => State::Pass,
                (false, false) => State::Insufficient,
            },
            culprit: if fail { culprit() } else { None },
            lacking,
            against: proof(total, threshold),
            non_inferiority: self.proof(),
            guards,
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

    fn guard_reports(&self, step: &Step) -> Vec<GuardReport> {
        let share = |guard| weight(guard, self.errors.is_some(), self.limits.len());
        let errors = self.errors.iter().map(|errors| GuardReport {
            guard: Guard::Errors,
            weight: share(Guard::Errors),
            ln_e: finite(errors.worse.ln_e()),
            limit: None,
        });
        let limits = self.limits.iter().map(|limit| GuardReport {
            guard: limit.guard(),
            weight: share(limit.guard()),
            ln_e: finite(limit.ln_e()),
            limit: Some(LimitReport {
                allowed: limit.share(),
                limit_ms: limit.limit_ms(),
                step: limit.count(&self.step),
                recent: limit.recent(),
                own_fault: self.is_worse(limit, step),
            }),
        });
        errors.chain(limits).collect()
    }

    fn is_worse(&self, limit: &LimitGuard, step: &Step) -> bool {
        let nothing_to_compare = step.weight == Weight::WHOLE || limit.recent().stable.requests == 0;
        let more_errors = limit.guard() == Guard::MaxErrorRate && self.ratio.interval().0 > 1.0;
        nothing_to_compare || more_errors || limit.ln_worse() >= SUSPECT.ln()
    }

    fn lacks_of_step(&self, step: &Step, elapsed: Duration, lacking: &mut Vec<Lacking>) {
        let (have, need) = (self.step.canary.judged, step.min_requests);
        if self.recent.sum().canary.requests == 0 || have == 0 {
            lacking.push(Lacking::NoCanaryTraffic { seconds: self.recent.len() });
        }
        let compares = self.errors.is_some() && step.weight < Weight::WHOLE;
        if compares && self.recent.sum().stable.requests == 0 {
            lacking.push(Lacking::NoStableTraffic { seconds: self.recent.len() });
        }
        if have < need {
            lacking.push(Lacking::MinRequests { have, need, seconds: self.seconds_for(need - have) });
        }
        if elapsed < step.min_duration {
            let (elapsed_ms, need_ms) = (millis(elapsed), millis(step.min_duration));
            lacking.push(Lacking::MinDuration { elapsed_ms, need_ms });
        }
    }

    fn lacks_of_guards(&self, guards: &[GuardReport], lacking: &mut Vec<Lacking>) {
        for report in guards {
            let breached = lacking
                .iter()
                .any(|lack| matches!(lack, Lacking::BothVersionsBreach { guard } if *guard == report.guard));
            if breached {
                continue;
            }
            if let (Some(ln_e), true) = (report.ln_e, is_suspect(report)) {
                lacking.push(Lacking::Suspect { guard: report.guard, ln_e });
            } else if let Some(limit) = &report.limit
                && limit.step.canary.rate().is_some_and(|rate| rate > limit.allowed)
            {
                lacking.push(Lacking::OverLimit { guard: report.guard });
            }
        }
        if let (Some(errors), Some(proof)) = (&self.errors, self.proof())
            && !proof.reached()
        {
            let requests = errors.proof.requests_needed(&self.rollout.failures(), proof.ln_threshold);
            let seconds = requests.and_then(|requests| self.seconds_for(requests));
            lacking.push(Lacking::NonInferiority { proof, requests, seconds });
        }
    }

    fn proof(&self) -> Option<Proof> {
        let errors = self.errors.as_ref()?;
        Some(proof(errors.proof.ln_e(), ln_threshold(self.false_pass)))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and it is positive"
    )]
    fn seconds_for(&self, requests: u64) -> Option<u64> {
        self.recent.canary_rate().map(|rate| (requests as f64 / rate).ceil() as u64)
    }

    fn ratio_report(&self) -> RatioReport {
        let failures = self.rollout.failures();
        let estimate = match (failures.canary.rate(), failures.stable.rate()) {
            (Some(canary), Some(stable)) if stable > 0.0 => Some(canary / stable),
            _ => None,
        };
        let (lower, upper) = self.ratio.interval();
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

fn is_own_fault(report: &GuardReport) -> bool {
    report.limit.as_ref().is_none_or(|limit| limit.own_fault)
}

/// Weights sum to one, so evidence that is suspect in sum is suspect in at least one guard.
fn is_suspect(report: &GuardReport) -> bool {
    report.ln_e.is_some_and(|ln_e| ln_e >= SUSPECT.ln())
}

fn ln_weighted(report: &GuardReport) -> f64 {
    report.ln_e.map_or(f64::NEG_INFINITY, |ln_e| report.weight.ln() + ln_e)
}

fn ln_total<'a>(guards: impl Iterator<Item = &'a GuardReport>) -> f64 {
    guards.map(ln_weighted).fold(f64::NEG_INFINITY, ln_add_exp)
}

fn proof(ln_e: f64, ln_threshold: f64) -> Proof {
    Proof { ln_e: finite(ln_e), ln_threshold }
}

fn finite(ln_e: f64) -> Option<f64> {
    ln_e.is_finite().then_some(ln_e)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
