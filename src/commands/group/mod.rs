//! `serin group`: services that are rolled out together, steered as one and shown side by side.

mod wait;

use std::{fmt::Write, process::ExitCode, str::FromStr};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serin_config::{GroupName, name::NameError};
use serin_control::{
    group::{GroupStatus, Member},
    status::RolloutStatus,
};

use super::{
    client::{
        self, Access, Outcome, Table,
        output::{print_json, print_value},
        plain,
    },
    print,
    rollout::{Patience, steps},
    service::in_a_table,
    steer::{Change, Promote, Subject, Wait, not_stored},
};

/// What to do with which group.
#[derive(Debug, Args)]
#[command(after_help = "\
What is asked for of a group is done by all of its services that can, in one plan; where none can, it is refused.
Exit codes: 0 done; 1 refused, with the reason on stderr; 2 no control plane could be asked. `status --wait` and `watch` exit \
by the end of the rollouts; see their --help.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the groups, and how far each is
    List(List),
    /// Shows how far each service of a group is, and which of them holds the others back; with --wait, exits by their end
    Status(Status),
    /// Shows a line whenever one of its services moves, to the end of their rollouts, and exits by it
    Watch(Watch),
    /// Begins the rollouts of all its services that have a canary
    Start(Change<OfGroup>),
    /// Stays at the present weights; a failing guard still rolls all of them back
    Pause(Change<OfGroup>),
    /// Goes on after a pause
    Resume(Change<OfGroup>),
    /// Goes a step on with each, without waiting for evidence; nobody gets everything before all can. With --full, all do
    Promote(Promote<OfGroup>),
    /// Lets those go on that wait for a person
    Approve(Change<OfGroup>),
    /// Leaves the present step out in each; unlike promote, never ends a rollout
    Skip(Change<OfGroup>),
    /// Takes all their canaries out, now
    Abort(Change<OfGroup>),
    /// Takes back what their last rollouts did, those that ended together: the splits from before return, at once
    Undo(Change<OfGroup>),
    /// Begins their last rollouts again, if they were not promoted
    Retry(Change<OfGroup>),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
#[command(after_help = wait::EXIT_CODES)]
struct Status {
    #[command(flatten)]
    of: OfGroup,
    #[command(flatten)]
    patience: Wait,
}

#[derive(Debug, Args)]
#[command(after_help = wait::EXIT_CODES)]
struct Watch {
    #[command(flatten)]
    of: OfGroup,
    /// Watch no longer, such as 45m; to the end by default
    #[arg(long, value_name = "TIME")]
    timeout: Option<Patience>,
}

#[derive(Debug, Args)]
struct OfGroup {
    /// The group
    group: GroupText,
    #[command(flatten)]
    access: Access,
}

/// A checked name, so that it can stand in a path.
#[derive(Debug, Clone)]
struct GroupText(GroupName);

impl FromStr for GroupText {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        GroupName::try_new(text).map(Self)
    }
}

#[derive(Debug, Deserialize)]
struct Listed {
    groups: Vec<Brief>,
}

#[derive(Debug, Deserialize)]
struct Brief {
    group: String,
    services: Vec<String>,
    summary: String,
}

#[derive(Debug, Deserialize)]
struct Applied {
    generation: u64,
    group: GroupStatus,
}

impl Subject for OfGroup {
    fn path(&self) -> String {
        format!("/v1/groups/{}/rollout", self.group.0)
    }

