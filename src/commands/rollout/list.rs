//! `serin rollout list`: the rollouts that are kept.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serin_config::moment;
use serin_control::waiting::Waiting;

use super::{
    super::{
        client::{Access, Outcome, Table, output::print_json},
        print,
        service::in_a_table,
    },
    ServiceText,
    report::time,
};

/// Which rollouts to list.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The service; all of them by default
    service: Option<ServiceText>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Deserialize)]
struct Listed {
    rollouts: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: u64,
    service: String,
    canary: String,
    stable: String,
    summary: String,
    #[serde(default)]
    waiting: Option<Waiting>,
    started_ms: u64,
    ended_ms: Option<u64>,
}

pub(super) async fn run(arguments: &Arguments) -> Outcome {
    let mut path = format!("/v1/rollouts?limit={}", arguments.limit);
    if let Some(service) = &arguments.service {
        path.push_str(&format!("&service={}", service.0));
    }
    let answer = arguments.access.api()?.get(&path).await?;
    if arguments.access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let listed: Listed = answer.read()?;
    let mut table = Table::new([">id", "service", "canary", "stable", "started", ">took", "state"]);
    for row in listed.rollouts {
        let took = row.ended_ms.map(|ended| time(ended.saturating_sub(row.started_ms).div_ceil(1_000)));
        table.row([
            row.id.to_string(),
            row.service,
            row.canary,
            row.stable,
            moment::rfc3339_seconds(row.started_ms),
            took.unwrap_or_default(),
            in_a_table(&row.summary, row.waiting),
        ]);
    }
    print(&table.text());
    Ok(ExitCode::SUCCESS)
}
