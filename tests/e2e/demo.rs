//! `serin demo`, to its end, as a newcomer runs it: each story ends as it should, and says so.
//!
//! How fast and how surely rollbacks come is covered by `judge`.

use std::process::Command;

use crate::harness::beside;

/// Runs the demo and gives its exit code and everything that it printed.
fn demo(story: &[&str]) -> (Option<i32>, String) {
    // The stories take seconds of wall time each; they may run beside each other, but not beside what
    // measures time.
    let _machine = beside();
    let output = Command::new(env!("CARGO_BIN_EXE_serin")).arg("demo").args(story).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_demo_rolls_a_failing_canary_back_and_says_why() {
    let (code, text) = demo(&[]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["The canary was rolled back", "Rolled back: v2 failed", "the threshold is 10 000 to 1"] {
        assert!(text.contains(part), "{part:?} is missing:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe:\n{text}");
}

#[test]
fn the_demo_of_a_good_canary_ends_in_a_promotion() {
    let (code, text) = demo(&["--good"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("The canary was promoted to 100 %"), "{text}");
}

#[test]
fn the_demo_of_a_slow_canary_ends_in_a_rollback_for_its_latency() {
    let (code, text) = demo(&["--slow"]);
    assert_eq!(code, Some(0), "{text}");
    // Against the stable version or against the limit of 100 ms, whichever shows first.
    assert!(
        ["Rolled back: v2 is slower", "Rolled back: v2 was slower"].iter().any(|why| text.contains(why)),
        "{text}"
    );
}
