//! The commands of `serin`, one file each.
//!
//! Exit codes: 0 it went well; 1 the answer is no (a file with problems, a refused request); 2 it could not be
//! done (bad arguments, an unreadable file, a port in use). Those that wait for a rollout's end add 3: it was not there in
//! time.

mod audit;
mod check;
mod client;
mod config_file;
mod context;
mod control;
mod daemon;
mod demo;
mod freeze;
mod group;
mod instance;
mod journal;
mod judge;
mod load;
mod logging;
mod plan;
mod proxy;
mod reload;
mod rollout;
mod run;
mod schema;
mod service;
mod serving;
mod shell;
mod shutdown;
mod steer;
mod systemd;
mod takeover;
mod token;
mod upgrade;
mod watch;
mod weights;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Splits HTTP traffic between versions of a service, measures every version in-line, and moves or rolls
/// back the split by itself.
#[derive(Debug, Parser)]
#[command(name = "serin", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Try `serin demo` first: it needs no file and rolls back a bad canary before your eyes."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves traffic as a file says: proxy and control plane in one process
    Run(run::Arguments),
    /// Decides for a fleet of proxies: the control plane alone
    Control(control::Arguments),
    /// Serves traffic as a control plane elsewhere says: the proxy alone; or shows the proxies of a fleet
    Proxy(proxy::Arguments),
    /// Checks a file and names every mistake (exit code 1), or shows what would run (exit code 0)
    Check(check::Arguments),
    /// Prints the JSON Schema of the file, for editors
    Schema(schema::Arguments),
    /// Shows a canary being rolled back (or promoted), on this machine, with nothing to install
    Demo(demo::Arguments),
    /// Judges windows of counts, as JSON lines: evidence and decision after each
    Judge(judge::Arguments),
    /// Generates load, and tells from its records what became faster or slower
    Load(load::Arguments),
    /// Starts, steers, watches and explains rollouts of a running Serin
    Rollout(rollout::Arguments),
    /// Starts, steers and shows groups of services that are rolled out together
    Group(group::Arguments),
    /// Shows the services of a running Serin
    Service(service::Arguments),
    /// Shows or sets the weights of a service's versions
    Weights(weights::Arguments),
    /// Shows the plan in force
    Plan(plan::Arguments),
    /// Shows what was decided, by whom and why
    Journal(journal::Arguments),
    /// Shows who asked for which change, and what became of it
    Audit(audit::Arguments),
    /// Shows, sets and lifts freezes, in which no rollout goes forward
    Freeze(freeze::Arguments),
    /// Makes, lists and takes back the tokens that open the API of a running Serin
    Token(token::Arguments),
    /// Names the control planes that these commands ask
    Context(context::Arguments),
    /// Prints a script that completes commands and options in a shell
    Completion(shell::Completion),
    /// Prints the manual page, or writes one for each command
    Man(shell::Manual),
}

/// Runs a command to its end.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Control(arguments) => control::run(&arguments),
        Command::Proxy(arguments) => proxy::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Judge(arguments) => judge::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Rollout(arguments) => rollout::run(&arguments),
        Command::Group(arguments) => group::run(&arguments),
        Command::Service(arguments) => service::run(&arguments),
        Command::Weights(arguments) => weights::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Journal(arguments) => journal::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Freeze(arguments) => freeze::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Context(arguments) => context::run(&arguments),
        Command::Completion(arguments) => shell::completion(&arguments),
        Command::Man(arguments) => shell::manual(&arguments),
    }
}

/// It could not be done.
const CAN_NOT: u8 = 2;
/// The answer is no.
const NO: u8 = 1;

/// Says in one line why something can't be done. Where nobody listens, the exit code still tells.
fn can_not(why: impl std::fmt::Display) -> ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "serin: {why}");
    ExitCode::from(CAN_NOT)
}

/// Each connection needs two file descriptors; the soft limit of most systems is 1024.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of file descriptors could not be raised");
    }
}

/// Prints a result. A reader that has gone (`serin schema | head`) is no error.
fn print(text: &str) {
    let _ = print_on(text);
}

/// The same, for a command that goes on: whether anybody still reads.
fn print_on(text: &str) -> bool {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}
