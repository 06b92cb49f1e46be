//! Windows once each, and what is kept of them.

use serin_config::Generation;

use super::*;
use crate::fixtures::{name, report, version};

fn numbered(epoch: u64, sequence: u64) -> WindowReport {
    WindowReport { epoch, ..report(sequence, Generation(1), (1, 0), (9, 1)) }
}

/// A window arrives at the end of its second, and is settled.
fn take(collector: &mut Collector, report: &WindowReport) -> Arrival {
    let arrival = collector.take(report, report.ended_ms);
    if matches!(arrival, Arrival::New { .. }) {
        collector.show(report.ended_ms / 1_000, &report.cells);
    }
    arrival
}

#[test]
fn a_window_is_taken_once() {
    let mut collector = Collector::default();
    assert_eq!(take(&mut collector, &numbered(1, 1)), Arrival::New { lost: 0 });
    assert_eq!(take(&mut collector, &numbered(1, 1)), Arrival::Duplicate);
    assert_eq!(take(&mut collector, &numbered(1, 2)), Arrival::New { lost: 0 });
    assert_eq!(take(&mut collector, &numbered(1, 1)), Arrival::Duplicate);
    let seen: u64 =
        collector.recent("shop").map(|second| second.versions[&version("v1")].outcomes.total()).sum();
    assert_eq!(seen, 18);
}

#[test]
fn a_gap_is_counted_and_a_new_life_begins_anew() {
    let mut collector = Collector::default();
    assert_eq!(
        take(&mut collector, &numbered(5, 40)),
        Arrival::New { lost: 0 },
        "what came before is not known"
    );
    assert_eq!(take(&mut collector, &numbered(5, 44)), Arrival::New { lost: 3 });
    assert_eq!(take(&mut collector, &numbered(6, 1)), Arrival::New { lost: 0 });
    assert_eq!(take(&mut collector, &numbered(5, 45)), Arrival::Duplicate, "an earlier life is over");
}

#[test]
fn the_proxy_that_was_silent_longest_is_forgotten_first() {
    let mut collector = Collector::default();
    let from = |proxy: usize| WindowReport { proxy: proxy.to_string(), ..numbered(1, 1 + proxy as u64) };
    for proxy in 0..=PROXIES_MAX {
        take(&mut collector, &from(proxy));
    }
    assert_eq!(collector.proxies.len(), PROXIES_MAX);
    assert!(!collector.proxies.contains_key("0"));
}

#[test]
fn two_proxies_share_a_second_and_latencies_add_up() {
    let mut collector = Collector::default();
    take(&mut collector, &numbered(1, 7));
    take(&mut collector, &WindowReport { proxy: "other".into(), ..numbered(1, 7) });
    let seconds: Vec<&Second> = collector.recent("shop").collect();
    let [second] = seconds.as_slice() else { panic!("{seconds:?}") };
    let stable = &second.versions[&version("v1")];
    assert_eq!((second.at, stable.outcomes.total(), stable.headers.total()), (7, 18, 16));
    assert!((4.9..5.3).contains(&stable.quantiles_ms().0.unwrap()), "{stable:?}");
}

#[test]
fn two_minutes_are_kept_and_the_oldest_only_in_sum() {
    let mut collector = Collector::default();
    for sequence in 1..=200 {
        take(&mut collector, &numbered(1, sequence));
    }
    let seconds: Vec<&Second> = collector.recent("shop").collect();
    assert_eq!(seconds.len(), RECENT_SECONDS_MAX);
    assert_eq!(seconds.first().unwrap().at, 81);
    let whole = seconds.iter().filter(|second| second.versions[&version("v1")].headers.total() > 0).count();
    assert_eq!(whole, RECENT_LATENCY_SECONDS_MAX);
    assert!(seconds[0].versions[&version("v1")].quantiles_ms().1.is_some());
}

#[test]
fn a_version_is_out_of_reach_when_every_live_proxy_says_so() {
    let mut collector = Collector::default();
    let from = |proxy: &str, sequence: u64, without: &[&str]| WindowReport {
        proxy: proxy.into(),
        unready: without
            .iter()
            .map(|text| Unready { service: name("shop"), version: version(text) })
            .collect(),
        ..numbered(1, sequence)
    };
    assert!(collector.unready(&name("shop"), 1_000).is_empty(), "nobody reports");
    collector.take(&from("a", 1, &["v0", "v1"]), 1_000);
    assert_eq!(collector.unready(&name("shop"), 1_000), [version("v0"), version("v1")]);
    collector.take(&from("b", 1, &["v1"]), 1_500);
    assert_eq!(collector.unready(&name("shop"), 2_000), [version("v1")]);
    assert!(collector.unready(&name("blog"), 2_000).is_empty());
    collector.take(&from("a", 6, &["v1"]), 6_000);
    collector.take(&from("a", 7, &["v0"]), 7_000);
    assert_eq!(collector.unready(&name("shop"), 7_000), [version("v0")], "b is silent");
}
