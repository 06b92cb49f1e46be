//! The commands that ask a running Serin: what they say, what they change, and their exit codes.
//!
//! What a request does is covered with the control plane; how a moment of a rollout looks, beside the view.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    certs::Authority,
    config::{SERVICE, two_versions},
    serin::{Serin, binary},
    until,
};

struct Rig {
    serin: Serin,
    _stubs: [Stub; 2],
}

impl Rig {
    fn new(adjust: impl FnOnce(&mut Value)) -> Self {
        let stubs = [(); 2].map(|()| Stub::start(StubOptions::default()).unwrap());
        let mut config = two_versions(stubs[0].address(), stubs[1].address(), "100%", "0%");
        let step =
            |weight: &str| json!({ "weight": weight, "min_requests": 1_000_000, "max_duration": "2h" });
        config["services"][SERVICE]["rollout"] = json!({ "steps": [step("5%"), step("25%")] });
        adjust(&mut config);
        Self { serin: Serin::start(config), _stubs: stubs }
    }

    /// A command that asks this Serin.
    fn command(&self, line: &str) -> Command {
        let mut command = alone(line);
        command.args(["--api", &self.serin.api.to_string()]);
        command
    }

    /// Runs it; what it said and its exit code.
    fn ask(&self, line: &str) -> (String, i32) {
        told(&self.command(line).output().unwrap())
    }

    /// The same, and it must go well.
    fn said(&self, line: &str) -> String {
        let (said, code) = self.ask(line);
        assert_eq!(code, 0, "{line}: {said}");
        said
    }

