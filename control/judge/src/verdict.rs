//! Pass, fail or insufficient; and why, as data.
//!
//! - `fail`: the guards' evidence, weighted, has reached 1/false_alarm, and what it says is the canary's own fault.
//! - `pass`: the step has had its requests and its time, nothing is suspect, and every guard that is on has what
//!   it asks for: the comparison its proof, a limit a share of bad requests within it.
//! - `insufficient`: anything else, with a list of what is lacking. It never counts as a failure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serin_config::{Weight, policy::Step};

use crate::{
    block::Pair,
    budget::{Guard, weight},
    evidence::Evidence,
    limit_guard::LimitGuard,
    numerics::{ln_add_exp, ln_threshold},
    window::Arm,
};

/// Evidence from which a guard is suspect: no step forward while it lasts. A healthy canary ever gets there with
/// a chance of at most one in twenty.
const SUSPECT: f64 = 20.0;

/// How the judge answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The next step may begin.
    Pass,
    /// The canary must go.
    Fail,
    /// Neither is proven.
    Insufficient,
}

/// The answer of one moment, with everything that it rests on. Logarithms are natural; an `ln_e` that is absent
/// is −∞: no evidence at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The answer.
    pub state: State,
    /// The guard that contributed most, if the answer is `fail`.
    pub culprit: Option<Guard>,
    /// What keeps it from being `pass`, if it is `insufficient`.
    pub lacking: Vec<Lacking>,
    /// The evidence against the canary, all guards together, and the height at which it fails.
    pub against: Proof,
    /// The evidence that the canary fails no more than is accepted, and the height that a pass asks for. Absent if the
    /// comparison of errors is off.
    pub non_inferiority: Option<Proof>,
    /// Each guard that is on.
    pub guards: Vec<GuardReport>,
    /// The canary since the rollout began.
    pub canary: ArmReport,
    /// The stable version over the same seconds.
    pub stable: ArmReport,
    /// Failed requests of both in the last minute.
    pub recent: Pair,
    /// Seconds that `recent` covers.
    pub recent_seconds: u64,
    /// Seconds since the rollout began.
    pub seconds: u64,
    /// The step that was judged.
    pub step: StepReport,
    /// How many times as often the canary fails.
    pub ratio: RatioReport,
}

/// Evidence and the height that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Natural logarithm of the evidence; absent for none.
    pub ln_e: Option<f64>,
    /// Natural logarithm of the threshold.
    pub ln_threshold: f64,
}

impl Proof {
    fn new(ln_e: f64, ln_threshold: f64) -> Self {
        Self { ln_e: finite(ln_e), ln_threshold }
    }

    /// Whether the threshold is reached.
    pub fn reached(&self) -> bool {
        self.ln_e.is_some_and(|ln_e| ln_e >= self.ln_threshold)
    }
}

/// One guard's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardReport {
    /// Which.
    pub guard: Guard,
    /// Its share of the promise, 0 to 1.
    pub weight: f64,
    /// Its own evidence against the canary, before weighting.
    pub ln_e: Option<f64>,
    /// What it counted, if it is a limit.
    pub limit: Option<LimitReport>,
}

/// A limit and what was counted against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitReport {
    /// The share of requests that may be bad, 0 to 1.
    pub allowed: f64,
    /// The latency above which a request is bad, in milliseconds; absent where failed ones are bad.
    pub limit_ms: Option<f64>,
    /// Bad requests in this step.
    pub step: Pair,
    /// Bad requests in the last minute.
    pub recent: Pair,
    /// Whether a breach would be the canary's own: it is shown to do worse than the stable version, or
    /// there is no traffic on that to compare with.
    pub own_fault: bool,
}

/// One version since the rollout began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmReport {
    /// Requests that count.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Their share, 0 to 1; absent without requests.
    pub error_rate: Option<f64>,
    /// Median time to response headers in milliseconds, of what did not fail.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
}

/// The step that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The canary's share.
    pub weight: Weight,
    /// Time since it began.
    pub elapsed_ms: u64,
    /// Failed requests in it.
    pub failures: Pair,
}

/// The ratio of error rates, canary to stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatioReport {
    /// The plain quotient; absent where the stable version has no failures.
    pub estimate: Option<f64>,
    /// Lower end of the 95 % interval, valid at every moment; 0 if there is none.
    pub lower: f64,
    /// Upper end; absent if there is none.
    pub upper: Option<f64>,
}

/// What keeps a step from passing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Lacking {
    /// The canary had no request lately.
    NoCanaryTraffic {
        /// Seconds looked at.
        seconds: u64,
    },
    /// The stable version had no request lately, so that there is nothing to compare with.
    NoStableTraffic {
        /// Seconds looked at.
        seconds: u64,
    },
    /// Too few requests of the canary in this step.
    MinRequests {
        /// So many were judged.
        have: u64,
        /// So many are needed.
        need: u64,
        /// Seconds until then at the present rate.
        seconds: Option<u64>,
    },
    /// The step is too young.
    MinDuration {
        /// So old is it.
        elapsed_ms: u64,
        /// So old it must be.
        need_ms: u64,
    },
    /// The proof that the canary fails no more than is accepted is not complete.
    NonInferiority {
        /// So far.
        proof: Proof,
        /// Further requests of the canary that it takes if both versions go on like this; absent if it never comes.
        requests: Option<u64>,
        /// Seconds until then at the present rate.
        seconds: Option<u64>,
    },
    /// A guard's evidence is high, though not high enough to fail.
    Suspect {
        /// Which guard.
        guard: Guard,
        /// Its evidence.
        ln_e: f64,
    },
    /// In this step the canary's share of bad requests is above the limit.
    OverLimit {
        /// Which guard.
        guard: Guard,
    },
    /// The limit is breached beyond doubt, but the canary is not shown to do worse than the stable version: the
    /// cause lies elsewhere. Somebody should look.
    BothVersionsBreach {
        /// Which guard.
        guard: Guard,
    },
}

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
            against: Proof::new(total, threshold),
            non_inferiority: self.proof(),
            guards,
            canary: ArmReport::new(&self.rollout.canary),
            stable: ArmReport::new(&self.rollout.stable),
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
        Some(Proof::new(errors.proof.ln_e(), ln_threshold(self.false_pass)))
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

impl ArmReport {
    fn new(arm: &Arm) -> Self {
        let quantile_ms = |q| arm.headers.quantile(q).map(|micros| micros / 1e3);
        Self {
            requests: arm.judged,
            failed: arm.failed,
            error_rate: (arm.judged > 0).then(|| arm.failed as f64 / arm.judged as f64),
            p50_ms: quantile_ms(0.5),
            p99_ms: quantile_ms(0.99),
        }
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

fn finite(ln_e: f64) -> Option<f64> {
    ln_e.is_finite().then_some(ln_e)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
