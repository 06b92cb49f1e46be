//! The probe as users meet it: a canary that is given weight gets few requests at first, one by one, and its share
//! when the probe is over.
//!
//! That a dead canary costs few requests is covered by [`crate::judge`]; the pace itself by `serin-split`.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use serin_loadtest::{Load, Pace, Rate, Running, Schedule, Stop};

use crate::harness::{
    SOON, alone, beside,
    config::{SERVICE, two_versions},
    endpoint::{Endpoint, ok},
    serin::Serin,
    until,
};

const RATE: f64 = 300.0;
const PROBE: Duration = Duration::from_secs(2);

struct Rig {
    serin: Serin,
    v1: Endpoint,
    v2: Endpoint,
    /// When the canary was asked.
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Rig {
    fn start(stable: &str, canary: &str, change: impl FnOnce(&mut Value)) -> Self {
        let asked = Arc::<Mutex<Vec<Instant>>>::default();
        let noted = asked.clone();
        let v1 = Endpoint::answering(|_| ok(""));
        let v2 = Endpoint::answering(move |_| {
            noted.lock().unwrap().push(Instant::now());
            ok("")
        });
        let mut config = two_versions(v1.address(), v2.address(), stable, canary);
        config["services"][SERVICE]["rollout"] = json!({ "probe": { "rate": 20, "duration": "2s" } });
        config["limits"]["workers"] = json!(3);
        change(&mut config);
        Self { serin: Serin::start(config), v1, v2, asked }
    }

    fn load(&self) -> Running {
        let schedule = Schedule::Constant(Rate::try_new(RATE).unwrap());
        Load::new(self.serin.target(), Pace::Open(schedule), Stop::Never).start().unwrap()
    }

    fn give_weight(&self, weight: &str) {
        let control = self.serin.control();
        let now = control.now().unwrap();
        assert_eq!(control.set_canary(weight.parse().unwrap(), now.generation).unwrap().status, 200);
    }

    fn aside(&self, version: &str, reason: &str) -> f64 {
        let labels = [("version", version), ("reason", reason)];
        self.serin.metrics().sum("serin_requests_unjudged_total", &labels)
    }

    fn probed(&self) -> f64 {
        self.serin.metrics().sum("serin_version_probed", &[("version", "v2")])
    }
}

#[test]
fn a_canary_that_is_given_half_of_the_traffic_gets_twenty_requests_a_second_before_it_gets_its_half() {
    let _machine = alone();
    let rig = Rig::start("100%", "0%", |_| {});
    let running = rig.load();
    until(SOON, "the load runs", || rig.v1.requests() > 50);
    assert_eq!((rig.v2.requests(), rig.probed()), (0, 0.0));
    rig.give_weight("50%");
    until(SOON, "it is shown that the canary is probed", || rig.probed() == 1.0);
    until(SOON, "the probe is over", || rig.probed() == 0.0);
    let over = rig.v2.requests();
    until(SOON, "the canary gets its share", || rig.v2.requests() >= over + 200);
    running.cancel();
    let report = running.blocking_report().unwrap();
    assert_eq!(
        report.tally.failed(),
        0,
        "who is held back is served by the stable version: {:?}",
        report.tally
    );

    let asked = rig.asked.lock().unwrap().clone();
    let first = asked[0];
    let within = |from: Duration, to: Duration| {
        asked.iter().filter(|at| (first + from..first + to).contains(*at)).count() as f64
    };
    // A moment before the end is left out: the first request came a little after the beginning.
    let probe = within(Duration::ZERO, PROBE - Duration::from_millis(100));
    let after = within(PROBE + Duration::from_millis(100), PROBE + Duration::from_millis(1_100));
    println!("{probe} requests within the probe, {after} in the second after it");
    assert!((20.0..=39.0).contains(&probe), "{probe}");
    // Four standard deviations of a second at half of the rate.
    assert!((RATE / 2.0 - after).abs() <= 4.0 * (RATE / 4.0).sqrt(), "{after}");
    let held_back = rig.aside("v1", "probe");
    // Half of two seconds at 300, but for those that were let through.
    assert!((200.0..=330.0).contains(&held_back), "{held_back}");
    assert_eq!(rig.aside("v2", "probe"), 0.0);
}

#[test]
fn a_tester_is_not_held_back_and_takes_nobodys_turn() {
    let _machine = beside();
    let long = |config: &mut Value| {
        config["services"][SERVICE]["rollout"]["probe"] = json!({ "rate": 1, "duration": "1m" });
        config["services"][SERVICE]["overrides"] =
            json!([{ "cookie": "beta", "value": "1", "version": "v2" }]);
    };
    let rig = Rig::start("100%", "0%", long);
    rig.give_weight("99%");
    let tester = "GET / HTTP/1.1\r\nhost: a\r\ncookie: beta=1\r\n\r\n";
    let mut wire = crate::harness::wire::Wire::connect(rig.serin.web);
    until(SOON, "the plan serves", || rig.probed() == 1.0);
    for _ in 0..20 {
        let answer = wire.ask(tester);
        assert_eq!(answer.head.one("x-serin-version"), Some("v2"));
    }
    let users = (0..20).filter(|_| rig.serin.get("/").header("x-serin-version") == "v2").count();
    assert!((1..=3).contains(&users), "one a second at most: {users}");
}

/// The process may have been started again, and the stable version may not carry what the canary had.
#[test]
fn a_canary_that_a_process_begins_with_is_not_probed() {
    let _machine = beside();
    let rig = Rig::start("50%", "50%", |_| {});
    let on_canary = (0..100).filter(|_| rig.serin.get("/").header("x-serin-version") == "v2").count();
    // Four standard deviations.
    assert!((30..=70).contains(&on_canary), "{on_canary}");
    assert_eq!((rig.probed(), rig.aside("v1", "probe")), (0.0, 0.0));
}
