//! Rollouts: presets and what a file may say otherwise, margins by step, events, and what is said of a file that
//! says it wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod reading;

use std::time::Duration;

use reading::of_service as read;
use serin_config::{
    Outcome,
    policy::{
        Actions, BothWorse, CountedBy, Direction, Mode, Mounting, OnFail, OnNewCanary, Preset, Probe,
        RolloutPolicy, Strategy, Until,
    },
    summary::summary,
};

fn shop(lines: &str) -> serin_config::Service {
    read(lines)
        .unwrap_or_else(|problems| panic!("{lines}: {problems}"))
        .catalogue
        .service("shop")
        .unwrap()
        .clone()
}

fn rollout(fields: &str) -> RolloutPolicy {
    shop(&format!("rollout: {{ {fields} }}")).rollout
}

/// The margin that each step asks for.
fn margins(policy: &RolloutPolicy) -> Vec<String> {
    let full = policy.guards.errors.unwrap().pass();
    let asked = policy.steps.iter().map(|step| step.pass.unwrap_or(full));
    asked.map(|margin| format!("{} × + {}", margin.ratio, margin.margin)).collect()
}

#[test]
fn a_file_that_says_nothing_has_the_balanced_defaults() {
    assert_eq!(rollout(""), RolloutPolicy::default());
    assert_eq!(rollout("preset: balanced"), RolloutPolicy::default());
    assert_eq!(
        rollout("guards: { errors: {}, latency: {} }, probe: {}, actions: {}"),
        RolloutPolicy::default()
    );
    assert_eq!(shop("").events, None);
}

#[test]
fn a_preset_is_a_set_of_defaults() {
    for preset in Preset::ALL {
        assert_eq!(rollout(&format!("preset: {}", preset.label())), preset.policy());
    }
    let steps = rollout("preset: fast, steps: [{ weight: 3% }, { weight: 20%, min_requests: 7 }]").steps;
    let conditions: Vec<_> =
        steps.iter().map(|step| (step.min_requests, step.min_duration.as_secs())).collect();
    assert_eq!(conditions, [(200, 5), (7, 5), (200, 5)]);
}

#[test]
fn every_field_goes_before_the_preset() {
    let policy = rollout(
        "preset: fast, soak: 2m, warm_up: 90s, strata: 3, false_alarm: 0.002, false_pass: 0.2, on_timeout: promote, \
         probe: { rate: 5 }, actions: { mounting: lower, both_worse: rollback }, \
         blast_radius: { failed_requests: 50, added_latency: 30s }, mode: any, \
         guards: { latency: { tolerance: 10%, min_difference: 5ms, proof: false }, max_p99: 1s }",
    );
    assert_eq!((policy.soak.as_secs(), policy.warm_up.as_secs(), policy.strata), (120, 90, 3));
    assert_eq!((policy.false_alarm, policy.false_pass, policy.mode), (0.002, 0.2, Mode::Any));
    assert_eq!(policy.probe, Some(Probe { rate: 5, duration: Duration::from_secs(5) }));
    assert_eq!(policy.actions, Actions { mounting: Mounting::Lower, both_worse: BothWorse::Rollback });
    assert_eq!(policy.blast_radius.failed_requests, Some(50));
    assert_eq!(policy.blast_radius.added_latency, Some(Duration::from_secs(30)));
    let latency = policy.guards.latency.unwrap();
    assert_eq!((latency.tolerance, latency.min_difference.as_millis(), latency.proof), (0.1, 5, false));
    // What is not said stays the preset's.
    assert_eq!(policy.guards.errors, Some(Preset::Fast.errors()));
}

#[test]
fn what_is_on_can_be_switched_off() {
    let policy = rollout("probe: off, guards: { errors: off, latency: off }");
    assert_eq!((policy.probe, policy.guards.errors, policy.guards.latency), (None, None, None));
    assert!(policy.steps.iter().all(|step| step.pass.is_none()));
}

