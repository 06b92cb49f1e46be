//! `serin plan`: the plan in force.

use std::{fmt::Write, process::ExitCode};

use clap::Args;
use serde::Deserialize;
use serin_config::{ServiceName, VersionName};
use serin_control::status::Weights;

use super::{
    client::{self, Access, Outcome, Table, output::print_json},
    print,
    service::shares,
};

/// Shows the plan in force; `serin rollout plan` foresees a rollout.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Deserialize)]
struct Plan {
    generation: u64,
    parent: u64,
    stored: bool,
    services: Vec<Service>,
}

#[derive(Debug, Deserialize)]
struct Service {
    name: ServiceName,
    stable: VersionName,
    canary: Option<VersionName>,
    weights: Weights,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(show(&arguments.access))
}

async fn show(access: &Access) -> Outcome {
    let answer = access.api()?.get("/v1/plan").await?;
    if access.output.is_json() {
        print_json(&answer);
    } else {
        print(&told(answer.read()?));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(plan: Plan) -> String {
    let stored = if plan.stored { "stored" } else { "in force, but not yet stored" };
    let mut table = Table::new(["service", "stable", "canary", "weights"]);
    for service in plan.services {
        table.row([
            service.name.to_string(),
            service.stable.to_string(),
            service.canary.map(|canary| canary.to_string()).unwrap_or_default(),
            shares(&service.weights),
        ]);
    }
    let mut text = format!("Plan {}, made from {}, {stored}.\n\n", plan.generation, plan.parent);
    let _ = write!(text, "{}", table.text());
    text
}
