//! `serin rollout replay`: a past rollout, judged again by other policies and by the rules that others use.
//!
//! The windows of the rollout come from the control plane, or from a file to which they were exported. They have the
//! shares that the rollout had: a replay can't show what another decision would have made of them. And a quarter of a second's
//! counts are not kept, so that the fast lane has no part in it.
//!
//! Where the rollout began with copies, every policy judges them as it would have live: their errors, against the very requests
//! that were copied. They harmed nobody, so no rule is charged with them, and other controllers' rules don't know of them.

use std::{fmt::Write, path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use serin_config::{
    ServiceName,
    policy::{Preset, RolloutPolicy},
};
use serin_judge::{
    Window,
    classic::{self, Decision, Outcome, Rule},
    lines::{Buckets, Head, Kind, Moment, Run},
};

use super::{
    super::{
        NO, can_not,
        client::{Access, Outcome as Ended, Stop},
        config_file::{ConfigFile, LoadError, read_at_most},
        judge::{Decision as Judged, Session},
        print,
    },
    ServiceText,
    policy_file::{self, NoPolicy},
    report::time,
};

/// The largest file of windows.
const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Which rollout, and by which policy.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 replayed; 1 there is nothing to replay, or the policy's file has problems; 2 it can't be read.")]
pub(super) struct Replay {
    /// The number of the rollout, as `serin rollout status` shows it
    #[arg(required_unless_present = "windows", conflicts_with = "windows")]
    id: Option<u64>,
    /// Windows in a file instead, as they were exported
    #[arg(long, value_name = "FILE")]
    windows: Option<PathBuf>,
    /// A configuration file whose policy is to be tried, beside the presets
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The service of that file; else that of the rollout, or of exported windows the only one with a canary
    #[arg(long, value_name = "SERVICE", requires = "policy")]
    service: Option<ServiceText>,
    /// The same as --output json
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// What was kept of a rollout.
#[derive(Debug)]
struct Record {
    run: Run,
    past: Vec<Moment>,
    windows: Vec<Moment>,
}

/// One way to decide, and what it would have come to.
#[derive(Debug)]
struct Row {
    name: String,
    about: String,
    outcome: Outcome,
}

/// Replays.
pub(super) async fn replay(replay: &Replay) -> Ended {
    let of_rollout = match replay.id {
        Some(id) => service_of(id, replay).await?,
        None => None,
    };
    let service = replay.service.as_ref().map(|service| service.0.clone()).or_else(|| of_rollout.clone());
    let policies = match policies(replay, service.as_ref()) {
        Ok(policies) => policies,
        Err(code) => return Ok(code),
    };
    let text = match (&replay.windows, replay.id) {
        (Some(path), _) => match read_at_most(path, FILE_BYTES_MAX) {
            Ok(bytes) if bytes.len() > FILE_BYTES_MAX => {
                return Ok(can_not(format_args!("{}: more than {FILE_BYTES_MAX} bytes", path.display())));
            }
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => return Ok(can_not(format_args!("{}: {error}", path.display()))),
        },
        (None, id) => {
            let below = format!("rollouts/{}/windows", id.unwrap_or_default());
            // Who may see some services only may ask by the service.
            let path = match &of_rollout {
                Some(service) => format!("/v1/services/{service}/{below}"),
                None => format!("/v1/{below}"),
            };
            replay.access.api()?.get(&path).await?.body
        }
    };
    let json = replay.json || replay.access.output.is_json();
    Ok(match Record::read(&text).and_then(|record| rows(&record, &policies).map(|rows| (record, rows))) {
        Ok((record, rows)) if json => {
            print(&format!("{:#}\n", as_json(&record, &rows)));
            ExitCode::SUCCESS
        }
        Ok((record, rows)) => {
            print(&table(&record, &rows));
            ExitCode::SUCCESS
        }
        Err(why) => no(&why),
    })
}

/// Whose rollout it is; none where the control plane does not list it any more.
async fn service_of(id: u64, replay: &Replay) -> Result<Option<ServiceName>, Stop> {
    #[derive(Deserialize)]
    struct Page {
        rollouts: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        id: u64,
        service: ServiceName,
    }
    let path = format!("/v1/rollouts?limit=1&before={}", id.saturating_add(1));
    let page: Page = replay.access.api()?.get(&path).await?.read()?;
    Ok(page.rollouts.into_iter().find(|row| row.id == id).map(|row| row.service))
}

fn no(why: &str) -> ExitCode {
    can_not(why);
    ExitCode::from(NO)
}

/// The policies to try: that of the file, and the presets.
fn policies(
    replay: &Replay,
    service: Option<&ServiceName>,
) -> Result<Vec<(String, RolloutPolicy)>, ExitCode> {
    let mut all: Vec<(String, RolloutPolicy)> = Vec::new();
    if let Some(path) = &replay.policy {
        let file = ConfigFile { path: path.clone() };
        let service = policy_file::service(&file, service).map_err(|why| match why {
            // What is asked for is not enough, or can't be read; no answer of it is "no".
            NoPolicy::Which { .. } | NoPolicy::File(LoadError::Unreadable { .. }) => can_not(why),
            why => no(&why.to_string()),
        })?;
        all.push((format!("serin, {}", service.name), service.rollout.clone()));
    }
    all.extend(Preset::ALL.map(|preset| (format!("serin, {}", preset.label()), preset.policy())));
    Ok(all)
}

impl Record {
    fn read(text: &str) -> Result<Self, String> {
        let mut run = None;
        let (mut past, mut windows) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |error: serde_json::Error| format!("line {number} of the windows: {error}");
            match serde_json::from_str::<Head>(line).map_err(wrong)?.kind {
                Kind::Run if run.is_some() => {
                    return Err(format!("line {number} of the windows begins a second run"));
                }
                Kind::Run => run = Some(serde_json::from_str(line).map_err(wrong)?),
                Kind::Pre => past.push(serde_json::from_str(line).map_err(wrong)?),
                Kind::Win => windows.push(serde_json::from_str(line).map_err(wrong)?),
                Kind::End => {}
            }
        }
        let run = run.ok_or("the windows do not begin with a run")?;
        if windows.is_empty() {
            return Err("there is no window in it".into());
        }
        Ok(Self { run, past, windows })
    }

    /// The windows as rules read them; none if their latencies are on another scale than the proxies' own, or
    /// they are not seconds.
    fn seconds(&self) -> Result<Option<Vec<Window>>, String> {
        if self.run.buckets != Buckets::default() || self.run.window_s != 1.0 {
            return Ok(None);
        }
        // Nobody else's rules know of copies, which have no traffic to weigh.
        let windows = self.windows.iter().filter(|moment| !moment.copies).map(|moment| {
            moment.clone().window(&self.run).map_err(|why| format!("t {} of the windows: {why}", moment.t))
        });
        windows.collect::<Result<_, _>>().map(Some)
    }
}

fn rows(record: &Record, policies: &[(String, RolloutPolicy)]) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (name, policy) in policies {
        let outcome = judged(record, policy)?;
        let about = format!("evidence of {:.0} to 1 against the canary", 1.0 / policy.false_alarm);
        rows.push(Row { name: name.clone(), about, outcome });
    }
    if let Some(windows) = record.seconds()? {
        rows.extend(Rule::ALL.map(|rule| Row {
            name: rule.name().replace('_', " "),
            about: rule.about().into(),
            outcome: classic::replay(rule, &mut windows.iter()),
        }));
    }
    Ok(rows)
}

