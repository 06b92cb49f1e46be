//! What the judge promises, tried on thousands of simulated hours: how often it takes a healthy canary out, how soon it
//! finds a bad one, and what that costs users.
//!
//! Traffic is drawn second by second as counts ([`world`]), in settings that real fleets have ([`setting`]), and
//! goes through the same evidence that production keeps, looked at after every beat and every window. Each table
//! below is printed and asserted beside the figures that it was reviewed with; a run depends on its seeds alone.
//! Both sides belong together: a judge that never acts has no false alarms, and one that always acts misses nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_macros,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "a test fails by panicking, prints what it measured, and counts far below any type's bounds"
)]

mod draw;
mod edge;
mod faulty;
mod fleet;
mod healthy;
mod others;
mod parallel;
mod promotion;
mod setting;
mod shape;
mod watch;
mod world;
