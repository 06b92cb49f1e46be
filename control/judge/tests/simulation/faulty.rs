//! Bad canaries: how many are found within an hour, how soon, and how many requests are hit until then?

use std::time::Duration;

use serin_config::policy::RolloutPolicy;

use crate::{
    parallel::each,
    setting::{Mix, Setting},
    watch::{Course, Run, median},
};

/// Runs of each row of a table with medians.
const RUNS: usize = 80;
/// Measured figures may be worse than the method's by this.
const SLACK: f64 = 1.25;

/// What the method was designed to reach: seconds and requests hit, medians.
struct Row {
    setting: Setting,
    seconds: f64,
    harmed: f64,
}

fn rows(figures: [(f64, f64); Setting::FAULTS.len()]) -> Vec<Row> {
    let row = |(setting, (seconds, harmed)): (&Setting, _)| Row { setting: *setting, seconds, harmed };
    Setting::FAULTS.iter().zip(figures).map(row).collect()
}

/// Runs and prints the rows; gives what is wrong with them.
fn table(policy: &RolloutPolicy, rows: &[Row], seed: u64) -> Vec<String> {
    let courses: Vec<Course> = each(rows.len() * RUNS, |number| {
        Run::of(policy, Mix::USUAL, rows[number / RUNS].setting).watch(seed, number as u64)
    });
    println!("| canary at {} | found | seconds | hit | designed for |", Mix::USUAL.name());
    println!("|---|---|---|---|---|");
    let mut wrong = Vec::new();
    for (row, courses) in rows.iter().zip(courses.chunks(RUNS)) {
        let found = courses.iter().filter(|course| course.found.is_some()).count();
        let seconds = median(courses.iter().map(|course| course.found));
        let harmed = median(courses.iter().map(|course| Some(course.harmed as f64))).unwrap_or(f64::NAN);
        let name = row.setting.name;
        let shown = seconds.map_or("-".to_owned(), |seconds| format!("{seconds}"));
        println!("| {name} | {found}/{RUNS} | {shown} | {harmed} | {} s / {} |", row.seconds, row.harmed);
        // Medians of small counts have the grain of a request and a second.
        let seconds_fit = seconds.is_some_and(|seconds| seconds <= row.seconds * SLACK + 0.5);
        if found != RUNS || !seconds_fit || harmed > row.harmed * SLACK + 1.0 {
            wrong.push(format!("{name}: {found} found, {shown} s, {harmed} hit"));
        }
    }
    wrong
}

