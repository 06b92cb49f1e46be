//! Webhooks around steps, over a socket: a rollout that goes as they say, another file that names another one, and TLS.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use serde_json::{Value, json};
use serin_config::{
    WebhookName,
    notification::Url,
    secret::Secret,
    terms::Terms,
    webhook::{OnFailure, Webhook, When},
};

use crate::world::{SOON, World, shop_in, until};

/// A gate: answers with what is set here, and tells what it was asked.
struct Gate {
    url: String,
    answer: Arc<Mutex<String>>,
    asked: mpsc::Receiver<(Vec<String>, Value)>,
}

impl Gate {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/gates/hunter2", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(status(503)));
        let (tell, asked) = mpsc::channel();
        let says = answer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (head, body, mut stream) = read(stream.unwrap());
                // Told first: whoever sees what the answer brings about knows that it was asked.
                if tell.send((head, body)).is_err() {
                    return;
                }
                let answer = says.lock().unwrap().clone();
                // It may have been given up.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, answer, asked }
    }

    fn say(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    /// The next question about this moment of this step.
    fn next(&self, when: &str, step: u64) -> (Vec<String>, Value) {
        loop {
            let (head, body) = self.asked.recv_timeout(SOON).unwrap();
            if body["when"] == when && body["step"] == step {
                return (head, body);
            }
        }
    }
}

fn read(stream: TcpStream) -> (Vec<String>, Value, TcpStream) {
    let mut stream = BufReader::new(stream);
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
    (head, serde_json::from_slice(&body).unwrap(), stream.into_inner())
}

fn status(code: u16) -> String {
    format!("HTTP/1.1 {code} x\r\ncontent-length: 0\r\n\r\n")
}

fn decision(body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn webhook(name: &str, url: &str, on: &[When]) -> Webhook {
    Webhook {
        name: WebhookName::try_new(name).unwrap(),
        url: Url::try_new(url).unwrap(),
        key: Some(Secret::new("key".into())),
        ca: None,
        on: on.to_vec(),
        services: vec![],
        timeout: SOON,
        retries: 0,
        interval: Duration::from_secs(1),
        on_failure: OnFailure::Wait,
    }
}

fn terms(webhooks: Vec<Webhook>) -> Arc<Terms> {
    Arc::new(Terms { webhooks, ..Terms::default() })
}

fn take(world: &World, webhooks: Vec<Webhook>) {
    world.runtime.block_on(world.handle.take_terms(terms(webhooks))).unwrap();
}

fn rollout(world: &World) -> Value {
    world.get("/v1/services/shop/rollout").json()
}

#[test]
fn a_rollout_waits_for_its_webhooks_says_so_and_goes_as_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let gate = Gate::new();
    let all = [When::BeforeStep, When::AtStep, When::AfterStep];
    let mut config = shop_in(directory.path());
    config.terms = terms(vec![webhook("gate", &gate.url, &all)]);
    let world = World::start(&config);
    until("it is told of steps from now on", || {
        world.handle.status().borrow().told.0.contains_key("webhook:gate")
    });
    assert_eq!(world.steer(&json!({ "action": "start" })).json()["weights"]["v2"], "0%");
    let (head, first) = gate.next("before_step", 1);
    assert_eq!(head[0], "post /gates/hunter2 http/1.1");
    assert!(head.iter().any(|line| line.starts_with("x-serin-signature: t=")), "{head:?}");
    assert_eq!(
        (&first["weight"], &first["present"], &first["try"]),
        (&json!("10%"), &json!("0%"), &json!(1))
    );
    let (again, second) = gate.next("before_step", 1);
    assert_eq!((&second["id"], &second["try"]), (&first["id"], &json!(2)), "{again:?}");
    until("it is said that it waits", || rollout(&world)["webhooks"][0]["tries"].as_u64() > Some(1));
    let explained = world.get("/v1/services/shop/rollout/explain").body;
    assert!(explained.contains("Waits for webhook gate (before step 1): asked"), "{explained}");
    assert!(explained.contains("last answer: none: it answered 503") && !explained.contains("hunter2"));

    gate.say(decision(&json!({ "decision": "allow" })));
    until("it begins", || rollout(&world)["state"] == "running");
    assert_eq!(rollout(&world)["weight"], "10%");
    gate.next("at_step", 1);
    until("the gate at the step allows", || rollout(&world)["webhooks"][0]["stands"] == "allows");
    gate.say(decision(&json!({ "decision": "deny", "reason": "orders are lost" })));
    until("the canary is out", || rollout(&world)["state"] == "rolled_back");
    let newest = world.get("/v1/journal?service=shop&limit=1").json()["entries"][0].clone();
    assert_eq!((&newest["actor"], &newest["action"]), (&json!("webhook"), &json!("roll_back")));
    assert_eq!(newest["reason"], "webhook gate (at step 1) does not allow it: deny: orders are lost");
    let (_, over) = gate.next("after_step", 1);
    assert_eq!(
        (&over["state"], &over["present"]),
        (&json!("rolled back, denied by a webhook"), &json!("0%"))
    );
    world.stop();
}

#[test]
fn a_changed_file_names_another_webhook_and_nothing_is_restarted() {
    let directory = tempfile::tempdir().unwrap();
    let (closed, open) = (Gate::new(), Gate::new());
    open.say(status(204));
    let world = World::start(&shop_in(directory.path()));
    take(&world, vec![webhook("closed", &closed.url, &[When::BeforeStep])]);
    world.steer(&json!({ "action": "start" }));
    closed.next("before_step", 1);
    take(&world, vec![webhook("open", &open.url, &[When::BeforeStep, When::AfterStep])]);
    open.next("before_step", 1);
    until("it begins", || rollout(&world)["state"] == "running");
    until("it is told of steps from now on", || {
        world.handle.status().borrow().told.0.contains_key("webhook:open")
    });
    world.steer(&json!({ "action": "promote" }));
    let (_, over) = open.next("after_step", 1);
    assert_eq!((&over["state"], &over["present"]), (&json!("running, step 2"), &json!("50%")));
    world.stop();
}

#[test]
fn an_abort_waits_for_no_webhook() {
    let directory = tempfile::tempdir().unwrap();
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let mut config = shop_in(directory.path());
    config.terms = terms(vec![webhook("silent", &url, &[When::BeforeStep, When::AtStep, When::AfterStep])]);
    let world = World::start(&config);
    world.steer(&json!({ "action": "start" }));
    let promoted = world.steer(&json!({ "action": "promote", "reason": "no time" })).json();
    assert_eq!(promoted["weights"]["v2"], "10%");
    let aborted = world.steer(&json!({ "action": "abort" })).json();
    assert_eq!((&aborted["weights"]["v2"], &aborted["stored"]), (&json!("0%"), &json!(true)));
    world.stop();
}
