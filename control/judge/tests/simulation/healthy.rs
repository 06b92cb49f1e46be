//! Healthy canaries: how many are taken out within an hour in which they are looked at every second?

use std::time::Duration;

use serin_config::policy::RolloutPolicy;

use crate::{
    parallel::each,
    setting::{Mix, Setting},
    watch::{Course, Run},
};

/// Hours of each setting at each traffic.
const HOURS: usize = 20;

/// Runs the settings for so many hours at each traffic, prints a row for each, and gives hours and false rollbacks.
fn table(
    policy: &RolloutPolicy,
    (mixes, each_mix): (&[Mix], usize),
    settings: &[Setting],
    seed: u64,
) -> (usize, usize) {
    let cell = mixes.len() * each_mix;
    println!(
        "| healthy canary | hours | rolled back | hours with E >= 20 | highest E | self-test: alarms, suspicions |"
    );
    println!("|---|---|---|---|---|---|");
    let (mut hours, mut rolled_back) = (0, 0);
    for (row, setting) in settings.iter().enumerate() {
        let courses: Vec<Course> = each(cell, |number| {
            Run::of(policy, mixes[number % mixes.len()], *setting).watch(seed + row as u64, number as u64)
        });
        let guilty = courses.iter().filter(|course| course.found.is_some()).count();
        let suspect = courses.iter().filter(|course| course.highest >= 20_f64.ln()).count();
        let highest = courses.iter().map(|course| course.highest).fold(f64::NEG_INFINITY, f64::max).exp();
        let alarms: u64 = courses.iter().map(|course| course.self_test.alarms).sum();
        let suspicions: u64 = courses.iter().map(|course| course.self_test.suspicions).sum();
        let name = setting.name;
        println!("| {name} | {cell} | {guilty} | {suspect} | {highest:.1} | {alarms}, {suspicions} |");
        for (at, course) in courses.iter().enumerate().filter(|(_, course)| course.found.is_some()) {
            println!("rolled back: {}, run {at}: {course:?}", mixes[at % mixes.len()].name());
        }
        hours += cell;
        rolled_back += guilty;
    }
    (hours, rolled_back)
}

#[test]
fn no_healthy_canary_is_rolled_back_in_two_thousand_hours() {
    let (hours, rolled_back) = table(&RolloutPolicy::default(), (&Mix::NULLS, HOURS), &Setting::NULLS, 100);
    println!("balanced: {rolled_back} of {hours} healthy canary-hours ended in a rollback");
    assert!(hours >= 2_000 && rolled_back == 0, "{rolled_back} of {hours}");
}

#[test]
fn no_canary_that_starts_cold_is_rolled_back_where_the_policy_grants_a_warm_up() {
    let policy = RolloutPolicy { warm_up: Duration::from_secs(120), ..RolloutPolicy::default() };
    let (hours, rolled_back) = table(&policy, (&Mix::NULLS, HOURS), &[Setting::COLD], 200);
    assert!(hours >= 100 && rolled_back == 0, "{rolled_back} of {hours}");
}

#[test]
fn no_healthy_canary_is_rolled_back_on_the_traffic_of_two_thousand_proxies() {
    let fleet = [Mix::new(100_000.0, 0.1)];
    let (hours, rolled_back) = table(&RolloutPolicy::default(), (&fleet, 2), &Setting::NULLS, 300);
    println!("a fleet: {rolled_back} of {hours} healthy canary-hours ended in a rollback");
    assert!(hours >= 30 && rolled_back == 0, "{rolled_back} of {hours}");
}