#[test]
fn bad_canaries_are_found_as_soon_as_the_method_promises() {
    let designed = rows([
        (276.0, 44.0),
        (32.0, 16.0),
        (7.0, 17.0),
        (0.5, 27.0),
        (34.0, 16.0),
        (42.0, 86.0),
        (192.0, 35.0),
        (292.0, 1_367.0),
        (40.0, 188.0),
        (15.0, 77.0),
        (68.0, 3_474.0),
        (5.0, 248.0),
        (24.0, 11.0),
        (5.0, 256.0),
        (62.0, 14.0),
        (8.0, 45.0),
        (250.0, 12_200.0),
        (5.0, 248.0),
    ]);
    let wrong = table(&RolloutPolicy::default(), &designed, 300);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_warm_up_costs_slow_canaries_its_time_and_failing_ones_nothing() {
    let designed = rows([
        (276.0, 44.0),
        (32.0, 16.0),
        (7.0, 17.0),
        (0.5, 27.0),
        (34.0, 16.0),
        (42.0, 86.0),
        (192.0, 35.0),
        (384.0, 1_950.0),
        (153.0, 772.0),
        (136.0, 677.0),
        (184.0, 9_163.0),
        (125.0, 6_300.0),
        (24.0, 13.0),
        (125.0, 6_184.0),
        (62.0, 14.0),
        (128.0, 631.0),
        (246.0, 12_100.0),
        (5.0, 260.0),
    ]);
    let policy = RolloutPolicy { warm_up: Duration::from_secs(120), ..RolloutPolicy::default() };
    let wrong = table(&policy, &designed, 400);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A tenth of a per cent of errors rises to one: what that costs is information, not time, up to where seconds bind.
#[test]
fn errors_cost_a_dozen_users_at_any_traffic_with_a_small_share() {
    let designed = [
        (Mix::new(10.0, 0.1), 18.0),
        (Mix::new(100.0, 0.1), 18.0),
        (Mix::new(1000.0, 0.01), 18.0),
        (Mix::new(1000.0, 0.1), 18.0),
        (Mix::new(1000.0, 0.5), 48.0),
        (Mix::new(10_000.0, 0.01), 16.0),
        (Mix::new(10_000.0, 0.05), 34.0),
        (Mix::new(10_000.0, 0.1), 60.0),
        (Mix::new(10_000.0, 0.5), 310.0),
    ];
    let setting = Setting::FAULTS[1];
    let policy = RolloutPolicy::default();
    let courses = each(designed.len() * RUNS, |number| {
        Run::of(&policy, designed[number / RUNS].0, setting).watch(500, number as u64)
    });
    println!("| {} | found | seconds | hit | designed for |", setting.name);
    println!("|---|---|---|---|---|");
    for ((mix, hit), courses) in designed.iter().zip(courses.chunks(RUNS)) {
        let found = courses.iter().filter(|course| course.found.is_some()).count();
        let seconds = median(courses.iter().map(|course| course.found)).unwrap_or(f64::NAN);
        let harmed = median(courses.iter().map(|course| Some(course.harmed as f64))).unwrap();
        println!("| {} | {found}/{RUNS} | {seconds} | {harmed} | {hit} |", mix.name());
        assert!(
            harmed <= hit * SLACK + 1.0 && 10 * found >= 9 * RUNS,
            "{}: {harmed} hit, {found} found",
            mix.name()
        );
    }
}

/// All faults at all traffics; some can't be told from health within an hour by anybody.
#[test]
fn nine_of_ten_bad_canaries_are_found_within_an_hour_whatever_the_traffic() {
    const EACH: usize = 3;
    let (rates, weights) = ([10.0, 100.0, 1000.0, 10_000.0], [0.01, 0.05, 0.1, 0.5]);
    let cells = rates.len() * weights.len() * EACH;
    let policy = RolloutPolicy::default();
    let courses = each(Setting::FAULTS.len() * cells, |number| {
        let mix = Mix::new(rates[number % 4], weights[number / 4 % 4]);
        Run::of(&policy, mix, Setting::FAULTS[number / cells]).watch(600, number as u64)
    });
    println!("| found of {} at each rate | 10 rps | 100 rps | 1000 rps | 10000 rps |", weights.len() * EACH);
    println!("|---|---|---|---|---|");
    for (setting, courses) in Setting::FAULTS.iter().zip(courses.chunks(cells)) {
        let found = |rate: usize| {
            courses.iter().skip(rate).step_by(4).filter(|course| course.found.is_some()).count()
        };
        println!("| {} | {} | {} | {} | {} |", setting.name, found(0), found(1), found(2), found(3));
    }
    let found = courses.iter().filter(|course| course.found.is_some()).count();
    let share = found as f64 / courses.len() as f64;
    println!("{found} of {} bad canaries found within an hour: {:.1} %", courses.len(), 100.0 * share);
    assert!(share >= 0.88, "{share}");
}

/// A new version gets twenty requests a second at first, so that one that is broken outright costs no more.
#[test]
fn a_probe_bounds_what_a_broken_version_costs_at_any_traffic() {
    let flood = Mix::new(10_000.0, 0.05);
    let (dead, one_in_twenty) = (Setting::FAULTS[3], Setting::FAULTS[2]);
    // Ten seconds are not quite enough to prove 5 % of twenty a second, so that case ends soon after the probe.
    let designed = [
        (dead, Mix::USUAL, 6.0),
        (dead, flood, 6.0),
        (one_in_twenty, Mix::USUAL, 9.0),
        (one_in_twenty, flood, 34.0),
    ];
    let policy = RolloutPolicy::default();
    println!("| canary with a probe | found | seconds | hit | at most | designed for |");
    println!("|---|---|---|---|---|---|");
    for (row, (setting, mix, hit)) in designed.into_iter().enumerate() {
        let run = Run { probe: true, ..Run::of(&policy, mix, setting) };
        let courses = each(RUNS, |number| run.watch(700 + row as u64, number as u64));
        let found = courses.iter().filter(|course| course.found.is_some()).count();
        let seconds = median(courses.iter().map(|course| course.found)).unwrap_or(f64::NAN);
        let harmed = median(courses.iter().map(|course| Some(course.harmed as f64))).unwrap();
        let most = courses.iter().map(|course| course.harmed).max().unwrap();
        let name = format!("{}, {}", setting.name, mix.name());
        println!("| {name} | {found}/{RUNS} | {seconds} | {harmed} | {most} | {hit} |");
        assert!(found == RUNS && harmed <= hit * SLACK + 1.0, "{name}: {harmed} hit");
        assert!(setting != dead || most <= 20, "{name}: a dead canary costs twenty at most, not {most}");
    }
}
