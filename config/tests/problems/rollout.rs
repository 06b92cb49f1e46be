//! A rollout: its steps and its guards.

use super::*;

#[test]
fn steps_rise_to_the_whole() {
    let steps = |steps: &str| and(&format!("    rollout: {{ steps: [{steps}] }}\n"));
    let path = "services.shop.rollout.steps";
    assert_problem(
        &steps("{ weight: 5% }, { weight: 5% }"),
        &format!("12:50: {path}[1].weight"),
        &["5% comes after 5%"],
    );
    assert_problem(
        &steps("{ weight: 0% }"),
        &format!("12:34: {path}[0].weight"),
        &["a step at 0% shows nothing"],
    );
    assert_problem(&steps("{ min_requests: 5 }"), &format!("12:24: {path}[0]"), &["\"weight\" is missing"]);
    assert_problem(&steps(""), &format!("12:23: {path}"), &["there is no step"]);
    assert_problem(
        &steps("{ weight: 5%, min_requests: 0 }"),
        &format!("12:52: {path}[0].min_requests"),
        &["from 1 to"],
    );
    assert_problem(
        &steps("{ weight: 5%, min_duration: 2h }"),
        &format!("12:52: {path}[0].min_duration"),
        &["max_duration is shorter than min_duration", "2h or more"],
    );
    let many: Vec<_> = (1..=50).map(|n| format!("{{ weight: {n}% }}")).collect();
    assert_problem(&steps(&many.join(", ")), &format!("12:23: {path}"), &["51 steps", "at most 50"]);
}

#[test]
fn a_rollout_that_stops_short_gets_a_last_step() {
    let read_steps = |steps: &str| {
        let config = read(&and(&format!("    rollout: {{ steps: {steps} }}\n"))).unwrap();
        let steps = &config.catalogue.service("shop").unwrap().rollout.steps;
        steps.iter().map(|step| step.weight.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(read_steps("[{ weight: 5% }, { weight: 50% }]"), ["5%", "50%", "100%"]);
    assert_eq!(read_steps("[{ weight: 100% }]"), ["100%"]);
}

#[test]
fn guards_can_be_met() {
    let rollout = |rollout: &str| and(&format!("    rollout: {{ {rollout} }}\n"));
    let path = "services.shop.rollout";
    assert_problem(
        &rollout("on_timeout: holt"),
        &format!("12:28: {path}.on_timeout"),
        &["did you mean hold?"],
    );
    assert_problem(
        &rollout("false_alarm: 0.06"),
        &format!("12:29: {path}.false_alarm"),
        &["from 0.000001 to 0.05"],
    );
    assert_problem(&rollout("false_pass: 0"), &format!("12:28: {path}.false_pass"), &["from 0.0001 to 0.5"]);
    assert_problem(
        &rollout("guards: { errors: on }"),
        &format!("12:34: {path}.guards.errors"),
        &["neither \"off\" nor settings"],
    );
    assert_problem(
        &rollout("guards: { errors: { ratio: 0.9 } }"),
        &format!("12:43: {path}.guards.errors.ratio"),
        &["from 1 to 1000"],
    );
    assert_problem(
        &rollout("guards: { errors: { pass_ratio: 1, pass_margin: 0% } }"),
        &format!("12:34: {path}.guards.errors"),
        &["could never pass"],
    );
    assert_problem(
        &rollout("guards: { max_p99: 61s }"),
        &format!("12:35: {path}.guards.max_p99"),
        &["from 1ms to 1m"],
    );
    assert_problem(
        &rollout("guards: { max_error_rate: 100% }"),
        &format!("12:42: {path}.guards.max_error_rate"),
        &["from 0.0001% to 99.9999%"],
    );
    let config = read(&rollout("guards: { errors: off, max_p99: 300ms }")).unwrap();
    let guards = &config.catalogue.service("shop").unwrap().rollout.guards;
    assert_eq!((guards.errors, guards.max_p99.map(|t| t.as_millis())), (None, Some(300)));
}

#[test]
fn the_step_at_the_end_takes_no_conditions() {
    let steps = |last: &str| and(&format!("    rollout: {{ steps: [{{ weight: 10% }}, {{ {last} }}] }}\n"));
    let problems = read(&steps("weight: 100%, min_duration: 10m")).unwrap_err().to_string();
    assert!(problems.contains("the step at 100% is the end and waits for nothing"), "{problems}");
    assert!(read(&steps("weight: 100%")).is_ok());
}
