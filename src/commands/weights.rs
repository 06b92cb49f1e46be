//! `serin weights`: the split of a service, read and set by hand.

use std::{process::ExitCode, str::FromStr};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};
use serin_config::{Split, VersionName, Weight};
use serin_control::{
    observed::Observed,
    status::{RolloutStatus, ServiceStatus},
};

use super::{
    client::{
        self, Access, Outcome, Stop, Table,
        output::{dated, print_json, print_value},
    },
    print,
    rollout::ServiceText,
    service::{UNCOUNTED, shares},
    steer::not_stored,
};

/// What to do with which weights.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows the share of each version: the one that was set, and the one that requests have shown
    Show(Show),
    /// Sets the shares by hand; while a rollout moves them this is refused
    Set(Set),
}

#[derive(Debug, Args)]
struct Show {
    /// The service
    service: ServiceText,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Set {
    /// The service
    service: ServiceText,
    /// The share of each version, such as v1=90% v2=10%; they add up to 100 %, and a version left out gets nothing
    #[arg(required = true, value_name = "VERSION=SHARE")]
    weights: Vec<Share>,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Only if this plan is in force: the one on which the choice rests; by default the one in force when the command
    /// begins
    #[arg(long, value_name = "GENERATION")]
    if_generation: Option<u64>,
    /// Though the service is frozen: it can't wait, and --reason says why
    #[arg(long)]
    urgent: bool,
    #[command(flatten)]
    access: Access,
}

/// `v1=90%`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Share(VersionName, Weight);

impl FromStr for Share {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (version, weight) =
            text.split_once('=').ok_or("write the version, = and its share, such as v1=90%")?;
        let version = VersionName::try_new(version).map_err(|error| error.to_string())?;
        let weight = weight.parse::<Weight>().map_err(|error| error.to_string())?;
        Ok(Self(version, weight))
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(async {
        match &arguments.verb {
            Verb::Show(arguments) => show(arguments).await,
            Verb::Set(arguments) => set(arguments).await,
        }
    })
}

async fn show(Show { service, access }: &Show) -> Outcome {
    let answer = access.api()?.get(&format!("/v1/services/{}", service.0)).await?;
    let read: Value = answer.read()?;
    if access.output.is_json() {
        let versions = read["versions"].as_array().into_iter().flatten();
        let observed = versions
            .filter_map(|version| Some((version["version"].as_str()?.into(), version["observed"].clone())));
        let observed: Map<String, Value> = observed.collect();
        print_value(&dated(
            json!({
                "generation": read["generation"], "weights": read["weights"], "observed": observed,
                "mirror": read["rollout"]["mirror"], "copied": read["rollout"]["copied"],
                "counted": read["counted"], "probing": read["probing"],
            }),
            answer.stale_seconds,
        ));
        return Ok(ExitCode::SUCCESS);
    }
    print(&told(&answer.read()?));
    Ok(ExitCode::SUCCESS)
}

/// The share that was set, and beside it the one that requests have shown.
fn told(status: &ServiceStatus) -> String {
    let mut table = Table::new(["version", ">share", ">observed", "99 % interval"]);
    let mut rests_on = None;
    for (version, weight) in &status.weights {
        let observed = status.versions.iter().find(|known| known.version == *version);
        let observed = observed.and_then(|version| version.observed);
        rests_on = rests_on.or(observed);
        let percent = |share: f64| format!("{:.2}%", share * 100.0);
        table.row([
            version.to_string(),
            weight.to_string(),
            observed.map(|observed| percent(observed.share)).unwrap_or_default(),
            observed
                .map(|seen| format!("{} to {}", percent(seen.low), percent(seen.high)))
                .unwrap_or_default(),
        ]);
    }
    let rests_on = match rests_on {
        Some(Observed { requests, seconds, .. }) => {
            format!("observed under this split: {requests} requests in {seconds} s with traffic")
        }
        None if !status.counted => UNCOUNTED.into(),
        None => unseen(status),
    };
    let copies = status.rollout.as_ref().and_then(|rollout| copies(rollout, status.stable.as_str()));
    format!("{}plan {}; {rests_on}\n{}", table.text(), status.generation, copies.unwrap_or_default())
}

/// Why no share was observed yet.
fn unseen(status: &ServiceStatus) -> String {
    let rollout = status.rollout.as_ref().filter(|rollout| rollout.live);
    let of_copies = rollout.filter(|rollout| rollout.mirror.is_none() && !rollout.mirrors.is_empty());
    let before = match of_copies {
        Some(rollout) => {
            format!(
                "the copies before gave {} no user's request, so nothing is observed of it yet",
                rollout.canary
            )
        }
        None => "nothing is observed yet".into(),
    };
    match &status.canary {
        Some(canary) if status.probing => format!(
            "{before}: proxies try {canary} with a few requests a second first (rollout.probe), and its share is counted once that \
             is over"
        ),
        _ => format!("{before}: no second with requests has begun and ended under this split"),
    }
}

/// What the canary gets copies of, where it does.
fn copies(rollout: &RolloutStatus, stable: &str) -> Option<String> {
    let (canary, mirror) = (&rollout.canary, rollout.mirror?);
    let seen = match rollout.copied {
        Some(Observed { share, low, high, .. }) => {
            let [share, low, high] = [share, low, high].map(|share| format!("{:.2}%", share * 100.0));
            format!(
                "{share} of all requests ({low} to {high}), those among them whose methods are not copied"
            )
        }
        None => "none yet".into(),
    };
    Some(format!("{canary} gets copies of {mirror} of the requests of {stable}; observed: {seen}\n"))
}

async fn set(Set { service, weights, reason, if_generation, urgent, access }: &Set) -> Outcome {
    // What can't be a split need not travel.
    let pairs = weights.iter().map(|Share(version, weight)| (version.clone(), *weight)).collect();
    Split::try_new(pairs).map_err(Stop::can_not)?;
    let api = access.api()?;
    let path = format!("/v1/services/{}", service.0);
    let generation = match if_generation {
        Some(generation) => *generation,
        None => api.get(&path).await?.read::<ServiceStatus>()?.generation.0,
    };
    let members = weights.iter().map(|Share(version, weight)| (version.to_string(), json!(weight)));
    let members: Map<String, Value> = members.collect();
    let mut body = json!({ "weights": members, "if_generation": generation, "reason": reason });
    if *urgent {
        body["urgent"] = true.into();
    }
    let answer = api.change(Method::PUT, &format!("{path}/weights"), &body).await?;
    if access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let answered: Value = answer.read()?;
    let now = serde_json::from_value(answered["weights"].clone()).unwrap_or_default();
    print(&format!("{}: {} (plan {})\n", service.0, shares(&now), answered["generation"]));
    print(not_stored(&answer));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service whose rollout began with copies, and has users now.
    fn behind_copies(probing: bool, mirror: Option<&str>) -> ServiceStatus {
        let rollout = json!({
            "id": 2, "canary": "v2", "stable": "v1", "state": "running", "step": 1, "summary": "running", "live": true,
            "weight": "5%", "steps": ["0%", "5%", "100%"], "mirrors": ["10%", "0%", "0%"], "mirror": mirror,
            "started_ms": 0, "step_began_ms": 0, "ended_ms": null, "verdict": null,
        });
        serde_json::from_value(json!({
            "name": "shop", "generation": 7, "weights": { "v1": "95%", "v2": "5%" }, "stable": "v1", "canary": "v2",
            "counted": true, "probing": probing, "versions": [], "rollout": rollout, "earlier": [], "seconds": [],
        }))
        .unwrap()
    }

    #[test]
    fn why_no_share_was_observed_is_said_as_it_is() {
        let probed = unseen(&behind_copies(true, None));
        assert_eq!(
            probed,
            "the copies before gave v2 no user's request, so nothing is observed of it yet: proxies try v2 with a few \
             requests a second first (rollout.probe), and its share is counted once that is over"
        );
        let begun = unseen(&behind_copies(false, None));
        assert!(begun.ends_with("no second with requests has begun and ended under this split"), "{begun}");
        let copied = unseen(&behind_copies(false, Some("10%")));
        assert!(copied.starts_with("nothing is observed yet: no second"), "{copied}");
        let table = told(&behind_copies(true, None));
        assert!(table.contains(&probed) && !table.contains("no request was observed"), "{table}");
    }

    #[test]
    fn a_share_is_a_version_and_a_weight() {
        let read = "v1=97.5%".parse::<Share>().unwrap();
        assert_eq!((read.0.as_str(), read.1.to_string().as_str()), ("v1", "97.5%"));
        for wrong in ["v1", "v1=", "=5%", "v1=5", "v 1=5%"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }
}
