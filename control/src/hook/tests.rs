//! What an answer, or the lack of one, means for a question.

use serin_config::{
    WebhookName,
    limits::WEBHOOK_INTERVAL_DEFAULT,
    notification::Url,
    webhook::{OnFailure, Webhook, When},
};

use super::{form::read, *};
use crate::fixtures::name;

pub(crate) fn webhook(on: &[When], on_failure: OnFailure) -> Webhook {
    Webhook {
        name: WebhookName::try_new("smoke").unwrap(),
        url: Url::try_new("http://127.0.0.1:1/").unwrap(),
        key: None,
        ca: None,
        on: on.to_vec(),
        services: vec![],
        timeout: Duration::from_secs(1),
        retries: 2,
        interval: WEBHOOK_INTERVAL_DEFAULT,
        on_failure,
    }
}

fn failed() -> Said {
    Said::Failed("it is not reached".into())
}

fn after(on_failure: OnFailure, when: When, said: impl IntoIterator<Item = Said>) -> Asked {
    let webhook = webhook(&[when], on_failure);
    said.into_iter().fold(Asked::open(0), |asked, said| asked.heard(&webhook, when, said, 0))
}

#[test]
fn a_failure_means_nothing_until_all_tries_have_failed_and_then_what_the_file_says() {
    for (on_failure, stands) in [
        (OnFailure::Wait, Stands::Waits),
        (OnFailure::Proceed, Stands::Allows),
        (OnFailure::Abort, Stands::Denies),
    ] {
        let tried = |times: usize| after(on_failure, When::BeforeStep, vec![failed(); times]);
        assert_eq!((tried(2).stands, tried(2).due_ms), (Stands::Waits, Some(2_000)), "{on_failure:?}");
        assert_eq!((tried(3).stands, tried(3).tries), (stands, 3));
        assert_eq!(tried(3).due_ms.is_some(), on_failure == OnFailure::Wait, "who waits asks on");
    }
}

#[test]
fn an_answer_after_failures_counts_and_begins_the_tries_anew() {
    let asked = after(OnFailure::Abort, When::AtStep, [failed(), failed(), Said::Allow, failed(), failed()]);
    assert_eq!(
        (asked.stands, asked.tries, asked.failures),
        (Stands::Allows, 5, 2),
        "what was said last counts"
    );
    assert_eq!(
        after(OnFailure::Abort, When::AtStep, [Said::Allow, failed(), failed(), failed()]).stands,
        Stands::Denies
    );
}

#[test]
fn who_is_asked_before_a_step_is_asked_until_it_has_decided_and_who_is_asked_at_one_all_the_time() {
    let interval = Some(10_000);
    let due = |when, said| after(OnFailure::Wait, when, [said]).due_ms;
    assert_eq!(due(When::BeforeStep, Said::Wait("tests run".into())), interval);
    assert_eq!(due(When::BeforeStep, Said::Allow), None);
    assert_eq!(due(When::BeforeStep, Said::Deny(String::new())), None);
    assert_eq!(due(When::AtStep, Said::Allow), interval);
}

#[test]
fn tries_come_ever_less_often_up_to_the_interval() {
    let waits: Vec<_> = (1..=6)
        .map(|times| after(OnFailure::Wait, When::AtStep, vec![failed(); times]).due_ms.unwrap())
        .collect();
    assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    assert_eq!(after(OnFailure::Wait, When::AtStep, vec![failed(); 99]).due_ms, Some(10_000));
}

#[test]
fn an_answer_is_a_decision_or_a_bare_success() {
    assert_eq!(read(br#"{"decision":"allow"}"#), Said::Allow);
    assert_eq!(read(br#"{"decision":"deny","reason":"no\u001b[2J"}"#), Said::Deny("no [2J".into()));
    assert_eq!(read(br#"{"decision":"wait"}"#), Said::Wait(String::new()));
    for bare in ["", "OK", "{}", "[1]", r#"{"status":"ok"}"#] {
        assert_eq!(read(bare.as_bytes()), Said::Allow, "{bare}");
    }
    for wrong in [r#"{"decision":"maybe"}"#, r#"{"decision":1}"#, r#"{"decision":"deny","reason":[]}"#] {
        assert!(matches!(read(wrong.as_bytes()), Said::Failed(_)), "{wrong}");
    }
}

#[test]
fn a_question_is_told_in_one_sentence() {
    let question = Question {
        service: name("shop"),
        rollout: 3,
        step: 1,
        when: When::BeforeStep,
        webhook: WebhookName::try_new("smoke").unwrap(),
    };
    let summary = |asked: &Asked| HookStatus::of(&question, asked).summary;
    assert_eq!(summary(&Asked::open(0)), "Waits for webhook smoke (before step 2): not answered yet.");
    let asked = after(OnFailure::Wait, When::BeforeStep, vec![failed(); 3]);
    assert_eq!(
        summary(&asked),
        "Waits for webhook smoke (before step 2): asked 3 times, last answer: none: it is not reached."
    );
    let asked = after(OnFailure::Wait, When::BeforeStep, [Said::Wait("tests run".into())]);
    assert!(summary(&asked).ends_with("asked once, last answer: wait: tests run."), "{}", summary(&asked));
}
