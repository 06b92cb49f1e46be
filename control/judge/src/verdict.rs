//! What the judge answers, and what the answer rests on: data, for the journal, the API and the page alike.
//!
//! A verdict is complete: whoever reads it later needs neither the windows nor the policy to understand it.

use serde::{Deserialize, Serialize};
use serin_config::{EventName, RouteName, Weight, limits::RECENT_WINDOWS};

use crate::{
    block::Pair, copies::CopiesReport, guard::Guard, harm::Spent, judgement::Advice, share::ShareReport,
};

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
    /// What it asks for.
    #[serde(default)]
    pub advice: Advice,
    /// What contributed most, if the answer is `fail`.
    pub culprit: Option<Guard>,
    /// The route that shows it while others don't, if there is one.
    #[serde(default)]
    pub route: Option<RouteName>,
    /// What keeps it from being `pass`, if it is `insufficient`.
    pub lacking: Vec<Lacking>,
    /// The evidence against the canary, as the policy's mode combines it, and the height at which it fails.
    pub against: Proof,
    /// The canary's points, where the policy counts points.
    #[serde(default)]
    pub score: Option<ScoreReport>,
    /// The evidence that the canary fails no more than is accepted, and the height that a pass asks for. Absent if the
    /// comparison of errors is off.
    pub non_inferiority: Option<Proof>,
    /// The evidence that the canary is no slower than is accepted. Absent if no such proof is asked for.
    #[serde(default)]
    pub no_slower: Option<Proof>,
    /// Each guard that is on.
    pub guards: Vec<GuardReport>,
    /// The routes with the most evidence against the canary, the most first.
    #[serde(default)]
    pub strata: Vec<StratumReport>,
    /// Each bound on what the canary may cost, and what it has cost.
    #[serde(default)]
    pub spent: Vec<Spent>,
    /// So many requests were taken for one proof, because a slice of the stable version looked worse than the rest
    /// of it; 1 is the normal case.
    #[serde(default = "one")]
    pub clump: u32,
    /// The canary since the rollout began.
    pub canary: ArmReport,
    /// The stable version over the same seconds.
    pub stable: ArmReport,
    /// Both versions over the last half to whole minute.
    #[serde(default)]
    pub lately: Option<LatelyReport>,
    /// Failed requests of both in the last minute.
    pub recent: Pair,
    /// Seconds that `recent` covers.
    pub recent_seconds: u64,
    /// Seconds since the rollout began; where it began with copies, since it has been judged by users.
    pub seconds: u64,
    /// The step that was judged.
    pub step: StepReport,
    /// How many times as often the canary fails.
    pub ratio: RatioReport,
    /// `recent` as the comparison of errors counts it, in thousandths, where that is something else: failures by their
    /// weights, or failing clients.
    #[serde(default)]
    pub counted: Option<Pair>,
    /// Whether the rollout ended here by something else than this verdict.
    #[serde(default)]
    pub ended: bool,
    /// Whether all counts are of copies and of the requests that were copied: the canary has had no user yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_copies: bool,
    /// What copies came to, where the canary was judged by some before these counts begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<CopiesReport>,
}

fn one() -> u32 {
    1
}

/// Points from 0 to 100, where 100 is no evidence against the canary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreReport {
    /// The canary's.
    pub points: f64,
    /// Below this it fails.
    pub fail_below: u8,
    /// From this on it may pass.
    pub pass_from: u8,
}

/// One route, or those that are pooled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StratumReport {
    /// Which; absent for the pool.
    pub route: Option<RouteName>,
    /// Its own evidence that the canary fails more; absent for none.
    pub ln_e_errors: Option<f64>,
    /// Its own evidence that the canary is slower; absent for none.
    pub ln_e_latency: Option<f64>,
    /// Failed requests since the rollout began.
    pub failures: Pair,
    /// Failed requests in about the last minute.
    pub recent: Pair,
}

impl Verdict {
    /// The same moment, at which the rollout ended for another reason than this verdict: nothing is waited for any more.
    #[must_use]
    pub fn at_the_end(mut self) -> Self {
        if self.state == State::Insufficient {
            (self.ended, self.advice) = (true, Advice::Continue);
            self.lacking.clear();
        }
        self
    }