    fn json(&self, line: &str) -> Value {
        let said = self.said(&format!("{line} --output json"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{line}: {error}: {said}"))
    }
}

/// A command that knows nothing of whoever runs the tests.
fn alone(line: &str) -> Command {
    let mut command = binary();
    command.args(line.split_whitespace()).env("SERIN_CONTEXTS", "/nowhere/contexts.json");
    for name in ["SERIN_API", "SERIN_CONTEXT", "SERIN_TOKEN"] {
        command.env_remove(name);
    }
    command
}

fn told(output: &Output) -> (String, i32) {
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (said, output.status.code().expect("it ended by itself"))
}

#[test]
fn a_rollout_is_skipped_through_promoted_undone_and_tried_again_by_commands() {
    let _machine = beside();
    let rig = Rig::new(|_| {});
    let (said, code) = rig.ask("rollout status shop");
    assert!(code == 1 && said.contains("has no rollout"), "{code}: {said}");
    let (said, code) = rig.ask("rollout undo shop");
    assert!(code == 1 && said.contains("start one first"), "{code}: {said}");

    assert!(rig.said("rollout start shop --reason release").contains("running, step 1"));
    let said = rig.said("rollout status shop");
    assert!(said.contains("steps [5%] → 25% → 100%"), "{said}");
    assert!(rig.said("rollout skip shop").contains("running, step 2"));
    let (said, code) = rig.ask("rollout skip shop");
    assert!(code == 1 && said.contains("promote it"), "{code}: {said}");
    let (said, code) = rig.ask("weights set shop v1=50% v2=50%");
    assert!(code == 1 && said.contains("abort it"), "{code}: {said}");
    assert!(rig.said("rollout promote shop").contains("promoted by hand"));
    assert_eq!(rig.json("weights show shop")["weights"]["v2"], "100%");

    assert!(rig.said("rollout undo shop --reason leaks").contains("undone by hand after its promotion"));
    assert_eq!(rig.json("weights show shop")["weights"], json!({ "v1": "100%", "v2": "0%" }));
    assert_eq!(rig.json("rollout retry shop")["rollout"]["id"], 2);
    let list = rig.said("rollout list shop");
    let rows: Vec<&str> = list.lines().collect();
    assert!(rows.len() == 3 && rows[1].contains("running, step 1") && rows[2].contains("undone"), "{list}");

    let journal = rig.said("journal shop");
    let last = journal.lines().last().unwrap_or_default();
    assert!(last.contains("retry → v1 95% · v2 5%") && last.contains("rollout 1 again"), "{journal}");
    let lines = rig.said("journal -n 3 --output json");
    let actions: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["action"].clone()).collect();
    assert_eq!(actions, [json!("promote"), json!("undo"), json!("retry")]);
    assert!(rig.said("rollout explain shop").contains("retry"));
    assert_eq!(rig.json("rollout explain shop")["rollout"]["id"], 2);
    assert!(rig.said("rollout report shop").starts_with("Rollout 2 of shop"));
    assert!(rig.said("service list").contains("running, step 1"));
    assert!(rig.said("service show shop").contains("canary"));
    assert!(rig.said("plan").contains("v1 95% · v2 5%"));
}

#[test]
fn weights_are_set_by_hand_unless_the_plan_is_another_one() {
    let _machine = beside();
    let rig = Rig::new(|_| {});
    let generation = rig.json("plan")["generation"].as_u64().unwrap();
    let said = rig.said("weights set shop v1=97.5% v2=2.5% --reason look");
    assert!(said.contains("v1 97.5% · v2 2.5%"), "{said}");
    assert!(
        rig.said("weights show shop")
            .contains("no second with requests has begun and ended under this split")
    );
    until(SOON, "the share is observed", || {
        assert_eq!(rig.serin.get("/").status, 200);
        rig.json("weights show shop")["observed"]["v1"]["share"].is_number()
    });
    let shown = rig.said("weights show shop");
    assert!(shown.contains("97.5%") && shown.contains("99 % interval") && shown.contains("% to "), "{shown}");
    let (said, code) = rig.ask(&format!("weights set shop v1=100% --if-generation {generation}"));
    assert!(code == 1 && said.contains("read it and decide again"), "{code}: {said}");
    let (said, code) = rig.ask("weights set shop v1=50%");
    assert!(code == 2 && said.contains("50%"), "{code}: {said}");
    let (said, code) = rig.ask("weights set blog v1=100%");
    assert!(code == 1 && said.contains("no service \"blog\""), "{code}: {said}");
}

#[test]
fn a_freeze_stops_what_goes_forward_but_for_what_can_not_wait() {
    let _machine = beside();
    let rig = Rig::new(|_| {});
    let id = rig.json("freeze set --service shop --for 1h --reason audit")["id"].clone();
    let list = rig.said("freeze list");
    assert!(list.contains("shop") && list.contains("audit") && list.contains("yes"), "{list}");
    let (said, code) = rig.ask("rollout start shop");
    assert!(code == 1 && said.contains("audit"), "{code}: {said}");
    let (said, code) = rig.ask("weights set shop v1=90% v2=10%");
    assert!(code == 1 && said.contains("audit"), "{code}: {said}");
    rig.said("weights set shop v1=90% v2=10% --urgent --reason hotfix");
    rig.said("weights set shop v1=100%");
    assert!(rig.said(&format!("freeze lift {id}")).contains("is lifted"));
    rig.said("rollout start shop");
    let (said, code) = rig.ask("rollout approve shop");
    assert!(code == 1 && said.contains("shop"), "nothing waits for a person: {code}: {said}");
}

#[test]
fn a_group_is_started_held_back_promoted_and_undone_by_commands() {
    let _machine = beside();
    let rig = Rig::new(|config| {
        config["services"]["blog"] = config["services"][SERVICE].clone();
        let route = json!({ "name": "blog", "path_prefix": "/blog", "service": "blog" });
        config["routes"].as_array_mut().unwrap().push(route);
        config["groups"] = json!({ "site": ["blog", SERVICE] });
    });
    assert!(rig.said("group list").contains("blog, shop"));
    let said = rig.said("group start site --reason release");
    assert!(said.contains("2 of 2 in progress") && said.contains("blog: running, step 1"), "{said}");
    let (said, code) = rig.ask("group start site");
    assert!(code == 1 && said.contains("nothing of group \"site\" can do this"), "{code}: {said}");
    rig.said("rollout skip shop");
    assert!(rig.said("rollout promote shop").contains("waits for its group"));
    let said = rig.said("group status site");
    assert!(said.contains("1 wait for blog") && said.contains("blog holds the others back:"), "{said}");
    assert!(
        rig.said("group promote site --full").contains("no rollout in progress; the last one was promoted")
    );
    let (watched, code) = rig.ask("group watch site");
    assert!(code == 0 && watched.contains("  blog  v2 100%  promoted"), "{code}: {watched}");
    assert_eq!(rig.ask("group status site --wait").1, 0);
    let (said, code) = rig.ask("group abort site");
    assert!(code == 1 && said.contains("has ended"), "{code}: {said}");
    rig.said("group undo site --reason leaks");
    for service in ["blog", SERVICE] {
        assert_eq!(
            rig.json(&format!("weights show {service}"))["weights"],
            json!({ "v1": "100%", "v2": "0%" })
        );
    }
    assert_eq!(rig.ask("group status site --wait").1, 1, "it was taken back");
    let journal = rig.said("journal -n 2");
    assert!(journal.lines().all(|line| line.contains(" of site  undo")), "{journal}");
    assert_eq!(rig.json("group status site")["live"], false);
    let (said, code) = rig.ask("group status sight");
    assert!(code == 1 && said.contains("there is no group \"sight\""), "{code}: {said}");
}

#[test]
fn waiting_and_watching_end_with_the_rollout_and_exit_by_its_end() {
    let _machine = beside();
    let rig = Rig::new(|_| {});
    let (said, code) = rig.ask("rollout status shop --wait");
    assert!(code == 2 && said.contains("has no rollout"), "{code}: {said}");
    rig.said("rollout start shop");
    let (said, code) = rig.ask("rollout status shop --wait --timeout 1s");
    assert!(code == 3 && said.contains("running, step 1"), "{code}: {said}");

    for (line, code, said) in
        [("rollout abort shop", 1, "aborted by hand"), ("rollout promote shop --full", 0, "promoted by hand")]
    {
        let waiting = rig.command("rollout status shop --wait").stdout(Stdio::piped()).spawn().unwrap();
        let mut watching = rig.command("rollout watch shop").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
        let first: Vec<String> = lines.by_ref().take(2).collect();
        assert!(first[1].contains("running, step 1  v2 5%"), "{first:?}");
        rig.said(line);
        let rest: Vec<String> = lines.collect();
        assert!(rest.last().is_some_and(|last| last.contains(said)), "{first:?} {rest:?}");
        assert_eq!(watching.wait().unwrap().code(), Some(code), "{rest:?}");
        let (waited, waited_code) = told(&waiting.wait_with_output().unwrap());
        assert!(waited_code == code && waited.contains(said), "{waited_code}: {waited}");
        if code == 1 {
            rig.said("rollout retry shop");
        }
    }
    let (said, code) = rig.ask("rollout status shop --wait");
    assert!(code == 0 && said.contains("promoted"), "an end that was there before: {code}: {said}");
}

#[test]
fn the_journal_is_followed() {
    let _machine = beside();
    let rig = Rig::new(|_| {});
    let mut following = rig.command("journal --follow -n 1").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().is_some_and(|line| line.contains("plan 1")));
    rig.said("rollout start shop");
    rig.said("rollout pause shop");
    let next: Vec<String> = lines.by_ref().take(2).collect();
    assert!(next[0].contains("start") && next[1].contains("pause"), "{next:?}");
    following.kill().unwrap();
    following.wait().unwrap();
}

