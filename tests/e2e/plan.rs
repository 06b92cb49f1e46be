//! `serin rollout plan`: times and costs from a file alone, and what is said when they can't be told.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::harness::{beside, config::two_versions, free_addresses, serin::binary};

/// A file with two services that have a canary; only `shop` has a short way to go.
fn file(directory: &tempfile::TempDir, several: bool) -> String {
    let [v1, v2] = free_addresses().map(serin_config::Address::Tcp);
    let mut config = two_versions(&v1, &v2, "100%", "0%");
    config["listeners"] = json!([{ "address": "127.0.0.1:1" }]);
    config["services"]["shop"]["rollout"] = json!({ "preset": "fast" });
    if several {
        config["services"]["blog"] = config["services"]["shop"].clone();
    }
    let path = directory.path().join("serin.yaml");
    fs::write(&path, config.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn plan(file: &str, more: &[&str]) -> Output {
    binary().args(["rollout", "plan", "-c", file]).args(more).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_plan_tells_of_each_step_how_long_it_takes_and_what_a_bad_version_costs() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, false);
    let arguments = ["--rps", "1000", "--rollouts", "3", "--regression", "errors=5%"];
    let output = plan(&path, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // Nobody looks at the progress of a plan that goes into a file.
    assert_eq!(text(&output.stderr), "");
    let told = text(&output.stdout);
    assert!(told.starts_with("Service shop, preset fast: 1 000 requests a second"), "{told}");
    for part in ["\n  5%      50/s", "\n  25%     250/s", "errors 5 %", "100% is reached after"] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
    let output = plan(&path, &[&arguments[..], &["--json"]].concat());
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = &plan["plan"]["steps"][0];
    assert_eq!((&plan["service"], &first["weight"]), (&json!("shop"), &json!("5%")));
    assert_eq!((&first["good"]["passed"], &first["bad"][0]["caught"]), (&json!(3), &json!(3)));
    assert!(first["bad"][0]["harmed"].as_u64().unwrap() <= 25, "{first:#}");
    assert!(plan["plan"]["seconds"].as_u64().unwrap() >= 60, "{plan:#}");
}

#[test]
fn a_policy_is_read_from_the_file_of_a_control_plane_too() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let mut file: Value =
        serde_json::from_str(&fs::read_to_string(file(&directory, false)).unwrap()).unwrap();
    file.as_object_mut().unwrap().remove("listeners");
    file["control"] = json!({ "fleet": { "address": "127.0.0.1:0" } });
    let written = |name: &str, file: &Value| {
        let path = directory.path().join(name);
        fs::write(&path, file.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let control = written("control.yaml", &file);
    let output = plan(&control, &["--rps", "1000", "--rollouts", "1", "--regression", "errors=100%"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    let windows = directory.path().join("windows.jsonl");
    let counts = json!({ "baseline": { "n": 900, "err": 0 }, "canary": { "n": 100, "err": 0 } });
    let lines = [
        json!({ "type": "run", "run": 1, "routes": ["web"] }),
        json!({ "type": "win", "t": 0, "routes": { "web": counts } }),
    ];
    fs::write(&windows, lines.map(|line| line.to_string() + "\n").concat()).unwrap();
    let replay = |policy: &str| {
        let windows = windows.to_str().unwrap();
        let more = ["rollout", "replay", "--windows", windows, "--policy", policy];
        binary().args(more).output().unwrap()
    };
    let output = replay(&control);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("serin, shop"), "{}", text(&output.stdout));

    // The same problems, at their places; and a proxy's file has no policy at all.
    file["services"]["shop"]["rollout"]["preset"] = json!("hasty");
    let wrong = written("wrong.yaml", &file);
    let (planned, replayed) = (plan(&wrong, &["--rps", "10"]), replay(&wrong));
    assert_eq!((planned.status.code(), replayed.status.code()), (Some(1), Some(1)));
    for said in [text(&planned.stdout), text(&replayed.stderr)] {
        assert!(said.contains("services.shop.rollout.preset") && !said.contains("listeners"), "{said}");
    }
    let proxy = json!({ "listeners": [{ "address": "127.0.0.1:1" }],
        "control": { "connect": { "endpoints": ["127.0.0.1:9903"] } } });
    let proxy = written("proxy.yaml", &proxy);
    for said in [plan(&proxy, &["--rps", "10"]), replay(&proxy)].map(|output| text(&output.stderr)) {
        assert!(said.contains("give the file of serin control"), "{said}");
    }
}

#[test]
fn what_can_not_be_planned_is_said_in_one_line() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, true);
    for (more, said) in [
        (&["--rps", "10"][..], "which service is meant? Give --service with one of blog, shop"),
        (&["--rps", "10", "--service", "shops"], "there is no service \"shops\"; the file has blog, shop"),
        (&["--rps", "10", "--service", "shop", "--p99", "5ms"], "--p99 is shorter than --p50"),
        (&["--rps", "0"], "write a number above 0"),
        (&["--rps", "10", "--regression", "p50=2"], "is no kind of regression"),
    ] {
        let output = plan(&path, more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(text(&output.stderr).contains(said), "{more:?}: {}", text(&output.stderr));
    }
    let missing = plan("/nowhere/serin.yaml", &["--rps", "1"]);
    assert_eq!(missing.status.code(), Some(2));
}
