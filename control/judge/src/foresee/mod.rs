//! What a policy will do, before anybody starts.
//!
//! How long a rollout takes, and what a bad canary costs until it is out, follows from the policy and the
//! traffic alone; but no formula gives it, since evidence has caps, restarts and a dozen templates. So it is tried
//! out: [`Foresight::rehearse`] runs the very code that judges in production on simulated seconds, with seeded
//! dice, and [`Foresight::plan`] takes medians over several of these rollouts. A good canary shows how long each step
//! takes and what it waits for; one that turns bad at the beginning of a step, how soon it is out and how many
//! users it harms.
//!
//! The simulated traffic is steady and its requests fail independently of each other. Real traffic is neither, so the
//! times here are those of a good day.

mod dice;
mod help;
mod latency;
mod mounting;
mod plan;
mod rehearsal;
mod rollout;
mod traffic;
mod words;

#[cfg(test)]
pub(crate) use dice::Dice;
use serde::Serialize;
use serin_config::policy::RolloutPolicy;

pub use self::{
    help::Help,
    plan::{Bad, Good, Plan, StepPlan},
    rehearsal::Rehearsal,
    traffic::Traffic,
};

/// How a canary gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Regression {
    /// This share of its requests fails, 0 to 1.
    Errors {
        /// The share.
        to: f64,
    },
    /// All its requests take so many times as long.
    Latency {
        /// The factor.
        by: f64,
    },
    /// The tenth of its requests that takes longest takes so many times as long, and so does the 99th percentile.
    Tail {
        /// The factor.
        by: f64,
    },
}

/// No version is slower by more than this factor.
const FACTOR_MAX: f64 = 1e6;

/// A policy and the traffic that it will meet.
#[derive(Debug, Clone)]
pub struct Foresight {
    policy: RolloutPolicy,
    traffic: Traffic,
    regressions: Vec<Regression>,
}

impl Foresight {
    /// What is to be foreseen. Numbers that can't be (a share above one, a rate that is no number) are taken for the nearest
    /// that can.
    pub fn new(policy: RolloutPolicy, traffic: Traffic, regressions: Vec<Regression>) -> Self {
        let above_zero = |number: f64, most: f64| if number.is_nan() { 0.0 } else { number.clamp(0.0, most) };
        let traffic = Traffic {
            rps: above_zero(traffic.rps, serin_config::limits::FORESEEN_RPS_MAX),
            error_rate: above_zero(traffic.error_rate, 1.0),
            ..traffic
        };
        let regressions = regressions.into_iter().map(|regression| match regression {
            Regression::Errors { to } => Regression::Errors { to: above_zero(to, 1.0) },
            Regression::Latency { by } => Regression::Latency { by: above_zero(by, FACTOR_MAX) },
            Regression::Tail { by } => Regression::Tail { by: above_zero(by, FACTOR_MAX) },
        });
        Self { policy, traffic, regressions: regressions.collect() }
    }

    /// Simulates one rollout; the same seed gives the same one.
    pub fn rehearse(&self, seed: u64) -> Rehearsal {
        rehearsal::rehearse(&self.policy, &self.traffic, &self.regressions, seed)
    }

    /// What the rehearsals have in common.
    pub fn plan(&self, rehearsals: &[Rehearsal]) -> Plan {
        plan::plan(self, rehearsals)
    }

    /// A plan in words, for a terminal.
    pub fn tell(&self, plan: &Plan) -> String {
        words::tell(self, plan)
    }
}

#[cfg(test)]
mod tests;
