//! The way to a control plane's API, here or far away.
//!
//! [`access`] is what every command takes to say which one; from the flags, the environment and the file of
//! [`contexts`] it makes an [`Api`], which asks one thing at a time. Answers are shown as the API gave them
//! (`--output json`) or as a [`table`].
//!
//! A token is never an argument, which everybody on the machine can see in the list of processes: it comes from the
//! environment, from a file or from a command, and goes nowhere in clear but to this machine.

pub(super) mod access;
pub(super) mod api;
pub(super) mod contexts;
pub(super) mod events;
pub(super) mod log;
pub(super) mod output;
mod pages;
pub(super) mod place;
pub(super) mod reader;
pub(super) mod table;
mod tls;
mod token;

use std::{future::Future, process::ExitCode};

pub(super) use self::{
    access::Access,
    api::{Answer, Api, CallError},
    log::Log,
    output::Output,
    table::Table,
};
use super::{CAN_NOT, NO, can_not};

/// Why a command ends before its end: what to say, and the exit code.
#[derive(Debug)]
pub(super) struct Stop {
    code: u8,
    why: String,
    /// Whether to ask again is of no use: whoever asks may not.
    turned_away: bool,
}

impl Stop {
    /// It could not be done.
    pub(super) fn can_not(why: impl std::fmt::Display) -> Self {
        Self { code: CAN_NOT, why: why.to_string(), turned_away: false }
    }

    /// The answer is no.
    pub(super) fn no(why: impl std::fmt::Display) -> Self {
        Self { code: NO, why: why.to_string(), turned_away: false }
    }

    /// Whoever asks may not, or no longer.
    pub(super) fn turned_away(why: impl std::fmt::Display) -> Self {
        Self { turned_away: true, ..Self::no(why) }
    }

    /// Whether it is of no use to ask again: whoever asks may not, or no longer.
    pub(super) fn is_turned_away(&self) -> bool {
        self.turned_away
    }

    /// The same words with another exit code.
    pub(super) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::can_not(error)
    }
}

impl From<access::AccessError> for Stop {
    fn from(error: access::AccessError) -> Self {
        Self::can_not(error)
    }
}

/// How a command ended.
pub(super) type Outcome = Result<ExitCode, Stop>;

/// Runs a command that asks somebody, and says why it ended early if it did.
pub(super) fn run(command: impl Future<Output = Outcome>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(command).unwrap_or_else(|stop| {
            can_not(stop.why);
            ExitCode::from(stop.code)
        }),
        Err(error) => can_not(format_args!("no runtime can be made: {error}")),
    }
}

/// Reads what the API told.
pub(super) fn read<T: serde::de::DeserializeOwned>(told: serde_json::Value) -> Result<T, Stop> {
    serde_json::from_value(told).map_err(api::not_understood)
}

/// A text from elsewhere on a terminal: what steers it becomes a space.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if serin_config::problem::steers(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_not_shown() {
        assert_eq!(plain("a\u{1b}[2Jb\r\nc"), "a [2Jb  c");
    }
}
