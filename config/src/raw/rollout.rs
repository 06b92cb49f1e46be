//! Rollouts, as they are written.

use std::time::Duration;

use super::{
    decode::{List, Switch},
    record::record,
};
use crate::{policy::OnTimeout, weight::Weight};

record! {
    /// The way of a canary from its first share to all of the traffic.
    pub struct Rollout {
        /// The steps in order, weights rising. A step at 100% with the default conditions is added if the
        /// last is lower. Default: 1%, 5%, 10%, 25%, 50%, 100%.
        @ steps: List<Step>,
        /// What is done when a step has lasted its max_duration without a verdict: hold stays at the weight,
        /// promote goes on, rollback takes the canary out. Default: hold.
        @ on_timeout: OnTimeout,
        /// The conditions on the canary.
        @ guards: Guards,
        /// The promised bound on the chance that a healthy canary is ever rolled back, from 0.000001 to 0.05.
        /// Default: 0.0001.
        @ false_alarm: f64,
        /// The accepted chance that a canary outside the promotion margin is passed, from 0.0001 to 0.5.
        /// Default: 0.05.
        @ false_pass: f64,
    }

    /// One weight, and what must be seen at it before the next.
    pub struct Step {
        /// The canary's share during the step.
        required @ weight: Weight,
        /// Requests of the canary that must have been judged in this step. Default: 500.
        @ min_requests: u64,
        /// The step lasts at least this long. Default: 10s.
        @ min_duration: Duration,
        /// After this, on_timeout says what is done. Default: 1h.
        @ max_duration: Duration,
    }

    /// Conditions on the canary; each is watched all the time.
    pub struct Guards {
        /// The canary must not fail more than the stable version in the same seconds. On by default; off
        /// switches it off.
        @ errors: Switch<ErrorComparison>,
        /// The canary's error rate must stay below this share of its requests. Default: no limit.
        @ max_error_rate: Weight,
        /// 99 of 100 requests of the canary must have response headers within this time, from 1ms to 60s.
        /// Default: no limit.
        @ max_p99: Duration,
    }

    /// The tolerances of the comparison of error rates.
    pub struct ErrorComparison {
        /// Harmless: the canary's error rate up to ratio × the stable version's + margin. From 1 to 1000.
        /// Default: 1.2.
        @ ratio: f64,
        /// See ratio. Default: 0.005%.
        @ margin: Weight,
        /// Promotion needs proof that the canary's error rate is below pass_ratio × stable's + pass_margin.
        /// From 1 to 1000. Default: 1.5.
        @ pass_ratio: f64,
        /// See pass_ratio. Default: 0.05%.
        @ pass_margin: Weight,
    }
}
