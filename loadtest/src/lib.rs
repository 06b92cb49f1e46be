//! The load generator and a small service to aim it at.
//!
//! A [`load::Load`] is a *target* (where, and what is asked), a *pace* and a *stop*. The pace is open-loop by
//! default: requests are due at times that a [`schedule::Schedule`] fixes beforehand, whether or not earlier
//! ones were answered, and latency counts from the time a request was due. A generator that waits for answers
//! measures a slow server as a server with few requests; this one does not. What could not be sent, or only
//! late, is reported beside the rest.
//!
//! One load runs on two threads of its own: the pacer, which sleeps to the next due time, and a
//! single-threaded runtime, which owns all connections and counts without locks. Counts leave it once a
//! second as [`measure::Snapshot`] and at the end as [`measure::Report`].
//!
//! [`stub::Stub`] is a service with dials for latency, errors and hanging: the backend of the demo and the
//! endpoint of the end-to-end tests.

mod ask;
mod book;
pub mod bounds;
pub mod cancel;
mod columns;
pub mod compare;
pub mod crowd;
mod deadline;
pub mod experiment;
pub mod gate;
mod lane;
pub mod load;
pub mod measure;
mod middle;
pub mod mix;
mod pacer;
pub mod process;
mod queue;
mod recorder;
pub mod report;
pub mod schedule;
pub mod stub;
pub mod sweep;
pub mod target;
pub mod url;
mod wire;

pub use cancel::Cancel;
pub use crowd::Crowd;
pub use load::{Load, Pace, Running, Share};
pub use measure::{ErrorKind, Report, Snapshot};
pub use schedule::{Rate, Schedule, Stage, Stages, Stop};
pub use stub::{Dials, Latency, Listen, Stub, StubOptions};
pub use target::{Ask, Protocol, Target, UserPlace, Users};