fn with_contexts(line: &str, file: &Path) -> (String, i32) {
    told(&alone(line).env("SERIN_CONTEXTS", file).output().unwrap())
}

#[test]
fn a_context_says_where_and_with_which_token() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("serin/contexts.json");
    let token = directory.path().join("token");
    fs::write(&token, "sesame\n").unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let secret = format!("${{file:{}}}", token.display());
    let rig = Rig::new(|config| config["control"]["token"] = secret.into());

    let (said, code) = rig.ask("plan");
    assert!(code == 1 && said.contains("no token was sent"), "{code}: {said}");
    let set = format!("context set prod --api {} --token-file {}", rig.serin.api, token.display());
    assert_eq!(with_contexts(&set, &file), (String::new(), 0));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (said, code) = with_contexts("plan", &file);
    assert!(code == 0 && said.contains("v1 100%"), "{code}: {said}");

    let command = format!("context set other --api {} --token-command printf open", rig.serin.api);
    assert_eq!(with_contexts(&command, &file).1, 0);
    let (said, code) = with_contexts("plan --context other", &file);
    assert!(code == 1 && said.contains("not, or no longer, one of its own"), "{code}: {said}");
    assert!(!said.contains("open"), "{said}");
    let (said, code) = with_contexts("context list", &file);
    assert!(code == 0 && said.contains("*  prod") && said.contains("command printf open"), "{said}");
    assert_eq!(with_contexts("context use other", &file).1, 0);
    assert!(with_contexts("context show", &file).0.starts_with("context  other"));
    assert_eq!(with_contexts("context remove other", &file).1, 0);
    let (said, code) = with_contexts("plan --context other", &file);
    assert!(code == 2 && said.contains("there is prod"), "{code}: {said}");
    assert_eq!(with_contexts("context use other", &file).1, 1);
}

