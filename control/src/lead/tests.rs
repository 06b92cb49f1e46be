//! Several control planes over one real etcd, in one process: who leads, what the others show and pass on, and what
//! goes on when the leader ends.
//!
//! Processes that are killed, and members of etcd that fail, are covered end to end.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serin_config::{Config, Generation, Plan, Weight, wire::Report};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::Leadership;
use crate::{
    ControlPlane, Handle,
    access::CommandError,
    command::{Action, Actor, Command, Request},
    fixtures::{canary_share, config, name, report, shop, weight},
    store::etcd::server::Server,
};

pub(super) const SOON: Duration = Duration::from_secs(30);

pub(super) struct One {
    pub(super) handle: Handle,
    pub(super) pushed: Arc<Mutex<Vec<Arc<Plan>>>>,
}

pub(super) async fn start(server: &Server, instance: &str) -> One {
    start_as(server, instance, |_| {}).await
}

/// The same, with what else its file says.
pub(super) async fn start_as(server: &Server, instance: &str, says: impl FnOnce(&mut Config)) -> One {
    let mut config: Config = config(vec![shop()], "unused.redb".into());
    config.control.etcd = Some(server.settings());
    config.telemetry.instance = instance.into();
    says(&mut config);
    let pushed: Arc<Mutex<Vec<Arc<Plan>>>> = Arc::default();
    let sink = pushed.clone();
    let control = ControlPlane::open(&config, 1_000).unwrap();
    let handle = control.serve(Box::new(move |plan| sink.lock().unwrap().push(plan))).await.unwrap();
    One { handle, pushed }
}

impl One {
    /// Waits until this one stands so.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Leadership) -> bool) -> Leadership {
        let mut leadership = self.handle.leadership();
        let found = timeout(SOON, leadership.wait_for(|now| holds(now))).await;
        found.unwrap_or_else(|_| panic!("waited in vain: {what}")).unwrap().clone()
    }

    pub(super) async fn leads(&self) {
        self.until("it leads", Leadership::leads).await;
    }

    pub(super) async fn follows(&self, leader: &str) {
        let named = |now: &Leadership| matches!(now, Leadership::Follower { leader: Some(address) } if address.name == leader);
        self.until(&format!("it follows {leader}"), named).await;
    }

    pub(super) async fn steer(&self, action: Action) -> Result<crate::Answer, CommandError> {
        let command = Command::Rollout { service: name("shop"), action, if_generation: None };
        self.handle.command(Request::new(command, Actor::Api, "because")).await
    }

    /// Waits until it shows the canary with this share; gives the generation.
    pub(super) async fn shows(&self, share: &str) -> Generation {
        let mut status = self.handle.status();
        let found =
            timeout(SOON, status.wait_for(|status| canary_share(&status.plan) == weight(share))).await;
        found.unwrap_or_else(|_| panic!("never shows {share}")).unwrap().plan.generation()
    }

    /// The beginning of a stream of events, to its first event.
    pub(super) async fn first_event(&self, path: &str) -> String {
        let address = self.handle.address().to_string();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
        let mut told = String::new();
        let read = async {
            while !told.contains("event: status\ndata: ") || !told.ends_with("\n\n\r\n") {
                let mut some = [0; 4096];
                let length = stream.read(&mut some).await.unwrap();
                assert!(length > 0, "{told}");
                told.push_str(&String::from_utf8_lossy(&some[..length]));
            }
        };
        let ended = timeout(SOON, read).await;
        assert!(ended.is_ok(), "no whole event in {told:?}");
        told
    }

    pub(super) async fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let address = self.handle.address().to_string();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }
}

