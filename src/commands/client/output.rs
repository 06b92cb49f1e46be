//! How an answer is shown.

use clap::ValueEnum;

use super::{super::print, api::Answer};

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::commands) enum Output {
    /// Aligned columns and sentences
    #[default]
    Table,
    /// The API's own answer
    Json,
}

impl Output {
    pub(in crate::commands) fn is_json(self) -> bool {
        self == Self::Json
    }
}

/// Prints the API's answer as it is, indented.
pub(in crate::commands) fn print_json(answer: &Answer) {
    match serde_json::from_str::<serde_json::Value>(&answer.body) {
        Ok(value) => print(&format!("{value:#}\n")),
        Err(_) => print(&answer.body),
    }
}
