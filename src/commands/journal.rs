//! `serin journal`: what was decided, by whom and why.
//!
//! Oldest first, as logs are read. As JSON it is one entry a line, so that it can be kept and searched; the entries are
//! those of the API, whole.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use serin_config::moment;

use super::{
    client::{self, Access, Log, Outcome, log::sequence, plain},
    print, print_on,
    rollout::ServiceText,
};

/// Which entries to show.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 shown; 1 refused; 2 no control plane could be asked. With --follow, a control plane that is away for a while is \
asked again.")]
pub(crate) struct Arguments {
    /// Only those of this service, and those that concern all
    service: Option<ServiceText>,
    /// The newest so many
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Go on with what is decided from now on, until interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    access: Access,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(show(arguments))
}

async fn show(arguments: &Arguments) -> Outcome {
    let Arguments { service, limit, follow, access } = arguments;
    let api = access.api()?;
    let watch = match service {
        Some(service) => format!("/v1/services/{}/watch", service.0),
        None => "/v1/watch".into(),
    };
    let service = service.as_ref().map(|service| service.0.as_str());
    let journal = Log::at(&api, "/v1/journal").only("service", service).told_at(watch);
    let entries = journal.newest((*limit).into()).await?;
    let told = |entries: &[Value]| access.output.lines(entries, line);
    print(&told(&entries));
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    journal.follow(entries.last().map_or(0, sequence), |entries| print_on(&told(entries))).await
}

/// `2026-11-21T13:05:09Z  plan 7  shop  roll back → v1 100% · v2 0%  (judge: guard errors failed)`.
fn line(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = moment::rfc3339_seconds(entry["at_ms"].as_u64().unwrap_or_default());
    let shares = entry["to"].as_object().into_iter().flatten();
    let copies = entry["mirror"].as_str().map(|share| format!("copies of {share}"));
    let shares = shares.map(|(version, weight)| format!("{version} {}", text(weight))).chain(copies);
    let shares: Vec<String> = shares.collect();
    let shares = if shares.is_empty() { String::new() } else { format!(" → {}", shares.join(" · ")) };
    let of = entry["group"].as_str().map(|group| format!(" of {group}")).unwrap_or_default();
    let several = entry["services"].as_array().into_iter().flatten();
    let names: Vec<&str> = several.chain([&entry["service"]]).filter_map(Value::as_str).collect();
    let service = if names.is_empty() { String::new() } else { format!("{}{of}  ", names.join(", ")) };
    let (action, actor, reason) = (text(&entry["action"]), text(&entry["actor"]), text(&entry["reason"]));
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let action = action.replace('_', " ");
    let who = entry["who"]["name"].as_str().map(|name| format!(" {name}")).unwrap_or_default();
    plain(&format!("{at}  plan {}  {service}{action}{shares}  ({actor}{who}{because})", entry["generation"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_a_line_that_can_forge_no_other() {
        let entry = json!({
            "sequence": 3, "at_ms": 1_795_266_309_123_u64, "actor": "api", "service": "shop",
            "action": "set_weights", "from": null, "to": { "v1": "90%", "v2": "10%" }, "generation": 7,
            "reason": "first\n2026 look",
        });
        assert_eq!(
            line(&entry),
            "2026-11-21T13:05:09Z  plan 7  shop  set weights → v1 90% · v2 10%  (api: first 2026 look)"
        );
        let load = json!({ "at_ms": 0, "actor": "file", "action": "load", "generation": 1, "reason": "" });
        assert_eq!(line(&load), "1970-01-01T00:00:00Z  plan 1  load  (file)");
        let freeze = json!({ "at_ms": 0, "actor": "api", "action": "freeze", "generation": 1, "reason": "audit",
            "service": null, "services": ["blog", "shop"] });
        assert_eq!(line(&freeze), "1970-01-01T00:00:00Z  plan 1  blog, shop  freeze  (api: audit)");
    }
}