#[test]
fn early_steps_ask_for_less_unless_the_file_says_what_is_asked_for() {
    assert_eq!(
        margins(&rollout("")),
        ["2 × + 1%", "2 × + 0.2%", "1.5 × + 0.05%", "1.5 × + 0.05%", "1.5 × + 0.05%", "1.5 × + 0.05%"]
    );
    // What is risked next counts, not what is risked now.
    let steps = "steps: [{ weight: 1% }, { weight: 50% }]";
    assert_eq!(margins(&rollout(steps)), ["1.5 × + 0.05%"; 3]);
    // The file's own margins hold for all steps, but for those that have one themselves.
    let steps = "steps: [{ weight: 1% }, { weight: 2%, pass: { margin: 3% } }, { weight: 3% }]";
    assert_eq!(
        margins(&rollout(&format!("{steps}, guards: {{ errors: {{ pass_ratio: 1.3 }} }}"))),
        ["1.3 × + 0.05%", "1.3 × + 3%", "1.3 × + 0.05%", "1.3 × + 0.05%"]
    );
    assert_eq!(margins(&rollout(steps)), ["2 × + 1%", "1.5 × + 3%", "1.5 × + 0.05%", "1.5 × + 0.05%"]);
}

#[test]
fn points_can_be_chosen() {
    assert_eq!(rollout("mode: score").mode, Mode::Score { fail_below: 50, pass_from: 75 });
    let policy = rollout("mode: score, score: { fail_below: 40, pass_from: 40 }");
    assert_eq!(policy.mode, Mode::Score { fail_below: 40, pass_from: 40 });
    assert_eq!((rollout("mode: all").mode, rollout("mode: evidence").mode), (Mode::All, Mode::Evidence));
}

#[test]
fn kinds_of_failure_have_weights() {
    let weights = rollout("error_weights: { http_4xx: 0.1, idle_timeout: 0, http_5xx: 1 }").error_weights;
    let of = [Outcome::Http4xx, Outcome::IdleTimeout, Outcome::Http5xx, Outcome::ConnectFail, Outcome::Ok];
    assert_eq!(of.map(|outcome| weights.of(outcome)), [100, 0, 1000, 1000, 0]);
}

#[test]
fn events_are_counted_and_guarded() {
    let service = shop(
        "events: { header: X-Event, names: [order, cancel] }
    rollout: { guards: { events: { order: { bad: fewer }, cancel: { bad: more, ratio: 2 } } } }",
    );
    let events = service.events.unwrap();
    assert_eq!(events.header, "x-event");
    assert_eq!(
        events.names.iter().map(serin_config::EventName::as_str).collect::<Vec<_>>(),
        ["order", "cancel"]
    );
    let guards: Vec<_> =
        service.rollout.guards.events.iter().map(|g| (g.event.as_str(), g.bad, g.ratio)).collect();
    assert_eq!(guards, [("order", Direction::Fewer, 1.2), ("cancel", Direction::More, 2.0)]);
    assert_eq!(shop("events: { names: [order] }").events.unwrap().header, "x-serin-event");
    let pushed = shop("rollout: { guards: { events: { refund: { bad: more, counted_by: push } } } }");
    assert_eq!(pushed.rollout.guards.events[0].counted_by, CountedBy::Push);
}

#[test]
fn a_step_ends_on_evidence_or_on_a_clock_and_may_want_an_approval() {
    let steps =
        rollout("steps: [{ weight: 1%, until: time, min_duration: 5m }, { weight: 20%, approval: true }]")
            .steps;
    let [first, second, whole] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((first.until, first.min_requests, first.pass), (Until::Time, 1, None));
    assert_eq!(first.min_duration.as_secs(), 300);
    assert_eq!((second.until, second.approval, whole.approval), (Until::Pass, true, false));
}

