//! Sequential statistics: windows in, evidence and verdicts out.
//!
//! The judge answers one question each second: does what was counted so far prove that the canary is worse, prove
//! that it is good enough, or neither? A test that is computed once may not be looked at twice; a rollout is
//! looked at every second. So nothing here is a p-value. Each guard is an *e-process*: a number that starts at
//! one, is multiplied each second by a factor whose expectation is at most one while the canary is healthy, and
//! hence passes 1/α with a chance of at most α however often it is looked at (Ville's inequality). Sums and
//! mixtures of e-processes are e-processes, which is all the algebra that is needed:
//!
//! - [`Window`] is what one second contributes: integers only, which add up over proxies;
//! - the comparison sets the canary's errors and latencies against the stable version's within the same seconds and on
//!   the same route, never against history, so that neither an outage which both share nor a changed mix convicts it;
//! - the fast lane looks four times a second for nothing but a dead canary;
//! - limits set the canary against a fixed share of bad requests, events against the stable version's;
//! - the proof of non-inferiority is an e-process the other way round: passing needs evidence, not its absence;
//! - copies of requests, where a rollout begins with some, are judged by the comparison of errors before the canary has a user;
//! - the negative control runs the comparison where there is nothing to find, and slows it down where it finds something;
//! - a check of the traffic's share holds a rollout whose split is not what was set, and bounds on the cost end one
//!   whatever the evidence says;
//! - [`Evidence`] runs all of them and can be stored and resumed to the last bit; [`Evidence::judge`] gives the answer
//!   of each second and what to do about it, [`Evidence::verdict`] the same with all that it rests on as data, and
//!   [`explain`] turns that into sentences;
//! - [`lines`] is the form in which windows are kept and exchanged.
//!
//! One promise, `false_alarm`, covers all guards of the whole rollout: they share it by fixed weights, and steps
//! never reset it. The crate is pure: no I/O, no clock, no random numbers; time is the count of windows. ([`foresee`],
//! which tries policies out before anybody starts, throws dice of its own, from a seed.)

mod block;
mod budget;
mod capital;
pub mod classic;
mod comparison;
mod copies;
mod decide;
mod elementary;
mod error_rate;
mod event;
mod evidence;
mod exact;
mod explain;
mod explain_lack;
pub mod foresee;
#[cfg(test)]
mod golden;
mod guard;
mod harm;
mod judgement;
mod lane;
mod lately;
mod limit;
mod limit_guard;
pub mod lines;
mod minute;
mod mixture;
mod mode;
mod negative_control;
mod non_inferiority;
mod not_slower;
mod numerics;
mod phrase;
mod ratio;
mod recent;
mod report;
mod scheme;
mod setup;
mod share;
mod standing;
mod stratum;
mod stratum_block;
mod templates;
mod thresholds;
mod totals;
mod verdict;
mod window;

pub use block::{Pair, Trials};
pub use copies::CopiesReport;
pub use evidence::Evidence;
pub use explain::{explain, explain_as_kept, explain_so_far};
pub use guard::Guard;
pub use harm::Spent;
pub use judgement::{Advice, Judgement};
pub use negative_control::SelfTest;
pub use scheme::Scheme;
pub use share::ShareReport;
pub use standing::StandingTest;
pub use verdict::{
    ArmReport, EventReport, GuardReport, Lacking, LatelyReport, LimitReport, Proof, RatioReport, ScoreReport,
    State, StepReport, StratumReport, Verdict,
};
pub use window::{Arm, Pairing, Window};
