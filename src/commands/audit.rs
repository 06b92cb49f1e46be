//! `serin audit`: who asked for which change, from where and why, and what became of it.
//!
//! The journal says what was decided, by whomever; this also says what was refused. It is read as the journal is.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
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
Only admins may do this. As JSON it is one entry a line.
Exit codes: 0 shown; 1 refused; 2 no control plane could be asked. With --follow, a control plane that is away for a while is \
asked again.")]
pub(crate) struct Arguments {
    /// Only what was asked for this service, or for the group that it is in
    service: Option<ServiceText>,
    /// Only what this token or certificate asked for
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Only what was asked for by this word, such as start, set_weights or create_token
    #[arg(long, value_name = "WORD")]
    what: Option<String>,
    /// Only what ended so
    #[arg(long, value_enum)]
    fate: Option<Fate>,
    /// The newest so many
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Go on with what is asked for from now on, until interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    access: Access,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Fate {
    /// It was done
    Done,
    /// It was not
    Refused,
    /// It was passed on, and nobody said in time whether it was done
    Unknown,
}

impl Fate {
    fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(show(arguments))
}

async fn show(arguments: &Arguments) -> Outcome {
    let Arguments { service, who, what, fate, limit, follow, access } = arguments;
    let api = access.api()?;
    let audit = Log::at(&api, "/v1/audit")
        .only("service", service.as_ref().map(|service| service.0.as_str()))
        .only("who", who.as_deref())
        .only("what", what.as_deref())
        .only("fate", fate.map(Fate::label));
    let entries = audit.newest((*limit).into()).await?;
    let told = |entries: &[Value]| access.output.lines(entries, line);
    print(&told(&entries));
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    audit.follow(entries.last().map_or(0, sequence), |entries| print_on(&told(entries))).await
}

/// `2026-11-21T13:05:09Z  refused  ci from 10.0.0.7:4711  shop  start (release 2): a rollout is in progress`.
fn line(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = moment::rfc3339_seconds(entry["at_ms"].as_u64().unwrap_or_default());
    let who = match &entry["who"] {
        Value::Object(who) => {
            let token = who.get("token").map(|id| format!(" (token {})", text(id))).unwrap_or_default();
            let via = who.get("via").map(|via| format!(" via {}", text(via))).unwrap_or_default();
            format!("{}{token} from {}{via}", text(&who["name"]), text(&who["from"]))
        }
        _ => text(&entry["actor"]),
    };
    let service = match (entry["service"].as_str(), entry["group"].as_str()) {
        (Some(service), Some(group)) => format!("{service} of {group}  "),
        (Some(name), None) | (None, Some(name)) => format!("{name}  "),
        (None, None) => String::new(),
    };
    let (what, detail, reason) = (text(&entry["what"]), text(&entry["detail"]), text(&entry["reason"]));
    let what = what.replace('_', " ");
    let detail = if detail.is_empty() || detail == what { String::new() } else { format!(", {detail}") };
    let reason = match (entry["urgent"] == true, reason.is_empty()) {
        (true, _) => format!(" (urgent: {reason})"),
        (false, true) => String::new(),
        (false, false) => format!(" ({reason})"),
    };
    let because = entry["because"].as_str().map(|because| format!(": {because}")).unwrap_or_default();
    let times = match entry["times"].as_u64() {
        Some(times) if times > 1 => format!(" [{times} times]"),
        _ => String::new(),
    };
    let fate = text(&entry["fate"]);
    plain(&format!("{at}  {fate}  {who}  {service}{what}{detail}{reason}{because}{times}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_a_line_that_says_who_asked_for_what_and_what_became_of_it() {
        let entry = json!({
            "sequence": 3, "at_ms": 1_795_266_309_123_u64, "times": 1, "actor": "api",
            "who": { "name": "ci", "from": "10.0.0.7:4711" }, "what": "start", "detail": "start", "service": "shop",
            "reason": "release\n2", "fate": "done", "problem": null, "because": null, "generation": 7,
        });
        assert_eq!(
            line(&entry),
            "2026-11-21T13:05:09Z  done  ci from 10.0.0.7:4711  shop  start (release 2)"
        );
        let passed_on = json!({
            "sequence": 5, "at_ms": 0, "times": 1, "actor": "api", "group": "site", "service": "shop",
            "who": { "name": "ci", "from": "10.0.0.7", "token": "0123456789abcdef", "via": "control-2" },
            "what": "start", "detail": "start group site", "reason": "hotfix", "urgent": true, "fate": "done",
        });
        assert_eq!(
            line(&passed_on),
            "1970-01-01T00:00:00Z  done  ci (token 0123456789abcdef) from 10.0.0.7 via control-2  shop of site  start, start \
             group site (urgent: hotfix)"
        );
        let sum = json!({
            "sequence": 4, "at_ms": 0, "times": 12, "actor": "api", "who": null, "what": "set_weights",
            "detail": "v1 100%, if plan 3 is in force", "service": null, "reason": "", "fate": "refused",
            "problem": "frozen", "because": "service \"shop\" is frozen", "generation": null,
        });
        assert_eq!(
            line(&sum),
            "1970-01-01T00:00:00Z  refused  api  set weights, v1 100%, if plan 3 is in force: service \"shop\" is frozen \
             [12 times]"
        );
    }
}
