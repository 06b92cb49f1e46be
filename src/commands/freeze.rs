//! `serin freeze`: the times in which no rollout goes forward, and the line stopped by hand.

use std::{
    process::ExitCode,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use serin_config::{moment, raw::decode::Leaf};

use super::{
    client::{self, Access, Outcome, Table, output::print_json},
    print,
    rollout::ServiceText,
};

/// What to do with which freeze.
#[derive(Debug, Args)]
#[command(after_help = "\
While a service is frozen nothing but its stable version gets more traffic. Taking a canary out is never stopped, and a change that \
can't wait is made with --urgent and a --reason.
Exit codes: 0 done; 1 refused, with the reason on stderr; 2 no control plane could be asked.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the freezes, those of the file's calendar and those by hand
    List(List),
    /// Stops the line: from now on nothing goes forward
    Set(Set),
    /// Lifts a freeze that was set by hand
    Lift(Lift),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Set {
    /// This service only; may be given several times. All of them by default
    #[arg(long = "service", value_name = "SERVICE")]
    services: Vec<ServiceText>,
    /// For how long, such as 2h; until it is lifted by default
    #[arg(long = "for", value_name = "TIME")]
    lasts: Option<Span>,
    /// Why, for whoever is stopped by it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Lift {
    /// The freeze's number, as `serin freeze list` shows it
    id: u64,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    access: Access,
}

/// A duration as in the file.
#[derive(Debug, Clone, Copy)]
struct Span(Duration);

impl FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Duration::read(text).map(Self).map_err(|fault| format!("{}: {}", fault.wrong, fault.right))
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(async {
        match &arguments.verb {
            Verb::List(arguments) => list(arguments).await,
            Verb::Set(arguments) => set(arguments).await,
            Verb::Lift(arguments) => lift(arguments).await,
        }
    })
}

async fn list(List { access }: &List) -> Outcome {
    let answer = access.api()?.get("/v1/freezes").await?;
    if access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let listed: Value = answer.read()?;
    let mut table = Table::new(["freeze", "services", "in force", "until", "reason"]);
    for freeze in listed["freezes"].as_array().into_iter().flatten() {
        table.row(row(freeze));
    }
    print(&table.text());
    Ok(ExitCode::SUCCESS)
}

fn row(freeze: &Value) -> [String; 5] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let services = freeze["services"].as_array().into_iter().flatten().map(text);
    let services = services.collect::<Vec<_>>().join(", ");
    let (name, until) = match freeze["id"].as_u64() {
        Some(id) => {
            let until = freeze["until_ms"].as_u64();
            (id.to_string(), until.map_or_else(|| "it is lifted".into(), moment::rfc3339_seconds))
        }
        None => (text(&freeze["name"]), "as the file says".into()),
    };
    let in_force = if freeze["in_force"] == true { "yes" } else { "no" };
    let services = if services.is_empty() { "all".into() } else { services };
    [name, services, in_force.into(), until, text(&freeze["reason"])]
}

async fn set(Set { services, lasts, reason, access }: &Set) -> Outcome {
    let mut body = json!({ "reason": reason });
    if !services.is_empty() {
        body["services"] = services.iter().map(|service| json!(service.0)).collect();
    }
    if let Some(Span(lasts)) = lasts {
        let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + *lasts;
        body["until_ms"] = u64::try_from(until.as_millis()).unwrap_or(u64::MAX).into();
    }
    let answer = access.api()?.change(Method::POST, "/v1/freezes", &body).await?;
    if access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let made: Value = answer.read()?;
    print(&format!("freeze {}: nothing goes forward\n", made["id"]));
    Ok(ExitCode::SUCCESS)
}

async fn lift(Lift { id, reason, access }: &Lift) -> Outcome {
    access.take_back(&format!("/v1/freezes/{id}"), reason, &format!("freeze {id} is lifted")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_is_a_row_whoever_made_it() {
        let by_hand = json!({ "id": 3, "services": ["shop"], "since_ms": 0, "until_ms": 1_000, "reason": "audit",
            "in_force": true });
        assert_eq!(row(&by_hand), ["3", "shop", "yes", "1970-01-01T00:00:01Z", "audit"]);
        let of_file = json!({ "name": "weekend", "services": [], "in_force": false });
        assert_eq!(row(&of_file), ["weekend", "all", "no", "as the file says", ""]);
    }
}
