//! Certificate files that change while Serin runs: new handshakes see the new ones, no connection is dropped, and
//! what is broken leaves what was good.
//!
//! Which certificate a client sees is covered by `tls`, reloads of the configuration by `reload`.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{
    SOON, beside,
    certs::{Authority, in_days},
    config::one_version,
    endpoint::{Endpoint, ok},
    serin::Serin,
    tls::{TlsClient, start_secured},
    until,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn reloads(serin: &Serin, result: &str) -> f64 {
    serin.metrics().sum("serin_tls_certificate_reloads_total", &[("result", result)])
}

/// Days until the certificate of that file expires, as the metric has it.
fn days_left(serin: &Serin, path: &str) -> f64 {
    serin.metrics().sum("serin_tls_certificate_expiry_seconds", &[("path", path)]) / 86_400.0
}

#[test]
fn a_rotation_under_load_fails_no_request_and_no_connection() {
    const CLIENTS: u64 = 10;
    const ROTATIONS: usize = 4;
    const REQUESTS_PER_CONNECTION: u64 = 20;
    let _machine = beside();
    let authority = Authority::new("authority");
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let shown = authority.server("shown", &["localhost"]);
    let next: Vec<_> =
        (0..ROTATIONS).map(|i| authority.server(&format!("next-{i}"), &["localhost"])).collect();
    let mut config = one_version(endpoint.address());
    config["limits"]["workers"] = 2.into();
    let serin = start_secured(config, json!({ "certificates": [shown.json()] }));
    let client = TlsClient::trusting(&authority);
    let (mut before, agreed) = client.connect(serin.web).unwrap();
    assert_eq!(agreed.server, shown.der);
    let (over, done, began) = (AtomicBool::new(false), AtomicU64::new(0), Instant::now());
    std::thread::scope(|scope| {
        let run = || {
            // Without resumption, so that each connection is shown a certificate.
            while !over.load(Ordering::Relaxed) {
                let (mut wire, _) = TlsClient::trusting(&authority).connect(serin.web).expect("a handshake");
                for _ in 0..REQUESTS_PER_CONNECTION {
                    assert_eq!(wire.ask(GET).status(), 200);
                    done.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(run)).collect();
        for (number, pair) in next.iter().enumerate() {
            let far = done.load(Ordering::Relaxed) + 200;
            until(SOON, "the load runs", || done.load(Ordering::Relaxed) >= far);
            pair.replace(&shown);
            until(SOON, "new handshakes see the new certificate", || {
                TlsClient::trusting(&authority).connect(serin.web).unwrap().1.server == pair.der
            });
            until(SOON, "it is counted", || reloads(&serin, "success") == (number + 1) as f64);
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().expect("no request failed"));
    });
    let rate = done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    println!("{ROTATIONS} rotations at {rate:.0} requests a second");
    assert_eq!(before.ask(GET).status(), 200, "the connection from before the first rotation still serves");
    let (_, agreed) = client.connect(serin.web).unwrap();
    assert!(agreed.resumed, "sessions outlive the certificate that began them");
    let all = done.load(Ordering::Relaxed) + 1;
    until(SOON, "all requests are counted", || serin.metrics().outcome("v1", "ok") == all as f64);
    assert_eq!(serin.metrics().requests("v1"), all as f64, "none ended otherwise");
    assert_eq!(reloads(&serin, "failure"), 0.0, "{}", serin.stderr());
}

#[test]
fn a_broken_pair_keeps_the_old_one_is_named_and_the_other_pairs_still_change() {
    let _machine = beside();
    let authority = Authority::new("authority");
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let first = authority.server("first", &["localhost"]);
    let second = authority.server("second", &["second.example"]);
    let tls = json!({ "certificates": [first.json(), second.json()] });
    let serin = start_secured(one_version(endpoint.address()), tls);
    let sees =
        |name: &str| TlsClient::trusting(&authority).connect_as(serin.web, name, b"").unwrap().1.server;

    let stranger = authority.server("stranger", &["localhost"]);
    fs::copy(&stranger.cert, &first.cert).unwrap();
    until(SOON, "the pair that does not match is refused", || reloads(&serin, "failure") == 1.0);
    assert_eq!(sees("localhost"), first.der);
    let key = first.key.display().to_string();
    let named = |what: &str| serin.stderr().lines().any(|line| line.contains(&key) && line.contains(what));
    until(SOON, "the log names the file", || named("it is not the key of the certificate"));

    fs::write(&first.key, "-----BEGIN PRIVATE KEY-----\nnonsense secret").unwrap();
    until(SOON, "half a key is refused", || reloads(&serin, "failure") == 2.0);
    fs::remove_file(&first.key).unwrap();
    until(SOON, "a key that is gone is refused", || reloads(&serin, "failure") == 3.0);
    assert!(!serin.stderr().contains("nonsense secret"), "{}", serin.stderr());
    assert_eq!(sees("localhost"), first.der);

    let renewed = authority.server("renewed", &["second.example"]);
    renewed.replace(&second);
    until(SOON, "the other pair is taken", || sees("second.example") == renewed.der);
    let mended = authority.server("mended", &["localhost"]);
    mended.replace(&first);
    until(SOON, "the mended pair is taken", || sees("localhost") == mended.der);
    assert_eq!((reloads(&serin, "success"), reloads(&serin, "failure")), (2.0, 3.0), "{}", serin.stderr());
}

#[test]
fn the_metric_says_how_long_a_certificate_is_still_good() {
    let _machine = beside();
    let authority = Authority::new("authority");
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let shown = authority.issue("shown", in_days(10));
    let serin = start_secured(one_version(endpoint.address()), json!({ "certificates": [shown.json()] }));
    let path = shown.cert.display().to_string();
    let left = days_left(&serin, &path);
    assert!((9.9..=10.0).contains(&left), "{left} days");
    authority.issue("renewed", in_days(90)).replace(&shown);
    until(SOON, "the renewed certificate is counted down", || days_left(&serin, &path) > 89.0);
    let expired = authority.issue("expired", |params| {
        in_days(0)(params);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    expired.replace(&shown);
    until(SOON, "an expired certificate is below zero", || days_left(&serin, &path) < -365.0);
    until(SOON, "the log warns", || serin.stderr().contains("this certificate has expired"));
}

#[test]
fn a_client_whose_authority_is_trusted_no_longer_does_not_come_back_by_resumption() {
    let _machine = beside();
    let (authority, old, new) = (Authority::new("authority"), Authority::new("old"), Authority::new("new"));
    let endpoint = Endpoint::answering(|_| ok("hello"));
    let pair = authority.server("server", &["localhost"]);
    let tls = json!({ "certificates": [pair.json()], "client_ca": old.file() });
    let serin = start_secured(one_version(endpoint.address()), tls);
    let answers = |client: &TlsClient| {
        client.connect(serin.web).and_then(|(mut wire, agreed)| {
            wire.send(GET)?;
            wire.answer_to("GET").map(|answer| (answer.status(), agreed.resumed))
        })
    };
    let leaving = TlsClient::with_certificate(&authority, &old.client("leaving", &[], &[]));
    let coming = TlsClient::with_certificate(&authority, &new.client("coming", &[], &[]));
    assert_eq!(answers(&leaving).unwrap(), (200, false));
    assert_eq!(answers(&leaving).unwrap(), (200, true));
    assert!(answers(&coming).is_err());
    fs::copy(new.file(), old.file()).unwrap();
    until(SOON, "the new authority is trusted", || answers(&coming).is_ok());
    let refused = answers(&leaving);
    assert!(refused.is_err(), "{refused:?}");
}
