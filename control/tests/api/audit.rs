//! The audit log over the API: who asked for what, and what became of it.

use serde_json::{Value, json};
use serin_config::secret::Secret;

use crate::world::{World, shop_in, until};

const ADMIN: &str = "the-admin-of-the-file";

fn entries(world: &World) -> Vec<Value> {
    let page = world.ask(Some(ADMIN), "GET", "/v1/audit?limit=1000", None);
    assert_eq!(page.status, 200, "{page:?}");
    let mut entries = page.json()["entries"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

/// What, by whom, its fate, and the problem's kind.
fn told(entries: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |entry: &Value| {
        format!(
            "{} {} {} {}",
            text(&entry["what"]),
            text(&entry["who"]["name"]),
            text(&entry["fate"]),
            text(&entry["problem"])
        )
    };
    entries.iter().map(line).collect()
}

#[test]
fn every_change_that_is_asked_for_is_told_with_who_from_where_what_why_and_its_fate() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = shop_in(directory.path());
    config.control.token = Some(Secret::new(ADMIN.into()));
    let world = World::start(&config);
    let token = world.token(ADMIN, "ci", "operator", None);
    let viewer = world.token(ADMIN, "dashboard", "viewer", None);
    let path = "/v1/services/shop/rollout";
    let start = json!({ "action": "start", "reason": "v2 is out" });
    assert_eq!(world.ask(Some(&token), "POST", path, Some(&start)).status, 200);
    assert_eq!(world.ask(Some(&token), "POST", path, Some(&start)).status, 409);
    assert_eq!(world.ask(Some(&viewer), "POST", path, Some(&start)).status, 403);
    let abort = json!({ "action": "abort", "reason": "I may not" });
    assert_eq!(world.ask(Some(&viewer), "POST", path, Some(&abort)).status, 403);
    assert_eq!(world.ask(Some("nonsense"), "POST", path, Some(&start)).status, 401);
    assert_eq!(world.ask(Some(&token), "POST", path, Some(&json!({ "action": "explode" }))).status, 400);
    // Reads are no changes.
    assert_eq!(world.ask(Some("nonsense"), "GET", path, None).status, 401);
    let expected = [
        "create_token control.token done -",
        "create_token control.token done -",
        "start ci done -",
        "start ci refused rollout-in-progress",
        "start dashboard refused forbidden",
        "abort dashboard refused forbidden",
        "steer_rollout unknown refused unauthorized",
        "steer_rollout ci refused malformed-body",
    ];
    until("all is told", || entries(&world).len() == expected.len());
    let all = entries(&world);
    assert_eq!(told(&all), expected);
    let done = &all[2];
    assert_eq!(done["who"]["from"], "127.0.0.1");
    assert_eq!(done["who"]["token"].as_str(), token.split('_').nth(1), "the name may be another's one day");
    assert_eq!((&all[5]["service"], &all[5]["reason"]), (&json!("shop"), &json!("I may not")));
    assert_eq!((&done["service"], &done["reason"]), (&json!("shop"), &json!("v2 is out")));
    assert_eq!((&done["generation"], &done["times"]), (&json!(2), &json!(1)));
    assert!(all[3]["because"].as_str().unwrap().contains("is in progress"), "{}", all[3]);
    let secret = token.splitn(3, '_').nth(2).unwrap();
    assert!(!serde_json::to_string(&all).unwrap().contains(secret), "no secret is told");

    let lines = world.send(
        "GET",
        "/v1/audit",
        &format!("accept: application/x-ndjson\r\nauthorization: Bearer {ADMIN}\r\n"),
        "",
    );
    assert!(lines.head.contains("content-type: application/x-ndjson"), "{lines:?}");
    let exported: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported, all);
    let page = world.ask(Some(ADMIN), "GET", "/v1/audit?limit=2", None).json();
    assert_eq!((page["entries"].as_array().unwrap().len(), &page["next"]), (2, &json!(7)));
    let told_of = |query: &str| {
        let page = world.ask(Some(ADMIN), "GET", &format!("/v1/audit?{query}"), None).json();
        told(page["entries"].as_array().unwrap())
    };
    assert_eq!(told_of("who=ci&fate=refused"), [expected[7], expected[3]]);
    assert_eq!(told_of("what=abort&service=shop&limit=1"), [expected[5]]);
    assert_eq!(told_of("service=blog"), [] as [&str; 0]);
    assert_eq!(world.ask(Some(ADMIN), "GET", "/v1/audit?fate=lost", None).problem(400), "malformed-query");
    let nonsense = world.ask(Some(ADMIN), "GET", "/v1/audit?what=nonsense", None);
    assert!(nonsense.body.contains("promote, reload, resume"), "{nonsense:?}");
    assert_eq!(nonsense.problem(400), "no-such-word");
    world.stop();
    let again = World::start(&config);
    assert_eq!(entries(&again)[..expected.len()], all[..], "nothing is lost over a restart");
    again.stop();
}

