//! What a moment looks like. Where it comes from is covered by the tests with a running Serin.

use serde_json::json;

use super::*;

fn frame(state: &serde_json::Value) -> Frame {
    let counts = |requests: u64, failed: u64| json!({ "requests": requests, "judged": requests, "failed": failed, "p50_ms": 4.0, "p99_ms": 12.5 });
    let mut rollout = json!({
        "id": 3, "canary": "v2", "stable": "v1", "summary": "running, step 2", "live": true, "weight": "5%",
        "steps": ["1%", "5%", "100%"], "started_ms": 1_000, "step_began_ms": 61_000, "ended_ms": null, "verdict": null,
    });
    rollout.as_object_mut().unwrap().extend(state.as_object().unwrap().clone());
    let status = json!({
        "name": "shop", "generation": 7, "weights": { "v1": "95%", "v2": "5%" }, "stable": "v1", "canary": "v2",
        "versions": [
            { "version": "v1", "weight": "95%", "seconds": 1, "counts": counts(950, 0) },
            { "version": "v2", "weight": "5%", "seconds": 1, "counts": counts(50, 5) },
        ],
        "rollout": rollout, "earlier": [],
        "seconds": [{ "at": 151, "versions": { "v1": counts(950, 0), "v2": counts(50, 5) } }],
    });
    let status: ServiceStatus = serde_json::from_value(status).unwrap();
    let rollout = status.rollout.clone().unwrap();
    Frame { status, rollout, decisions: Vec::new() }
}

pub(in super::super) fn running() -> Frame {
    frame(&json!({ "state": "running", "step": 1 }))
}

#[test]
fn a_line_says_the_state_the_share_and_both_versions() {
    let line = running().line(Some(151_000));
    assert_eq!(
        line,
        "00:02:31Z  running, step 2  v2 5%  v2 50/s 10.0% p99 12.5 ms  v1 950/s 0.0% p99 12.5 ms"
    );
}

#[test]
fn what_a_follower_does_not_know_is_no_zero() {
    let mut frame = running();
    frame.status.counted = false;
    frame.status.seconds.clear();
    assert_eq!(
        frame.line(None),
        "--:--:--  running, step 2  v2 5%  v2 not known to a follower  v1 not known to a follower"
    );
    let lines = frame.block(&[]);
    assert!(lines.iter().any(|line| line.text.starts_with("v2       canary     5%      -")), "{lines:#?}");
}

#[test]
fn a_block_shows_where_the_rollout_is_and_what_was_decided() {
    let decision = Decision {
        sequence: 9,
        at_ms: 61_000,
        actor: "judge".into(),
        who: None,
        action: "roll_back".into(),
        mirror: None,
        to: Some([("v1", "100%"), ("v2", "0%")].map(|(v, w)| (v.to_owned(), w.to_owned())).into()),
        reason: "guard\u{1b}[2J failed".into(),
        rollout: Some(3),
    };
    let lines = running().block(&[decision]);
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(text[0], "shop  rollout 3: v2 against v1");
    assert_eq!(text[2], "steps 1% → [5%] → 100%   90 s at this one");
    assert!(text.iter().any(|line| line.starts_with("v2       canary     5%     50   10.0%")), "{text:#?}");
    assert_eq!(text.last().unwrap(), &"00:01:01Z  roll back  v1 100% · v2 0%  (judge: guard [2J failed)");
}

#[test]
fn colours_follow_the_state() {
    let colour = |state| frame(&state).block(&[])[1].colour;
    assert_eq!(colour(json!({ "state": "promoted", "why": "evidence" })), "32");
    assert_eq!(colour(json!({ "state": "rolled_back", "why": "trip" })), "31");
    assert_eq!(colour(json!({ "state": "held", "step": 1, "why": "doubt" })), "33");
}

#[test]
fn a_bar_is_full_when_its_proof_is_complete() {
    let shown = |ln_e| bar("x", &Proof { ln_e, ln_threshold: 9.21 }, "").text;
    assert!(shown(None).contains(&"·".repeat(BAR)) && shown(None).contains("none of 9997 to 1"));
    assert!(shown(Some(99.0)).contains(&"█".repeat(BAR)));
    assert!(shown(Some(-3.0)).contains("less than 1"));
    assert_eq!(shown(Some(4.7)).matches('█').count(), 12);
}

#[test]
fn who_is_waited_for_is_said_and_who_has_allowed_only_where_there_is_room() {
    let asked = |webhook: &str, stands: &str| {
        json!({
            "webhook": webhook, "when": "at_step", "step": 2, "stands": stands, "tries": 3, "failures": 3,
            "last": "none", "since_ms": 0, "summary": format!("{webhook} {stands}\u{1b}[2J."),
        })
    };
    let asked = json!([asked("smoke", "allows"), asked("change", "waits")]);
    let frame = frame(&json!({ "state": "held", "step": 1, "why": "webhook", "webhooks": asked }));
    assert!(frame.line(None).ends_with("  change waits [2J."), "{}", frame.line(None));
    let block = frame.block(&[]);
    let of = |text: &str| block.iter().find(|line| line.text == text).map(|line| line.colour);
    assert_eq!((of("smoke allows [2J."), of("change waits [2J.")), (Some(""), Some("33")));
}
