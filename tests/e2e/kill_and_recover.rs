//! SIGKILL in the middle of a rollout, ten times at moments that a seed draws: what stands after each restart
//! was decided before, nothing that was served is forgotten, and the rollout goes on.
//!
//! Torn writes and schema versions of the store are covered by `serin-control`.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};
use serin_config::Weight;
use serin_loadtest::{ErrorKind, Load, Pace, Rate, Schedule, Stop, Stub, StubOptions};

use crate::harness::{
    SOON, beside,
    config::{SERVICE, two_versions},
    control::{Control, Now},
    serin::Serin,
    until,
};

const KILLS: usize = 10;
const SEED: u64 = 2026;

#[test]
fn after_sigkill_the_state_is_one_that_was_decided() {
    let _machine = beside();
    let stub = || Stub::start(StubOptions::default()).unwrap();
    let (stable, canary) = (stub(), stub());
    let mut config = two_versions(stable.address(), canary.address(), "100%", "0%");
    // A decision every second for as long as the test lasts.
    let steps: Vec<Value> = (1..=45)
        .map(|percent| {
            json!({ "weight": format!("{percent}%"), "min_requests": 1, "min_duration": "1s", "max_duration": "1s" })
        })
        .collect();
    config["services"][SERVICE]["rollout"] = json!({ "steps": steps, "on_timeout": "promote" });
    let mut serin = Serin::start(config);
    let control = serin.control();
    control.start_rollout();
    let schedule = Schedule::Constant(Rate::try_new(500.0).unwrap());
    let running = Load::new(serin.target(), Pace::Open(schedule), Stop::Never).start().unwrap();

    let mut random = SmallRng::seed_from_u64(SEED);
    let mut decisions_seen = 0;
    for kill in 1..=KILLS {
        let moment = Duration::from_micros(random.random_range(200_000..2_500_000));
        let seen = watch_and_kill(&mut serin, moment);
        serin.start_again();
        let now = control.now().unwrap();
        println!("kill {kill:2} after {moment:.2?}: saw {seen:?}, found {now:?}");
        assert!(now.generation >= seen.generation, "kill {kill}: the generation went back");
        let decided = decisions(control);
        assert_eq!(
            in_force(&decided, seen.generation),
            Some(seen.canary),
            "kill {kill}: served, never decided"
        );
        assert_eq!(
            in_force(&decided, now.generation),
            Some(now.canary),
            "kill {kill}: stands, never decided"
        );
        let shown: u64 = serin.get("/").header("x-serin-generation").parse().unwrap();
        assert!(shown >= seen.generation, "kill {kill}: traffic went back to generation {shown}");
        decisions_seen = decided.len();
    }
    assert!(decisions_seen > KILLS / 2, "the rollout moved while it was killed: {decisions_seen} decisions");
    let before = control.now().unwrap();
    until(SOON, "the rollout goes on", || control.now().unwrap().canary > before.canary);
    running.cancel();
    let tally = running.blocking_report().unwrap().tally;
    let while_down = tally.errors(ErrorKind::Connect) + tally.errors(ErrorKind::Closed);
    assert_eq!(tally.failed(), while_down, "{tally:?}");
}

/// Looks at the service until the moment comes; hands back the last that was seen.
fn watch_and_kill(serin: &mut Serin, moment: Duration) -> Now {
    let control = serin.control();
    let last = Mutex::new(control.now().unwrap());
    let killed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !killed.load(Ordering::Relaxed) {
                if let Ok(now) = control.now() {
                    *last.lock().unwrap() = now;
                }
            }
        });
        let at = Instant::now() + moment;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        serin.kill();
        killed.store(true, Ordering::Relaxed);
    });
    last.into_inner().unwrap()
}

/// The canary's weight by generation, as the journal has it; checks that the journal has no gaps.
fn decisions(control: Control) -> Vec<(u64, Weight)> {
    let mut entries = control.journal();
    entries.sort_by_key(|entry| entry["sequence"].as_u64());
    let sequences: Vec<u64> = entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "gaps in the journal: {sequences:?}");
    let decided: Vec<(u64, Weight)> = entries
        .iter()
        .filter(|entry| !entry["to"].is_null())
        .map(|entry| (entry["generation"].as_u64().unwrap(), canary(&entry["to"])))
        .collect();
    assert!(decided.windows(2).all(|pair| pair[0].0 <= pair[1].0), "generations went back: {decided:?}");
    decided
}

/// The canary's weight under a generation: that of the last decision up to it.
fn in_force(decided: &[(u64, Weight)], generation: u64) -> Option<Weight> {
    decided.iter().rev().find(|(at, _)| *at <= generation).map(|(_, weight)| *weight)
}

/// The canary's share in a split as the API shows it; a version that is not named has none.
fn canary(split: &Value) -> Weight {
    split["v2"].as_str().map_or(Weight::ZERO, |text| text.parse().unwrap())
}