    /// The same moment, at which something else ended the rollout, whatever this verdict is: nothing follows from it any more.
    #[must_use]
    pub(crate) fn overtaken(mut self) -> Self {
        (self.ended, self.advice) = (true, Advice::Continue);
        self.lacking.clear();
        self
    }

    /// The same moment, with the bound of `guard` on what the canary may cost spent, as a proxy says: that is a failure whatever the
    /// evidence says. Unchanged if the policy has no such bound.
    #[must_use]
    pub fn spent_on(mut self, guard: Guard) -> Self {
        if let Some(spent) = self.spent.iter_mut().find(|spent| spent.guard == guard) {
            spent.at_one_proxy = !spent.is_all();
            spent.spent = spent.spent.max(spent.bound);
            (self.state, self.advice, self.culprit) = (State::Fail, Advice::Rollback, Some(guard));
            self.lacking.clear();
        }
        self
    }
}

/// Evidence and the height that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Natural logarithm of the evidence; absent for none.
    pub ln_e: Option<f64>,
    /// Natural logarithm of the threshold.
    pub ln_threshold: f64,
}

/// `ln_e` beside what it is compared with.
pub(crate) fn proof(ln_e: f64, ln_threshold: f64) -> Proof {
    Proof { ln_e: finite(ln_e), ln_threshold }
}

/// Evidence as it is told: absent where there is none.
pub(crate) fn finite(ln_e: f64) -> Option<f64> {
    ln_e.is_finite().then_some(ln_e)
}

impl Proof {
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
    /// What it counted, if it is a business event.
    #[serde(default)]
    pub event: Option<EventReport>,
    /// The requests of the outage that goes on, if it is the fast lane and there is one.
    #[serde(default)]
    pub outage: Option<Pair>,
}

/// A business event and how often it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventReport {
    /// The event.
    pub event: EventName,
    /// Whether it is bad that it comes less often; otherwise, that it comes more often.
    pub fewer_is_bad: bool,
    /// Requests with it in the last minute.
    pub recent: Pair,
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

/// What was counted lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatelyReport {
    /// Seconds that are in it.
    pub seconds: u64,
    /// The canary.
    pub canary: ArmReport,
    /// The stable version.
    pub stable: ArmReport,
}

/// One version over some time.
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
    /// The share of the stable version's requests that it gets copies of, in a step that copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Weight>,
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
    /// The proof that the canary is no slower than is accepted is not complete.
    NoSlower {
        /// So far.
        proof: Proof,
        /// Further requests of the canary that it takes if both versions go on like this; absent if that can't be told.
        requests: Option<u64>,
        /// Seconds until then at the present rate.
        seconds: Option<u64>,
    },
    /// The rollout is too young for the canary to get everything.
    Soak {
        /// So many seconds were watched.
        have: u64,
        /// So many must be.
        need: u64,
    },
    /// The canary's points are too few.
    Score {
        /// What it has, and what is needed.
        score: ScoreReport,
    },
    /// The canary's share of the requests is not what was set. Somebody should look.
    ShareOff {
        /// What was set and what was seen.
        share: ShareReport,
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

impl Lacking {
    /// Whether it holds the rollout where it is, even when the step's time is over; and then, whether somebody
    /// should look at it.
    pub(crate) fn holds(&self) -> Option<bool> {
        let silent = |seconds: u64| (seconds >= RECENT_WINDOWS as u64).then_some(true);
        match self {
            Self::Suspect { .. } | Self::BothVersionsBreach { .. } | Self::ShareOff { .. } => Some(true),
            Self::OverLimit { .. } | Self::Score { .. } => Some(false),
            Self::NoCanaryTraffic { seconds } | Self::NoStableTraffic { seconds } => silent(*seconds),
            Self::MinRequests { .. }
            | Self::MinDuration { .. }
            | Self::Soak { .. }
            | Self::NonInferiority { .. }
            | Self::NoSlower { .. } => None,
        }
    }
}
