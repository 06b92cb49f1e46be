//! Every role tried on every operation. What each operation takes is written here once more, by hand, so that a role
//! that is changed by mistake does not change its own test.

use std::{collections::BTreeSet, sync::Arc};

use serin_config::{
    GroupName, Service,
    secret::Secret,
    terms::{Group, Terms},
};

use crate::{
    fixtures::{config, name, shop},
    world::World,
};

const ADMIN: &str = "the-admin-of-the-file";

/// Which services an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The one in the path.
    One,
    /// Those of the caller, or none.
    Own,
    /// All.
    All,
}

use About::{All, One, Own};

/// Method, path, the least role, and which services it is about.
pub(crate) const OPERATIONS: &[(&str, &str, &str, About)] = &[
    ("GET", "/v1/plan", "viewer", Own),
    ("GET", "/v1/services", "viewer", Own),
    ("GET", "/v1/services/{service}", "viewer", One),
    ("GET", "/v1/services/{service}/weights", "viewer", One),
    ("PUT", "/v1/services/{service}/weights", "operator", One),
    ("GET", "/v1/services/{service}/rollout", "viewer", One),
    ("POST", "/v1/services/{service}/rollout", "operator", One),
    ("GET", "/v1/services/{service}/rollout/explain", "viewer", One),
    ("POST", "/v1/services/{service}/events", "operator", One),
    ("GET", "/v1/services/{service}/verdict", "viewer", One),
    ("GET", "/v1/services/{service}/watch", "viewer", One),
    ("GET", "/v1/services/{service}/rollouts/{id}/windows", "viewer", One),
    ("GET", "/v1/rollouts", "viewer", Own),
    ("GET", "/v1/rollouts/{id}/windows", "viewer", All),
    ("GET", "/v1/proxies", "viewer", All),
    ("GET", "/v1/journal", "viewer", Own),
    ("GET", "/v1/watch", "viewer", Own),
    ("GET", "/v1/groups", "viewer", Own),
    ("GET", "/v1/groups/{group}/rollout", "viewer", One),
    ("POST", "/v1/groups/{group}/rollout", "operator", One),
    ("GET", "/v1/freezes", "viewer", All),
    ("POST", "/v1/freezes", "operator", All),
    ("DELETE", "/v1/freezes/{id}", "operator", All),
    ("GET", "/v1/audit", "admin", All),
    ("GET", "/v1/tokens", "admin", All),
    ("POST", "/v1/tokens", "admin", All),
    ("DELETE", "/v1/tokens/{id}", "admin", All),
    ("GET", "/v1/openapi.json", "viewer", Own),
];

const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

fn rank(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).unwrap()
}

fn two_services(directory: &std::path::Path) -> serin_config::Config {
    let blog = Service { name: name("blog"), ..shop() };
    let mut config = config(vec![shop(), blog], directory.join("state.redb"));
    config.control.token = Some(Secret::new(ADMIN.into()));
    config
}

fn group(text: &str, services: &[&str]) -> Group {
    let name = GroupName::try_new(text).unwrap();
    Group { name, services: services.iter().map(|text| crate::fixtures::name(text)).collect() }
}

/// Somebody who asks.
struct Caller {
    what: String,
    token: Option<String>,
    /// Its role, and whether it is limited to the service `shop`; none where nobody knows it.
    known: Option<(&'static str, bool)>,
}

fn callers(world: &World) -> Vec<Caller> {
    let mut callers = vec![
        Caller { what: "nobody".into(), token: None, known: None },
        Caller { what: "a stranger".into(), token: Some("open-sesame".into()), known: None },
        Caller { what: "the file's".into(), token: Some(ADMIN.into()), known: Some(("admin", false)) },
    ];
    for role in ROLES {
        for limited in [false, true] {
            let what = format!("{role}{}", if limited { "-of-shop" } else { "" });
            let services: &[&str] = &["shop"];
            let token = world.token(ADMIN, &what, role, limited.then_some(services));
            callers.push(Caller { what, token: Some(token), known: Some((role, limited)) });
        }
    }
    let gone = world.token(ADMIN, "gone", "admin", None);
    let id = gone.split('_').nth(1).unwrap();
    assert_eq!(world.ask(Some(ADMIN), "DELETE", &format!("/v1/tokens/{id}"), None).status, 204);
    callers.push(Caller { what: "one who was".into(), token: Some(gone), known: None });
    callers
}

#[test]
fn every_role_may_do_what_it_should_on_every_operation_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = two_services(directory.path());
    // Of each group somebody who is limited to `shop` has all, or not.
    let groups = [group("shop", &["shop"]), group("blog", &["blog", "shop"])].to_vec();
    config.terms = Arc::new(Terms { groups, ..Terms::default() });
    let world = World::start(&config);
    for caller in callers(&world) {
        for (method, path, least, about) in OPERATIONS {
            for service in ["shop", "blog"] {
                if *about != One && service == "blog" {
                    continue;
                }
                // An id that nothing has, and a body that no form takes: what is let in is refused behind the guard.
                let at = path.replace("{service}", service).replace("{group}", service);
                let at = at.replace("{id}", "0000000000000000");
                let body = if *method == "GET" { "" } else { "[]" };
                let status = world.status_of(caller.token.as_deref(), method, &at, body);
                let what = format!("{} asks for {method} {at}: {status}", caller.what);
                match caller.known {
                    // Strangers who ask on and on are told to wait.
                    None => assert!(matches!(status, 401 | 429), "{what}"),
                    Some((role, limited)) => {
                        let out_of_reach = limited && (*about == All || (*about == One && service == "blog"));
                        let may = rank(role) >= rank(least) && !out_of_reach;
                        assert_eq!(status != 403, may, "{what}");
                        assert!(!matches!(status, 401 | 429 | 405), "{what}");
                    }
                }
            }
        }
    }
    world.stop();
}