#[test]
fn nobody_washes_the_log_out_by_naming_services_that_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = shop_in(directory.path());
    config.control.token = Some(Secret::new(ADMIN.into()));
    let world = World::start(&config);
    let viewer = world.token(ADMIN, "dashboard", "viewer", None);
    let start = json!({ "action": "start" });
    for token in ["nonsense", &viewer] {
        for n in 0..40 {
            let reply = world.ask(Some(token), "POST", &format!("/v1/services/z{n}/rollout"), Some(&start));
            assert!([401, 403, 404, 429].contains(&reply.status), "{reply:?}");
        }
    }
    // A change that is done is written after all that was refused before it.
    world.token(ADMIN, "last", "viewer", None);
    until("all is told", || {
        entries(&world).iter().filter(|entry| entry["what"] == "create_token").count() == 2
    });
    let refused = entries(&world).iter().filter(|entry| entry["fate"] == "refused").count();
    assert!((2..=4).contains(&refused), "{:#?}", entries(&world));
    world.stop();
}

#[test]
fn what_was_refused_is_told_with_what_was_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = shop_in(directory.path());
    config.control.token = Some(Secret::new(ADMIN.into()));
    let world = World::start(&config);
    let viewer = world.token(ADMIN, "dashboard", "viewer", None);
    let wanted = [
        (
            "/v1/freezes",
            json!({ "services": ["shop"], "until_ms": 1_795_266_309_123_u64, "reason": "audit" }),
        ),
        (
            "/v1/tokens",
            json!({ "name": "mine", "role": "admin", "services": ["shop"], "expires_in_seconds": 3_600 }),
        ),
    ];
    for (path, body) in &wanted {
        assert_eq!(world.ask(Some(&viewer), "POST", path, Some(body)).problem(403), "forbidden");
    }
    // Also where the form is right and what it asks for is not.
    let short = json!({ "name": "mine", "role": "viewer", "expires_in_seconds": 1 });
    assert_eq!(world.ask(Some(ADMIN), "POST", "/v1/tokens", Some(&short)).problem(422), "not-a-life");
    let weights = json!({ "weights": { "v1": "90%", "v2": "10%" }, "if_generation": 1 });
    let path = "/v1/services/shop/weights";
    assert_eq!(world.ask(Some(&viewer), "PUT", path, Some(&weights)).problem(403), "forbidden");
    let details = || {
        let all = entries(&world);
        let refused = all.iter().filter(|entry| entry["fate"] == "refused");
        refused.map(|entry| entry["detail"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    until("all is told", || details().len() == 4);
    let mut details = details();
    details.sort();
    assert_eq!(
        details,
        [
            "POST /v1/freezes: freeze shop until 2026-11-21T13:05:09Z",
            "POST /v1/tokens: token mine: admin of shop, for 3600 s",
            "POST /v1/tokens: token mine: viewer, for 1 s",
            "PUT /v1/services/shop/weights: v1 90% · v2 10%",
        ]
    );
    world.stop();
}
