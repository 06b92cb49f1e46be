//! How an answer is shown.

use clap::ValueEnum;
use serde_json::Value;

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

    /// Entries of a log, each a line: of its own words for people, as it is for programs.
    pub(in crate::commands) fn lines(self, entries: &[Value], words: impl Fn(&Value) -> String) -> String {
        let line = |entry: &Value| if self.is_json() { entry.to_string() } else { words(entry) };
        entries.iter().map(|entry| line(entry) + "\n").collect()
    }
}

/// Prints the API's answer as it is, indented; where it may be old, with a field that says so.
pub(in crate::commands) fn print_json(answer: &Answer) {
    match serde_json::from_str::<Value>(&answer.body) {
        Ok(value) => print_value(&dated(value, answer.stale_seconds)),
        Err(_) => print(&answer.body),
    }
}

/// An answer with its age, where that is worth a word.
pub(in crate::commands) fn dated(mut value: Value, stale_seconds: Option<u64>) -> Value {
    if let (Some(fields), Some(seconds)) = (value.as_object_mut(), stale_seconds) {
        fields.insert("stale_seconds".into(), seconds.into());
    }
    value
}

/// Prints a value, indented.
pub(in crate::commands) fn print_value(value: &Value) {
    print(&format!("{value:#}\n"));
}
