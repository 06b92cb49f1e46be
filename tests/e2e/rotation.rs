//! What changes under load: certificates and the file, at a thousand requests a second over TLS, and no request fails.
//!
//! Handing over to another process under load is covered by `takeover`.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use serin_loadtest::{Stub, StubOptions};

use crate::harness::{
    SOON, alone,
    certs::Authority,
    config::{SERVICE, two_versions},
    free_addresses,
    serin::Serin,
    until,
};

const SECONDS: u64 = 10;
const NAME: &str = "shop.example";

/// h2load at so many requests a second, over connections that it keeps.
fn h2load(port: u16, per_second: u32, more: &[&str]) -> Child {
    let connections = 10;
    Command::new("h2load")
        .args(["-c", &connections.to_string(), "-t", "1", "--rps", &(per_second / connections).to_string()])
        .args(["-D", &SECONDS.to_string()])
        .args(more)
        .arg(format!("https://127.0.0.1:{port}/"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("h2load is installed by the README's test command")
}

/// How many requests it sent; all of them must have succeeded.
fn succeeded(load: Child) -> u64 {
    let said = String::from_utf8(load.wait_with_output().unwrap().stdout).unwrap();
    let requests =
        said.lines().find(|line| line.starts_with("requests: ")).unwrap_or_else(|| panic!("{said}"));
    let number = |what: &str| -> u64 {
        let count =
            requests.split(", ").find_map(|part| part.trim_start_matches("requests: ").strip_suffix(what));
        count.unwrap_or_else(|| panic!("{requests}")).trim().parse().unwrap()
    };
    assert_eq!((number("failed"), number("errored"), number("timeout")), (0, 0, 0), "{said}");
    let good = said.lines().find(|line| line.starts_with("status codes: ")).unwrap_or_default();
    assert!(good.contains(&format!("{} 2xx", number("succeeded"))), "{said}");
    number("succeeded")
}

/// The certificate that a new connection is shown, as PEM; it must verify.
fn shown(port: u16, ca: &Path) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{certs}"])
        .args(["--noproxy", "*", "--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .arg("--cacert")
        .arg(ca)
        .arg(format!("https://{NAME}:{port}/"))
        .output()
        .expect("curl is installed by the README's test command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The lines between the marks, without their breaks: what two ways of writing PEM have in common.
fn core(pem: &str) -> String {
    let inner = pem.split("-----BEGIN CERTIFICATE-----").nth(1).expect("a certificate");
    inner.split("-----END").next().unwrap_or_default().split_whitespace().collect()
}

#[test]
fn certificates_and_the_file_change_at_a_thousand_requests_a_second_and_none_fails() {
    let _machine = alone();
    let authority = Authority::new("an authority for tests");
    let shown_first = authority.server("shop", &[NAME]);
    let (v1, v2) =
        (Stub::start(StubOptions::default()).unwrap(), Stub::start(StubOptions::default()).unwrap());
    let [tls] = free_addresses();
    let mut config = two_versions(v1.address(), v2.address(), "100%", "0%");
    config["listeners"] = json!([{}, { "name": "tls", "address": tls.to_string(),
        "tls": { "certificates": [shown_first.json()] } }]);
    let serin = Serin::start(config);
    let begun = Instant::now();
    let loads = [h2load(tls.port(), 600, &[]), h2load(tls.port(), 400, &["--h1"])];
    until(SOON, "the load runs", || v1.requests() + v2.requests() > 500);
    let mut changes = 0;
    while begun.elapsed() < Duration::from_secs(SECONDS - 1) {
        let renewed = authority.server("renewed", &[NAME]);
        renewed.replace(&shown_first);
        let pem = core(&fs::read_to_string(&renewed.cert).unwrap());
        let mut file = serin.config().clone();
        let all_to = if changes % 2 == 0 { ["0%", "100%"] } else { ["100%", "0%"] };
        file["services"][SERVICE]["split"] = json!({ "v1": all_to[0], "v2": all_to[1] });
        serin.replace_file(&file.to_string());
        until(SOON, "the new certificate is shown", || core(&shown(tls.port(), &authority.file())) == pem);
        changes += 1;
    }
    let requests: u64 = loads.into_iter().map(succeeded).sum();
    println!("{requests} requests over TLS, {changes} changes of certificate and file, none failed");
    assert!(changes >= 2 && requests > SECONDS * 900, "{changes} changes, {requests} requests");
    assert!(v1.requests() > 100 && v2.requests() > 100, "{} and {}", v1.requests(), v2.requests());
}
