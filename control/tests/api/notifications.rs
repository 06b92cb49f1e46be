//! Telling of decisions, over a socket: in order, signed, again after a failure, and not again after a restart; by e-mail, and
//! to whom a changed file names.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
};

use serde_json::{Value, json};
use serin_config::{
    RecipientName,
    mail::{Mail, MailAddress, MailSecurity},
    notification::{Form, Http, Recipient, Severity, Url, Way},
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
        way: Way::Http(Http {
            url: Url::try_new(&url).unwrap(),
            form: Form::Webhook,
            ca: None,
            key: Some(Secret::new("key".into())),
        }),
        from: Severity::Info,
        services: vec![],
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

/// An SMTP server; tells each message that it takes.
fn smtp() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut message: Option<String> = None;
            write!(stream.get_mut(), "220 ready\r\n").unwrap();
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) == 0 || line.starts_with("QUIT") {
                    break;
                }
                let answer = match &mut message {
                    Some(text) if line == ".\r\n" => {
                        let text = std::mem::take(text);
                        message = None;
                        if tell.send(text).is_err() {
                            return;
                        }
                        "250 taken"
                    }
                    Some(text) => {
                        text.push_str(&line);
                        continue;
                    }
                    None if line.starts_with("DATA") => {
                        message = Some(String::new());
                        "354 go on"
                    }
                    None => "250 fine",
                };
                write!(stream.get_mut(), "{answer}\r\n").unwrap();
            }
        }
    });
    (port, told)
}

#[test]
fn whoever_a_changed_file_names_is_told_by_e_mail_and_whoever_it_leaves_out_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let (port, told) = smtp();
    let address = |text| MailAddress::try_new(text).unwrap();
    let mail = Mail {
        host: "127.0.0.1".into(),
        port,
        security: MailSecurity::None,
        ca: None,
        user: None,
        from: address("serin@example.org"),
        to: vec![address("oncall@example.org")],
    };
    let oncall = Recipient {
        name: RecipientName::try_new("oncall").unwrap(),
        way: Way::Mail(mail),
        from: Severity::Info,
        services: vec![],
    };
    let (hook, hook_told) = recipient();
    let mut config = shop_in(directory.path());
    config.notifications = vec![hook];
    let world = World::start(&config);
    let is_told = |name: &str| world.handle.status().borrow().told.0.contains_key(name);
    until("the first is told from now on", || is_told("hook"));
    world.handle.take_recipients(vec![oncall]);
    until("the second is told from now on", || is_told("oncall"));
    assert_eq!(world.steer(&json!({ "action": "start" })).status, 200);
    let message = told.recv_timeout(SOON).unwrap();
    assert!(message.contains("\r\nSubject: [info] shop: rollout 1 running, step 1\r\n"), "{message}");
    assert!(message.contains("\r\nTo: oncall@example.org\r\n"), "{message}");
    assert!(hook_told.try_recv().is_err(), "the first is told no more");
    world.stop();
}