#[test]
fn a_token_is_made_used_within_its_bounds_and_taken_back() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let admin = directory.path().join("admin");
    fs::write(&admin, "sesame\n").unwrap();
    fs::set_permissions(&admin, fs::Permissions::from_mode(0o600)).unwrap();
    let secret = format!("${{file:{}}}", admin.display());
    let rig = Rig::new(|config| config["control"]["token"] = secret.into());
    let by_admin = |line: &str| {
        let output = rig.command(line).arg("--token-file").arg(&admin).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (text, about) = by_admin("token create ci --role operator --service shop --expires-in 12h");
    assert_eq!(text.lines().count(), 1, "nothing but the token is on stdout: {text}");
    assert!(about.contains("ci, operator") && !about.contains(text.trim()), "{about}");
    let by_ci = |line: &str| told(&rig.command(line).env("SERIN_TOKEN", text.trim()).output().unwrap());

    let (said, code) = by_ci("rollout start shop --reason release");
    assert!(code == 0 && said.contains("running, step 1"), "{code}: {said}");
    let (said, code) = by_ci("token list");
    assert!(code == 1 && !said.contains("ci, operator"), "only admins may: {code}: {said}");
    let (list, _) = by_admin("token list");
    let row = list.lines().find(|line| line.contains("operator")).unwrap_or_else(|| panic!("{list}"));
    assert!(row.contains("ci") && row.contains("shop") && !list.contains(text.trim()), "{list}");
    let (journal, _) = by_admin("journal shop -n 1");
    assert!(journal.contains("ci") && journal.contains("release"), "{journal}");
    let (said, code) = by_ci("rollout start shop");
    assert!(code == 1 && said.contains("in progress"), "{code}: {said}");
    let mut audit = rig.command("audit shop --who ci -n 1 --follow");
    let audit = audit.arg("--token-file").arg(&admin);
    let mut following = audit.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    let refused = lines.next().unwrap();
    assert!(refused.contains("refused  ci (token ") && refused.contains("in progress"), "{refused}");
    assert_eq!(by_ci("rollout pause shop --reason lunch").1, 0);
    let done = lines.next().unwrap();
    assert!(done.contains("done  ci (token ") && done.contains("pause (lunch)"), "{done}");
    following.kill().unwrap();
    following.wait().unwrap();
    let (audit, _) = by_admin("audit --what start --fate done --output json");
    let entries: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(entries.len() == 1 && entries[0]["reason"] == "release", "{audit}");

    let id = row.split_whitespace().next().unwrap();
    let mut watching = rig.command("rollout watch shop");
    let watching = watching.env("SERIN_TOKEN", text.trim()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("paused")), "it watches");
    by_admin(&format!("token revoke {id} --reason leaked"));
    lines.for_each(drop);
    let (said, code) = told(&watching.wait_with_output().unwrap());
    assert!(code == 2 && said.contains("not, or no longer, one of its own"), "{code}: {said}");
    let (said, code) = by_ci("plan");
    assert!(code == 1 && said.contains("not, or no longer, one of its own"), "{code}: {said}");
    let (said, code) = told(&rig.command(&format!("token revoke {text}")).output().unwrap());
    assert!(code == 2 && said.contains("not its text"), "{code}: {said}");
}