#[test]
fn blue_green_is_one_switch_that_is_watched_against_limits() {
    let policy = rollout("strategy: blue_green, guards: { max_error_rate: 1% }");
    assert_eq!((policy.strategy, policy.bake.as_secs()), (Strategy::BlueGreen, 600));
    let weights: Vec<_> = policy.steps.iter().map(|step| step.weight.to_string()).collect();
    assert_eq!(weights, ["100%", "100%"]);
    let bake = &policy.steps[0];
    assert_eq!(
        (bake.until, bake.min_duration, policy.actions.mounting),
        (Until::Time, policy.bake, Mounting::Hold)
    );
    assert_eq!(rollout("strategy: blue_green, bake: 0s").steps.len(), 1);
}

#[test]
fn a_rollout_may_be_baked_after_it_has_everything() {
    let policy = rollout("steps: [{ weight: 5% }], bake: 1h, blast_radius: { failed_requests: 9 }");
    let durations: Vec<_> =
        policy.steps.iter().map(|step| (step.weight.to_string(), step.min_duration.as_secs())).collect();
    assert_eq!(durations, [("5%".into(), 10), ("100%".into(), 3600), ("100%".into(), 10)]);
}

#[test]
fn an_a_b_test_is_one_step_on_the_clock_that_ends_in_a_question() {
    let service = shop(
        "sticky: { cookie: id }
    rollout: { strategy: ab, steps: [{ weight: 50%, min_duration: 168h }] }",
    );
    let [test, _] = service.rollout.steps.as_slice() else { panic!("{:?}", service.rollout.steps) };
    assert_eq!((service.rollout.strategy, test.until, test.approval), (Strategy::Ab, Until::Time, true));
    assert_eq!(test.min_duration.as_secs(), 7 * 24 * 3600);
}

#[test]
fn steps_may_copy_requests_before_the_canary_has_a_user() {
    let policy =
        rollout("steps: [{ mirror: 1% }, { weight: 0%, mirror: 20%, min_requests: 900 }, { weight: 5% }]");
    let steps: Vec<_> = policy.steps.iter().map(|step| (step.share(), step.min_requests)).collect();
    let expected = [("copies of 1%", 500), ("copies of 20%", 900), ("5%", 500), ("100%", 500)];
    assert_eq!(steps, expected.map(|(share, requests)| (share.to_owned(), requests)));
    assert_eq!(margins(&policy)[..2], ["2 × + 1%", "2 × + 1%"], "what comes next exposes few users");
    assert_eq!((policy.copies_first(), policy.mirror.methods.len()), (true, 3));
    let copying = rollout(
        "steps: [{ mirror: 5%, until: time }, { weight: 5% }], \
         mirror: { methods: [POST, GET, POST], max_in_flight: 7, max_body: 1KiB, timeout: 2s }",
    )
    .mirror;
    assert_eq!(copying.methods, ["GET", "POST"]);
    assert_eq!((copying.max_in_flight, copying.max_body, copying.timeout.as_secs()), (7, 1024, 2));
    let text = summary(&read("rollout: { steps: [{ mirror: 10% }, { weight: 5% }] }").unwrap());
    assert!(text.contains("rollout   copies of 10%: at least 500 requests"), "{text}");
    assert!(text.contains("copies    GET, HEAD, OPTIONS; at most 64 at once"), "{text}");
}

#[test]
fn where_rollbacks_are_held_nothing_takes_the_canary_out_by_itself() {
    let service = shop("rollout: { rollback: { hold: v1 can not read what v2 writes } }");
    let reason = "v1 can not read what v2 writes".to_owned();
    assert_eq!(service.rollout.on_fail, OnFail::Hold { reason });
    assert_eq!((service.resilience.tripwire, service.rollout.actions.mounting), (None, Mounting::Hold));
    assert_eq!(rollout("on_new_canary: supersede").on_new_canary, OnNewCanary::Supersede);
}

#[test]
fn what_is_at_its_default_is_not_in_the_text_of_the_rules() {
    let text = serde_json::to_value(RolloutPolicy::default()).unwrap();
    for field in ["mirror", "strategy", "bake", "on_fail", "on_new_canary"] {
        assert_eq!(text.get(field), None, "a rollout that an older release began would be under other rules");
    }
    assert!(
        text["steps"]
            .as_array()
            .unwrap()
            .iter()
            .all(|step| ["until", "approval", "mirror"].iter().all(|field| step.get(field).is_none()))
    );
}

