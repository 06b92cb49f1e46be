//! Marks and totals, over any course of windows.

use proptest::prelude::*;
use serin_config::{Generation, wire::WindowReport};

use super::*;
use crate::{align::Aligner, fixtures::report};

fn from(proxy: &str, epoch: u64, sequence: u64) -> WindowReport {
    WindowReport { proxy: proxy.into(), epoch, ..report(sequence, Generation(1), (10, 1), (90, 2)) }
}

/// A window that came after its second.
fn late(report: WindowReport, behind: Option<u64>) -> LeftOut {
    let mark = Mark::new(&report, report.ended_ms, behind);
    LeftOut { at: report.ended_ms / 1_000, mark, cells: report.cells }
}

/// A second in which the window at this place waits for one in another second.
fn with_one_behind(mut second: Second, place: usize, report: &WindowReport, behind: u64) -> Second {
    second.windows[place] = Mark::new(report, report.ended_ms, Some(behind));
    second
}

#[test]
fn marks_follow_the_newest_life_and_totals_count_every_window() {
    let mut settled = Settled::default();
    settled.second(&Second::of(100, vec![from("a", 1, 7), from("b", 1, 3)]));
    settled.left_out(&late(from("b", 1, 4), None));
    settled.second(&Second::of(101, vec![from("a", 2, 1)]));
    assert_eq!(settled.closed(), Some(101));
    assert_eq!(settled.proxies().collect::<Vec<_>>(), [("a", (2, 1)), ("b", (1, 4))]);
    assert_eq!(settled.total("shop", "v2"), Total { requests: 40, judged: 40, failed: 4 });
    assert_eq!(settled.total("shop", "v1").requests, 360);
    assert_eq!(settled.total("other", "v1"), Total::default());
}

#[test]
fn no_mark_passes_a_window_that_still_waits_for_its_second() {
    let mut settled = Settled::default();
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|sequence| from("a", 1, sequence));
    // The third one belongs to the second of the first: its clock had seemed to be ahead.
    let closed = Second::of(100, vec![first, third.clone()]);
    settled.second(&with_one_behind(closed, 1, &third, 101));
    assert_eq!(settled.proxies().collect::<Vec<_>>(), [("a", (1, 1))]);
    assert_eq!(settled.total("shop", "v2").requests, 10, "what is not marked is not counted");
    // So does the fourth, and it comes when that is over.
    settled.left_out(&late(fourth, Some(101)));
    assert_eq!(settled.proxies().collect::<Vec<_>>(), [("a", (1, 1))]);
    assert_eq!(settled.total("shop", "v2").requests, 10);
    settled.second(&Second::of(101, vec![second]));
    assert_eq!(settled.proxies().collect::<Vec<_>>(), [("a", (1, 4))]);
    assert_eq!(settled.total("shop", "v2"), Total { requests: 40, judged: 40, failed: 4 });
    assert!(settled.aside.is_empty());
}

#[test]
fn it_is_the_same_after_it_was_stored() {
    let mut settled = Settled::default();
    settled.second(&Second::of(100, vec![from("a", 1, 7)]));
    let stored = serde_json::to_value(&settled).unwrap();
    assert_eq!(serde_json::from_value::<Settled>(stored).unwrap(), settled);
    settled.keep_only(|service| service.as_str() != "shop");
    assert_eq!(settled.total("shop", "v2"), Total::default());
}

#[test]
fn a_life_comes_after_all_that_are_known_though_the_clock_was_set_back() {
    let mut settled = Settled::default();
    settled.left_out(&late(from("a", 5_000, 7), None));
    assert_eq!((settled.next_life("a", 6_000), settled.next_life("a", 4_000)), (6_000, 5_001));
    assert_eq!(settled.next_life("b", 4_000), 4_000);
}

#[test]
fn the_number_of_marks_is_bounded() {
    let mut settled = Settled::default();
    for number in 0..=PROXIES_MAX as u64 {
        settled.left_out(&late(from(&number.to_string(), number, 1), None));
    }
    assert_eq!(settled.marks().len(), PROXIES_MAX);
    assert!(!settled.marks().contains_key("0"), "the oldest life went first");
}

/// How a proxy's next window comes: how long after the one before it was sent, how long it was under way (milliseconds),
/// and whether its proxy was started anew.
type Course = Vec<(u64, u64, bool)>;

fn any_course() -> impl Strategy<Value = Course> {
    let between = prop_oneof![4 => 950_u64..1_050, 1 => 0_u64..300, 1 => 1_000_u64..3_000];
    let under_way = prop_oneof![3 => 0_u64..100, 2 => 0_u64..3_000];
    proptest::collection::vec((between, under_way, proptest::bool::weighted(0.05)), 1..20)
}

/// Windows in the order in which they come, each with when. Those of one proxy come in their order.
fn arrivals(courses: &[Course]) -> Vec<(u64, WindowReport)> {
    const START_MS: u64 = 1_800_000_000_000;
    let mut arrivals = Vec::new();
    for (proxy, course) in courses.iter().enumerate() {
        let (mut ended_ms, mut now_ms) = (START_MS + 137 * proxy as u64, START_MS);
        let (mut epoch, mut sequence) = (1, 0);
        for (between, under_way, anew) in course {
            ended_ms += between;
            now_ms = now_ms.max(ended_ms + under_way);
            (epoch, sequence) = if *anew { (epoch + 1, 1) } else { (epoch, sequence + 1) };
            let counted = 1 + arrivals.len() as u64;
            let told = report(sequence, Generation(1), (counted, 0), (1, 0));
            arrivals.push((now_ms, WindowReport { proxy: proxy.to_string(), epoch, ended_ms, ..told }));
        }
    }
    arrivals.sort_by_key(|(now_ms, _)| *now_ms);
    arrivals
}

/// Whether the totals are those of the windows that the marks have passed.
fn is_exact(settled: &Settled, came: &[(u64, WindowReport)]) -> bool {
    let marks = settled.marks();
    let mut marked = Totals::default();
    for (_, report) in came {
        if marks.get(&report.proxy).is_some_and(|mark| (report.epoch, report.sequence) <= *mark) {
            marked.count(&report.cells);
        }
    }
    ["v1", "v2"].iter().all(|version| settled.total("shop", version) == marked.of("shop", version))
}

proptest! {
    /// Whoever goes on from what is stored is told again what the marks have not passed: so that must be what is not in the
    /// totals, at any time.
    #[test]
    fn marks_and_totals_always_say_the_same(courses in proptest::collection::vec(any_course(), 1..5)) {
        let arrivals = arrivals(&courses);
        let (mut aligner, mut settled) = (Aligner::default(), Settled::default());
        for (place, (now_ms, report)) in arrivals.iter().enumerate() {
            let aligned = aligner.take(report.clone(), *now_ms);
            if let Some(late) = &aligned.left_out {
                settled.left_out(late);
                prop_assert!(is_exact(&settled, &arrivals[..=place]), "{late:?}");
            }
            for second in &aligned.seconds {
                settled.second(second);
                prop_assert!(is_exact(&settled, &arrivals[..=place]), "{second:?}");
            }
        }
        let end_ms = arrivals.last().map_or(0, |(now_ms, _)| now_ms + 60_000);
        aligner.tick(end_ms).iter().for_each(|second| settled.second(second));
        let mut all = Totals::default();
        arrivals.iter().for_each(|(_, report)| all.count(&report.cells));
        prop_assert_eq!(&settled.totals, &all, "each window is counted, and once");
        prop_assert_eq!(settled.marks().len(), courses.len());
        prop_assert!(settled.aside.is_empty());
    }
}