/// What this judge makes of the record under a policy. A promotion is where the proof for everything is complete; a
/// rollback after it still counts, as it would at the steps that are left.
fn judged(record: &Record, policy: &RolloutPolicy) -> Result<Outcome, String> {
    let mut session = Session::new(record.run.clone(), policy).map_err(|why| why.to_string())?;
    for moment in &record.past {
        session.pre(moment.clone()).map_err(|why| format!("t {} of the windows: {why}", moment.t))?;
    }
    let mut outcome = Outcome { decision: Decision::Continue, at_second: 0, harmed_requests: 0 };
    for (second, moment) in (1_u64..).zip(&record.windows) {
        let users = moment.routes.values().filter(|_| !moment.copies);
        let failed = users.map(|both| both.canary.err);
        outcome.harmed_requests = failed.fold(outcome.harmed_requests, u64::saturating_add);
        session.window(moment.clone()).map_err(|why| format!("t {} of the windows: {why}", moment.t))?;
        match session.decision() {
            Judged::Rollback => {
                return Ok(Outcome { decision: Decision::Rollback, at_second: second, ..outcome });
            }
            Judged::Promote if outcome.decision == Decision::Continue => {
                (outcome.decision, outcome.at_second) = (Decision::Promote, second);
            }
            Judged::Continue => outcome.at_second = second,
            Judged::Promote => {}
        }
    }
    Ok(outcome)
}

/// Requests of the canary and failed ones: of users, or of copies.
fn totals(record: &Record, copies: bool) -> (u64, u64) {
    let windows = record.windows.iter().filter(|moment| moment.copies == copies);
    let canaries = windows.flat_map(|moment| moment.routes.values()).map(|both| &both.canary);
    canaries.fold((0, 0), |(n, err), canary| (canary.n.saturating_add(n), canary.err.saturating_add(err)))
}

