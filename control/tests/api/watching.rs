//! Waiting for a verdict, and watching what happens.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};
use serin_config::{
    Generation, Weight,
    policy::{Step, Until},
    secret::Secret,
    wire::Report,
};

use crate::{
    fixtures::{config, report, shop},
    world::{SOON, World, shop_in, until},
};

/// A stream of events.
struct Events(BufReader<TcpStream>);

#[derive(Debug)]
struct Event {
    id: Option<u64>,
    kind: String,
    data: Value,
}

impl Events {
    fn of(world: &World, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(world.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let host = world.address();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").as_bytes()).unwrap();
        let mut events = Self(BufReader::new(stream));
        let head = events.line().unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        events
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// The next event; none where the stream has ended. Lines that are none of an event's are those of its chunks, the
    /// last of which is empty.
    fn next(&mut self) -> Option<Event> {
        let (mut id, mut kind) = (None, String::new());
        loop {
            let line = self.line()?;
            if line == "0" {
                return None;
            }
            if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.parse().unwrap());
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut kind);
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Some(Event { id, kind, data: serde_json::from_str(text).unwrap() });
            }
        }
    }

    fn decision(&mut self) -> Event {
        loop {
            let event = self.next().expect("a decision");
            if event.kind == "decision" {
                return event;
            }
        }
    }
}

#[test]
fn decisions_are_told_as_they_come_and_a_watcher_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let mut events = Events::of(&world, "/v1/services/shop/watch", "");
    let first = events.next().unwrap();
    assert_eq!((first.kind.as_str(), &first.data["weights"]["v2"]), ("status", &json!("0%")));
    for action in ["start", "pause", "resume", "abort"] {
        assert_eq!(world.steer(&json!({ "action": action })).status, 200);
    }
    let started = events.decision();
    assert_eq!((&started.data["action"], &started.data["to"]["v2"]), (&json!("start"), &json!("10%")));
    assert_eq!(started.data["sequence"].as_u64(), started.id);
    drop(events);
    let resumed = format!("last-event-id: {}\r\n", started.id.unwrap());
    for path in ["/v1/services/shop/watch", "/v1/watch"] {
        let mut events = Events::of(&world, path, &resumed);
        let actions = [(); 3].map(|()| events.decision().data["action"].as_str().unwrap().to_owned());
        assert_eq!(actions, ["pause", "resume", "abort"], "{path}");
    }
    let odd = world.send("GET", "/v1/watch", "last-event-id: the last one\r\n", "");
    assert_eq!(odd.problem(400), "malformed-header");
    assert_eq!(world.get("/v1/services/blog/watch").problem(404), "no-such-service");
    world.stop();
}

#[test]
fn a_stream_ends_when_its_token_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = shop_in(directory.path());
    config.control.token = Some(Secret::new("admin-of-the-file".into()));
    let world = World::start(&config);
    let token = world.token("admin-of-the-file", "dashboard", "viewer", None);
    let mut events = Events::of(&world, "/v1/watch", &format!("authorization: Bearer {token}\r\n"));
    assert_eq!(events.next().unwrap().kind, "status");
    let path = format!("/v1/tokens/{}", token.split('_').nth(1).unwrap());
    assert_eq!(world.ask(Some("admin-of-the-file"), "DELETE", &path, None).status, 204);
    while let Some(event) = events.next() {
        assert_eq!(event.kind, "status");
    }
    world.stop();
}

#[test]
fn what_the_clock_promotes_without_a_request_is_no_pass() {
    let directory = tempfile::tempdir().unwrap();
    let mut service = shop();
    let bake = Step { until: Until::Time, min_duration: Duration::from_secs(1), ..Step::at(Weight::WHOLE) };
    service.rollout.steps = vec![bake, Step::at(Weight::WHOLE)];
    let world = World::start(&config(vec![service], directory.path().join("state.redb")));
    let begun = world.steer(&json!({ "action": "start" })).json();
    let generation = Generation(begun["generation"].as_u64().unwrap());
    let reports = world.handle.reports();
    let path = "/v1/services/shop/verdict";
    // A proxy tells second by second that there was nothing.
    let mut told = 0;
    while world.get(path).json()["ended"] == false {
        told += 1;
        reports.blocking_send(Report::Window(report(told, generation, (0, 0), (0, 0)))).unwrap();
        until("the second is judged", || {
            let rollout = world.get("/v1/services/shop/rollout").json();
            rollout["live"] == false || rollout["verdict"]["seconds"].as_u64() >= Some(told)
        });
    }
    let ended = world.get(path).json();
    assert_eq!(
        (&ended["state"], &ended["promoted_by"], &ended["decided"]),
        (&json!("insufficient"), &json!("clock_without_traffic"), &json!(true))
    );
    assert_eq!(ended["reasons"][0], "promoted by the clock, without one request of the canary");
    let explained = world.get("/v1/services/shop/rollout/explain").body;
    assert!(explained.contains("v2 had no request in this step, so nothing was judged"), "{explained}");
    world.stop();
}

#[test]
fn a_pipeline_can_wait_for_the_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let path = "/v1/services/shop/verdict";
    assert_eq!(world.get(path).problem(404), "no-rollout");
    assert_eq!(world.steer(&json!({ "action": "start" })).status, 200);
    let now = world.get(path).json();
    assert_eq!(
        (&now["state"], &now["decided"], &now["ended"]),
        (&json!("insufficient"), &json!(false), &json!(false))
    );
    let waited = world.get(&format!("{path}?wait=10ms&until=decided")).json();
    assert_eq!(waited["decided"], false, "the wait is over, and it says so");
    for odd in ["?until=decided", "?wait=1", "?wait=1h", "?wait=1s&until=never", "?patience=1"] {
        assert_eq!(world.get(&format!("{path}{odd}")).problem(400), "malformed-query", "{odd}");
    }
    let ended = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| world.get(&format!("{path}?wait=60s&until=ended")).json());
        let changed = scope.spawn(|| world.get(&format!("{path}?wait=60s&until=changed")).json());
        // Whoever begins to wait after this is answered at once as well, but for what has not changed any more.
        while !changed.is_finished() {
            assert_eq!(world.steer(&json!({ "action": "pause" })).status, 200);
            assert_eq!(world.steer(&json!({ "action": "resume" })).status, 200);
        }
        assert_eq!(changed.join().unwrap()["ended"], false);
        assert_eq!(world.steer(&json!({ "action": "abort", "reason": "no" })).status, 200);
        waiting.join().unwrap()
    });
    // Nothing was shown against it.
    assert_eq!(
        (&ended["state"], &ended["ended"], &ended["ended_by"]),
        (&json!("insufficient"), &json!(true), &json!("command"))
    );
    assert_eq!(ended["reasons"][0], "aborted by hand");
    assert_eq!(ended["evidence"]["ended"], true, "what was known by then: {ended}");
    // What was taken back is no pass, however it had ended.
    for (action, state, by) in [
        (json!({ "action": "start" }), "insufficient", json!(null)),
        (json!({ "action": "promote", "full": true }), "pass", json!("command")),
        (json!({ "action": "undo" }), "insufficient", json!("undo")),
    ] {
        let reply = world.steer(&action);
        assert_eq!(reply.status, 200, "{reply:?}");
        let now = world.get(path).json();
        assert_eq!((&now["state"], &now["ended_by"]), (&json!(state), &by), "after {action}");
    }
    world.stop();
}
