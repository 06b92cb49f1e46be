use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};

use super::*;
use crate::{
    measure::{ErrorKind, Outcome, Progress, Report, Snapshot, Tally, latency_histogram},
    report::{Facts, record::Timeline},
};

/// How a run's latencies come about: log-normal, with a level that wanders from second to second, as real ones do.
#[derive(Clone, Copy)]
struct Shape {
    /// What the slowest twentieth is multiplied by.
    tail: f64,
    failing: f64,
    rate: u32,
    seconds: u64,
}

/// As in the promise: 60 s at 2,000 requests a second.
const EQUAL: Shape = Shape { tail: 1.0, failing: 0.001, rate: 2_000, seconds: 60 };

fn normal(random: &mut SmallRng) -> f64 {
    // Box and Muller; 1 - u lies in (0, 1].
    let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
}

fn run(shape: Shape, seed: u64) -> Record {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut whole, mut timeline, mut progress) =
        (Tally::default(), Timeline::default(), Progress::default());
    let mut level: f64 = 0.0;
    for second in 1..=shape.seconds + 1 {
        let mut window = Tally::default();
        // What a second has from the one before, and what is new in it: 1 % of the latency, all in all.
        level = 0.5 * level + 0.0085 * normal(&mut random);
        let requests = if second > shape.seconds { 3 } else { shape.rate };
        for _ in 0..requests {
            let deviation = normal(&mut random);
            let factor = if deviation > 1.644_854 { shape.tail } else { 1.0 };
            let micros = 5_000.0 * (0.5 * deviation + level).exp() * factor;
            let outcome: Outcome =
                if random.random::<f64>() < shape.failing { Err(ErrorKind::Closed) } else { Ok(200) };
            window.record("", outcome, Duration::from_micros(micros as u64));
        }
        whole.merge(&window);
        let requests = u64::from(requests);
        progress.add(Progress { due: requests, sent: requests, completed: requests, ..Progress::default() });
        timeline.push(&Snapshot { second, window, progress });
    }
    let report = Report {
        tally: whole.clone(),
        asks: vec![("GET /".into(), whole)],
        progress,
        lag: latency_histogram(),
        elapsed: Duration::from_secs(shape.seconds),
    };
    let facts = Facts { pace: "2000 requests a second".into(), rate: Some(2_000.0), ..Facts::default() };
    Record::new(facts, &report, timeline.into_seconds())
}

fn found<'a>(gate: &'a Gate, subject: &str) -> &'a Finding {
    gate.findings.iter().find(|finding| finding.subject == subject).unwrap()
}

/// Pairs of runs in which something was said to have become worse, and in which that was p99.
fn alarms(candidate: Shape, pairs: u64) -> (u64, u64) {
    let (mut any, mut p99) = (0, 0);
    for pair in 0..pairs {
        let gate = judge(&run(EQUAL, 2 * pair), &run(candidate, 2 * pair + 1), &Budgets::default()).unwrap();
        any += u64::from(gate.result > Level::Pass);
        p99 += u64::from(found(&gate, "p99").level > Level::Pass);
    }
    (any, p99)
}

/// As many as the promise speaks of take some time; `SERIN_GATE_PAIRS` asks for more of them.
fn pairs() -> u64 {
    std::env::var("SERIN_GATE_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn a_shift_of_the_slowest_by_a_twentieth_is_found() {
    let pairs = pairs();
    let (_, p99) = alarms(Shape { tail: 1.05, ..EQUAL }, pairs);
    println!("a shift of 5 % was found in {p99} of {pairs} pairs");
    assert!(p99 * 100 >= pairs * 95, "{p99} of {pairs}");
}

#[test]
fn equal_runs_are_told_apart_in_at_most_one_of_a_hundred_pairs() {
    let pairs = pairs();
    let (any, _) = alarms(EQUAL, pairs);
    println!("{any} of {pairs} equal pairs were told apart");
    assert!(any * 100 <= pairs.max(100), "{any} of {pairs}");
}

#[test]
fn a_change_that_is_certain_and_small_does_not_count() {
    let budgets = Budgets::read(
        "b",
        "metrics:\n  p99: { min_effect: 10% }\n  p99.9: { min_effect: 10% }\n  p95: { min_effect: 10% }\n",
    )
    .unwrap();
    let gate = judge(&run(EQUAL, 1), &run(Shape { tail: 1.05, ..EQUAL }, 2), &budgets).unwrap();
    let p99 = found(&gate, "p99");
    assert!(p99.chance.unwrap() < 0.01 && p99.level == Level::Pass, "{p99:?}");
}

#[test]
fn more_failures_block_and_fewer_do_not() {
    let bad = Shape { failing: 0.003, ..EQUAL };
    let gate = judge(&run(EQUAL, 1), &run(bad, 2), &Budgets::default()).unwrap();
    assert_eq!((gate.result, found(&gate, "error_rate").level), (Level::Block, Level::Block));
    let gate = judge(&run(bad, 1), &run(EQUAL, 2), &Budgets::default()).unwrap();
    assert_eq!(gate.result, Level::Pass, "{gate:?}");
}

#[test]
fn a_budget_warns_before_it_is_spent_and_blocks_then() {
    let level = |limit: &str| {
        let budgets = Budgets::read("b", &format!("metrics: {{ p50: {{ max: {limit} }} }}")).unwrap();
        let gate = judge(&run(EQUAL, 1), &run(EQUAL, 2), &budgets).unwrap();
        found(&gate, "p50").level
    };
    // The median is 5 ms.
    assert_eq!([level("10ms"), level("5300us"), level("4ms")], [Level::Pass, Level::Warn, Level::Block]);
}

#[test]
fn components_have_budgets_and_may_not_grow_without_bound() {
    let with = |cpu: f64| {
        let mut record = run(Shape { rate: 50, ..EQUAL }, 1);
        let component = Component { cpu_us_per_request: Some(cpu), ..Component::default() };
        record.components.insert("proxy".into(), component);
        record
    };
    let level = |before: f64, now: f64, text: &str| {
        let gate = judge(&with(before), &with(now), &Budgets::read("b", text).unwrap()).unwrap();
        found(&gate, "proxy: CPU time a request").level
    };
    assert_eq!(level(20.0, 21.0, "{}"), Level::Pass);
    assert_eq!(level(20.0, 23.0, "{}"), Level::Block);
    assert_eq!(level(20.0, 23.0, "components: { proxy: { severity: warn } }"), Level::Warn);
    assert_eq!(level(20.0, 20.0, "components: { proxy: { cpu_us_per_request: 19 } }"), Level::Block);
    let missing =
        judge(&with(1.0), &with(1.0), &Budgets::read("b", "components: { db: { memory: 1MiB } }").unwrap())
            .unwrap();
    assert_eq!(found(&missing, "db: memory").level, Level::Warn);
}

#[test]
fn a_load_that_did_not_keep_its_schedule_warns_and_another_load_is_refused() {
    let mut missing = run(Shape { rate: 50, ..EQUAL }, 1);
    missing.progress.missed = 100;
    let gate = judge(&run(Shape { rate: 50, ..EQUAL }, 1), &missing, &Budgets::default()).unwrap();
    assert_eq!((gate.result, found(&gate, "schedule").level), (Level::Warn, Level::Warn));
    let mut other = run(Shape { rate: 50, ..EQUAL }, 1);
    other.facts.pace = "50 requests a second".into();
    let refused = judge(&missing, &other, &Budgets::default()).unwrap_err().to_string();
    assert!(
        refused.contains("the pace is 2000 requests a second in the baseline and 50 requests a second"),
        "{refused}"
    );
}
