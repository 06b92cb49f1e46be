//! The fleet: proxies that run as processes of their own, each with one stream to the control plane that leads.
//!
//! [`registry`] is the pure part: who is there, under which plan, and who has not followed a rollback; [`duplicates`] are refused for their name. [`seat`] is
//! where the one who decides and the streams meet: plans and marks go out through values of which only the newest
//! counts, so a slow proxy can hold up nobody and nothing queues behind it; windows come in through one bounded
//! channel, and when that is full the streams wait, not the decisions. [`serve`] accepts connections, [`session`] is
//! one proxy's stream.
//!
//! Only a leader has a seat. Who does not lead refuses streams and says who does ([`Gate`]).

mod budget;
mod codec;
mod door;
pub mod duplicates;
pub mod registry;
mod seat;
mod serve;
mod session;
mod spares;
mod wish;

pub(crate) use door::Door;
pub use door::FleetBindError;
pub(crate) use seat::{Gate, Gates, Marks, Seat};
pub(crate) use serve::{Terms, serve};
