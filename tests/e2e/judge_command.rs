//! `serin judge`, as a program at the other end of a pipe meets it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{beside, serin::binary};

/// A running judge that is asked line by line.
struct Asked {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Asked {
    fn start(arguments: &[&str]) -> Self {
        let mut child = binary()
            .args(["judge", "--windows", "-"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    fn tell(&mut self, line: &Value) {
        writeln!(self.to.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends a window and waits for its answer, which must come before anything else is sent.
    fn ask(&mut self, line: &Value) -> Value {
        self.tell(line);
        let mut answer = String::new();
        self.from.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    /// Ends the input; gives the exit code and what was said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.to.take());
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn run(number: u64) -> Value {
    json!({ "type": "run", "run": number, "window_s": 1.0, "weight": 0.05,
        "buckets": { "scheme": "log2", "v0_ms": 0.5, "per_octave": 16, "count": 240 }, "routes": ["r0"] })
}

fn end(number: u64) -> Value {
    json!({ "type": "end", "run": number })
}

fn counts(n: u64, err: u64) -> Value {
    json!({ "n": n, "err": err, "hist": { "80": n - err } })
}

fn win(t: f64, canary: (u64, u64), baseline: (u64, u64)) -> Value {
    let both = json!({ "baseline": counts(baseline.0, baseline.1), "canary": counts(canary.0, canary.1) });
    json!({ "type": "win", "t": t, "routes": { "r0": both } })
}

#[test]
fn each_window_is_answered_before_the_next_and_runs_begin_anew() {
    let _machine = beside();
    let mut judge = Asked::start(&[]);
    let mut first = Vec::new();
    for number in 0..3 {
        judge.tell(&run(number));
        let mut answers = Vec::new();
        for t in 0..10 {
            let failed = if t < 5 { 0 } else { 50 };
            let answer = judge.ask(&win(f64::from(t), (50, failed), (950, 1)));
            assert_eq!(answer["t"], json!(t), "{answer}");
            assert!(answer["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{answer}");
            answers
                .push((answer["decision"].as_str().unwrap().to_owned(), answer["log_e"].as_f64().unwrap()));
        }
        judge.tell(&end(number));
        let decisions: Vec<&str> = answers.iter().map(|(decision, _)| decision.as_str()).collect();
        assert!(decisions[..5].iter().all(|decision| *decision == "continue"), "{answers:?}");
        assert!(decisions[5..].iter().all(|decision| *decision == "rollback"), "answered on: {answers:?}");
        assert!(answers[5].1 >= 1e4_f64.ln() && answers[4].1 < 0.0, "{answers:?}");
        if number == 0 {
            first = answers;
        } else {
            assert_eq!(answers, first, "run {number} has no memory of those before");
        }
    }
    assert_eq!(judge.end(), (Some(0), String::new()));
}

#[test]
fn a_window_that_can_not_be_true_is_named_and_answered_and_is_no_evidence() {
    let _machine = beside();
    let mut judge = Asked::start(&[]);
    judge.tell(&run(0));
    let before = judge.ask(&win(0.0, (50, 0), (950, 0)));
    let most = u64::MAX;
    for (line, why) in [
        (
            json!({ "type": "win", "t": 1, "routes": { "r0": { "canary": { "n": 1, "err": 2 } } } }),
            "err is 2",
        ),
        (json!({ "type": "win", "t": 1, "routes": { "r9": {} } }), "route \"r9\""),
        (win(0.0, (50, 50), (950, 0)), "in order"),
        (
            json!({ "type": "win", "t": 1, "routes": { "r0": { "canary": { "n": 5, "err": 0, "hist": { "3": most } } } } }),
            "hist holds",
        ),
    ] {
        let answer = judge.ask(&line);
        let reason = answer["reason"].as_str().unwrap();
        assert!(reason.starts_with("refused: ") && reason.contains(why), "{answer}");
        assert_eq!((&answer["decision"], &answer["log_e"]), (&before["decision"], &before["log_e"]));
    }
    let huge = json!({ "type": "win", "t": 1, "routes": { "r0": {
        "canary": { "n": most, "err": most / 2 }, "baseline": { "n": most, "err": most / 2 } } } });
    let answer = judge.ask(&huge);
    assert!(answer["log_e"].is_f64(), "a number whatever was counted: {answer}");
    let (code, said) = judge.end();
    assert_eq!(code, Some(1), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    for (line, number) in lines.iter().zip(3..) {
        assert!(line.starts_with(&format!("serin: line {number}: refused: ")), "{line}");
    }
}

#[test]
fn a_line_that_is_not_understood_is_named_and_left_out() {
    let _machine = beside();
    for (text, said) in [
        ("{\"type\":\"win\",\"t\":0,\"routes\":{}}", "line 1: refused: no run is open"),
        ("\n\nnot json", "line 3: refused: not understood"),
        ("{\"type\":\"wind\"}", "line 1: refused: not understood: unknown variant"),
        ("{\"type\":\"run\",\"run\":0,\"window_s\":0,\"routes\":[]}", "line 1: refused: window_s is 0"),
        (
            "{\"type\":\"run\",\"run\":0,\"routes\":[]}\n{\"type\":\"end\",\"run\":1}",
            "line 2: refused: this ends run 1, but run 0 is open",
        ),
    ] {
        let mut judge = Asked::start(&[]);
        judge.to.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
        let (code, words) = judge.end();
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains(said) && words.lines().count() == 1, "{words}");
    }
    let mut judge = Asked::start(&[]);
    judge.tell(&run(0));
    judge.tell(&json!("torn"));
    let window = json!({ "type": "win", "t": 0, "routes": { "r0": { "baseline": { "n": 9, "err": 0 }, "canary": { "n": 1, "err": 0 } } } });
    assert_eq!(judge.ask(&window)["decision"], "continue");
    let (code, words) = judge.end();
    assert_eq!(code, Some(1), "{words}");
    let missing = binary().args(["judge", "--windows", "/nowhere/windows.jsonl"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).starts_with("serin: /nowhere/windows.jsonl: "));
}

#[test]
fn a_dead_canary_is_found_within_half_a_second_where_windows_are_shorter() {
    let _machine = beside();
    let mut judge = Asked::start(&[]);
    let mut short = run(0);
    short["window_s"] = json!(0.25);
    judge.tell(&short);
    let mut decided = None;
    for i in 0..20_u32 {
        let t = f64::from(i) * 0.25;
        let failed = if t < 3.0 { 0 } else { 12 };
        let answer = judge.ask(&win(t, (12, failed), (238, 0)));
        if decided.is_none() && answer["decision"] == "rollback" {
            decided = Some(t);
        }
    }
    let t = decided.expect("a dead canary is found");
    assert!((3.0..=3.5).contains(&t), "{t}");
    assert_eq!(judge.end().0, Some(0));
}

/// The sequences that an independent program computed to 50 digits, where the command's options can say their
/// settings.
#[test]
fn the_evidence_is_that_of_the_golden_sequences() {
    let _machine = beside();
    let text = include_str!("../../control/judge/tests/golden.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    let mut compared = Vec::new();
    for sequence in golden["sequences"].as_array().unwrap() {
        let config = &sequence["config"];
        let ordinary = config["clump"] == 1.0 && config["restart"] == 15 && config["cap_err"] == 2.0;
        if ordinary {
            compared.push(sequence["name"].as_str().unwrap());
            agrees(sequence);
        }
    }
    assert_eq!(compared.len(), 12, "{compared:?}");
}

fn agrees(sequence: &Value) {
    let (name, config) = (&sequence["name"], &sequence["config"]);
    let number = |key: &str| config[key].as_f64().unwrap();
    let percent = |key: &str| format!("{:.4}%", number(key) * 100.0);
    let options = [
        ("--alpha", number("alpha").to_string()),
        ("--beta", number("beta").to_string()),
        ("--soak", format!("{}s", number("min_soak"))),
        ("--warm-up", format!("{}s", number("warm"))),
        ("--ratio", number("rho0").to_string()),
        ("--margin", percent("a0")),
        ("--pass-ratio", number("rho1").to_string()),
        ("--pass-margin", percent("a1")),
    ];
    let mut lines = vec![json!({ "type": "run", "run": 0, "window_s": 1.0, "routes": ["r0"],
        "buckets": { "scheme": "log2", "v0_ms": config["v0_ms"], "per_octave": config["per_octave"],
            "count": config["n_buckets"] } })];
    let pre = sequence["pre"].as_array().unwrap();
    for (i, hist) in pre.iter().enumerate() {
        let n: u64 = hist.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
        let baseline = json!({ "baseline": { "n": n, "err": 0, "hist": hist } });
        let t = i as f64 - pre.len() as f64;
        lines.push(json!({ "type": "pre", "t": t, "routes": { "r0": baseline } }));
    }
    let windows = sequence["windows"].as_array().unwrap();
    for (t, window) in windows.iter().enumerate() {
        lines.push(json!({ "type": "win", "t": t, "routes": { "r0": {
            "baseline": { "n": window[0], "err": window[1], "hist": window[2] },
            "canary": { "n": window[3], "err": window[4], "hist": window[5] } } } }));
    }
    lines.push(end(0));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("windows.jsonl");
    fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let mut command = binary();
    command.args(["judge", "--windows"]).arg(&file);
    for (option, value) in &options {
        command.args([*option, value.as_str()]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(answers.len(), windows.len());
    let first = answers.iter().position(|answer| answer["decision"] != "continue");
    assert_eq!(first.map(|i| i as u64), sequence["decision_index"].as_u64(), "{name}");
    let decision = first.map_or("continue", |i| answers[i]["decision"].as_str().unwrap());
    assert_eq!(decision, sequence["decision"], "{name}");
    for (t, (answer, expected)) in answers.iter().zip(sequence["expected"].as_array().unwrap()).enumerate() {
        match (answer["log_e"].as_f64(), expected[2].as_f64()) {
            (Some(ours), Some(golden)) => {
                let near = 1e-9_f64.max(golden.abs() * 1e-9);
                assert!((ours - golden).abs() <= near, "{name}, t {t}: {ours}, golden {golden}");
            }
            (ours, golden) => assert_eq!(ours, golden, "{name}, t {t}"),
        }
    }
}
