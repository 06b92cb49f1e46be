//! The generator against the stub, over real sockets. Schedules, tallies and dials have unit tests beside
//! their code; the proxy between the two is tested at the workspace's root.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::time::{Duration, Instant};

use serin_loadtest::{
    Cancel, ErrorKind, Latency, Listen, Load, Pace, Rate, Report, Schedule, Stop, Stub, StubOptions, Target,
    Users, target::UserPlace,
};

fn stub(options: StubOptions) -> Stub {
    Stub::start(options).unwrap()
}

fn target(stub: &Stub) -> Target {
    Target::new(stub.address().clone()).version_header(http::HeaderName::from_static("x-demo-version"))
}

fn constant(per_second: f64) -> Pace {
    Pace::Open(Schedule::Constant(Rate::try_new(per_second).unwrap()))
}

fn run(load: Load) -> Report {
    load.start().unwrap().blocking_report().unwrap()
}

#[test]
fn each_due_request_is_sent_once_and_counted_by_version_and_status() {
    let stub = stub(StubOptions { version: "v7".into(), ..StubOptions::default() });
    stub.set_error_ppm(100_000);
    let report = run(Load::new(target(&stub), constant(2000.0), Stop::Count(4000)));
    assert_eq!((report.progress.due, report.progress.sent, report.progress.completed), (4000, 4000, 4000));
    assert_eq!((report.tally.total_of("v7"), stub.requests()), (4000, 4000));
    assert_eq!((report.tally.failed(), report.tally.status(503)), (stub.failures(), stub.failures()));
    assert!(stub.failures() > 0 && stub.first_failure().is_some());
}

#[test]
fn latency_counts_from_the_due_time_when_the_service_stalls() {
    let stub = stub(StubOptions::default());
    stub.set_hang(true);
    let mut running =
        Load::new(target(&stub), constant(500.0), Stop::Count(500)).connections_max(4).start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // All 500 come due in the first second while only four can be in flight.
    let first = runtime.block_on(running.snapshot()).unwrap();
    assert_eq!((first.window.total(), first.progress.sent), (0, 4));
    stub.set_hang(false);
    let report = running.blocking_report().unwrap();
    assert_eq!(report.tally.total(), 500);
    // Half of them were due half a second or more before the service answered anyone.
    let p50 = report.tally.versions().next().unwrap().quantile(0.5).unwrap();
    assert!(p50 > Duration::from_millis(450), "{p50:?}");
    assert!(report.progress.late > 400, "{:?}", report.progress);
}

#[test]
fn a_cancelled_load_ends_at_once_and_counts_what_it_did_not_send() {
    let stub = stub(StubOptions::default());
    stub.set_hang(true);
    let cancel = Cancel::new();
    let load = Load::new(target(&stub), constant(1000.0), Stop::Never)
        .connections_max(2)
        .timeout(Duration::from_millis(1500))
        .cancelled_by(cancel.clone());
    let mut running = load.start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(running.snapshot()).unwrap();
    cancel.cancel();
    let before = Instant::now();
    let report = running.blocking_report().unwrap();
    assert!(before.elapsed() < Duration::from_secs(5));
    let progress = report.progress;
    assert_eq!(progress.due, progress.sent + progress.missed, "{progress:?}");
    assert_eq!(report.tally.errors(ErrorKind::Timeout), progress.sent);
    assert!(progress.missed > 500, "{progress:?}");
}

#[test]
fn poisson_load_over_a_unix_socket_arrives_whole() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}/stub.sock", directory.path().display()).parse().unwrap();
    let stub = stub(StubOptions { listen: Listen::At(address), ..StubOptions::default() });
    let schedule = Schedule::Poisson { rate: Rate::try_new(3000.0).unwrap(), seed: 3 };
    let report = run(Load::new(target(&stub), Pace::Open(schedule), Stop::Count(3000)));
    assert_eq!((report.tally.status(200), stub.requests()), (3000, 3000));
}

#[test]
fn a_closed_loop_keeps_its_connections_busy_and_opens_no_more() {
    let stub = stub(StubOptions::default());
    let report =
        run(Load::new(target(&stub), Pace::Closed { connections: 8 }, Stop::After(Duration::from_secs(1))));
    assert_eq!((stub.connections(), report.progress.connections), (8, 8));
    assert_eq!(report.tally.status(200), stub.requests());
    assert!(stub.requests() > 1000, "{}", stub.requests());
}

#[test]
fn errors_are_told_apart() {
    let kinds = |stub: &Stub| {
        let load = Load::new(target(stub), constant(200.0), Stop::Count(20));
        run(load.timeout(Duration::from_millis(200))).tally
    };
    let cut = stub(StubOptions::default());
    cut.set_cut_body(true);
    assert_eq!(kinds(&cut).errors(ErrorKind::BodyCut), 20);
    let silent = stub(StubOptions::default());
    silent.set_hang(true);
    assert_eq!(kinds(&silent).errors(ErrorKind::Timeout), 20);
    let address = silent.address().clone();
    drop(silent);
    let gone = run(Load::new(Target::new(address), constant(200.0), Stop::Count(20)));
    assert_eq!(gone.tally.errors(ErrorKind::Connect), 20);
}

#[test]
fn a_check_sees_head_and_body_and_its_refusals_are_errors() {
    let stub = stub(StubOptions { echo: true, ..StubOptions::default() });
    let users = Users::first(2, UserPlace::Cookie("uid".into()));
    let target = target(&stub).path("/seen").unwrap().users(users).check(|head, body| {
        let told: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!((head.status.as_u16(), told["path"].as_str()), (200, Some("/seen")));
        told["headers"]["cookie"][0] == "uid=user-1"
    });
    let report = run(Load::new(target, constant(1000.0), Stop::Count(1000)));
    let refused = report.tally.errors(ErrorKind::Refused);
    assert_eq!(refused + report.tally.status(200), 1000);
    assert!((350..650).contains(&refused), "{refused}");
}

#[test]
fn a_slow_service_slows_answers_and_not_the_schedule() {
    let stub = stub(StubOptions::default());
    stub.set_latency(Some(Latency { median: Duration::from_millis(40), sigma: 0.0 }));
    let report = run(Load::new(target(&stub), constant(1000.0), Stop::After(Duration::from_secs(2))));
    let tally = report.tally.versions().next().unwrap();
    assert_eq!((report.progress.sent, report.progress.missed), (2000, 0));
    assert!(tally.quantile(0.01).unwrap() >= Duration::from_millis(40));
    assert!(report.elapsed < Duration::from_secs(3), "{:?}", report.elapsed);
}

#[test]
fn whoever_gives_up_waiting_for_a_second_of_several_threads_misses_none() {
    let stub = Stub::start(StubOptions::default()).unwrap();
    let load = Load::new(target(&stub), constant(400.0), Stop::After(Duration::from_secs(3)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let counted = runtime.block_on(async {
        let mut crowd = serin_loadtest::Crowd::start(&load, 2).unwrap();
        let mut counted = 0;
        loop {
            match tokio::time::timeout(Duration::from_millis(20), crowd.snapshot()).await {
                Err(_) => {}
                Ok(Some(snapshot)) => counted += snapshot.window.total(),
                Ok(None) => break,
            }
        }
        assert_eq!(crowd.report().await.unwrap().tally.total(), 1_200);
        counted
    });
    assert_eq!(counted, 1_200);
}
