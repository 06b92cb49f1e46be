use super::*;
use crate::experiment::limit::tests::second;

fn experiment(faults: &str) -> Experiment {
    let text = format!(
        "load: {{ url: \"http://127.0.0.1:1/\" }}\nhypothesis: {{ error_rate: 1%, p99: 50ms }}\nabort: {{ error_rate: 50% }}\n\
         steady: 2s\nwindow: 2s\nfaults:\n{faults}"
    );
    let nothing = |_: &std::path::Path| Ok(Vec::new());
    Experiment::read("test", &text, &nothing).unwrap()
}

const ONE: &str = "- { name: slow, delay: 1s, lasts: 3s, recovers_within: 4s }\n";

/// Runs seconds of which each has so many failures of a hundred; gives what was asked after each, and the outcome.
fn course(of: &Experiment, failed: &[u64]) -> (Vec<Step>, Outcome) {
    let mut course = Course::new(of);
    let steps = failed
        .iter()
        .enumerate()
        .map(|(at, failed)| course.second(&second(at as u64 + 1, 100, *failed, 1_000)));
    (steps.collect(), course.outcome())
}

#[test]
fn a_hypothesis_that_holds_under_each_fault_is_held() {
    let two = format!("{ONE}- {{ name: gone, down: true, lasts: 1s }}\n");
    let (steps, outcome) = course(&experiment(&two), &[0; 10]);
    use Step::{End, Go, Inject, Undo};
    assert_eq!(steps, [Go, Inject(0), Go, Go, Undo(0), Go, Inject(1), Undo(1), Go, End]);
    assert_eq!((outcome.result, outcome.score), (Verdict::Held, Some(1.0)));
    let phases: Vec<_> = outcome.phases.iter().map(|phase| (&*phase.name, phase.recovery_seconds)).collect();
    assert_eq!(phases, [("steady", None), ("slow", Some(0)), ("gone", Some(0))]);
    assert_eq!(outcome.seconds.iter().filter(|moment| moment.under.is_some()).count(), 4);
}

#[test]
fn nothing_is_broken_where_the_hypothesis_does_not_hold_before() {
    let (steps, outcome) = course(&experiment(ONE), &[0, 5]);
    assert_eq!(steps, [Step::Go, Step::End]);
    assert_eq!((outcome.result, outcome.score), (Verdict::Failed, None));
    assert!(outcome.why.contains("without any fault: error_rate is 2.5000 %"), "{}", outcome.why);
}

#[test]
fn recovery_is_counted_from_the_end_of_the_fault_to_the_first_window_in_which_all_is_well() {
    // Two seconds without fault, three under one, two bad ones after it, and the two of the window.
    let (steps, outcome) = course(&experiment(ONE), &[0, 0, 20, 20, 20, 20, 20, 0, 0]);
    assert_eq!((steps[4], steps[8]), (Step::Undo(0), Step::End));
    assert_eq!(outcome.result, Verdict::Degraded);
    let phase = &outcome.phases[1];
    assert_eq!((phase.from_second, phase.to_second, phase.recovery_seconds), (2, 5, Some(2)));
    assert_eq!((phase.requests, phase.failed), (300, 60));
    // 20 % is 30/49 of the way from 1 % to 50 %; the window of two seconds smooths the one after.
    let (bad, half) = (30.0 / 49.0, 40.0 / 49.0);
    let expected = (5.0 * bad + half + 1.0) / 7.0;
    assert!((phase.score.unwrap() - expected).abs() < 1e-9, "{phase:?}");
    assert_eq!(outcome.score, phase.score);
    assert!(crate::experiment::text::table(&outcome).contains("result: degraded, score 0.70"));
}

#[test]
fn one_that_does_not_recover_in_time_is_broken_and_the_next_fault_stays_away() {
    let two = format!("{ONE}- {{ name: gone, down: true, lasts: 1s }}\n");
    let (steps, outcome) = course(&experiment(&two), &[0, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 0, 0, 0]);
    // Three seconds of fault end at 5; the last window that may hold begins after 9.
    assert_eq!(steps.iter().position(|step| *step == Step::End), Some(10));
    assert!(!steps.contains(&Step::Inject(1)));
    assert_eq!((outcome.result, outcome.phases[1].recovery_seconds), (Verdict::Broken, None));
    assert!(outcome.why.contains("4 s after the end of \"slow\""), "{}", outcome.why);
}

#[test]
fn beyond_an_abort_limit_it_is_over_at_once() {
    let (steps, outcome) = course(&experiment(ONE), &[0, 0, 60, 60]);
    assert_eq!(steps[2..], [Step::End, Step::End]);
    assert_eq!((outcome.result, outcome.score), (Verdict::Aborted, Some(0.0)));
    assert!(outcome.why.contains("error_rate is 60.0000 %, and 50.0000 % is the most"), "{}", outcome.why);
    assert_eq!(outcome.phases.len(), 2);
}

#[test]
fn what_failed_before_a_fault_began_does_not_abort_it() {
    // The window of two seconds does not reach back beyond the beginning of the fault.
    let of = experiment(ONE);
    let mut course = Course::new(&of);
    course.second(&second(1, 10_000, 0, 1_000));
    course.second(&second(2, 100, 100, 1_000));
    assert_eq!(course.second(&second(3, 100, 0, 1_000)), Step::Go);
}

#[test]
fn one_that_is_interrupted_keeps_what_was_seen() {
    let of = experiment(ONE);
    let mut course = Course::new(&of);
    for number in 1..=3 {
        course.second(&second(number, 100, 0, 1_000));
    }
    course.stop(Verdict::Aborted, "interrupted");
    assert_eq!(course.second(&second(4, 100, 0, 1_000)), Step::End);
    let outcome = course.outcome();
    assert_eq!((outcome.result, outcome.phases.len(), outcome.score), (Verdict::Aborted, 2, Some(1.0)));
}
