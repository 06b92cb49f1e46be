//! Telling of decisions, over a socket: in order, signed, again after a failure, and not again after a restart.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use serde_json::{Value, json};
use serin_config::{
    RecipientName,
    notification::{Form, Recipient, Severity, Url},
    secret::Secret,
};

use crate::world::{SOON, World, shop_in, until};

/// A recipient that answers its first request with 500, and tells here what it was told.
fn recipient() -> (Recipient, mpsc::Receiver<(Vec<String>, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks/hunter2", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_ascii_lowercase());
            }
            let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.unwrap().parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let status = if number == 0 { "500 Oops" } else { "204 Thanks" };
            write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
            if tell.send((head, serde_json::from_slice(&body).unwrap())).is_err() {
                return;
            }
        }
    });
    let recipient = Recipient {
        name: RecipientName::try_new("hook").unwrap(),
        url: Url::try_new(&url).unwrap(),
        form: Form::Webhook,
        from: Severity::Info,
        services: vec![],
        ca: None,
        key: Some(Secret::new("key".into())),
    };
    (recipient, told)
}

fn told_up_to(world: &World) -> Option<u64> {
    world.handle.status().borrow().told.0.get("hook").copied()
}

#[test]
fn decisions_are_told_in_order_again_after_a_failure_and_not_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (recipient, told) = recipient();
    let mut config = shop_in(directory.path());
    config.notifications = vec![recipient];
    let world = World::start(&config);
    let next = || told.recv_timeout(SOON).unwrap();
    // What was decided before anybody was named is not told, so it must be known first that somebody is.
    until("somebody is told from now on", || told_up_to(&world).is_some());
    assert_eq!(world.steer(&json!({ "action": "start", "reason": "release 2" })).status, 200);
    let (head, failed) = next();
    assert_eq!(head[0], "post /hooks/hunter2 http/1.1");
    assert!(head.iter().any(|line| line.starts_with("x-serin-signature: t=")), "{head:?}");
    let (_, again) = next();
    assert_eq!(failed, again, "it is said again, with the same id");
    assert_eq!((&again["decision"]["action"], &again["severity"]), (&json!("start"), &json!("info")));
    assert_eq!(world.steer(&json!({ "action": "abort" })).status, 200);
    let (_, abort) = next();
    assert_eq!((&abort["decision"]["action"], &abort["severity"]), (&json!("abort"), &json!("warning")));
    until("that is stored", || told_up_to(&world) == abort["decision"]["sequence"].as_u64());
    world.stop();

    let world = World::start(&config);
    assert_eq!(world.steer(&json!({ "action": "start", "reason": "again" })).status, 200);
    let (_, after) = next();
    assert_eq!(
        (&after["decision"]["action"], &after["decision"]["reason"]),
        (&json!("start"), &json!("again"))
    );
    world.stop();
}
