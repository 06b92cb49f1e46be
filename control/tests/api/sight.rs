//! Whoever is limited to some services reads no name of another one, nor of a group that is not wholly theirs: wherever they
//! read, and whatever the others of the group have done to their service.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::Arc,
};

use serde_json::{Value, json};
use serin_config::{
    Generation, GroupName, Service,
    secret::Secret,
    terms::{Group, Terms},
    wire::{Report, Trip},
};

use crate::{
    fixtures::{config, name, report, shop, version},
    roles::OPERATIONS,
    world::{Reply, SOON, World},
};

const ADMIN: &str = "the-admin-of-the-file";
/// Services and a group, with names that are words of nothing else.
const FOREIGN: [&str; 4] = ["zebra", "quagga", "okapi", "savanna"];

fn start(directory: &std::path::Path) -> World {
    let service = |text: &str| Service { name: name(text), ..shop() };
    let services = ["shop", "till", "zebra", "quagga", "okapi"].map(service).to_vec();
    let mut config = config(services, directory.join("state.redb"));
    config.control.token = Some(Secret::new(ADMIN.into()));
    let savanna = Group {
        name: GroupName::try_new("savanna").unwrap(),
        services: ["shop", "zebra"].map(name).to_vec(),
    };
    config.terms =
        Arc::new(Terms { groups: vec![savanna], max_parallel_rollouts: Some(3), ..Terms::default() });
    World::start(&config)
}

fn done(world: &World, path: &str, body: &Value) -> Value {
    let reply = world.ask(Some(ADMIN), "POST", path, Some(body));
    assert!((200..300).contains(&reply.status), "{path} {body}: {reply:?}");
    if reply.body.is_empty() { Value::Null } else { reply.json() }
}

fn rollout_of(service: &str) -> String {
    format!("/v1/services/{service}/rollout")
}

/// The canary of `zebra` is out by a proxy's trip-wire, and with it that of `shop`.
fn trip(world: &World, generation: u64) {
    let trip = Trip {
        service: name("zebra"),
        version: version("v2"),
        cause: Default::default(),
        reason: "5 attempts in a row found no connection on route zebra".into(),
        generation: Generation(generation),
        at_ms: 1_000,
    };
    let mut window = report(1, Generation(generation), (0, 0), (0, 0));
    window.trips = vec![trip];
    world.handle.reports().blocking_send(Report::Window(window)).unwrap();
    let ended = "/v1/services/shop/verdict?wait=10s&until=ended";
    let seen = world.ask(Some(ADMIN), "GET", ended, None).json();
    assert_eq!((&seen["ended_by"], &seen["state"]), (&json!("group"), &json!("insufficient")), "{seen}");
}

fn assert_no_foreign_name(what: &str, text: &str) {
    for word in FOREIGN {
        assert!(!text.contains(word), "{what} names {word}: {text}");
    }
}

