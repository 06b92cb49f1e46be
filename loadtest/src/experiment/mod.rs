//! Experiments: what users notice while things are broken on purpose, under load; a game day as a file.
//!
//! First the hypothesis must hold without any fault, or nothing would follow from what comes. Then fault after fault is
//! injected, stays for its time, is undone, and the next one waits until the hypothesis holds again. Where a limit of
//! `abort` is passed, all is undone at once. What is injected always has an end of its own in the proxy, so that a
//! generator that is killed leaves nothing behind for long.
//!
//! [`Course`] decides from one second to the next what happens, and [`Outcome`] is what follows from all of it; who sends
//! requests and tells proxies what to break is the caller's.

mod course;
mod fault;
mod file;
pub mod html;
mod limit;
mod outcome;
pub mod text;

pub use self::{
    course::{Course, Step},
    fault::{EXPIRES_LATER, Fault},
    file::{Experiment, LoadPlan},
    limit::{Limits, Sum},
    outcome::{Moment, Outcome, Phase, Verdict},
};
