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
    /// None by a control plane of an older release.
    #[serde(default)]
    duplicates: Vec<Duplicate>,
}

/// A proxy that is refused, since another one has its name.
#[derive(Debug, Deserialize)]
struct Duplicate {
    proxy: String,
    version: String,
    address: String,
    since_ms: u64,
    generation: u64,
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

fn table(Listed { generation, proxies, duplicates }: Listed) -> String {
    let standing = standing(generation, &proxies, &duplicates);
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
    for Duplicate { proxy, version, address, generation, .. } in &duplicates {
        table.row([
            proxy.clone(),
            "not served".into(),
            generation.to_string(),
            "no".into(),
            plain(version),
            plain(address),
            String::new(),
        ]);
    }
    let mut text = table.text();
    let _ = writeln!(text, "\n{standing}");
    for duplicate in duplicates.iter().take(NAMED_MAX) {
        let _ = writeln!(text, "{}", duplicate.told());
    }
    text
}

/// On how many the plan is in force, and on which it is not; a proxy that is away goes on with what it had, and so does one
/// that is refused.
fn standing(generation: u64, proxies: &[Proxy], duplicates: &[Duplicate]) -> String {
    if proxies.is_empty() && duplicates.is_empty() {
        return "No proxy has connected yet.".into();
    }
    let names = |of: &dyn Fn(&Proxy) -> bool| {
        let names: Vec<&str> =
            proxies.iter().filter(|proxy| of(proxy)).map(|proxy| proxy.proxy.as_str()).collect();
        match names.len() {
            0 => None,
            1..=NAMED_MAX => Some(names.join(", ")),
            more => Some(format!("{} and {} more", names[..NAMED_MAX].join(", "), more - NAMED_MAX)),
        }
    };
    let in_force = proxies.iter().filter(|proxy| proxy.connected && proxy.acknowledged).count();
    let behind = names(&|proxy| proxy.connected && !proxy.acknowledged);
    let away = names(&|proxy| !proxy.connected);
    let behind = behind.map(|names| format!("; not, or not yet, on {names}")).unwrap_or_default();
    let away = away.map(|names| format!("; away: {names}")).unwrap_or_default();
    let refused = match duplicates.len() {
        0 => String::new(),
        1 => "; one is not served".into(),
        more => format!("; {more} are not served"),
    };
    let all = proxies.len() + duplicates.len();
    let on = if in_force == all { "all of them".into() } else { format!("{in_force} of {all}") };
    format!("Plan {generation} is in force on {on}{behind}{away}{refused}.")
}

impl Duplicate {
    /// What is the matter with it, and what to do.
    fn told(&self) -> String {
        format!(
            "A second proxy called {} is not served, since {}: at {}, it goes on with plan {} whatever is decided. Give each a name of \
             its own (--instance, telemetry.instance), or stop one.",
            self.proxy,
            moment::rfc3339_seconds(self.since_ms),
            plain(&self.address),
            self.generation
        )
    }
}

/// Proxies that are named below the list.
const NAMED_MAX: usize = 5;

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
        return Ok(ExitCode::SUCCESS);
    }
    let Listed { generation, duplicates, .. } = read(listed)?;
    let mut text = read::<Proxy>(found)?.told(generation);
    for duplicate in duplicates.iter().filter(|duplicate| duplicate.proxy == name).take(NAMED_MAX) {
        let _ = writeln!(text, "{}", duplicate.told());
    }
    print(&text);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn proxy(name: &str, connected: bool, acknowledged: bool) -> Proxy {
        let value = json!({
            "proxy": name, "connected": connected, "since_ms": 0, "acknowledged": acknowledged, "generation": 7, "refused": [],
            "lag_ms": null, "version": null, "address": null, "last_window": null,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn below_the_list_it_says_where_the_plan_is_in_force_and_names_where_it_is_not() {
        let [one, two] = [proxy("edge-1", true, true), proxy("edge-2", true, true)];
        assert_eq!(standing(7, &[], &[]), "No proxy has connected yet.");
        assert_eq!(standing(7, &[one, two], &[]), "Plan 7 is in force on all of them.");
        let some = [
            proxy("edge-1", true, true),
            proxy("edge-2", true, false),
            // What it had in force when it left says nothing of now.
            proxy("edge-3", false, true),
        ];
        assert_eq!(
            standing(7, &some, &[]),
            "Plan 7 is in force on 1 of 3; not, or not yet, on edge-2; away: edge-3."
        );
        let away: Vec<Proxy> = (1..=7).map(|n| proxy(&format!("edge-{n}"), false, false)).collect();
        assert!(standing(7, &away, &[]).ends_with("edge-5 and 2 more."), "{}", standing(7, &away, &[]));
    }

    #[test]
    fn one_that_is_refused_for_its_name_is_a_row_and_a_line_that_says_what_to_do() {
        let listed = Listed {
            generation: 7,
            proxies: vec![proxy("edge-1", true, true)],
            duplicates: vec![
                serde_json::from_value(json!({
                    "proxy": "edge-1", "epoch": 5, "version": "1.0.0", "address": "10.0.0.9:5", "since_ms": 1_795_266_309_999_u64,
                    "refused_ms": 1_795_266_310_999_u64, "generation": 6,
                }))
                .unwrap(),
            ],
        };
        let text = table(listed);
        assert!(text.contains("edge-1  not served     6  no"), "{text}");
        assert!(text.contains("Plan 7 is in force on 1 of 2; one is not served."), "{text}");
        assert!(
            text.contains(
                "A second proxy called edge-1 is not served, since 2026-11-21T13:05:09Z: at 10.0.0.9:5, it goes on with plan 6"
            ),
            "{text}"
        );
        let older: Listed = serde_json::from_value(json!({ "generation": 7, "proxies": [] })).unwrap();
        assert!(older.duplicates.is_empty());
    }
}