#[test]
fn a_control_plane_over_tls_is_checked_and_knows_who_asks_by_a_certificate() {
    let _machine = beside();
    let authority = Authority::new("operators");
    let server = authority.server("control", &["localhost"]);
    let alice = authority.client("alice", &[], &[]);
    let rig = Rig::new(|config| {
        config["control"]["tls"] = json!({ "certificates": [server.json()], "client_ca": authority.file() });
        config["control"]["identities"] = json!([{ "subject": "CN=alice", "role": "operator" }]);
    });
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("contexts.json");
    let (port, ca) = (rig.serin.api.port(), authority.file());
    let set = format!(
        "context set tls --api https://localhost:{port} --ca {} --cert {} --key {}",
        ca.display(),
        alice.cert.display(),
        alice.key.display()
    );
    assert_eq!(with_contexts(&set, &file), (String::new(), 0));
    let (said, code) = with_contexts("rollout start shop", &file);
    assert!(code == 0 && said.contains("running, step 1"), "{code}: {said}");
    let (said, code) = with_contexts("journal shop -n 1", &file);
    assert!(code == 0 && said.contains("alice"), "{code}: {said}");

    let nobody = format!("plan --api https://localhost:{port} --ca {}", ca.display());
    let (said, code) = with_contexts(&nobody, &file);
    assert!(code == 1 && said.contains("no token was sent"), "{code}: {said}");
    let stranger = Authority::new("strangers");
    let wrong = format!("plan --api https://localhost:{port} --ca {}", stranger.file().display());
    let (said, code) = with_contexts(&wrong, &file);
    assert!(code == 2 && said.contains("can't be trusted") && said.contains("--ca"), "{code}: {said}");
    let (said, code) = with_contexts(&format!("plan --api 127.0.0.1:{port}"), &file);
    assert!(code == 2 && said.lines().count() == 1, "in clear: {code}: {said}");
    assert!(said.contains(&format!("its address is https://127.0.0.1:{port}")), "{said}");
}

#[test]
fn whoever_can_not_be_asked_is_named_with_what_to_do() {
    let _machine = beside();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("contexts.json");
    assert_eq!(with_contexts("context set gone --api 127.0.0.1:1", &file).1, 0);
    let (said, code) = with_contexts("rollout status shop", &file);
    assert!(code == 2 && said.lines().count() == 1, "{code}: {said}");
    for part in ["127.0.0.1:1", "context \"gone\"", "serin context show gone"] {
        assert!(said.contains(part), "{said}");
    }
    let (said, code) = told(&alone("service list --api 127.0.0.1:1").output().unwrap());
    assert!(code == 2 && said.contains("is --api right?"), "{code}: {said}");
    let (said, code) = told(&alone("service list --api control.example:9902").output().unwrap());
    assert!(code == 2 && said.contains("https://control.example:9902"), "{code}: {said}");
}

#[test]
fn a_control_plane_that_restarts_fails_no_pipeline() {
    let _machine = beside();
    let mut rig = Rig::new(|_| {});
    rig.said("rollout start shop");
    let mut waiting = rig
        .command("rollout status shop --wait")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.next().is_some_and(|line| line.contains("waiting for the end of rollout 1")));
    rig.serin.kill();
    assert!(said.next().is_some_and(|line| line.contains("asking again")));
    rig.serin.start_again();
    rig.said("rollout abort shop");
    let (said, code) = told(&waiting.wait_with_output().unwrap());
    assert!(code == 1 && said.contains("aborted by hand"), "{code}: {said}");
}

#[test]
fn shells_and_readers_of_manuals_are_served() {
    let _machine = beside();
    for shell in ["bash", "zsh", "fish"] {
        let (said, code) = told(&alone(&format!("completion {shell}")).output().unwrap());
        assert!(code == 0 && said.contains("rollout"), "{shell}: {code}");
    }
    let (page, code) = told(&alone("man").output().unwrap());
    assert!(code == 0 && page.contains(".TH serin 1"), "{code}: {page}");
    let directory = tempfile::tempdir().unwrap();
    let line = format!("man --dir {}", directory.path().display());
    assert_eq!(told(&alone(&line).output().unwrap()), (String::new(), 0));
    for page in ["serin-rollout-status.1", "serin-proxy.1", "serin-proxy-list.1", "serin-audit.1"] {
        assert!(directory.path().join(page).is_file(), "{page}");
    }
}
