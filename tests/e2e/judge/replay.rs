//! What a rollout was judged by is kept, can be taken out, and judged again to the same end.

use std::{fs, process::Command, time::Duration};

use serde_json::{Value, json};
use serin_loadtest::Stop;

use super::rig::Rig;
use crate::harness::{beside, eventually, http, serin::binary};

#[test]
fn a_rollback_is_judged_again_from_its_windows_by_this_rule_and_by_those_of_others() {
    let _machine = beside();
    let rig = Rig::new(1, &json!({ "probe": {} })).begin();
    let running = rig.load(Stop::Never);
    // What the fast lane ends, a replay of seconds can't end. So the canary fails after its probe, in which five requests
    // make a block of beats and three of them may look like an outage, and too seldom for a block of twenty to.
    rig.served(Duration::from_secs(60), 15_000);
    rig.canary.set_error_ppm(100_000);
    let rollout = eventually(Duration::from_secs(60), "the rollout is rolled back", || {
        let rollout = rig.serin.control().rollout();
        (rollout["state"] == "rolled_back").then_some(rollout)
    });
    running.cancel();
    running.blocking_report().unwrap();
    let id = &rollout["id"];

    let export = http::get(rig.serin.api, &format!("/v1/services/shop/rollouts/{id}/windows")).unwrap();
    assert_eq!(export.status, 200, "{}", export.body);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("windows.jsonl");
    fs::write(&file, &export.body).unwrap();
    let answers = said(binary().args(["judge", "--late-starts", "--windows"]).arg(&file));
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let windows = export.body.lines().filter(|line| line.contains("\"type\":\"win\"")).count();
    assert_eq!(answers.len(), windows);
    let seconds = rollout["verdict"]["seconds"].as_u64().unwrap();
    assert!(windows as u64 >= seconds, "{windows} windows, {rollout}");

    let replay = ["rollout", "replay", &id.to_string(), "--json", "--api", &rig.serin.api.to_string()];
    let replayed: Value = serde_json::from_str(&said(binary().args(replay))).unwrap();
    let row = |name: &str| {
        let rows = replayed["rows"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {replayed}")).clone()
    };
    let ours = row("serin, balanced");
    assert_eq!(ours["decision"], "rollback", "{replayed}");
    assert!(ours["failed_requests"].as_u64().unwrap() > 0, "{replayed}");
    let flagger = row("flagger");
    assert_eq!(flagger["decision"], "continue", "ten minutes are not over: {replayed}");
    assert!(flagger["failed_requests"].as_u64() >= ours["failed_requests"].as_u64(), "{replayed}");
    let missing =
        binary().args(["rollout", "replay", "999", "--api", &rig.serin.api.to_string()]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no windows are kept"), "{missing:?}");

    // Of a file with several services the rollout's own is meant; windows alone do not name one.
    let mut several: Value = serde_json::from_str(&fs::read_to_string(rig.serin.file()).unwrap()).unwrap();
    several["services"]["blog"] = several["services"]["shop"].clone();
    let policy = directory.path().join("several.json");
    fs::write(&policy, several.to_string()).unwrap();
    let replayed: Value =
        serde_json::from_str(&said(binary().args(replay).arg("--policy").arg(&policy))).unwrap();
    assert_eq!(replayed["rows"][0]["name"], "serin, shop", "{replayed}");
    let which = ["rollout", "replay", "--windows"];
    let which = binary().args(which).arg(&file).arg("--policy").arg(&policy).output().unwrap();
    assert_eq!(which.status.code(), Some(2), "{which:?}");
    assert!(String::from_utf8_lossy(&which.stderr).contains("Give --service"), "{which:?}");
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
