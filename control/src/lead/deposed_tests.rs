//! Leaders whose key in etcd is gone or another's, while their lease is as good as ever: what was stored there was removed,
//! or set back.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serin_config::{Plan, Weight};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    LeaderAddress, Leadership,
    election::{Candidate, Role},
    standing::Heard,
    tests::{SOON, start},
};
use crate::{
    access::CommandError,
    command::{Action, Actor, Command, Request},
    fixtures::{canary_share, catalogue, name, shop, weight},
    keeper::{Event, Keeper},
    store::{
        StoreError,
        etcd::{Prefix, RangeRequest, server::Server},
    },
};

fn address(name: &str) -> LeaderAddress {
    LeaderAddress { name: name.into(), api: Some("http://127.0.0.1:1".into()), fleet: None, pass: None }
}

fn key_of(name: &str) -> Vec<u8> {
    serde_json::to_vec(&address(name)).unwrap()
}

fn prefix(server: &Server) -> Prefix {
    Prefix::new(&server.settings().prefix)
}

/// In which term somebody leads.
async fn term(server: &Server) -> Option<i64> {
    let read = RangeRequest { key: prefix(server).leader(), ..RangeRequest::default() };
    server.client().range(read).await.unwrap().kvs.first().map(|kv| kv.create_revision)
}

#[test]
fn a_leader_whose_key_is_anothers_leads_no_more_though_its_lease_is_good() {
    let server = Server::start();
    server.runtime.block_on(async {
        let a = start(&server, "a").await;
        a.leads().await;
        a.steer(Action::Start).await.unwrap();

        server.elect_as(&prefix(&server), &key_of("b")).await;
        a.follows("b").await;
        let refused = a.steer(Action::Abort).await.unwrap_err();
        assert!(matches!(&refused, CommandError::NotLeader(Some(leader)) if leader.name == "b"), "{refused}");
        let last = a.pushed.lock().unwrap().last().unwrap().clone();
        assert_eq!(canary_share(&last), weight("10%"), "it steers nobody");
        let (_, answer) = a.http("GET", "/v1/plan", "").await;
        assert!(answer.contains("x-serin-role: follower"), "{answer}");
        let (status, answer) = a.http("GET", "/v1/proxies", "").await;
        assert!(status == 503 && answer.contains("http://127.0.0.1:1"), "{answer}");

        server.remove(prefix(&server).leader(), Vec::new()).await;
        a.leads().await;
        a.steer(Action::Abort).await.unwrap();
        a.handle.shutdown().await;
    });
}

#[test]
fn a_leader_whose_key_is_gone_with_all_else_stands_again_at_once_in_a_new_term() {
    let server = Server::start();
    server.runtime.block_on(async {
        let a = start(&server, "a").await;
        a.leads().await;
        a.steer(Action::Start).await.unwrap();
        let before = term(&server).await.unwrap();

        let (from, to) = prefix(&server).range("");
        server.remove(from, to).await;
        // The first plan of a leader is pushed. It reads what is stored, which is nothing, and goes on from the file.
        let begins = async {
            while canary_share(a.pushed.lock().unwrap().last().unwrap()) != Weight::ZERO {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, begins).await.expect("it begins anew");
        a.leads().await;
        assert!(term(&server).await.unwrap() > before);
        assert!(a.steer(Action::Start).await.unwrap().stored);
        a.handle.shutdown().await;
    });
}

#[test]
fn each_renewal_looks_for_the_key_since_a_watch_may_hang() {
    let server = Server::start();
    server.runtime.block_on(async {
        let (role, mut roles) = watch::channel(Role::Follows(None));
        let candidate = Candidate {
            client: server.client(),
            prefix: prefix(&server),
            lease: server.settings().lease,
            own: address("a"),
            vacant: Arc::new(Notify::new()),
            role,
            heard: Heard::begin(),
        };
        let (_tell, stop) = watch::channel(false);
        let stands = tokio::spawn(candidate.stand(stop));
        let leads = |role: &Role| matches!(role, Role::Leads { .. });
        timeout(SOON, roles.wait_for(leads)).await.expect("it is elected").unwrap();
        server.elect_as(&prefix(&server), &key_of("b")).await;
        let follows = |role: &Role| *role == Role::Follows(Some(address("b")));
        timeout(SOON, roles.wait_for(follows)).await.expect("it steps down").unwrap();
        stands.abort();
    });
}

#[test]
fn what_is_taken_out_by_one_who_leads_no_more_is_not_called_in_force() {
    let server = Server::start();
    let prefix = prefix(&server);
    let store = server.store(&prefix, server.elect(&prefix));
    let mut keeper = Keeper::begin(Box::new(store), &catalogue(vec![shop()]), 1_000).unwrap();
    let pushed: Arc<Mutex<Vec<Arc<Plan>>>> = Arc::default();
    let sink = pushed.clone();
    keeper.push_to(Box::new(move |plan| sink.lock().unwrap().push(plan)));
    let mut steer = |action| {
        let command = Command::Rollout { service: name("shop"), action, if_generation: None };
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        let request = Request::new(command, Actor::Api, "because");
        keeper.handle(Event::Order(crate::access::Order { request, reply }), 1_000);
        answer.try_recv().unwrap()
    };
    steer(Action::Start).unwrap();
    server.elect(&prefix);
    let refused = steer(Action::Abort).unwrap_err();
    assert!(matches!(refused, CommandError::Store(StoreError::Deposed)), "{refused}");
    let told = keeper.shown().audit.newest(|entry| entry.fate == crate::audit::Fate::Refused, 9);
    assert!(told.is_empty(), "the API tells of it, and once is enough: {told:?}");
    let last = pushed.lock().unwrap().last().unwrap().clone();
    assert_eq!(canary_share(&last), Weight::ZERO, "nothing of it waits for the one who leads");
}

#[test]
fn whoever_is_told_by_its_store_that_another_one_leads_is_sent_there() {
    let (tell, leadership) = watch::channel(Leadership::Leader);
    let standing = super::standing::Standing::of(leadership, Heard::begin(), None, address("a"));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let known = async {
            tell.send_replace(Leadership::Follower { leader: None });
            tokio::task::yield_now().await;
            tell.send_replace(Leadership::Follower { leader: Some(address("b")) });
        };
        let (another, ()) = tokio::join!(standing.another(), known);
        assert_eq!(another, Some(address("b")));
        tell.send_replace(Leadership::Follower { leader: None });
        assert_eq!(standing.another().await, None, "nobody is known a moment later");
    });
}
