//! `serin load`: the load generator, and what is made of its records.

mod compare;
mod experiment;
mod files;
mod gate;
mod grpc_echo;
mod options;
mod run;
mod splice;
mod started;
mod sweep;
mod target;
mod watched;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What to do.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends requests at a rate and reports latencies from the times at which they were due
    Run(Box<run::Arguments>),
    /// Compares two records with each other and with budgets: pass, warn or block
    Gate(gate::Arguments),
    /// Finds how much a target bears, and what runs out then
    Sweep(Box<sweep::Arguments>),
    /// Breaks things on purpose under load, and tells what users notice: a game day from a file
    Experiment(experiment::Arguments),
    /// Measures Serin beside HAProxy, nginx and Envoy on this machine
    Compare(compare::Arguments),
    /// Echoes gRPC calls, for comparisons
    #[command(hide = true)]
    GrpcEcho(grpc_echo::Arguments),
    /// Passes bytes on as they come, for comparisons
    #[command(hide = true)]
    Splice(splice::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Gate(arguments) => gate::run(arguments),
        Command::Sweep(arguments) => sweep::run(arguments),
        Command::Experiment(arguments) => experiment::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::GrpcEcho(arguments) => grpc_echo::run(arguments),
        Command::Splice(arguments) => splice::run(arguments),
    }
}
