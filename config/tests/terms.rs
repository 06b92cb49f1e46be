//! The terms of all rollouts: freezes, groups, and how many at once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod reading;

use std::path::Path;

use serin_config::{Config, Problems, load, summary::summary, webhook::When};

fn read(lines: &str) -> Result<Config, Problems> {
    let text = format!(
        r#"listeners: [{{ address: 127.0.0.1:8080 }}]
routes: [{{ service: api }}]
services:
  api: {{ versions: {{ v1: {{ endpoints: [127.0.0.1:9001] }} }} }}
  web: {{ versions: {{ v1: {{ endpoints: [127.0.0.1:9002] }} }} }}
{lines}
"#
    );
    load(&text, "f", Path::new("/etc/serin"), &reading::Nothing)
}

#[test]
fn a_file_that_says_nothing_freezes_and_bounds_nothing() {
    let terms = read("").unwrap().terms;
    assert!(terms.freezes.is_empty() && terms.groups.is_empty());
    assert_eq!(terms.max_parallel_rollouts, None);
}

#[test]
fn terms_are_read_and_shown() {
    let config = read(
        "freezes:
  weekend: { from: fri 16:00, to: mon 08:00, zone: Europe/Berlin }
  nights: { from: 22:00, to: 06:00, days: [mon, tue], services: [web] }
  year-end: { from: 2026-12-20 00:00, to: 2027-01-04 08:00, zone: \"+01:00\" }
groups: { store: [web, api] }
notifications:
  pager: { url: \"http://127.0.0.1:9093/api/v2/alerts\", form: alertmanager, from: critical }
  audit: { url: \"https://hooks.example/secret-part\", from: info, services: [web] }
  oncall: { email: { server: smtp.example:587, from: serin@example.org, to: [a@example.org, b@example.org] } }
webhooks:
  smoke: { url: \"https://ci.example/gates/secret-part\", on: [before_step, at_step], retries: 0, on_failure: abort }
  records: { url: \"http://127.0.0.1:9400/steps\", on: [after_step], services: [web], interval: 1m }
max_parallel_rollouts: 3",
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let shown = summary(&config);
    for line in [
        "freeze      weekend (fri 16:00 to mon 08:00, Europe/Berlin) of all services",
        "freeze      nights (mon tue 22:00 to 06:00, UTC) of web",
        "freeze      year-end (2026-12-20 00:00 to 2027-01-04 08:00, +01:00) of all services",
        "group       store: web, api together",
        "told        pager of critical and graver, as alertmanager at http://127.0.0.1:9093/…",
        "told        oncall of warning and graver, by e-mail to a@example.org, b@example.org over smtp.example:587, tls starttls",
        "told        audit of info and graver, as webhook at https://hooks.example/…",
        "webhook     smoke before_step at_step of all services at https://ci.example/…, if it fails abort",
        "webhook     records after_step of web at http://127.0.0.1:9400/…, if it fails wait",
        "rollouts    3 at once",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    assert_eq!(config.terms.group("web").unwrap().name.as_str(), "store");
    let asked = |service, when| config.terms.webhooks(service, when).map(|webhook| webhook.name.as_str());
    assert_eq!(asked("api", When::AfterStep).next(), None);
    assert_eq!(asked("web", When::AfterStep).collect::<Vec<_>>(), ["records"]);
    let smoke = config.terms.webhook("smoke").unwrap();
    assert_eq!((smoke.retries, smoke.timeout.as_secs(), smoke.interval.as_secs()), (0, 10, 10));
}

#[test]
fn what_is_wrong_is_placed_and_says_what_would_be_right() {
    for (lines, place, parts) in [
        ("freezes: { a: { from: 22:00 } }", "freezes.a", &["\"to\" is missing", "fri 16:00"][..]),
        ("freezes: { a: { from: 25:00, to: 06:00 } }", "freezes.a.from", &["\"25:00\" is not a time"]),
        ("freezes: { a: { from: 22:00, to: mon 06:00 } }", "freezes.a.to", &["of two forms"]),
        ("freezes: { a: { from: 22:00, to: 22:00 } }", "freezes.a.to", &["lasts no time", "24:00"]),
        (
            "freezes: { a: { from: 2026-12-20 00:00, to: 2026-12-19 00:00 } }",
            "freezes.a.to",
            &["lasts no time"],
        ),
        (
            "freezes: { a: { from: mon 22:00, to: tue 06:00, days: [mon] } }",
            "freezes.a.days",
            &["only a freeze of every day"],
        ),
        (
            "freezes: { a: { from: 22:00, to: 06:00, days: [mo] } }",
            "freezes.a.days[0]",
            &["did you mean mon?"],
        ),
        (
            "freezes: { a: { from: 22:00, to: 06:00, zone: Europe/Berlino } }",
            "freezes.a.zone",
            &["is not a time zone", "Europe/Berlin"],
        ),
        (
            "freezes: { a: { from: 22:00, to: 06:00, services: [wep] } }",
            "freezes.a.services[0]",
            &["there is no service \"wep\"", "web"],
        ),
        ("groups: { a: [web] }", "groups.a", &["nothing to keep together"]),
        ("groups: { a: [web, web] }", "groups.a[1]", &["stands twice"]),
        ("groups: { a: [web, api], b: [api, web] }", "groups.b", &["in group \"a\" already"]),
        ("groups: { a: [web, app] }", "groups.a[1]", &["there is no service \"app\"", "api"]),
        ("notifications: { a: {} }", "notifications.a", &["\"url\" is missing"]),
        (
            "notifications: { a: { url: hooks.example } }",
            "notifications.a.url",
            &["this is not a URL", "${NAME}"],
        ),
        ("notifications: { a: { url: \"${NONE}\" } }", "notifications.a.url", &["is not set"]),
        (
            "notifications: { a: { url: http://a/, form: slack, key: \"${K}\" } }",
            "notifications.a.key",
            &["only a webhook is signed"],
        ),
        (
            "notifications: { a: { url: http://a/, from: grave } }",
            "notifications.a.from",
            &["write info, warning"],
        ),
        (
            "notifications: { a: { email: { server: s:25, from: a@b, to: [c@d] }, form: slack } }",
            "notifications.a.form",
            &["no meaning", "e-mail"],
        ),
        (
            "notifications: { a: { email: { server: s, from: a@b, to: [c@d] } } }",
            "notifications.a.email.server",
            &["is not a server", "HOST:PORT"],
        ),
        (
            "notifications: { a: { email: { server: s:25, tls: none, from: a@b, to: [c@d] } } }",
            "notifications.a.email.server",
            &["in clear", "danger_plain"],
        ),
        (
            "notifications: { a: { email: { server: localhost:25, tls: none, ca: x, from: a@b, to: [c@d] } } }",
            "notifications.a.email.ca",
            &["without TLS"],
        ),
        (
            "notifications: { a: { email: { server: s:25, user: u, from: a@b, to: [c@d] } } }",
            "notifications.a.email.user",
            &["without a password"],
        ),
        (
            "notifications: { a: { email: { server: s:25, from: Serin, to: [c@d] } } }",
            "notifications.a.email.from",
            &["is not an e-mail address", "NAME@DOMAIN"],
        ),
        (
            "notifications: { a: { email: { server: s:25, from: a@b, to: [] } } }",
            "notifications.a.email.to",
            &["nobody"],
        ),
        (
            "notifications: { a: { email: { server: s:25, to: [c@d] } } }",
            "notifications.a.email",
            &["\"from\" is missing"],
        ),
        (
            "notifications: { a: { url: http://a/, ca: ca.crt } }",
            "notifications.a.ca",
            &["an http URL", "https://"],
        ),
        ("webhooks: { a: {} }", "webhooks.a", &["\"url\" is missing", "https://ci.internal"]),
        ("webhooks: { a: { url: http://a/, on: [] } }", "webhooks.a.on", &["no moment", "before_step"]),
        (
            "webhooks: { a: { url: http://a/, on: [at_step, at_step] } }",
            "webhooks.a.on[1]",
            &["\"at_step\" stands twice"],
        ),
        (
            "webhooks: { a: { url: http://a/, on: [befor_step] } }",
            "webhooks.a.on[0]",
            &["did you mean before_step?"],
        ),
        (
            "webhooks: { a: { url: http://a/, services: [wep] } }",
            "webhooks.a.services[0]",
            &["no service \"wep\""],
        ),
        ("webhooks: { a: { url: http://a/, timeout: 50ms } }", "webhooks.a.timeout", &["from 100ms to 1m"]),
        ("webhooks: { a: { url: http://a/, interval: 500ms } }", "webhooks.a.interval", &["from 1s to 1h"]),
        ("webhooks: { a: { url: http://a/, retries: 101 } }", "webhooks.a.retries", &["from 0 to 100"]),
        (
            "webhooks: { a: { url: http://a/, on_failure: deny } }",
            "webhooks.a.on_failure",
            &["wait, proceed or abort"],
        ),
        ("webhooks: { a: { url: http://a/, key: \"${K}\" } }", "webhooks.a.key", &["is not set"]),
        (
            "webhooks: { a: { url: https://a/, ca: \"\" } }",
            "webhooks.a.ca",
            &["the path of the certificates is empty"],
        ),
        ("max_parallel_rollouts: 0", "max_parallel_rollouts", &["from 1 to"]),
    ] {
        let problems = read(lines).unwrap_err();
        let found: Vec<_> = problems.iter().collect();
        let [problem] = found.as_slice() else { panic!("{lines}: {problems}") };
        assert_eq!(problem.path, place, "{lines}: {problem}");
        for part in parts {
            assert!(problem.to_string().contains(part), "{part:?} is not in {problem}");
        }
    }
}