fn table(record: &Record, rows: &[Row]) -> String {
    let (n, err) = totals(record, false);
    let copies = match totals(record, true) {
        (0, _) => String::new(),
        (n, err) => format!(", and {n} copies before, {err} failed"),
    };
    let mut text = format!(
        "Rollout {}: {} of windows; the canary had {n} requests, {err} failed{copies}.\n\n{:<22} {:<9} {:>11} {:>16}  rule\n",
        record.run.run,
        time(record.windows.len() as u64),
        "decided by",
        "decision",
        "after",
        "failed requests",
    );
    for Row { name, about, outcome } in rows {
        let decision = match outcome.decision {
            Decision::Rollback => "rollback",
            Decision::Promote => "promote",
            Decision::Continue => "none",
        };
        let (after, failed) = (time(outcome.at_second), outcome.harmed_requests);
        let _ = writeln!(text, "{name:<22} {decision:<9} {after:>11} {failed:>16}  {about}");
    }
    text.push_str(
        "\nThe canary's share is the one that it had: a rule that decides later is not charged with larger steps.\n",
    );
    text
}

fn as_json(record: &Record, rows: &[Row]) -> serde_json::Value {
    let (requests, failed) = totals(record, false);
    let (copies, failed_copies) = totals(record, true);
    let rows = rows.iter().map(|row| {
        json!({ "name": row.name, "about": row.about, "decision": row.outcome.decision,
            "at_second": row.outcome.at_second, "failed_requests": row.outcome.harmed_requests })
    });
    json!({ "rollout": record.run.run, "seconds": record.windows.len(), "requests": requests, "failed": failed,
        "copies": copies, "failed_copies": failed_copies, "rows": rows.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute of a healthy canary, then two of one that fails a tenth.
    fn record() -> Record {
        let mut text = String::from("{\"type\":\"run\",\"run\":4,\"routes\":[\"shop\"]}\n");
        for second in 0..180 {
            let failed = if second < 60 { 0 } else { 5 };
            let _ = writeln!(
                text,
                "{{\"type\":\"win\",\"t\":{second},\"routes\":{{\"shop\":{{\
                 \"baseline\":{{\"n\":950,\"err\":0}},\"canary\":{{\"n\":50,\"err\":{failed}}}}}}}}}"
            );
        }
        Record::read(&text).unwrap()
    }

    #[test]
    fn each_policy_and_each_rule_has_its_price() {
        let policies = Preset::ALL.map(|preset| (preset.label().to_owned(), preset.policy()));
        let rows = rows(&record(), &policies).unwrap();
        assert_eq!(rows.len(), 3 + Rule::ALL.len());
        for row in &rows[..3] {
            assert_eq!(row.outcome.decision, Decision::Rollback, "{row:?}");
            let seconds = row.outcome.at_second - 60;
            assert!((3..=12).contains(&seconds), "{row:?}");
            assert_eq!(row.outcome.harmed_requests, seconds * 5);
        }
        assert!(rows[2].outcome.at_second <= rows[0].outcome.at_second, "fast is not slower than cautious");
        let flagger = rows.iter().find(|row| row.name == "flagger").unwrap();
        assert_eq!((flagger.outcome.decision, flagger.outcome.harmed_requests), (Decision::Continue, 600));
        let text = table(&record(), &rows);
        assert!(
            text.starts_with("Rollout 4: 3 m 00 s of windows; the canary had 9000 requests, 600 failed.\n"),
            "{text}"
        );
    }

    #[test]
    fn a_canary_that_its_copies_convicted_is_convicted_again_by_every_policy_and_harmed_nobody() {
        let mut text = String::from("{\"type\":\"run\",\"run\":4,\"routes\":[\"shop\"]}\n");
        for second in 0..60 {
            let _ = writeln!(
                text,
                "{{\"type\":\"win\",\"t\":{second},\"copies\":true,\"routes\":{{\"shop\":{{\
                 \"baseline\":{{\"n\":50,\"err\":0}},\"canary\":{{\"n\":50,\"err\":40}}}}}}}}"
            );
        }
        let record = Record::read(&text).unwrap();
        let policies = Preset::ALL.map(|preset| (preset.label().to_owned(), preset.policy()));
        let rows = rows(&record, &policies).unwrap();
        for row in &rows[..3] {
            let Outcome { decision, at_second, harmed_requests } = row.outcome;
            assert_eq!((decision, harmed_requests), (Decision::Rollback, 0), "{row:?}");
            assert!(at_second <= 8, "{row:?}");
        }
        assert!(rows[3..].iter().all(|row| row.outcome.decision == Decision::Continue), "{rows:?}");
        let text = table(&record, &rows);
        assert!(text.contains("had 0 requests, 0 failed, and 3000 copies before, 2400 failed.\n"), "{text}");
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_line() {
        for (text, said) in [
            ("", "do not begin with a run"),
            ("{\"type\":\"run\",\"run\":4,\"routes\":[]}", "no window"),
            ("{\"type\":\"run\",\"run\":4,\"routes\":[]}\nnonsense", "line 2"),
        ] {
            assert!(Record::read(text).unwrap_err().contains(said), "{text}");
        }
    }
}
