//! `serin journal`: what was decided, by whom and why.
//!
//! Oldest first, as logs are read. As JSON it is one entry a line, so that it can be kept and searched; the entries are
//! those of the API, whole.

use std::{io::Write, process::ExitCode, time::Duration};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use serin_config::{limits::API_ENTRIES_MAX, moment};
use tokio::time::sleep;

use super::{
    client::{self, Access, Api, Outcome, Stop, events::Events, plain},
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

/// How often to look for new entries, where the API does not tell by itself.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Page {
    entries: Vec<Value>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(show(arguments))
}

async fn show(arguments: &Arguments) -> Outcome {
    let api = arguments.access.api()?;
    let journal = Journal { api: &api, service: arguments.service.as_ref() };
    let told = |entries: &[Value]| {
        let json = arguments.access.output.is_json();
        let lines = entries.iter().map(|entry| if json { entry.to_string() } else { line(entry) });
        lines.map(|line| line + "\n").collect::<String>()
    };
    let entries = journal.newest(arguments.limit.into()).await?;
    print(&told(&entries));
    if !arguments.follow {
        return Ok(ExitCode::SUCCESS);
    }
    let mut seen = entries.last().map_or(0, sequence);
    let (mut events, mut away) = (None, false);
    loop {
        if events.is_none() {
            // One that does not tell, or tells too many others, can still be asked.
            events = api.events(&journal.watch(), seen).await.ok();
        }
        let next = match &mut events {
            Some(open) => next(open).await,
            None => {
                sleep(EVERY).await;
                journal.after(seen).await.map(Some)
            }
        };
        match next {
            Ok(Some(entries)) => {
                away = false;
                seen = entries.last().map_or(seen, sequence);
                if !entries.is_empty() && !print_on(&told(&entries)) {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            // Streams end after a while.
            Ok(None) => {
                events = None;
                sleep(EVERY).await;
            }
            Err(stop) => {
                events = None;
                if !std::mem::replace(&mut away, true) {
                    // Where nobody listens, whoever follows sees that nothing comes.
                    let _ = writeln!(std::io::stderr().lock(), "serin: {stop}; asking again");
                }
                sleep(EVERY).await;
            }
        }
    }
}

/// What the next event tells; none when they have ended.
async fn next(events: &mut Events<'_>) -> Result<Option<Vec<Value>>, Stop> {
    let event = events.next().await?;
    event
        .map(|event| if event.kind == "decision" { Ok(vec![event.read()?]) } else { Ok(Vec::new()) })
        .transpose()
}

struct Journal<'a> {
    api: &'a Api,
    service: Option<&'a ServiceText>,
}

impl Journal<'_> {
    /// The newest so many, the oldest of them first.
    async fn newest(&self, many: usize) -> Result<Vec<Value>, Stop> {
        let mut entries = Vec::new();
        while entries.len() < many {
            let limit = (many - entries.len()).min(API_ENTRIES_MAX);
            let page = self.page(limit, entries.last().map(sequence)).await?;
            let is_last = page.len() < limit;
            entries.extend(page);
            if is_last {
                break;
            }
        }
        entries.reverse();
        Ok(entries)
    }

    /// Where the API tells of new ones.
    fn watch(&self) -> String {
        match self.service {
            Some(service) => format!("/v1/services/{}/watch", service.0),
            None => "/v1/watch".into(),
        }
    }

    /// Those that are newer, the oldest first.
    async fn after(&self, seen: u64) -> Result<Vec<Value>, Stop> {
        let mut entries: Vec<Value> = Vec::new();
        loop {
            let page = self.page(API_ENTRIES_MAX, entries.last().map(sequence)).await?;
            let (before, length) = (entries.len(), page.len());
            entries.extend(page.into_iter().take_while(|entry| sequence(entry) > seen));
            if entries.len() - before < length || length < API_ENTRIES_MAX {
                entries.reverse();
                return Ok(entries);
            }
        }
    }

    async fn page(&self, limit: usize, before: Option<u64>) -> Result<Vec<Value>, Stop> {
        let mut path = format!("/v1/journal?limit={limit}");
        if let Some(service) = self.service {
            path.push_str(&format!("&service={}", service.0));
        }
        if let Some(before) = before {
            path.push_str(&format!("&before={before}"));
        }
        Ok(self.api.get(&path).await?.read::<Page>()?.entries)
    }
}

fn sequence(entry: &Value) -> u64 {
    entry["sequence"].as_u64().unwrap_or_default()
}

/// `2026-11-21T13:05:09Z  plan 7  shop  roll back → v1 100% · v2 0%  (judge: guard errors failed)`.
fn line(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = moment::rfc3339_seconds(entry["at_ms"].as_u64().unwrap_or_default());
    let shares = entry["to"].as_object().into_iter().flatten();
    let shares: Vec<String> = shares.map(|(version, weight)| format!("{version} {}", text(weight))).collect();
    let shares = if shares.is_empty() { String::new() } else { format!(" → {}", shares.join(" · ")) };
    let service = entry["service"].as_str().map(|service| format!("{service}  ")).unwrap_or_default();
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
    }
}
