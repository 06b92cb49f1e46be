//! Seconds of several proxies, and what comes late.

use proptest::prelude::*;
use serin_config::{Generation, policy::ErrorWeights};
use serin_judge::Window;

use super::*;
use crate::fixtures::{name, report, version};

const START_MS: u64 = 1_800_000_000_000;

/// Window `sequence` of a proxy, which ended so many milliseconds after the beginning.
fn window(proxy: &str, sequence: u64, after_ms: u64) -> WindowReport {
    WindowReport {
        proxy: proxy.into(),
        ended_ms: START_MS + after_ms,
        ..report(sequence, Generation(1), (10, 1), (90, 2))
    }
}

fn take(aligner: &mut Aligner, report: WindowReport, now_after_ms: u64) -> Aligned {
    aligner.take(report, START_MS + now_after_ms)
}

/// Which seconds since the beginning, and of how many proxies.
fn shape(seconds: &[Second]) -> Vec<(u64, usize)> {
    seconds.iter().map(|second| (second.at - START_MS / 1_000, second.windows.len())).collect()
}

#[test]
fn a_lone_proxy_never_waits() {
    let mut aligner = Aligner::default();
    for second in 1..=5 {
        let done = take(&mut aligner, window("a", second, second * 1_000), second * 1_000 + 3);
        assert_eq!((shape(&done.seconds), done.late), (vec![(second, 1)], false));
    }
}

#[test]
fn a_second_waits_for_every_live_proxy_and_is_then_complete_at_once() {
    let mut aligner = Aligner::default();
    take(&mut aligner, window("a", 1, 1_100), 1_100);
    take(&mut aligner, window("b", 1, 1_900), 1_900);
    assert_eq!(shape(&take(&mut aligner, window("a", 2, 2_100), 2_100).seconds), []);
    assert_eq!(shape(&take(&mut aligner, window("b", 2, 2_900), 2_900).seconds), [(2, 2)]);
}

#[test]
fn a_window_that_is_late_is_left_out_and_told() {
    let mut aligner = Aligner::default();
    for second in 1..=3 {
        take(&mut aligner, window("a", second, second * 1_000 + 100), second * 1_000 + 100);
        take(&mut aligner, window("b", second, second * 1_000 + 200), second * 1_000 + 200);
    }
    assert_eq!(shape(&take(&mut aligner, window("a", 4, 4_100), 4_100).seconds), []);
    assert_eq!(shape(&aligner.tick(START_MS + 5_099)), []);
    assert_eq!(shape(&aligner.tick(START_MS + 5_100)), [(4, 1)]);
    let late = take(&mut aligner, window("b", 4, 4_200), 5_150);
    assert!(late.late && late.seconds.is_empty(), "{late:?}");
    take(&mut aligner, window("a", 5, 5_100), 5_160);
    let next = take(&mut aligner, window("b", 5, 5_200), 5_200);
    assert_eq!((shape(&next.seconds), next.late), (vec![(5, 2)], false));
}

#[test]
fn a_proxy_that_has_gone_is_soon_not_waited_for() {
    let mut aligner = Aligner::default();
    take(&mut aligner, window("a", 1, 1_100), 1_100);
    take(&mut aligner, window("b", 1, 1_200), 1_200);
    let mut waited = 0;
    for second in 2..=10 {
        let done = take(&mut aligner, window("a", second, second * 1_000 + 100), second * 1_000 + 100);
        waited += usize::from(done.seconds.last().is_none_or(|last| last.at < START_MS / 1_000 + second));
    }
    assert!((1..=4).contains(&waited), "{waited}");
}