/// All that is told to somebody who watches, from the first decision up to how things are.
fn watched(world: &World, token: &str, path: &str) -> Reply {
    let mut stream = TcpStream::connect(world.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n", world.address());
    stream.write_all(format!("{head}last-event-id: 0\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let status = lines.next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let mut body = String::new();
    // A refusal ends by itself, and a stream goes on: here to how things are, which is told last.
    let mut how_things_are = false;
    for line in lines {
        body.push_str(&line);
        if how_things_are && line.starts_with("data: ") {
            break;
        }
        how_things_are |= line == "event: status";
    }
    Reply { status, head: head.join("\n"), body }
}

/// Every read of the API, for every service, group and number that there is, in every form.
fn everything_read(world: &World, token: &str) -> Vec<(String, Reply)> {
    let mut all = Vec::new();
    for (_, path, ..) in OPERATIONS.iter().filter(|(method, ..)| *method == "GET") {
        for (service, id) in [("shop", 1), ("till", 3), ("zebra", 2)] {
            let group = if service == "till" { "none" } else { "savanna" };
            let at = path.replace("{service}", service).replace("{group}", group);
            let at = at.replace("{id}", &id.to_string());
            if all.iter().any(|(read, _): &(String, Reply)| read.starts_with(&format!("{at} "))) {
                continue;
            }
            if at.ends_with("/watch") {
                all.push((format!("{at} "), watched(world, token, &at)));
                continue;
            }
            for accept in ["application/json", "text/plain", "application/x-ndjson"] {
                let headers = format!("authorization: Bearer {token}\r\naccept: {accept}\r\n");
                all.push((format!("{at} as {accept}"), world.send("GET", &at, &headers, "")));
            }
        }
    }
    all
}

#[test]
fn whoever_is_limited_to_services_reads_no_name_of_another_one_nor_of_their_group_wherever_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let world = start(directory.path());
    let some = world.token(ADMIN, "some", "operator", Some(&["shop", "till"]));
    let both = world.token(ADMIN, "both", "operator", Some(&["shop", "zebra"]));

    let begun = done(&world, &rollout_of("zebra"), &json!({ "action": "start" }));
    done(&world, &rollout_of("quagga"), &json!({ "action": "start" }));
    // Refusals tell of others no more than reads do.
    let refused = |method: &str, path: &str, body: &Value| {
        let reply = world.ask(Some(&some), method, path, Some(body));
        assert_no_foreign_name(path, &reply.body);
        reply.problem(reply.status)
    };
    assert_eq!(refused("POST", &rollout_of("till"), &json!({ "action": "start" })), "too-many-rollouts");
    assert_eq!(refused("POST", &rollout_of("shop"), &json!({ "action": "abort" })), "forbidden");
    let back = json!({ "weights": { "v1": "100%" }, "if_generation": begun["generation"] });
    assert_eq!(refused("PUT", "/v1/services/shop/weights", &back), "forbidden");
    let live =
        |service: &str| world.ask(Some(ADMIN), "GET", &rollout_of(service), None).json()["live"].clone();
    assert_eq!((live("shop"), live("zebra")), (json!(true), json!(true)), "it ended nothing of the others");

    trip(&world, begun["generation"].as_u64().unwrap());
    for services in [json!(["shop", "okapi"]), json!(["okapi", "quagga"]), json!(["zebra"])] {
        let frozen = done(&world, "/v1/freezes", &json!({ "services": services, "reason": "audit" }));
        let path = format!("/v1/freezes/{}", frozen["id"]);
        assert_eq!(world.ask(Some(ADMIN), "DELETE", &path, None).status, 204);
    }
    for path in [rollout_of("till"), rollout_of("okapi")] {
        done(&world, &path, &json!({ "action": "start" }));
    }
    let read = everything_read(&world, &some);
    for (what, reply) in &read {
        assert_no_foreign_name(what, &reply.body);
        assert!(reply.status < 500, "{what}: {reply:?}");
    }
    assert!(read.iter().filter(|(_, reply)| reply.status == 200).count() > 20, "most of it can be read");

    // What is told is that it was another one, and the rest as ever.
    let of = |token: &str, path: &str| world.ask(Some(token), "GET", path, None);
    for name in ["okapi", "nobody"] {
        let found = of(&some, &format!("/v1/journal?service={name}")).json()["entries"].clone();
        assert_eq!(found, json!([]), "who guesses {name} learns nothing");
    }
    let seen = of(&some, "/v1/services/shop/verdict").json();
    assert_eq!(seen["rollout"]["summary"], "rolled back with its group");
    let explained = of(&some, "/v1/services/shop/rollout/explain").body;
    assert!(explained.contains("with another service of its group"), "{explained}");
    let entries = of(&some, "/v1/journal").json()["entries"].clone();
    let with =
        |action: &str| entries.as_array().unwrap().iter().find(|entry| entry["action"] == action).cloned();
    let out = with("roll_back").unwrap();
    assert_eq!((&out["service"], &out["group"], &out["with"]), (&json!("shop"), &Value::Null, &Value::Null));
    let freeze = with("freeze").unwrap();
    assert_eq!((&freeze["services"], &freeze["reason"]), (&json!(["shop"]), &json!("audit")));

    // Who may see all of the group is told by name.
    let seen = of(&both, "/v1/services/shop/verdict").json();
    assert_eq!(seen["rollout"]["summary"], "rolled back with its group, because of zebra");
    let explained = of(&both, "/v1/services/shop/rollout/explain").body;
    assert!(explained.contains("with zebra of its group: the proxy took v2 out by itself"), "{explained}");
    let entries = of(&both, "/v1/journal").json()["entries"].clone();
    let of_shop = |entry: &&Value| entry["action"] == "roll_back" && entry["service"] == "shop";
    let out = entries.as_array().unwrap().iter().find(of_shop).unwrap();
    assert_eq!((&out["group"], &out["with"]), (&json!("savanna"), &json!("zebra")));
    world.stop();
}
