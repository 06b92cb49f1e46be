//! What the judge promises, seen from outside: real proxies, real endpoints, a thousand requests a second.
//!
//! The statistics have golden vectors and simulated canary-years in `serin-judge`; here it is the whole chain
//! that is timed: tally, window, judge, planner, store, push, the next request's pick.

mod errors;
mod latency;
mod left_alone;
mod let_through;
mod probe;
mod replay;
mod rig;
mod routes;