    fn access(&self) -> &Access {
        &self.access
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(async {
        match &arguments.verb {
            Verb::List(arguments) => list(arguments).await,
            Verb::Status(arguments) => status(arguments).await,
            Verb::Watch(arguments) => watch(arguments).await,
            Verb::Start(change) => steer(change, "start", None).await,
            Verb::Pause(change) => steer(change, "pause", None).await,
            Verb::Resume(change) => steer(change, "resume", None).await,
            Verb::Approve(change) => steer(change, "approve", None).await,
            Verb::Skip(change) => steer(change, "skip", None).await,
            Verb::Abort(change) => steer(change, "abort", None).await,
            Verb::Undo(change) => steer(change, "undo", None).await,
            Verb::Retry(change) => steer(change, "retry", None).await,
            Verb::Promote(promote) => steer(&promote.change, "promote", Some(promote.full)).await,
        }
    })
}

async fn list(List { access }: &List) -> Outcome {
    let answer = access.api()?.get("/v1/groups").await?;
    if access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["group", "services", "state"]);
    for brief in answer.read::<Listed>()?.groups {
        table.row([brief.group, brief.services.join(", "), brief.summary]);
    }
    print(&table.text());
    Ok(ExitCode::SUCCESS)
}

async fn status(Status { of, patience: Wait { wait, timeout } }: &Status) -> Outcome {
    let api = of.access.api()?;
    let json = of.access.output.is_json();
    let (group, code) = if *wait {
        wait::for_end(&api, of, Some(timeout.0), &mut wait::Quiet).await?
    } else {
        let answer = api.get(&of.path()).await?;
        if json {
            print_json(&answer);
            return Ok(ExitCode::SUCCESS);
        }
        (answer.read()?, ExitCode::SUCCESS)
    };
    if json {
        print_value(&serde_json::to_value(&group).unwrap_or_default());
    } else {
        print(&told(&group));
    }
    Ok(code)
}

async fn watch(Watch { of, timeout }: &Watch) -> Outcome {
    let api = of.access.api()?;
    let mut lines = wait::Lines::new(of.access.output.is_json());
    let patience = timeout.map(|Patience(patience)| patience);
    tokio::select! {
        ended = wait::for_end(&api, of, patience, &mut lines) => ended.map(|(_, code)| code),
        () = client::reader::gone() => Ok(ExitCode::SUCCESS),
    }
}

async fn steer(change: &Change<OfGroup>, action: &str, full: Option<bool>) -> Outcome {
    let answer = change.ask(action, full).await?;
    if change.of.access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let Applied { generation, group } = answer.read()?;
    let mut text = format!("{}: {} (plan {generation})\n", group.group, plain(&group.summary));
    for member in &group.members {
        let _ = writeln!(text, "  {}: {}", member.service, state(member));
    }
    print(&text);
    print(not_stored(&answer));
    Ok(ExitCode::SUCCESS)
}

/// How far a service is, in a few words.
fn state(member: &Member) -> String {
    match (&member.rollout, &member.canary) {
        (Some(rollout), _) => plain(&in_a_table(&rollout.summary, rollout.waiting.clone())),
        (None, Some(_)) => "no rollout yet".into(),
        (None, None) => "has no canary".into(),
    }
}

fn told(group: &GroupStatus) -> String {
    let mut text =
        format!("Group {}, plan {}: {}.\n\n", group.group, group.generation, plain(&group.summary));
    let mut table = Table::new(["service", "canary", ">share", "state", "steps"]);
    for member in &group.members {
        let rollout = member.rollout.as_ref();
        table.row([
            member.service.to_string(),
            rollout.map(|rollout| rollout.canary.to_string()).unwrap_or_default(),
            rollout.map(|rollout| rollout.weight.to_string()).unwrap_or_default(),
            state(member),
            rollout.filter(|rollout| rollout.live).map(steps).unwrap_or_default(),
        ]);
    }
    text.push_str(&table.text());
    for member in &group.members {
        if let Some(waiting) = member.rollout.as_ref().and_then(|rollout| rollout.waiting.as_ref()) {
            let _ = writeln!(text, "{}: {}", member.service, plain(&waiting.to_string()));
        }
        for asked in member.rollout.iter().flat_map(RolloutStatus::asked) {
            let _ = writeln!(text, "{}: {}", member.service, plain(&asked.summary));
        }
    }
    for member in group.members.iter().filter(|member| member.holds_back) {
        let _ = writeln!(text, "\n{} holds the others back:", member.service);
        for line in &member.because {
            let _ = writeln!(text, "  {}", plain(line));
        }
    }
    text
}
