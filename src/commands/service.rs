//! `serin service`: the services of a running Serin.

use std::{fmt::Write, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::Value;
use serin_control::{
    status::{RolloutStatus, ServiceStatus, Weights},
    waiting::Waiting,
};

use super::{
    client::{
        self, Access, Outcome, Table,
        output::{print_json, print_value},
        plain,
    },
    print,
    rollout::ServiceText,
};

/// Which services to show.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the services with their weights and rollouts
    List(List),
    /// Shows one service: its versions, what they did in the last seconds, its rollout
    Show(Show),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Show {
    /// The service
    service: ServiceText,
    #[command(flatten)]
    access: Access,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(async {
        match &arguments.verb {
            Verb::List(arguments) => list(arguments).await,
            Verb::Show(arguments) => show(arguments).await,
        }
    })
}

async fn list(List { access }: &List) -> Outcome {
    let listed = access.api()?.all("/v1/services", "services").await?;
    if access.output.is_json() {
        print_value(&listed);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["service", "stable", "canary", "weights", "rollout"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for service in listed["services"].as_array().into_iter().flatten() {
        let weights = service["weights"].as_object().into_iter().flatten();
        let weights: Vec<String> =
            weights.map(|(version, weight)| format!("{version} {}", text(weight))).collect();
        table.row([
            text(&service["name"]),
            text(&service["stable"]),
            text(&service["canary"]),
            weights.join(" · "),
            in_a_table(&text(&service["rollout"]["summary"]), waiting(&service["rollout"])),
        ]);
    }
    print(&table.text());
    Ok(ExitCode::SUCCESS)
}

async fn show(Show { service, access }: &Show) -> Outcome {
    let answer = access.api()?.get(&format!("/v1/services/{}", service.0)).await?;
    if access.output.is_json() {
        print_json(&answer);
    } else {
        print(&told(&answer.read()?));
    }
    Ok(ExitCode::SUCCESS)
}

/// What waits to take the place of a rollout.
fn waiting(rollout: &Value) -> Option<Waiting> {
    serde_json::from_value(rollout["waiting"].clone()).ok()
}

/// How far a rollout is, as a table has room for it: who waits to take its place is named, and why is said elsewhere.
pub(super) fn in_a_table(summary: &str, waiting: Option<Waiting>) -> String {
    match waiting {
        Some(waiting) => {
            let own = summary.strip_suffix(&format!("; {waiting}")).unwrap_or(summary);
            format!("{own}, {} waits", waiting.canary)
        }
        None => summary.to_owned(),
    }
}

/// What a follower that does not reach its leader can't say.
pub(super) const UNCOUNTED: &str = "what is counted just now is known to the control plane that leads only, which was not reached, or may not be asked, since a \
     client certificate can't be passed on";

fn told(service: &ServiceStatus) -> String {
    let mut text =
        format!("Service {}, plan {}: {}.\n", service.name, service.generation, shares(&service.weights));
    if let Some(rollout) = &service.rollout {
        let RolloutStatus { id, canary, stable, summary, live, .. } = rollout;
        let which = if *live { "Its rollout in progress" } else { "Its last rollout" };
        let _ = writeln!(text, "{which}, number {id}, of {canary} against {stable}: {}.", plain(summary));
    }
    let seconds = service.versions.first().map_or(0, |version| version.seconds);
    let mut table = Table::new(["version", "role", ">share", ">requests", ">failed", ">p50 ms", ">p99 ms"]);
    let number = |value: Option<u64>| value.map_or_else(|| "-".into(), |number| number.to_string());
    let ms = |value: Option<f64>| value.map_or_else(|| "-".into(), |ms| format!("{ms:.1}"));
    for version in &service.versions {
        let is_canary = service.canary.as_ref() == Some(&version.version);
        let role = match (version.version == service.stable, is_canary) {
            (true, _) => "stable",
            (_, true) => "canary",
            _ => "",
        };
        table.row([
            version.version.to_string(),
            role.into(),
            version.weight.to_string(),
            number(version.counts.map(|counts| counts.requests)),
            number(version.counts.map(|counts| counts.failed)),
            ms(version.counts.and_then(|counts| counts.p50_ms)),
            ms(version.counts.and_then(|counts| counts.p99_ms)),
        ]);
    }
    let _ = match service.counted {
        true => writeln!(text, "\n{}counted in the last {seconds} s with traffic", table.text()),
        false => writeln!(text, "\n{}{UNCOUNTED}", table.text()),
    };
    text
}

/// `v1 95% · v2 5%`.
pub(super) fn shares(weights: &Weights) -> String {
    let shares: Vec<String> = weights.iter().map(|(version, weight)| format!("{version} {weight}")).collect();
    shares.join(" · ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_word_for_who_waits_and_no_sentence() {
        let waiting = json!({
            "canary": "v3", "since_ms": 1_795_266_309_123_u64, "kind": "frozen",
            "why": "service \"shop\" is frozen (weekend, until Monday): no version but the stable one gets more traffic",
        });
        let waiting: Waiting = serde_json::from_value(waiting).unwrap();
        let whole = format!("aborted: superseded; {waiting}");
        assert_eq!(in_a_table(&whole, Some(waiting)), "aborted: superseded, v3 waits");
        assert_eq!(in_a_table("promoted", None), "promoted");
    }

    #[test]
    fn a_service_says_which_rollout_is_shown_and_of_what() {
        let rollout = json!({
            "id": 2, "canary": "b2", "stable": "b1", "state": "running", "step": 0, "summary": "running, step 1", "live": true,
            "weight": "5%", "steps": ["5%", "100%"], "started_ms": 0, "step_began_ms": 0, "ended_ms": null, "verdict": null,
        });
        let mut service: ServiceStatus = serde_json::from_value(json!({
            "name": "shop", "generation": 7, "weights": { "b1": "95%", "b2": "5%" }, "stable": "b1", "canary": "b2",
            "versions": [], "rollout": rollout, "earlier": [], "seconds": [],
        }))
        .unwrap();
        let said = |service: &ServiceStatus| told(service).lines().nth(1).unwrap().to_owned();
        assert_eq!(said(&service), "Its rollout in progress, number 2, of b2 against b1: running, step 1.");
        let rollout = service.rollout.as_mut().unwrap();
        (rollout.live, rollout.summary) = (false, "aborted".into());
        assert_eq!(said(&service), "Its last rollout, number 2, of b2 against b1: aborted.");
    }
}
