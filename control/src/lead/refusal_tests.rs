//! Several control planes over one real etcd: what any of them refuses is in the one audit log, with who asked, from where
//! and why it was refused, and a stranger can't pretend to be one of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_config::{Config, secret::Secret};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use super::tests::{One, SOON, start_as};
use crate::store::etcd::server::Server;

const ADMIN: &str = "the-admin-of-the-file";
const STEER: &str = "/v1/services/shop/rollout";

fn asking(config: &mut Config) {
    config.control.token = Some(Secret::new(ADMIN.into()));
}

impl One {
    /// Asks from this address of the machine; gives the status and the body.
    async fn ask(&self, from: &str, headers: &str, method: &str, path: &str, body: &Value) -> (u16, String) {
        let address: std::net::SocketAddr = self.handle.address().to_string().parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             {headers}content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    async fn token(&self, name: &str, role: &str) -> String {
        let wanted = json!({ "name": name, "role": role });
        let (status, made) = self.ask("127.0.0.1", &bearer(ADMIN), "POST", "/v1/tokens", &wanted).await;
        assert_eq!(status, 201, "{made}");
        serde_json::from_str::<Value>(&made).unwrap()["token"].as_str().unwrap().to_owned()
    }

    /// Waits until the audit log has this line.
    async fn tells(&self, line: &str) {
        let deadline = Instant::now() + SOON;
        loop {
            let (status, page) =
                self.ask("127.0.0.1", &bearer(ADMIN), "GET", "/v1/audit?limit=1000", &Value::Null).await;
            assert_eq!(status, 200, "{page}");
            let page: Value = serde_json::from_str(&page).unwrap();
            let lines: Vec<String> = page["entries"].as_array().unwrap().iter().map(brief).collect();
            if lines.iter().any(|found| found == line) {
                return;
            }
            assert!(Instant::now() < deadline, "no \"{line}\" in {lines:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

/// `ci from 127.0.0.9 via b: start, refused: rollout-in-progress (because)`.
fn brief(entry: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let who = &entry["who"];
    let via = who["via"].as_str().map(|via| format!(" via {via}")).unwrap_or_default();
    format!(
        "{} from {}{via}: {}, {}: {} ({})",
        text(&who["name"]),
        text(&who["from"]),
        text(&entry["what"]),
        text(&entry["fate"]),
        text(&entry["problem"]),
        text(&entry["reason"])
    )
}

#[test]
fn what_a_follower_refuses_or_passes_on_is_in_the_audit_log_with_the_clients_own_address() {
    let server = Server::start();
    server.runtime.block_on(async {
        let a = start_as(&server, "a", asking).await;
        a.leads().await;
        let b = start_as(&server, "b", asking).await;
        b.follows("a").await;
        let (viewer, operator) = (b.token("dashboard", "viewer").await, b.token("ci", "operator").await);
        // A token is known to a follower when it has seen it.
        let deadline = Instant::now() + SOON;
        while b.ask("127.0.0.1", &bearer(&operator), "GET", "/v1/plan", &Value::Null).await.0 != 200 {
            assert!(Instant::now() < deadline, "the follower never knows the token");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        a.tells("control.token from 127.0.0.1 via b: create_token, done: - ()").await;

        let start = json!({ "action": "start", "reason": "v2 is out" });
        let ask =
            async |from: &str, headers: &str, body: &Value| b.ask(from, headers, "POST", STEER, body).await.0;
        assert_eq!(ask("127.0.0.7", "", &start).await, 401);
        assert_eq!(ask("127.0.0.8", &bearer(&viewer), &start).await, 403);
        assert_eq!(ask("127.0.0.9", &bearer(&operator), &json!({ "action": "explode" })).await, 400);
        let stale = json!({ "action": "pause", "if_generation": 1_000_000, "reason": "stale" });
        assert_eq!(ask("127.0.0.10", &bearer(&operator), &stale).await, 409);
        for line in [
            "unknown from 127.0.0.7 via b: steer_rollout, refused: unauthorized ()",
            "dashboard from 127.0.0.8 via b: start, refused: forbidden (v2 is out)",
            "ci from 127.0.0.9 via b: steer_rollout, refused: malformed-body ()",
            "ci from 127.0.0.10 via b: pause, refused: stale-generation (stale)",
        ] {
            a.tells(line).await;
            b.tells(line).await;
        }

        // Who is no control plane can't say where it asks from, whatever it sends.
        let (_, leader) = (&b, &a);
        let forged = format!(
            "{}x-serin-forwarded: eyJieSI6ImIiLCJmcm9tIjoiMTAuMC4wLjEifQ.AAAA\r\n",
            bearer(&operator)
        );
        let skip = json!({ "action": "skip", "reason": "forged" });
        assert_eq!(leader.ask("127.0.0.11", &forged, "POST", STEER, &skip).await.0, 409);
        a.tells("ci from 127.0.0.11: skip, refused: no-rollout (forged)").await;
        // Nor that its request was passed on already: a follower passes it on as any other.
        let (status, answer) = b.ask("127.0.0.12", &forged, "POST", STEER, &skip).await;
        assert!(status == 409 && answer.contains("no-rollout"), "{answer}");
        let told = json!({ "epoch": 1, "sequence": 1, "refusals": [] });
        let (status, answer) = leader.ask("127.0.0.11", &forged, "POST", "/peers/refusals", &told).await;
        assert_eq!(status, 404, "{answer}");
        b.handle.shutdown().await;
        a.handle.shutdown().await;
    });
}

#[test]
fn what_a_follower_refuses_while_no_leader_is_reached_is_kept_until_one_is() {
    let server = Server::start();
    server.runtime.block_on(async {
        // Nobody answers there.
        let a = start_as(&server, "a", |config| {
            asking(config);
            config.control.etcd.as_mut().unwrap().advertise.api = Some("http://127.0.0.1:1".into());
        })
        .await;
        a.leads().await;
        let b = start_as(&server, "b", asking).await;
        b.follows("a").await;
        let start = json!({ "action": "start", "reason": "v2 is out" });
        assert_eq!(b.ask("127.0.0.7", "", "POST", STEER, &start).await.0, 401);
        let (status, answer) = b.ask("127.0.0.8", &bearer(ADMIN), "POST", STEER, &start).await;
        assert!(status == 502 && answer.contains("the leader a is not reached"), "{answer}");
        a.handle.shutdown().await;
        b.leads().await;
        b.tells("unknown from 127.0.0.7: steer_rollout, refused: unauthorized ()").await;
        b.tells("control.token from 127.0.0.8: start, refused: leader-not-reached (v2 is out)").await;
        b.handle.shutdown().await;
    });
}
