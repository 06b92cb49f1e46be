//! Serin beside other proxies: what is measured, of whom, and what is made of it.
//!
//! Machines are noisy, and a figure of one proxy says little beside that of another which was taken an hour later. So all are
//! measured in turn, round after round; what counts is the ratio to Serin *within* a round, and of the rounds the
//! median with its range. CPU time a request comes first: it does not depend on which part of the set-up happens to be the
//! bottleneck.

pub mod peer;
pub mod table;

pub use self::{
    peer::{Peer, Places},
    table::{Measure, Row, Rows},
};
pub use crate::middle::median;