#[test]
fn the_served_document_has_these_operations_with_these_roles() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&two_services(directory.path()));
    let document = world.ask(Some(ADMIN), "GET", "/v1/openapi.json", None).json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut served = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation["x-serin-role"].as_str().unwrap().to_owned();
            served.insert((method.to_uppercase(), path.clone(), role));
        }
    }
    let written = OPERATIONS
        .iter()
        .map(|(method, path, role, _)| ((*method).to_owned(), (*path).to_owned(), (*role).to_owned()));
    assert_eq!(served, written.collect());
    world.stop();
}

#[test]
fn whoever_is_limited_to_a_service_sees_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&two_services(directory.path()));
    for service in ["shop", "blog"] {
        let path = format!("/v1/services/{service}/rollout");
        let start = serde_json::json!({ "action": "start" });
        assert_eq!(world.ask(Some(ADMIN), "POST", &path, Some(&start)).status, 200);
    }
    let limited = world.token(ADMIN, "shop-only", "operator", Some(&["shop"]));
    for path in ["/v1/plan", "/v1/services", "/v1/rollouts", "/v1/journal", "/v1/services/shop"] {
        let seen = world.ask(Some(&limited), "GET", path, None);
        assert_eq!(seen.status, 200, "{seen:?}");
        assert!(seen.body.contains("shop") && !seen.body.contains("blog"), "{path}: {}", seen.body);
    }
    // Nor in what a refusal tells of the plan in force.
    let weights = serde_json::json!({ "weights": { "v1": "100%" }, "if_generation": 1 });
    let stale = world.ask(Some(&limited), "PUT", "/v1/services/shop/weights", Some(&weights));
    assert_eq!(stale.problem(409), "stale-generation");
    assert!(stale.body.contains("shop") && !stale.body.contains("blog"), "{}", stale.body);
    world.stop();
}

#[test]
fn whoever_may_not_change_all_of_a_group_steers_none_of_it_nor_sees_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = two_services(directory.path());
    config.terms = Arc::new(Terms { groups: vec![group("site", &["blog", "shop"])], ..Terms::default() });
    let world = World::start(&config);
    let some = world.token(ADMIN, "shop-only", "operator", Some(&["shop"]));
    let both = world.token(ADMIN, "both", "operator", Some(&["blog", "shop"]));
    for path in ["/v1/services/shop/rollout", "/v1/groups/site/rollout"] {
        for action in ["start", "undo"] {
            let asked = serde_json::json!({ "action": action });
            assert_eq!(world.ask(Some(&some), "POST", path, Some(&asked)).problem(403), "forbidden");
        }
    }
    let groups = |token: &str| world.ask(Some(token), "GET", "/v1/groups", None).json()["groups"].clone();
    assert_eq!(groups(&some), serde_json::json!([]));
    assert_eq!(groups(&both)[0]["services"], serde_json::json!(["blog", "shop"]));
    let start = serde_json::json!({ "action": "start" });
    assert_eq!(world.ask(Some(&both), "POST", "/v1/services/shop/rollout", Some(&start)).status, 200);
    assert_eq!(world.ask(Some(ADMIN), "GET", "/v1/services/blog", None).json()["rollout"]["live"], true);
    world.stop();
}
