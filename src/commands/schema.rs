//! `serin schema`: the JSON Schema of the configuration, and of the files of loads.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serin_config::schema;

use super::print;

/// Of which file.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Of which file: config (serin run), mix (serin load run --mix), budgets (serin load gate) or experiment
    #[arg(value_enum, default_value = "config", hide_possible_values = true)]
    of: File,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum File {
    Config,
    Mix,
    Budgets,
    Experiment,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let schema = match arguments.of {
        File::Config => schema::json_schema(),
        File::Mix => schema::mix(),
        File::Budgets => schema::budgets(),
        File::Experiment => schema::experiment(),
    };
    print(&format!("{schema:#}\n"));
    ExitCode::SUCCESS
}
