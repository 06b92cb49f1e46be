//! A disk that is full under the store: weight changes are refused with a reason, and traffic flows on.
//!
//! What the store keeps and how it recovers is covered by `serin-control` and `kill_and_recover`.

use std::process::Command;

use serin_config::Weight;
use serin_loadtest::{Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{SOON, beside, config::two_versions, eventually, serin::Serin, until};

/// Bounds the size of files that a running process may write, which is how a full disk looks to its store.
fn bound_file_size(id: u32, bytes: &str) {
    let bounded =
        Command::new("prlimit").args(["--pid", &id.to_string(), &format!("--fsize={bytes}")]).status();
    let bounded = bounded.expect("prlimit is part of the Debian package util-linux");
    assert!(bounded.success());
}

/// The kernel kills a process that exceeds the bound, unless it ignores the signal; a full disk sends none.
fn surviving_the_bound(serin: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(serin.get_program()).args(serin.get_args());
    shell
}

#[test]
fn a_full_disk_refuses_weight_changes_while_traffic_flows() {
    let _machine = beside();
    let stub = || Stub::start(StubOptions::default()).unwrap();
    let (stable, canary) = (stub(), stub());
    let served = || stable.requests() + canary.requests();
    let serin = Serin::start_with(
        two_versions(stable.address(), canary.address(), "90%", "10%"),
        surviving_the_bound,
    );
    let control = serin.control();
    let schedule = Schedule::Constant(Rate::try_new(200.0).unwrap());
    let running = Load::new(serin.target(), Pace::Open(schedule), Stop::Never).start().unwrap();
    until(SOON, "the load runs", || served() > 20);
    let before = control.now().unwrap();

    bound_file_size(serin.id(), "0:unlimited");
    let refused = control.set_canary(Weight::ZERO, before.generation).unwrap();
    assert!(matches!(refused.status, 500 | 503 | 507), "{}: {}", refused.status, refused.body);
    let reason = refused.body.to_lowercase();
    assert!(reason.contains("store") || reason.contains("state"), "says what is full: {}", refused.body);
    assert_eq!(control.now().unwrap(), before, "nothing was changed");
    let before_that = served();
    until(SOON, "traffic flows on", || served() > before_that + 200);

    bound_file_size(serin.id(), "unlimited:unlimited");
    let changed = eventually(SOON, "with room again, weights can be changed", || {
        let reply = control.set_canary(Weight::ZERO, control.now().unwrap().generation).unwrap();
        (reply.status == 200).then_some(reply)
    });
    assert_eq!(crate::harness::control::read(&changed.json()).canary, Weight::ZERO);
    running.cancel();
    let report = running.blocking_report().unwrap();
    assert_eq!(report.tally.failed(), 0, "{:?}", report.tally);
}