#[test]
fn windows_that_end_a_hair_early_or_late_have_a_second_each() {
    let mut aligner = Aligner::default();
    let ends = [1_001, 1_999, 3_001, 3_999, 5_000];
    let mut all = Vec::new();
    for (sequence, end) in (1..).zip(ends) {
        all.extend(take(&mut aligner, window("a", sequence, end), end).seconds);
    }
    let seconds: Vec<u64> = all.iter().map(|second| second.at).collect();
    assert_eq!(seconds.len(), ends.len());
    assert!(seconds.is_sorted_by(|a, b| a < b), "{seconds:?}");
}

#[test]
fn a_proxy_that_was_held_up_once_is_not_ahead_of_the_others_from_then_on() {
    let mut aligner = Aligner::default();
    for second in 1..=20 {
        let end = second * 1_000 + 500;
        // Its fifth window ends six tenths of a second late, and the sixth in time.
        let held_up = end + if second == 5 { 600 } else { 0 };
        let mut arrivals = [("a", end), ("b", end + 3), ("c", held_up)];
        arrivals.sort_by_key(|(_, at)| *at);
        for (place, (proxy, at)) in arrivals.into_iter().enumerate() {
            let done = take(&mut aligner, window(proxy, second, at), at);
            assert!(second == 1 || !done.late, "{proxy} in {second}");
            if second > 6 {
                let expected = if place == 2 { vec![(second, 3)] } else { vec![] };
                assert_eq!(shape(&done.seconds), expected, "{proxy} in {second}");
            }
        }
    }
}

#[test]
fn a_clock_that_is_off_or_jumps_does_not_matter() {
    let mut aligner = Aligner::default();
    let wrong = |sequence: u64| match sequence {
        1..20 => 3_600_000,
        20..40 => 7_200_000,
        _ => 0,
    };
    for second in 1..=60 {
        take(&mut aligner, window("a", second, second * 1_000 + 100), second * 1_000 + 100);
        let b = window("b", second, second * 1_000 + 200 + wrong(second));
        let done = take(&mut aligner, b, second * 1_000 + 200);
        // In its first second nobody knew of it.
        if second > 1 {
            assert!(!done.late, "{second}");
            assert_eq!(shape(&done.seconds), [(second, 2)], "{second}");
        }
    }
}

#[test]
fn a_lone_proxy_whose_first_windows_come_all_at_once_loses_none() {
    let mut aligner = Aligner::default();
    for second in 1..=20 {
        let done = take(&mut aligner, window("a", second, second * 1_000), 20_100);
        assert_eq!((done.seconds.len(), done.late), (1, false), "{second}");
    }
}

/// The reason why marks need not go by the newest window that is settled, see [`crate::settled`].
#[test]
fn windows_behind_a_slow_first_one_may_go_to_seconds_out_of_their_order() {
    let mut aligner = Aligner::default();
    for second in 1..=2 {
        take(&mut aligner, window("b", second, second * 1_000 + 100), second * 1_000 + 100);
    }
    // Two windows were under way for long, one was not.
    for (sequence, now) in [(1, 3_800), (2, 3_850), (3, 3_860)] {
        take(&mut aligner, window("a", sequence, sequence * 1_000), now);
    }
    let mut done = take(&mut aligner, window("b", 3, 3_100), 3_900).seconds;
    let third = done.pop().unwrap();
    assert!(done.is_empty());
    let told: Vec<(&str, u64)> =
        third.windows.iter().map(|window| (&*window.proxy, window.sequence)).collect();
    assert_eq!(told, [("a", 1), ("a", 3), ("b", 3)], "the second one of a waits in a later second");
    let behind: Vec<bool> = third.windows.iter().map(|window| window.is_behind(third.at)).collect();
    assert_eq!(behind, [false, true, false]);
    let waits = third.windows[1].behind.as_ref().unwrap();
    assert_eq!((waits.second, waits.totals.of("shop", "v2").requests), (third.at + 1, 10));
    // With that second all is in order again.
    let done = aligner.tick(START_MS + 4_850);
    assert_eq!(shape(&done), [(4, 1)]);
    assert_eq!(done[0].windows[0].behind, None);
    assert!(aligner.newest.is_empty());
}

