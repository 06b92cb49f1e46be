//! Groups over the API: steered as one, and shown with who holds whom back.

use std::sync::Arc;

use serde_json::{Value, json};
use serin_config::{
    GroupName, Service,
    terms::{Group, Terms},
};

use crate::{
    fixtures::{config, name, shop},
    world::{World, until},
};

const PATH: &str = "/v1/groups/site/rollout";

fn site(directory: &std::path::Path) -> World {
    site_with(directory, |_| {})
}

fn site_with(directory: &std::path::Path, says: impl FnOnce(&mut serin_config::Config)) -> World {
    let blog = Service { name: name("blog"), ..shop() };
    let mut config = config(vec![shop(), blog], directory.join("state.redb"));
    let services = ["blog", "shop"].map(name).to_vec();
    let group = Group { name: GroupName::try_new("site").unwrap(), services };
    config.terms = Arc::new(Terms { groups: vec![group], ..Terms::default() });
    says(&mut config);
    World::start(&config)
}

fn asked(world: &World, path: &str, body: &Value) -> Value {
    let reply = world.ask(None, "POST", path, Some(body));
    assert_eq!(reply.status, 200, "{path} {body}: {reply:?}");
    reply.json()
}

#[test]
fn who_may_steer_one_service_of_a_group_and_is_refused_is_told_of_with_what_it_wanted_of_the_group_and_why() {
    let directory = tempfile::tempdir().unwrap();
    let admin = "the-admin-of-the-file";
    let world = site_with(directory.path(), |config| {
        config.control.token = Some(serin_config::secret::Secret::new(admin.into()));
    });
    let token = world.token(admin, "ci", "operator", Some(&["shop"]));
    for path in ["/v1/services/shop/rollout", PATH] {
        let wanted = json!({ "action": "start", "reason": format!("release 2 by {path}"), "urgent": true });
        assert_eq!(world.ask(Some(&token), "POST", path, Some(&wanted)).problem(403), "forbidden");
    }
    let told = || {
        let page = world.ask(Some(admin), "GET", "/v1/audit?who=ci&fate=refused", None).json();
        page["entries"].as_array().unwrap().clone()
    };
    until("both are told", || told().len() == 2);
    for (entry, path) in told().iter().zip([PATH, "/v1/services/shop/rollout"]) {
        assert_eq!((&entry["what"], &entry["group"]), (&json!("start"), &json!("site")), "{entry}");
        assert_eq!(
            (&entry["reason"], &entry["urgent"]),
            (&json!(format!("release 2 by {path}")), &json!(true))
        );
    }
    world.stop();
}

#[test]
fn a_group_is_started_promoted_and_undone_each_time_in_one_plan_and_one_call() {
    let directory = tempfile::tempdir().unwrap();
    let world = site(directory.path());
    let list = world.ask(None, "GET", "/v1/groups", None).json();
    assert_eq!(list["groups"][0]["services"], json!(["blog", "shop"]));
    assert_eq!(list["groups"][0]["summary"], "no rollout yet");

    let begun = asked(&world, PATH, &json!({ "action": "start", "reason": "release 2" }));
    assert_eq!((&begun["generation"], &begun["group"]["live"]), (&json!(2), &json!(true)));
    assert_eq!(begun["group"]["summary"], "2 of 2 in progress");
    let twice = world.ask(None, "POST", PATH, Some(&json!({ "action": "start" })));
    assert_eq!(twice.problem(409), "group-unmoved");
    // What was asked for the group was asked for each of its services.
    let asked_for = |service: &str| {
        let page = world.ask(None, "GET", &format!("/v1/audit?what=start&service={service}"), None).json();
        page["entries"].as_array().unwrap().iter().map(|entry| entry["group"].clone()).collect::<Vec<_>>()
    };
    until("the refused one is told, too", || asked_for("blog").len() == 2);
    assert_eq!(asked_for("shop"), [json!("site"), json!("site")]);
    assert!(asked_for("else").is_empty());

    for _ in 0..2 {
        asked(&world, "/v1/services/shop/rollout", &json!({ "action": "promote" }));
    }
    let waiting = world.ask(None, "GET", PATH, None).json();
    assert_eq!(waiting["held_back_by"], json!(["blog"]));
    assert_eq!(waiting["summary"], "2 of 2 in progress, 1 wait for blog");
    let [blog, shop] = [0, 1].map(|at| waiting["members"][at].clone());
    assert_eq!((&blog["holds_back"], &blog["waits"]), (&json!(true), &json!(false)));
    assert_eq!((&shop["holds_back"], &shop["waits"]), (&json!(false), &json!(true)));
    assert_eq!(blog["because"][0], "running, step 1");
    assert_eq!(shop["because"], json!([]));

    let stale = json!({ "action": "promote", "full": true, "if_generation": 1 });
    assert_eq!(world.ask(None, "POST", PATH, Some(&stale)).problem(409), "stale-generation");
    let promoted = asked(&world, PATH, &json!({ "action": "promote", "full": true }));
    assert_eq!((&promoted["group"]["live"], &promoted["group"]["held_back_by"]), (&json!(false), &json!([])));
    let undone = asked(&world, PATH, &json!({ "action": "undo", "reason": "leaks" }));
    assert_eq!(
        undone["generation"].as_u64(),
        promoted["generation"].as_u64().map(|generation| generation + 1)
    );

    let journal = world.ask(None, "GET", "/v1/journal?limit=4", None).json();
    let told: Vec<(&Value, &Value, &Value)> = journal["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["action"], &entry["service"], &entry["group"]))
        .collect();
    let (undo, promote, site) = (json!("undo"), json!("promote"), json!("site"));
    let (blog, shop) = (json!("blog"), json!("shop"));
    assert_eq!(told[2..], [(&promote, &shop, &site), (&promote, &blog, &site)]);
    assert!(told[..2].iter().all(|(action, _, group)| **action == undo && **group == site), "{told:?}");
    assert_eq!(world.ask(None, "GET", "/v1/groups/sight/rollout", None).problem(404), "no-such-group");
    let full = json!({ "action": "start", "full": true });
    assert_eq!(world.ask(None, "POST", PATH, Some(&full)).problem(422), "full-without-promote");
    world.stop();
}
