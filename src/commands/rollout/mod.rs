//! `serin rollout`: start, steer, watch and explain rollouts of a running Serin.

mod list;
mod plan;
mod policy_file;
mod replay;
mod report;
mod status;
mod wait;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;
use serin_config::ServiceName;

use self::replay::Replay;
pub(super) use self::{
    status::steps,
    wait::{LATE, Patience, UNJUDGED, forgotten, next as next_of, result_of},
};
use super::{
    client::{self, Access, Outcome, output::print_json},
    print,
    steer::{Change, Promote, Subject, not_stored},
};

/// What to do with which rollout.
#[derive(Debug, Args)]
#[command(after_help = "\
A bearer token is read from --token-file, or else as the context says, or else from SERIN_TOKEN: an argument would show in \
the list of processes.
Exit codes: 0 done; 1 refused, with the reason on stderr; 2 no control plane could be asked. `status --wait` and `watch` exit \
by the rollout's end; see their --help.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Begins to shift traffic to the canary, step by step, each on evidence
    Start(Change<OfService>),
    /// Shows how far the rollout is; with --wait, exits by its end
    Status(status::Arguments),
    /// Shows the rollout as it goes: a live view on a terminal, a line a second in a pipe
    Watch(watch::Arguments),
    /// Stays at the present weight; a failing guard still rolls back
    Pause(Change<OfService>),
    /// Goes on after a pause
    Resume(Change<OfService>),
    /// Goes to the next step now, or to 100 % with --full, without waiting for evidence
    Promote(Promote<OfService>),
    /// Lets a rollout go on that waits for a person
    Approve(Change<OfService>),
    /// Leaves the present step out; unlike promote, never ends the rollout
    Skip(Change<OfService>),
    /// Takes the canary out, now; a newer one that only waits to begin is called off
    Abort(Change<OfService>),
    /// Takes back what the last rollout did: the split from before it returns, at once
    Undo(Change<OfService>),
    /// Begins the last rollout again from its first step, if it was not promoted
    Retry(Change<OfService>),
    /// Says in words and numbers what was decided, and why
    Explain(OfService),
    /// Lists the rollouts that are kept, the newest first
    List(list::Arguments),
    /// Says how long a rollout will take and what a bad canary will cost, from the file alone
    Plan(plan::Arguments),
    /// Says what each step took, and what it waited for
    Report(OfService),
    /// Judges the windows of a past rollout by other policies, and by the rules of other controllers
    Replay(Replay),
}

#[derive(Debug, Args)]
struct OfService {
    /// The service
    service: ServiceText,
    #[command(flatten)]
    access: Access,
}

impl OfService {
    fn path(&self, below: &str) -> String {
        path(&self.service, below)
    }
}

impl Subject for OfService {
    fn path(&self) -> String {
        self.path("")
    }

    fn access(&self) -> &Access {
        &self.access
    }
}

/// A path of the API below a service's rollout.
fn path(service: &ServiceText, below: &str) -> String {
    format!("/v1/services/{}/rollout{below}", service.0)
}

/// A checked name, so that it can stand in a path.
#[derive(Debug, Clone)]
pub(super) struct ServiceText(pub(super) ServiceName);

impl std::str::FromStr for ServiceText {
    type Err = serin_config::name::NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ServiceName::try_new(text).map(Self)
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(act(&arguments.verb))
}

async fn act(verb: &Verb) -> Outcome {
    match verb {
        Verb::Start(change) => steer(change, "start", None).await,
        Verb::Pause(change) => steer(change, "pause", None).await,
        Verb::Resume(change) => steer(change, "resume", None).await,
        Verb::Approve(change) => steer(change, "approve", None).await,
        Verb::Skip(change) => steer(change, "skip", None).await,
        Verb::Abort(change) => steer(change, "abort", None).await,
        Verb::Undo(change) => steer(change, "undo", None).await,
        Verb::Retry(change) => steer(change, "retry", None).await,
        Verb::Promote(promote) => steer(&promote.change, "promote", Some(promote.full)).await,
        Verb::Status(arguments) => status::run(arguments).await,
        Verb::Watch(arguments) => watch::run(arguments).await,
        Verb::Explain(of) => explain(of).await,
        Verb::List(arguments) => list::run(arguments).await,
        Verb::Plan(arguments) => Ok(plan::run(arguments)),
        Verb::Report(of) => report(of).await,
        Verb::Replay(arguments) => replay::replay(arguments).await,
    }
}

async fn explain(of: &OfService) -> Outcome {
    let api = of.access.api()?;
    if of.access.output.is_json() {
        print_json(&api.get_json(&of.path("/explain")).await?);
    } else {
        print(&api.get(&of.path("/explain")).await?.body);
    }
    Ok(ExitCode::SUCCESS)
}

async fn report(of: &OfService) -> Outcome {
    let answer = of.access.api()?.get(&of.path("")).await?;
    if of.access.output.is_json() {
        print_json(&answer);
    } else {
        print(&report::report(of.service.0.as_str(), &answer.read()?));
    }
    Ok(ExitCode::SUCCESS)
}

async fn steer(change: &Change<OfService>, action: &str, full: Option<bool>) -> Outcome {
    let (answer, of) = (change.ask(action, full).await?, &change.of);
    if of.access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let answered: Value = answer.read()?;
    let summary = answered["rollout"]["summary"].as_str().unwrap_or("done");
    print(&format!("{}: {summary} (plan {})\n", of.service.0, answered["generation"]));
    print(not_stored(&answer));
    Ok(ExitCode::SUCCESS)
}