#[test]
fn what_is_wrong_is_placed_and_says_what_would_be_right() {
    for (lines, place, parts) in [
        (
            "rollout: { strategy: blue_green, steps: [{ weight: 5% }] }",
            "rollout.steps",
            &["in one plan and has no steps"][..],
        ),
        (
            "rollout: { strategy: blue_green }",
            "rollout.strategy",
            &["nothing could be seen", "max_error_rate"],
        ),
        ("rollout: { bake: 5m }", "rollout.bake", &["nothing could be seen", "bake: 0s"]),
        ("rollout: { strategy: ab }", "rollout.strategy", &["a share and a fixed end"]),
        (
            "rollout: { strategy: ab, steps: [{ weight: 50% }] }",
            "rollout.steps",
            &["without a min_duration has no end"],
        ),
        (
            "rollout: { strategy: ab, steps: [{ weight: 5% }, { weight: 50% }] }",
            "rollout.steps",
            &["one step, not 2"],
        ),
        (
            "rollout: { strategy: ab, bake: 1h, steps: [{ weight: 5%, min_duration: 1h }] }",
            "rollout.bake",
            &["is not baked"],
        ),
        (
            "rollout: { strategy: ab, steps: [{ weight: 5%, min_duration: 1h }] }",
            "rollout.strategy",
            &["stay with their version", "cookie"],
        ),
        ("rollout: { rollback: {} }", "rollout.rollback", &["\"hold\" is missing"]),
        (
            "rollout: { rollback: { hold: x }, on_timeout: rollback }",
            "rollout.on_timeout",
            &["rollbacks of this service are held"],
        ),
        (
            "rollout: { rollback: { hold: x }, blast_radius: { failed_requests: 1 } }",
            "rollout.blast_radius",
            &["rollbacks of this service are held"],
        ),
        (
            "rollout: { rollback: { hold: x }, actions: { mounting: lower } }",
            "rollout.actions.mounting",
            &["mounting: hold"],
        ),
        ("rollout: { rollback: { hold: x } }\n    tripwire: {}", "tripwire", &["tripwire: off"]),
        (
            "rollout: { steps: [{ weight: 5%, until: time, min_requests: 7 }] }",
            "rollout.steps[0].min_requests",
            &["asks for nothing else"],
        ),
        (
            "rollout: { steps: [{ weight: 100%, approval: true }] }",
            "rollout.steps[0].approval",
            &["waits for nothing"],
        ),
        (
            "rollout: { steps: [{ mirror: 10%, weight: 5% }] }",
            "rollout.steps[0].weight",
            &["copies or users", "a step of its own"],
        ),
        ("rollout: { steps: [{ min_requests: 5 }] }", "rollout.steps[0]", &["\"weight\" is missing"]),
        (
            "rollout: { steps: [{ mirror: 0% }] }",
            "rollout.steps[0].mirror",
            &["a mirror of 0% shows nothing"],
        ),
        (
            "rollout: { steps: [{ weight: 5% }, { mirror: 10% }] }",
            "rollout.steps[1].mirror",
            &["has users already", "before those with weight"],
        ),
        (
            "rollout: { steps: [{ mirror: 10% }, { mirror: 10% }, { weight: 5% }] }",
            "rollout.steps[1].mirror",
            &["must rise, and 10% comes after 10%"],
        ),
        (
            "rollout: { steps: [{ mirror: 10% }] }",
            "rollout.steps",
            &["it would have everything", "{ weight: 5% }"],
        ),
        (
            "rollout: { steps: [{ mirror: 10% }, { weight: 100% }] }",
            "rollout.steps",
            &["neither what writes do nor how fast"],
        ),
        (
            "rollout: { strategy: ab, steps: [{ mirror: 10%, min_duration: 1h }] }",
            "rollout.steps[0].mirror",
            &["compares users"],
        ),
        (
            "rollout: { steps: [{ mirror: 10% }, { weight: 5% }] }\n    mirror: { version: canary }",
            "mirror",
            &["could not be told", "leave \"mirror\" out here"],
        ),
        ("rollout: { mirror: { methods: [] } }", "rollout.mirror.methods", &["no method is copied"]),
        ("rollout: { mirror: { methods: [get] } }", "rollout.mirror.methods[0]", &["write GET"]),
        ("rollout: { mirror: { max_in_flight: 0 } }", "rollout.mirror.max_in_flight", &["from 1 to"]),
        ("rollout: { mirror: { max_body: 2MiB } }", "rollout.mirror.max_body", &["copies wait in memory"]),
        ("rollout: { preset: cautios }", "rollout.preset", &["did you mean cautious?"]),
        ("rollout: { soak: 31h, strata: 0 }", "rollout.strata", &["from 1 to 1000"]),
        ("rollout: { soak: 10000h }", "rollout.soak", &["out of range"]),
        ("rollout: { warm_up: 2h }", "rollout.warm_up", &["from 0ms to 1h"]),
        ("rollout: { probe: on }", "rollout.probe", &["neither \"off\" nor settings"]),
        ("rollout: { probe: { rate: 0 } }", "rollout.probe.rate", &["from 1 to 10000"]),
        ("rollout: { probe: { duration: 0s } }", "rollout.probe.duration", &["from 1s to 10m"]),
        ("rollout: { actions: { mounting: lover } }", "rollout.actions.mounting", &["did you mean lower?"]),
        (
            "rollout: { actions: { both_worse: 1 } }",
            "rollout.actions.both_worse",
            &["write hold or rollback"],
        ),
        (
            "rollout: { blast_radius: { failed_requests: 0 } }",
            "rollout.blast_radius.failed_requests",
            &["from 1 to"],
        ),
        (
            "rollout: { blast_radius: { added_latency: 0s } }",
            "rollout.blast_radius.added_latency",
            &["from 1ms to"],
        ),
        ("rollout: { mode: or }", "rollout.mode", &["write evidence, any, all or score"]),
        ("rollout: { score: {} }", "rollout.score", &["in mode score only", "mode: score"]),
        ("rollout: { mode: any, score: {} }", "rollout.score", &["in mode score only"]),
        (
            "rollout: { mode: score, score: { pass_from: 49 } }",
            "rollout.score",
            &["49 points would pass and fail at once", "50 or more"],
        ),
        (
            "rollout: { mode: score, score: { fail_below: 0 } }",
            "rollout.score.fail_below",
            &["from 1 to 100"],
        ),
        ("rollout: { error_weights: { ok: 1 } }", "rollout.error_weights.ok", &["can cause", "http_4xx"]),
        (
            "rollout: { error_weights: { http_500: 1 } }",
            "rollout.error_weights.http_500",
            &["did you mean http_5xx?"],
        ),
        (
            "rollout: { error_weights: { http_4xx: 2 } }",
            "rollout.error_weights.http_4xx",
            &["more than a whole"],
        ),
        (
            "rollout: { error_weights: { http_4xx: 0.0001 } }",
            "rollout.error_weights.http_4xx",
            &["three decimals"],
        ),
        (
            "rollout: { error_weights: { http_5xx: 0, grpc_error: 0, connect_fail: 0, connect_timeout: 0, tls_fail: 0, \
             reset_before_headers: 0, reset_mid_body: 0, header_timeout: 0, idle_timeout: 0, total_timeout: 0, \
             no_endpoint: 0, protocol_error: 0 } }",
            "rollout.error_weights",
            &["no failure counts at all"],
        ),
        (
            "rollout: { steps: [{ weight: 1%, pass: { ratio: 1, margin: 0% } }] }",
            "rollout.steps[0].pass",
            &["could never pass", "a ratio above 1 or a margin above 0%"],
        ),
        (
            "rollout: { guards: { errors: off }, steps: [{ weight: 1%, pass: { ratio: 2 } }] }",
            "rollout.steps[0].pass",
            &["errors are not compared"],
        ),
        (
            "rollout: { steps: [{ weight: 100%, pass: { ratio: 2 } }] }",
            "rollout.steps[0].pass",
            &["waits for nothing"],
        ),
        ("rollout: { guards: { latency: on } }", "rollout.guards.latency", &["neither \"off\" nor"]),
        (
            "rollout: { guards: { latency: { tolerance: 0.044 } } }",
            "rollout.guards.latency.tolerance",
            &["no unit"],
        ),
        (
            "rollout: { guards: { latency: { min_difference: 2m } } }",
            "rollout.guards.latency.min_difference",
            &["from 0ms to"],
        ),
        (
            "rollout: { guards: { events: { order: { bad: fewer } } } }",
            "rollout.guards.events.order",
            &["counts no event \"order\"", "events: { names: [order] }"],
        ),
        (
            "events: { names: [orders] }\n    rollout: { guards: { events: { order: { bad: fewer } } } }",
            "rollout.guards.events.order",
            &["did you mean \"orders\"?"],
        ),
        (
            "events: { names: [order] }\n    rollout: { guards: { events: { order: {} } } }",
            "rollout.guards.events.order",
            &["\"bad\" is missing", "bad: fewer"],
        ),
        (
            "events: { names: [order] }\n    rollout: { guards: { events: { order: { bad: fewer, counted_by: push } } } }",
            "rollout.guards.events.order",
            &["counted by the proxies already", "counted_by"],
        ),
        ("events: {}", "events", &["\"names\" is missing"]),
        ("events: { names: [] }", "events.names", &["there is no event"]),
        ("events: { names: [a, b, a] }", "events.names[2]", &["stands here twice"]),
        ("events: { header: \"a b\", names: [a] }", "events.header", &["can't be the name of a header"]),
    ] {
        let problems = match read(lines) {
            Ok(_) => panic!("nothing was found wrong with {lines}"),
            Err(problems) => problems.lines(),
        };
        assert_eq!(problems.len(), 1, "one problem in {lines} but {problems:#?}");
        assert!(
            problems[0].contains(&format!(": services.shop.{place}: ")),
            "at {place}, but {}",
            problems[0]
        );
        for part in parts {
            assert!(problems[0].contains(part), "{part:?} in {}", problems[0]);
        }
    }
}

