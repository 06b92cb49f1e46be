//! Plans of whole rollouts.

use std::time::Duration;

use serin_config::{
    Weight,
    policy::{Guards, OnTimeout, Preset, RolloutPolicy, Step},
};

use super::*;
use crate::verdict::Lacking;

const REGRESSIONS: [Regression; 3] =
    [Regression::Errors { to: 0.05 }, Regression::Errors { to: 1.0 }, Regression::Tail { by: 2.0 }];

fn traffic(rps: f64) -> Traffic {
    Traffic { rps, error_rate: 0.001, p50: Duration::from_millis(50), p99: Duration::from_millis(160) }
}

fn weight(text: &str) -> Weight {
    text.parse().unwrap()
}

fn plan(policy: RolloutPolicy, rps: f64, seeds: u64) -> (Foresight, Plan) {
    let foresight = Foresight::new(policy, traffic(rps), REGRESSIONS.to_vec());
    let rehearsals: Vec<_> = (1..=seeds).map(|seed| foresight.rehearse(seed)).collect();
    let plan = foresight.plan(&rehearsals);
    (foresight, plan)
}

/// The default guards, and two steps: the plan of these takes little time.
fn short() -> RolloutPolicy {
    let steps = vec![Step::at(weight("5%")), Step::at(weight("25%")), Step::at(Weight::WHOLE)];
    RolloutPolicy { steps, ..RolloutPolicy::default() }
}

#[test]
fn a_good_version_passes_every_step_of_every_preset_at_a_thousand_requests_a_second() {
    for preset in Preset::ALL {
        let foresight = Foresight::new(preset.policy(), traffic(1000.0), vec![]);
        let rehearsals: Vec<_> = (1..=3).map(|seed| foresight.rehearse(seed)).collect();
        let plan = foresight.plan(&rehearsals);
        assert!(plan.steps.iter().all(|step| step.good.passed == 3), "{preset:?}: {plan:#?}");
        let seconds = plan.seconds.unwrap();
        assert!(seconds >= preset.soak().as_secs() && seconds < 1_800, "{preset:?}: {seconds}");
        assert_eq!(plan.false_alarms, 0);
    }
}

#[test]
fn a_version_that_is_bad_from_the_start_is_found_by_its_copies_and_harms_nobody() {
    let mut policy = short();
    policy.steps.insert(0, Step { mirror: Some(weight("20%")), ..Step::at(Weight::ZERO) });
    let (foresight, plan) = plan(policy, 1000.0, 5);
    let copies = &plan.steps[0];
    assert_eq!((copies.mirror, copies.rps, copies.good.passed), (Some(weight("20%")), 200.0, 5));
    let [five, dead, tail] = &copies.bad[..] else { panic!("{copies:#?}") };
    for bad in [five, dead] {
        assert_eq!((bad.caught, bad.harmed), (5, 0), "{bad:#?}");
    }
    // Copies say nothing of time: it is found by its users, after the step with copies.
    assert!(tail.harmed > 0 && tail.seconds.unwrap() > 9.0, "{tail:#?}");
    let text = foresight.tell(&plan);
    assert!(text.contains("copies of 20%") && text.contains("its errors alone are judged"), "{text}");
}

#[test]
fn the_last_step_waits_for_the_soak() {
    let (_, plan) = plan(RolloutPolicy::default(), 10_000.0, 1);
    let last = plan.steps.last().unwrap();
    assert!(matches!(last.good.waited_for[..], [Lacking::Soak { need: 300, .. }]), "{last:#?}");
    assert_eq!(plan.seconds, Some(301));
}

#[test]
fn a_bad_version_is_out_and_what_it_costs_depends_on_how_bad_it_is() {
    let (_, plan) = plan(short(), 1000.0, 5);
    for step in &plan.steps {
        let [five, dead, tail] = &step.bad[..] else { panic!("{step:#?}") };
        assert!([five, dead, tail].iter().all(|bad| bad.caught == 5), "{step:#?}");
        assert!(five.seconds.unwrap() <= 15.0, "{five:#?}");
        assert!(dead.seconds.unwrap() <= 1.0, "{dead:#?}");
        assert!(tail.seconds.unwrap() <= 60.0, "{tail:#?}");
    }
    // The probe holds at the first step: a dead canary costs a handful.
    let dead = &plan.steps[0].bad[1];
    assert!(dead.harmed <= 12, "{dead:#?}");
    assert!(plan.steps[0].bad[0].harmed <= 25 && plan.steps[1].bad[0].harmed <= 150);
}

