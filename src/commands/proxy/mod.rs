//! `serin proxy`: the proxy alone, told by a control plane that runs elsewhere; and, by its subcommands, what a control
//! plane knows of its proxies.

mod list;
mod serve;

use std::process::ExitCode;

use clap::Args;

use super::{can_not, config_file::ConfigFile, logging::Logging};

/// What to serve, and how to talk about it; or which proxies to show.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
It serves as soon as it has a plan: the last one that it kept, or the first that the control plane tells. While no
control plane answers it goes on with the plan that it has.

Signals: SIGTERM and SIGINT let requests in flight end, then exit with 0; a second one exits at once.
         SIGHUP reads the file again, as does any change of it: what is in it needs a restart, and is checked.
         SIGUSR1 opens the access log again, after it was renamed.
         SIGUSR2 starts the program anew, to take over from this process without losing a connection.
Exit codes: 0 ended as asked; 1 the file has problems; 2 it could not start.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<list::Verb>,
    #[command(flatten)]
    file: Option<ConfigFile>,
    #[command(flatten)]
    serving: Serving,
}

/// How to serve.
#[derive(Debug, Args)]
struct Serving {
    /// The name of this proxy, which no other of the fleet has [default: telemetry.instance, else the host's name]
    #[arg(long, value_name = "NAME", env = "SERIN_INSTANCE")]
    instance: Option<String>,
    #[command(flatten)]
    logging: Logging,
    /// Take over from the running proxy with the same control.connect.cache and the same name, if there is one: its listening
    /// sockets are handed to this process, then it drains and ends
    #[arg(long)]
    takeover: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match (&arguments.verb, &arguments.file) {
        (Some(verb), _) => list::run(verb),
        (None, Some(file)) => serve::run(file, &arguments.serving),
        (None, None) => can_not("give the file of this proxy: serin proxy --config FILE"),
    }
}
