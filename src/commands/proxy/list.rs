//! `serin proxy list` and `show`: the proxies of a running control plane, and whether each has the plan in force.

use std::{fmt::Write, process::ExitCode};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serin_config::moment;

use super::super::{
    client::{self, Access, Outcome, Stop, Table, output::print_value, plain, read},
    print,
    rollout::ServiceText,
};

/// Which proxies to show.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Lists the proxies of a running control plane, and the plan that each has
    List(List),
    /// Shows one proxy
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The proxy's name
    proxy: ServiceText,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Deserialize)]
struct Listed {
    generation: u64,
    proxies: Vec<Proxy>,
}

/// A proxy as the API shows it.
#[derive(Debug, Deserialize)]
struct Proxy {
    proxy: String,
    version: Option<String>,
    address: Option<String>,
    connected: bool,
    since_ms: u64,
    generation: u64,
    acknowledged: bool,
    lag_ms: Option<u64>,
    refused: Vec<String>,
    last_window: Option<Window>,
}

#[derive(Debug, Deserialize)]
struct Window {
    sequence: u64,
    heard_ms: u64,
}

pub(super) fn run(verb: &Verb) -> ExitCode {
    client::run(async {
        match verb {
            Verb::List(arguments) => list(arguments).await,
            Verb::Show(arguments) => show(arguments).await,
        }
    })
}

async fn list(List { access }: &List) -> Outcome {
    let listed = access.api()?.all("/v1/proxies", "proxies").await?;
    if access.output.is_json() {
        print_value(&listed);
        return Ok(ExitCode::SUCCESS);
    }
    print(&table(read(listed)?));
    Ok(ExitCode::SUCCESS)
}

fn table(Listed { generation, proxies }: Listed) -> String {
    let none = proxies.is_empty();
    let behind = proxies.iter().filter(|proxy| !proxy.acknowledged).count();
    let mut table =
        Table::new(["proxy", "state", ">plan", "acknowledged", "version", "address", "last window"]);
    for proxy in proxies {
        table.row([
            proxy.proxy.clone(),
            proxy.state().into(),
            proxy.generation.to_string(),
            proxy.acknowledgement(),
            proxy.version.clone().unwrap_or_default(),
            proxy.address.clone().unwrap_or_else(|| "this process".into()),
            proxy
                .last_window
                .as_ref()
                .map(|window| moment::rfc3339_seconds(window.heard_ms))
                .unwrap_or_default(),
        ]);
    }
    let mut text = table.text();
    let _ = match behind {
        0 if none => writeln!(text, "\nNo proxy has connected yet."),
        0 => writeln!(text, "\nPlan {generation} is in force on all of them."),
        behind => writeln!(text, "\nPlan {generation} is not, or not yet, in force on {behind} of them."),
    };
    text
}

async fn show(Show { proxy, access }: &Show) -> Outcome {
    let name = proxy.0.as_str();
    let mut listed = access.api()?.all("/v1/proxies", "proxies").await?;
    let all = listed["proxies"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let Some(found) = all.into_iter().find(|found| found["proxy"] == name) else {
        return Err(Stop::no(format_args!(
            "the control plane knows no proxy \"{name}\"; `serin proxy list` shows those that it does"
        )));
    };
    if access.output.is_json() {
        print_value(&found);
    } else {
        print(&read::<Proxy>(found)?.told(listed["generation"].as_u64().unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}

impl Proxy {
    fn state(&self) -> &'static str {
        if self.connected { "connected" } else { "away" }
    }

    fn acknowledgement(&self) -> String {
        match (self.acknowledged, self.refused.is_empty(), self.lag_ms) {
            (true, ..) => "yes".into(),
            (false, false, _) => "refused".into(),
            (false, true, Some(lag)) => format!("not for {:.1} s", lag as f64 / 1_000.0),
            (false, true, None) => "no".into(),
        }
    }

    fn told(&self, generation: u64) -> String {
        let mut text = format!(
            "{}: {} since {}\nplan      {} of {generation}, acknowledged: {}\n",
            self.proxy,
            self.state(),
            moment::rfc3339_seconds(self.since_ms),
            self.generation,
            self.acknowledgement(),
        );
        for (what, value) in [("version", &self.version), ("address", &self.address)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{what:<9} {}", plain(value));
            }
        }
        if let Some(window) = &self.last_window {
            let _ = writeln!(
                text,
                "window    {} at {}",
                window.sequence,
                moment::rfc3339_seconds(window.heard_ms)
            );
        }
        for problem in &self.refused {
            let _ = writeln!(text, "refused   {}", plain(problem));
        }
        text
    }
}