#[test]
fn a_step_that_sees_too_little_is_said_to_and_what_would_help() {
    let step = Step { max_duration: Duration::from_secs(600), ..Step::at(weight("1%")) };
    let guards = Guards { latency: None, ..Guards::default() };
    let policy = RolloutPolicy {
        steps: vec![step, Step::at(weight("50%")), Step::at(Weight::WHOLE)],
        guards,
        ..short()
    };
    let (foresight, plan) = plan(policy, 200.0, 3);
    let first = &plan.steps[0];
    assert_eq!((first.good.passed, first.good.seconds, plan.seconds), (0, None, None));
    let help = first.help.as_ref().unwrap();
    assert!(help.requests.unwrap() > 5_000, "{help:#?}");
    assert!(help.weight.unwrap() >= weight("10%"), "{help:#?}");
    assert!(help.max_duration.unwrap() > 5_000, "{help:#?}");
    assert_eq!(help.margin, Some(weight("1%")), "{help:#?}");
    let text = foresight.tell(&plan);
    assert!(text.contains("The step at 1% can't be decided in its max_duration of 10 min"), "{text}");
    assert!(text.contains("What helps: a weight of") && text.contains("pass: { margin: 1% }"), "{text}");
    assert!(text.contains("not in 10 min"), "{text}");
}

#[test]
fn without_traffic_nothing_is_decided_and_the_plan_says_so() {
    let step = Step { max_duration: Duration::from_secs(60), ..Step::at(weight("10%")) };
    let policy = RolloutPolicy { steps: vec![step, Step::at(Weight::WHOLE)], ..short() };
    let foresight = Foresight::new(policy, traffic(f64::NAN), vec![Regression::Errors { to: f64::NAN }]);
    let plan = foresight.plan(&[foresight.rehearse(1)]);
    let step = &plan.steps[0];
    assert_eq!((step.good.passed, step.bad[0].caught, step.bad[0].requests), (0, 0, 0));
    assert!(foresight.tell(&plan).contains("can't be decided"), "{}", foresight.tell(&plan));
}

#[test]
fn a_rollout_without_steps_takes_no_time() {
    let policy = RolloutPolicy { steps: vec![Step::at(Weight::WHOLE)], ..short() };
    let (foresight, plan) = plan(policy, 100.0, 1);
    assert_eq!((plan.seconds, plan.steps.len()), (Some(0), 0));
    assert!(foresight.tell(&plan).contains("100% is reached after 0 s"));
}

#[test]
fn the_same_seed_gives_the_same_plan_and_its_tables_line_up() {
    let (foresight, first) = plan(short(), 300.0, 1);
    let (_, second) = plan(short(), 300.0, 1);
    assert_eq!(first, second);
    let text = foresight.tell(&first);
    let column = |line: &str, word: &str| line.split(word).next().map(|before| before.chars().count());
    let header = text.lines().find(|line| line.contains("passes after")).unwrap();
    let row = text.lines().find(|line| line.starts_with("  5%")).unwrap();
    assert_eq!(column(header, "canary"), column(row, "15/s"), "{text}");
    assert!(text.contains("errors 5 %") && text.contains("p99 × 2"), "{text}");
}

#[test]
fn a_policy_that_promotes_when_the_time_is_over_goes_on_unproven_but_not_before_the_soak() {
    let step = |weight_: &str| Step { max_duration: Duration::from_secs(60), ..Step::at(weight(weight_)) };
    let policy = RolloutPolicy {
        steps: vec![step("1%"), step("2%"), Step::at(Weight::WHOLE)],
        on_timeout: OnTimeout::Promote,
        ..RolloutPolicy::default()
    };
    let (foresight, plan) = plan(policy.clone(), 100.0, 1);
    let seconds: Vec<_> = plan.steps.iter().map(|step| (step.good.by_time, step.good.seconds)).collect();
    assert_eq!(seconds, [(1, Some(60)), (1, Some(241))]);
    assert_eq!(plan.seconds, Some(301));
    assert!(foresight.tell(&plan).contains("goes on unproven: on_timeout"), "{}", foresight.tell(&plan));
    let policy = RolloutPolicy { on_timeout: OnTimeout::Rollback, ..policy };
    let (_, plan) = self::plan(policy, 100.0, 1);
    assert_eq!((plan.seconds, plan.false_alarms, plan.steps[1].good.seen), (None, 0, 0));
}

#[test]
fn what_waits_for_the_soak_alone_waits_beyond_the_time_of_its_step() {
    let policy = RolloutPolicy {
        steps: vec![
            Step { max_duration: Duration::from_secs(150), ..Step::at(weight("25%")) },
            Step::at(Weight::WHOLE),
        ],
        ..RolloutPolicy::default()
    };
    let (_, plan) = plan(policy, 1000.0, 1);
    assert_eq!((plan.seconds, plan.steps[0].help.is_none()), (Some(301), true));
}
