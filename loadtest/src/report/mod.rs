//! What a load leaves behind: a [`Record`] of all that was counted, and its forms for people.
//!
//! The record is what gates and later comparisons read, so it holds whole histograms, of the run and of each second, and
//! not a few quantiles that someone thought would do. Tables, CSV and the page are made from it and nothing else.

pub mod counts;
pub mod csv;
pub mod html;
pub(crate) mod plot;
pub mod record;
pub mod text;

pub use self::{
    counts::Counts,
    record::{Component, Facts, Group, Record, RecordError, Second},
};