#[test]
fn events_beyond_the_bound_are_refused() {
    let names: Vec<_> = (0..33).map(|n| format!("e{n}")).collect();
    let problems = read(&format!("events: {{ names: [{}] }}", names.join(", "))).unwrap_err().to_string();
    assert!(problems.contains("there are 33 events") && problems.contains("at most 32"), "{problems}");
}

#[test]
fn a_mistake_in_the_events_is_not_told_again_by_their_guard() {
    let lines = "events: { names: order }\n    rollout: { guards: { events: { order: { bad: fewer } } } }";
    let problems = read(lines).unwrap_err();
    assert_eq!(problems.iter().count(), 1, "{problems}");
}

#[test]
fn the_summary_tells_what_is_not_as_always() {
    let text = summary(&read("").unwrap());
    assert!(
        text.contains(
            "  guards    errors ≤ 1.2 × stable + 0.005%; latency ≤ stable + 4.4%, at least 1ms; false"
        ),
        "{text}"
    );
    assert!(!text.contains("  judged") && !text.contains("  at most"), "{text}");
    let text = summary(
        &read(
            "events: { names: [order] }
    rollout: { preset: cautious, probe: off, warm_up: 2m, mode: score, error_weights: { http_4xx: 0.1 }, blast_radius: { failed_requests: 9 }, guards: { events: { order: { bad: fewer } } } }",
        )
        .unwrap(),
    );
    for line in [
        "  events    order by x-serin-event",
        "  preset    cautious, no probe, soak 10m, warm-up 2m",
        "  at most   9 failed requests (blast_radius)",
        "  judged    by points: fails below 50, may pass from 75; http_4xx counts 0.1",
        "  actions   lower while evidence mounts, hold where both versions are worse",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} is not in\n{text}");
    }
    assert!(text.contains("order not fewer than 1.2 ×"), "{text}");
}
