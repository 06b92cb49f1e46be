//! What is said of which decision, and in which form. Telling over a socket is covered by the tests of the API.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use serin_config::{
    Generation,
    mail::{Mail, MailAddress, MailSecurity},
    notification::{Form, Severity},
};

use super::{
    Told, form,
    message::{severity, text, title},
};
use crate::{
    command::Actor,
    fixtures::{name, split},
    journal::{Action, Entry},
    rollout::{HeldFor, RolledBackFor, State},
};

fn entry(action: Action, state: Option<State>) -> Entry {
    Entry {
        sequence: 7,
        at_ms: 1_795_266_309_000,
        actor: Actor::Judge,
        who: None,
        service: Some(name("shop")),
        services: Vec::new(),
        group: None,
        action,
        from: Some(split("v2 10% v1 90%")),
        to: Some(split("v2 0% v1 100%")),
        mirror: serin_config::Weight::ZERO,
        generation: Generation(9),
        reason: "guard errors failed <!channel> & more".into(),
        with: None,
        rollout: state.map(|_| 3),
        state,
        verdict: None,
    }
}

fn rolled_back() -> Entry {
    entry(Action::RollBack, Some(State::RolledBack { why: RolledBackFor::Evidence }))
}

fn told(form: Form, entry: &Entry) -> Value {
    let severity = severity(entry).unwrap();
    serde_json::from_slice(&form::body(form, entry, severity, "serin-1-7")).unwrap()
}

#[test]
fn what_takes_a_canary_out_or_can_not_is_critical_and_what_waits_is_a_warning() {
    let held = |why| Some(State::Held { step: 0, why });
    for (action, state, expected) in [
        (Action::RollBack, None, Some(Severity::Critical)),
        (Action::Hold, held(HeldFor::Unsafe), Some(Severity::Critical)),
        (Action::Hold, held(HeldFor::Approval), Some(Severity::Warning)),
        (Action::Hold, held(HeldFor::Group), Some(Severity::Info)),
        (Action::Lower, Some(State::Running { step: 0 }), Some(Severity::Warning)),
        (Action::Start, Some(State::Running { step: 0 }), Some(Severity::Info)),
        (Action::Unacknowledged, None, Some(Severity::Critical)),
        (Action::Duplicate, None, Some(Severity::Warning)),
        (Action::SetWeights, None, Some(Severity::Info)),
        (Action::Load, None, None),
    ] {
        assert_eq!(severity(&entry(action, state)), expected, "{action:?} {state:?}");
    }
}

#[test]
fn a_decision_is_told_in_two_lines() {
    let entry = rolled_back();
    assert_eq!(title(&entry), "shop: rollout 3 rolled back on evidence");
    assert_eq!(
        text(&entry),
        "v2 10% · v1 90% → v2 0% · v1 100%, by judge: guard errors failed <!channel> & more"
    );
}

#[test]
fn a_webhook_has_the_whole_decision() {
    let body = told(Form::Webhook, &rolled_back());
    assert_eq!((&body["id"], &body["severity"]), (&json!("serin-1-7"), &json!("critical")));
    assert_eq!(
        (&body["decision"]["sequence"], &body["decision"]["action"]),
        (&json!(7), &json!("roll_back"))
    );
}

#[test]
fn nothing_that_a_reason_says_means_something_to_slack() {
    let body = told(Form::Slack, &rolled_back());
    let text = body["text"].as_str().unwrap();
    assert!(text.starts_with(":red_circle: *shop: rollout 3"), "{text}");
    assert!(text.ends_with("failed &lt;!channel&gt; &amp; more"), "{text}");
}

#[test]
fn an_alert_has_the_same_labels_for_the_same_thing() {
    let body = told(Form::Alertmanager, &rolled_back());
    let labels = json!({
        "alertname": "SerinDecision", "severity": "critical", "action": "roll_back", "service": "shop", "rollout": "3",
    });
    assert_eq!(body[0]["labels"], labels);
    assert_eq!(body[0]["startsAt"], "2026-11-21T13:05:09Z");
    assert_eq!(body[0]["annotations"]["summary"], "shop: rollout 3 rolled back on evidence");
}

#[test]
fn how_far_somebody_was_told_reads_back() {
    let mut told = Told::default();
    let facts = told.note("pager", 12);
    let facts = facts.into_iter().map(|(key, value)| (key, value.unwrap())).collect();
    assert_eq!(Told::of_facts(&facts), told);
}

#[test]
fn an_e_mail_is_plain_ascii_whose_text_reads_back() {
    let address = |text| MailAddress::try_new(text).unwrap();
    let mail = Mail {
        host: "smtp.example.org".into(),
        port: 587,
        security: MailSecurity::Starttls,
        ca: None,
        user: None,
        from: address("serin@example.org"),
        to: vec![address("a@example.org"), address("b@example.org")],
    };
    let message = form::message(&mail, &rolled_back(), Severity::Critical, "serin-1-7");
    assert!(message.is_ascii() && message.split("\r\n").all(|line| line.len() <= 78 && !line.contains('\n')));
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    for line in [
        "Date: Sat, 21 Nov 2026 13:05:09 +0000",
        "From: serin@example.org",
        "To: a@example.org,\r\n b@example.org",
        "Message-ID: <serin-1-7@example.org>",
        "Subject: [critical] shop: rollout 3 rolled back on evidence",
    ] {
        assert!(head.contains(line), "{line:?} is not in {head}");
    }
    let text = STANDARD.decode(body.replace("\r\n", "")).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("v2 10% · v1 90% → v2 0% · v1 100%, by judge: guard errors failed"), "{text}");
}