#[test]
fn a_clock_that_drifts_is_followed() {
    let mut aligner = Aligner::default();
    for second in 1..=20_000 {
        take(&mut aligner, window("a", second, second * 1_000 + 100), second * 1_000 + 100);
        // Half a millisecond a second behind, ten seconds in the end.
        let b = window("b", second, second * 1_000 + 200 - second / 2);
        let done = take(&mut aligner, b, second * 1_000 + 200);
        assert!(second == 1 || !done.late, "{second}");
    }
}

#[test]
fn a_clock_that_shows_nonsense_is_no_reason_to_panic() {
    let mut aligner = Aligner::default();
    for (sequence, ended_ms) in (1..).zip([0, u64::MAX, 1, u64::MAX - 1, u64::MAX, 0, START_MS]) {
        let odd = WindowReport { ended_ms, ..window("a", sequence, 0) };
        take(&mut aligner, odd, sequence * 1_000);
        take(&mut aligner, window("b", sequence, sequence * 1_000), sequence * 1_000);
    }
    assert!(aligner.open.len() <= SECONDS_OPEN_MAX);
}

#[test]
fn what_is_open_is_bounded() {
    let mut aligner = Aligner::default();
    take(&mut aligner, window("b", 1, 1_000), 1_000);
    for second in 1..=100 {
        // All at one moment, as after a keeper that was held up; b never tells of any.
        take(&mut aligner, window("a", second, 1_000 + second * 40), 1_500);
    }
    assert!(aligner.open.len() <= SECONDS_OPEN_MAX, "{}", aligner.open.len());
}

proptest! {
    /// What the judge gets does not depend on how many proxies there are, on their phases, on their delays within
    /// the grace, or on the order of arrival.
    #[test]
    fn many_proxies_make_the_seconds_of_one(
        counts in proptest::collection::vec((0_u64..50, 0_u64..50), 3..20),
        phases in proptest::collection::vec((0_u64..400, 0_u64..200), 1..6),
        seed in any::<u64>(),
    ) {
        let one_in = phases.len() as u64;
        let mut arrivals = Vec::new();
        for (second, (canary, stable)) in (1_u64..).zip(&counts) {
            for (i, (phase, jitter)) in (0_u64..).zip(&phases) {
                let part = |all: u64| all / one_in + u64::from(i < all % one_in);
                let ended = second * 1_000 + 100 + phase;
                let delay = (seed.rotate_left((second * 7 + i) as u32 % 64) % (jitter + 1)).min(*jitter);
                let sent = WindowReport {
                    proxy: i.to_string(),
                    ended_ms: START_MS + ended,
                    ..report(second, Generation(1), (part(*canary), 0), (part(*stable), 0))
                };
                // The first two windows introduce each proxy, and its clock.
                arrivals.push((ended + if second <= 2 { 0 } else { delay }, sent));
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        let mut aligner = Aligner::default();
        let mut seconds = Vec::new();
        for (at, sent) in arrivals {
            let second = sent.sequence;
            let done = aligner.take(sent, START_MS + at);
            prop_assert!(!done.late || second == 1);
            seconds.extend(done.seconds);
        }
        seconds.extend(aligner.tick(START_MS + 1_000_000));
        let sums: BTreeMap<u64, (u64, u64)> = seconds.iter().map(|second| {
            let cells = second.sheets.iter().flat_map(|sheet| &sheet.cells);
            let weights = ErrorWeights::default();
            let sum = Window::gather(cells, &name("shop"), &version("v2"), &version("v1"), &weights).total();
            (second.at - START_MS / 1_000, (sum.canary.judged, sum.stable.judged))
        }).collect();
        // Until each proxy has told once, nobody knows whom to wait for.
        for (second, expected) in (1_u64..).zip(&counts).skip(1) {
            prop_assert_eq!(sums.get(&second), Some(expected), "{}", second);
        }
    }
}
