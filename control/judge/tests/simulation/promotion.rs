//! Good canaries must get on, and bad ones must not: how long until non-inferiority is proven, and how often is it
//! proven wrongly?

use serin_config::policy::RolloutPolicy;

use crate::{
    parallel::each,
    setting::{Fault, Mix, Setting},
    watch::{HOUR, Run, Until, median},
};

const RUNS: usize = 20;

#[test]
fn a_good_canary_is_passed_in_the_time_that_its_traffic_needs() {
    // One error in a thousand with either version; some 14,000 requests of the canary are what it takes.
    let designed = [
        (Mix::new(1000.0, 0.01), 1_126.0),
        (Mix::new(1000.0, 0.05), 300.0),
        (Mix::new(1000.0, 0.1), 300.0),
        (Mix::new(1000.0, 0.5), 300.0),
        (Mix::new(100.0, 0.1), 1_085.0),
        (Mix::new(10_000.0, 0.05), 300.0),
    ];
    let policy = RolloutPolicy::default();
    let courses = each(designed.len() * RUNS, |number| {
        Run { until: Until::Pass, ..Run::of(&policy, designed[number / RUNS].0, Setting::PLAIN) }
            .watch(800, number as u64)
    });
    println!("| good canary | passed | median seconds | designed for |");
    println!("|---|---|---|---|");
    for ((mix, seconds), courses) in designed.iter().zip(courses.chunks(RUNS)) {
        let passed = courses.iter().filter(|course| course.passed.is_some()).count();
        let middle =
            median(courses.iter().map(|course| course.passed.map(|at| at as f64))).unwrap_or(f64::NAN);
        println!("| {} | {passed}/{RUNS} | {middle} | {seconds} |", mix.name());
        assert!(middle <= seconds * 1.25, "{}: {middle} s", mix.name());
    }
}

#[test]
fn a_canary_that_is_bad_from_its_start_is_hardly_ever_passed() {
    let bad = [0, 1, 8, 9, 11, 12, 14, 15].map(|at| Setting::FAULTS[at]);
    let mixes = [Mix::new(100.0, 0.1), Mix::USUAL, Mix::new(1000.0, 0.5), Mix::new(10_000.0, 0.05)];
    let cell = mixes.len() * RUNS;
    let policy = RolloutPolicy::default();
    let courses = each(bad.len() * cell, |number| {
        let mix = mixes[number % mixes.len()];
        Run { until: Until::Pass, seconds: HOUR / 2, ..Run::of(&policy, mix, bad[number / cell]) }
            .watch(900, number as u64)
    });
    println!("| bad canary | runs | passed |");
    println!("|---|---|---|");
    for (setting, courses) in bad.iter().zip(courses.chunks(cell)) {
        let passed = courses.iter().filter(|course| course.passed.is_some()).count();
        println!("| {} | {} | {passed} |", setting.name, courses.len());
        assert!(passed as f64 <= 0.05 * courses.len() as f64, "{}: {passed} passed", setting.name);
    }
}

#[test]
fn a_canary_at_the_edge_of_the_margin_is_passed_as_rarely_as_promised() {
    let edge = Setting { fault: Fault::Edge { ratio: 1.5, margin: 5e-4 }, ..Setting::PLAIN };
    let policy = RolloutPolicy::default();
    let run = Run { until: Until::Pass, seconds: 600, ..Run::of(&policy, Mix::new(1000.0, 0.1), edge) };
    let passed =
        each(200, |number| run.watch(950, number as u64)).iter().filter(|c| c.passed.is_some()).count();
    println!("at the edge of the margin {passed} of 200 are passed within ten minutes");
    assert!(passed <= 10, "{passed}");
}