#[test]
fn one_leads_and_the_others_show_what_it_decides_and_pass_changes_on() {
    let server = Server::start();
    server.runtime.block_on(async {
        let a = start(&server, "a").await;
        a.leads().await;
        let b = start(&server, "b").await;
        b.follows("a").await;
        assert_eq!(a.pushed.lock().unwrap().len(), 1, "the first plan of a leader is pushed");
        let same_plan = async || {
            let of = async |one: &One| {
                let answer = one.http("GET", "/v1/plan", "").await.1;
                let body: serde_json::Value =
                    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
                (body["generation"].as_u64().unwrap(), body["parent"].as_u64().unwrap())
            };
            let (leads, follows) = (of(&a).await, of(&b).await);
            assert_eq!(leads, follows);
            leads
        };
        b.shows("0%").await;
        let first = same_plan().await;

        a.steer(Action::Start).await.unwrap();
        let generation = b.shows("10%").await;
        assert_eq!(generation, a.pushed.lock().unwrap().last().unwrap().generation());
        assert_eq!(same_plan().await, (generation.0, first.0), "the parent is the plan before");
        let shown = b.handle.status().borrow().services["shop"].rollout.clone().unwrap();
        assert!(shown.live, "{}", shown.summary);

        let (status, answer) = b.http("POST", "/v1/services/shop/rollout", r#"{"action":"abort"}"#).await;
        assert_eq!(status, 200, "{answer}");
        a.shows("0%").await;
        b.shows("0%").await;
        let (status, answer) = b.http("GET", "/v1/journal?service=shop", "").await;
        assert!(status == 200 && answer.contains(r#""action":"abort""#), "{answer}");
        assert!(answer.contains("x-serin-role: follower") && !answer.contains("x-serin-stale"), "{answer}");
        let (status, answer) = a.http("GET", "/v1/plan", "").await;
        assert!(status == 200 && answer.contains("x-serin-role: leader"), "{answer}");

        // What only the leader knows is asked there; what is stored is not.
        for path in
            ["/v1/services", "/v1/services/shop", "/v1/services/shop/rollout", "/v1/proxies", "/v1/groups"]
        {
            let (status, answer) = b.http("GET", path, "").await;
            assert!(status == 200 && answer.contains("x-serin-leader: a"), "{answer}");
            assert!(
                answer.contains("x-serin-role: follower") && !answer.contains(r#""counted":false"#),
                "{answer}"
            );
        }
        let (_, answer) = b.http("GET", "/v1/services/blog", "").await;
        assert!(answer.contains("no-such-service") && !answer.contains("x-serin-leader"), "{answer}");
        let told = b.first_event("/v1/watch").await;
        assert!(told.contains(r#""requests":0"#) && told.contains(r#""counted":true"#), "{told}");

        let refused = b.steer(Action::Start).await.unwrap_err().to_string();
        assert!(refused.contains("a leads; ask it at http://"), "{refused}");
        b.handle.shutdown().await;
        a.handle.shutdown().await;
    });
}

#[test]
fn what_only_the_leader_knows_is_absent_where_it_is_not_reached_and_no_zero() {
    let server = Server::start();
    server.runtime.block_on(async {
        let mut hidden: Config = config(vec![shop()], "unused.redb".into());
        let mut etcd = server.settings();
        // Nobody answers there.
        etcd.advertise.api = Some("http://127.0.0.1:1".into());
        hidden.control.etcd = Some(etcd);
        hidden.telemetry.instance = "a".into();
        let a = ControlPlane::open(&hidden, 1_000).unwrap();
        let a = One { handle: a.serve(Box::new(|_| {})).await.unwrap(), pushed: Arc::default() };
        a.leads().await;
        let b = start(&server, "b").await;
        b.follows("a").await;
        a.steer(Action::Start).await.unwrap();
        b.shows("10%").await;
        let (status, answer) = b.http("GET", "/v1/services/shop", "").await;
        assert!(status == 200 && answer.contains(r#""counted":false"#), "{answer}");
        assert!(answer.contains(r#""counts":null"#) && answer.contains(r#""observed":null"#), "{answer}");
        let (_, answer) = b.http("GET", "/v1/services/shop/rollout/explain", "").await;
        assert!(answer.contains("did not reach the one that leads"), "{answer}");
        let (_, answer) = b.http("GET", "/v1/services/shop/verdict", "").await;
        assert!(answer.contains("did not reach the one that leads"), "{answer}");
        let (_, answer) = b.http("GET", "/v1/services/shop/rollout", "").await;
        assert!(answer.contains(r#""webhooks":null"#), "{answer}");
        let (status, answer) = b.http("GET", "/v1/proxies", "").await;
        assert!(status == 503 && answer.contains("ask its API at http://127.0.0.1:1"), "{answer}");
        b.handle.shutdown().await;
        a.handle.shutdown().await;
    });
}

#[test]
fn when_the_leader_ends_the_next_one_goes_on_with_its_rollout_and_evidence() {
    let server = Server::start();
    server.runtime.block_on(async {
        let a = start(&server, "a").await;
        a.leads().await;
        let b = start(&server, "b").await;
        b.follows("a").await;
        a.steer(Action::Start).await.unwrap();
        let before = b.shows("10%").await;
        for sequence in 1..=3 {
            let window = report(sequence, before, (20, 0), (180, 0));
            a.handle.reports().send(Report::Window(window)).await.unwrap();
        }
        let mut seen = a.handle.status();
        let judged = |status: &Arc<crate::status::Status>| {
            let verdict =
                status.services["shop"].rollout.as_ref().and_then(|rollout| rollout.verdict.as_ref());
            verdict.is_some_and(|verdict| verdict.canary.requests == 60)
        };
        timeout(SOON, seen.wait_for(judged)).await.expect("the windows are judged").unwrap();

        a.handle.shutdown().await;
        b.leads().await;
        let first = b.pushed.lock().unwrap().first().unwrap().clone();
        assert!(first.generation() > before, "generations only grow");
        assert_eq!(canary_share(&first), weight("10%"), "the rollout goes on");
        let mut status = b.handle.status();
        timeout(SOON, status.wait_for(judged)).await.expect("with the evidence that there was").unwrap();

        // And it is this one that acts now.
        let generation = first.generation();
        for sequence in 4..=40 {
            let window = report(sequence, generation, (100, 100), (900, 0));
            b.handle.reports().send(Report::Window(window)).await.unwrap();
        }
        b.shows("0%").await;
        let rolled_back = b.pushed.lock().unwrap().last().unwrap().clone();
        assert_eq!(canary_share(&rolled_back), Weight::ZERO);
        b.handle.shutdown().await;
    });
}

#[test]
fn without_etcd_reads_are_answered_and_called_stale_and_changes_are_refused() {
    let server = Server::start();
    server.runtime.block_on(async {
        let a = start(&server, "a").await;
        a.leads().await;
        a.steer(Action::Start).await.unwrap();
        let b = start(&server, "b").await;
        b.follows("a").await;
        b.shows("10%").await;

        server.stop();
        let nobody = |now: &Leadership| *now == Leadership::Follower { leader: None };
        a.until("the leader steps down when its lease is over", nobody).await;
        b.until("nobody is known to lead", nobody).await;
        for one in [&a, &b] {
            let stale = async {
                loop {
                    let (status, answer) = one.http("GET", "/v1/services/shop", "").await;
                    assert!(status == 200 && answer.contains(r#""v2":"10%""#), "{answer}");
                    if answer.contains("x-serin-stale-seconds: ") {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(SOON, stale).await.expect("reads are called stale");
            let (status, answer) =
                one.http("POST", "/v1/services/shop/rollout", r#"{"action":"abort"}"#).await;
            assert!(status == 503 && answer.contains("nobody leads"), "{answer}");
        }
        assert_eq!(
            canary_share(a.pushed.lock().unwrap().last().unwrap()),
            weight("10%"),
            "proxies go on as they are"
        );
        a.handle.shutdown().await;
        b.handle.shutdown().await;
    });
}

#[test]
fn who_begins_without_etcd_says_that_it_knows_nothing_rather_than_what_is_not_so() {
    let server = Server::start();
    server.runtime.block_on(async {
        let a = start(&server, "a").await;
        a.leads().await;
        a.steer(Action::Start).await.unwrap();
        a.shows("10%").await;
        server.stop();
        let b = start(&server, "b").await;
        for path in ["/v1/services/shop", "/v1/plan", "/v1/services/shop/rollout"] {
            let (status, answer) = b.http("GET", path, "").await;
            assert!(status == 503 && answer.contains("not-read-yet"), "{path}: {answer}");
        }
        a.handle.shutdown().await;
        b.handle.shutdown().await;
    });
}
