//! What the rules of others would have done with the same traffic: the measure that the judge's figures are read by.

use serin_config::policy::RolloutPolicy;
use serin_judge::{
    Window,
    classic::{Decision, Outcome, Rule, replay},
};

use crate::{
    draw::Rng,
    parallel::each,
    setting::{Fault, Mix, Setting},
    watch::{HOUR, PAST, Run, median},
    world::World,
};

const RUNS: usize = 10;

/// An hour of windows, the same that a [`Run`] with this seed sees.
fn record(setting: Setting, seed: u64, stream: u64) -> Vec<Window> {
    let mut world = World::new(Rng::new(seed, stream), Mix::USUAL, setting);
    world.past(PAST);
    (0..HOUR).map(|_| world.next().window).collect()
}

/// How many of the runs a rule rolls back, and the medians of its seconds and of the requests that failed.
fn of(rule: Rule, outcomes: &[Vec<Outcome>]) -> (usize, Option<f64>, f64) {
    let at = Rule::ALL.iter().position(|each| *each == rule).unwrap();
    let mine = || outcomes.iter().map(|outcomes| outcomes[at]);
    let rolled_back = |outcome: &Outcome| outcome.decision == Decision::Rollback;
    let seconds = median(mine().map(|o| rolled_back(&o).then_some(o.at_second as f64)));
    let failed = median(mine().map(|o| Some(o.harmed_requests as f64))).unwrap();
    (mine().filter(rolled_back).count(), seconds, failed)
}

#[test]
fn a_canary_that_fails_costs_a_small_part_of_what_it_costs_under_the_rules_of_others() {
    let policy = RolloutPolicy::default();
    let settings = [Setting::FAULTS[1], Setting::FAULTS[2], Setting::FAULTS[3], Setting::PLAIN, noisy()];
    println!("| canary at {} | rule | rolled back | seconds | failed |", Mix::USUAL.name());
    println!("|---|---|---|---|---|");
    for (seed, setting) in (1100..).zip(settings) {
        let outcomes = each(RUNS, |run| {
            let windows = record(setting, seed, run as u64);
            Rule::ALL.map(|rule| replay(rule, &mut windows.iter())).to_vec()
        });
        let name = setting.name;
        for rule in Rule::ALL {
            let (rolled_back, seconds, failed) = of(rule, &outcomes);
            let seconds = seconds.map_or("-".to_owned(), |seconds| seconds.to_string());
            println!("| {name} | {rule} | {rolled_back}/{RUNS} | {seconds} | {failed} |");
        }
        let ours = each(RUNS, |run| Run::of(&policy, Mix::USUAL, setting).watch(seed, run as u64));
        let found = ours.iter().filter(|course| course.found.is_some()).count();
        let seconds = median(ours.iter().map(|course| course.found));
        let harmed = median(ours.iter().map(|course| Some(course.harmed as f64))).unwrap();
        let shown = seconds.map_or("-".to_owned(), |seconds| seconds.to_string());
        let failed = if setting.fault == Fault::None { "-".to_owned() } else { harmed.to_string() };
        println!("| {name} | serin | {found}/{RUNS} | {shown} | {failed} |");
        if setting == Setting::FAULTS[2] {
            let flagger = of(Rule::Flagger, &outcomes).2;
            let argo = of(Rule::ArgoBackground, &outcomes).2;
            assert!((1_350.0..=2_100.0).contains(&flagger), "documented default: about 1,690, not {flagger}");
            assert!((4_500.0..=7_500.0).contains(&argo), "documented background: about 6,000, not {argo}");
            assert!(harmed <= 25.0 && 50.0 * harmed <= flagger, "{harmed}");
        }
        if setting == Setting::FAULTS[3] {
            assert_eq!(of(Rule::Flagger, &outcomes).1, Some(660.0));
            assert_eq!(of(Rule::Argo, &outcomes).1, Some(60.0));
            assert!(seconds.is_some_and(|seconds| seconds <= 1.0), "{seconds:?}");
        }
    }
}

/// Processes that differ, as they do: harmless, and enough for a test of two sigma.
fn noisy() -> Setting {
    Setting { pod_noise: true, name: "healthy, processes differ", ..Setting::PLAIN }
}
