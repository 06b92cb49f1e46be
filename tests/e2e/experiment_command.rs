//! `serin load experiment` against a real proxy and its faults: what it tells, and that nothing is left behind.
//!
//! Scores, recovery and the order of things are covered by `serin-loadtest`.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use serin_config::raw::decode::Leaf;
use serin_loadtest::{Stub, StubOptions};
use tempfile::TempDir;

use crate::harness::{
    SOON, beside,
    config::two_versions,
    http,
    serin::{Serin, binary},
    until,
};

/// A proxy with half of its requests on each version, and a directory for files.
struct Day {
    serin: Serin,
    files: TempDir,
    _stubs: [Stub; 2],
}

impl Day {
    fn begin() -> Self {
        let stubs = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
        let serin = Serin::start(two_versions(stubs[0].address(), stubs[1].address(), "50%", "50%"));
        Self { serin, files: TempDir::new().unwrap(), _stubs: stubs }
    }

    fn file(&self, more: &Value) -> PathBuf {
        let mut all = json!({
            "load": { "url": format!("http://{}/", self.serin.web), "rate": 100 },
            "proxies": [self.serin.admin.to_string()],
            "steady": "1s",
            "window": "1s",
            // Only failures: on a machine with much else to do latencies say little.
            "hypothesis": { "error_rate": "5%" },
        });
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        let file = self.files.path().join("day.yaml");
        std::fs::write(&file, all.to_string()).unwrap();
        file
    }

    fn run(&self, more: &Value) -> (Output, String) {
        let file = self.file(more);
        let json = self.files.path().join("day.json");
        let page = self.files.path().join("day.html");
        let mut command = binary();
        command.args(["load", "experiment"]).arg(file).arg("--json").arg(json).arg("--html").arg(page);
        let output = command.output().unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        (output, String::from_utf8(said).unwrap())
    }

    fn outcome(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.files.path().join("day.json")).unwrap()).unwrap()
    }

    fn faults(&self) -> usize {
        http::get(self.serin.admin, "/faults").unwrap().json()["faults"].as_array().unwrap().len()
    }
}

#[test]
fn faults_that_users_notice_are_told_with_their_recovery_and_score() {
    let _machine = beside();
    let day = Day::begin();
    let (output, said) = day.run(&json!({ "faults": [
        { "name": "gone", "service": "shop", "version": "v1", "down": true, "lasts": "2s" },
        { "name": "wait", "delay": "20ms", "lasts": "1s" },
        { "name": "canary gone", "service": "shop", "version": "v2", "down": true, "lasts": "1s" },
    ] }));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("inject: gone (endpoints down (shop v1))") && said.contains("result: degraded"),
        "{said}"
    );
    let outcome = day.outcome();
    let phases = outcome["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["steady", "gone", "wait", "canary gone"]);
    // Half of the requests go to the version that is gone, and no other one stands in for the stable one.
    let share = |phase: &Value| phase["failed"].as_f64().unwrap() / phase["requests"].as_f64().unwrap();
    assert!((0.3..0.7).contains(&share(&phases[1])), "{said}");
    assert_eq!((share(&phases[0]), phases[2]["broken"].as_array().unwrap().len()), (0.0, 0), "{said}");
    assert!(phases[1]["recovery_seconds"].as_u64().unwrap() <= 5, "{said}");
    let score = outcome["score"].as_f64().unwrap();
    assert!((0.4..1.0).contains(&score), "{said}");
    assert_eq!(day.faults(), 0);
    // Users hardly notice the last one, and are told why.
    assert!(said.contains("the trip-wire took v2 of shop ("), "{said}");
    let page = std::fs::read_to_string(day.files.path().join("day.html")).unwrap();
    assert!(page.contains("<figcaption>Score over time</figcaption>") && page.contains("under gone"));
}

#[test]
fn beyond_a_limit_or_when_it_is_interrupted_nothing_is_left_in_force() {
    let _machine = beside();
    let day = Day::begin();
    let faults = json!([{ "name": "all fail", "abort": 503, "lasts": "10m" }]);
    let (output, said) = day.run(&json!({ "faults": faults, "abort": { "error_rate": "60%" } }));
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("beyond what may be: error_rate is 100.0000 %"), "{said}");
    assert_eq!((day.faults(), &day.outcome()["result"]), (0, &json!("aborted")));

    let mut command = binary();
    command.args(["load", "experiment"]).arg(day.file(&json!({ "faults": faults })));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until(SOON, "the fault is in force", || day.faults() == 1);
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("it was interrupted"), "{said}");
    assert_eq!(day.faults(), 0);

    // Whoever is killed can undo nothing: the proxy was told an end beforehand.
    let mut command = binary();
    command.args(["load", "experiment", "-q"]).arg(day.file(&json!({ "faults": faults })));
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    until(SOON, "the fault is in force", || day.faults() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    let listed = http::get(day.serin.admin, "/faults").unwrap().json();
    let ends = Duration::read(listed["faults"][0]["expires"].as_str().unwrap()).unwrap();
    assert!(ends <= Duration::from_secs(10 * 60 + 5), "{listed}");
}

#[test]
fn an_experiment_that_holds_passes_and_one_that_can_not_be_run_says_why() {
    let _machine = beside();
    let day = Day::begin();
    let harmless = json!([{ "version": "v1", "delay": "5ms", "lasts": "1s" }]);
    let (output, said) = day.run(&json!({ "faults": harmless }));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("result: held, score 1.00"), "{said}");

    let none = json!({ "load": { "url": "http://127.0.0.1:1/" }, "faults": harmless });
    let other = json!({ "proxies": ["127.0.0.1:1"], "faults": harmless });
    for (file, words) in [
        (
            json!({ "faults": [{ "version": "v9", "down": true, "lasts": "1s" }] }),
            "there is no version \"v9\"",
        ),
        (json!({ "faults": [{ "down": true }] }), "faults[0]: \"lasts\" is missing"),
        (none, "the hypothesis does not hold without any fault"),
        (other, "no admin listener of Serin answers at 127.0.0.1:1"),
    ] {
        let (output, said) = day.run(&file);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(words), "{words} is missing in:\n{said}");
    }
    let fault = json!({ "down": true, "percent": "0%", "expires": "1m" });
    http::call(day.serin.admin, "POST", "/faults", Some(&fault)).unwrap();
    let (output, said) = day.run(&json!({ "faults": harmless }));
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("has injected faults in force already"), "{said}");
    assert_eq!(day.faults(), 1, "somebody else's fault is left alone");
}
