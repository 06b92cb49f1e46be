//! What was written into etcd, read from its history: every commit of every leader, and who led when it was written.
//!
//! etcd keeps overwritten values until it is told to forget them, which this test's control planes don't. So nothing
//! has to be watched meanwhile: the word that each commit leaves (`data/meta`, with the generation and the term) is
//! followed back from the last to the first, and for each it is read who held the leader's key at that very revision.
//! It is asked over etcd's JSON gateway, and so by none of the code under test.

use std::{collections::BTreeMap, net::SocketAddr};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::harness::http;

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) revision: u64,
    pub(super) generation: u64,
    /// In which election's term its writer took itself to lead.
    pub(super) term: u64,
    /// Which store of that process, and which commit of it.
    pub(super) life: u64,
    pub(super) number: u64,
    /// The election whose leader held the key at this revision; none if nobody did.
    pub(super) led: Option<u64>,
}

/// All commits, the oldest first.
pub(super) fn read(member: SocketAddr, prefix: &str) -> Vec<Link> {
    let (meta, leader) = (format!("{prefix}/data/meta/0000"), format!("{prefix}/leader"));
    let mut links = Vec::new();
    let mut at = None;
    while let Some(kv) = range(member, &meta, at) {
        let word: Value =
            serde_json::from_slice(&BASE64.decode(kv["value"].as_str().unwrap()).unwrap()).unwrap();
        let revision = number(&kv["mod_revision"]);
        let commit = word["commit"].as_str().unwrap();
        let part = |index: usize| u64::from_str_radix(commit.split('-').nth(index).unwrap(), 16).unwrap();
        let led = range(member, &leader, Some(revision)).map(|kv| number(&kv["create_revision"]));
        links.push(Link {
            revision,
            generation: word["generation"].as_u64().unwrap(),
            term: part(0),
            life: part(1),
            number: part(2),
            led,
        });
        if kv["version"].as_str() == Some("1") {
            break;
        }
        at = Some(revision - 1);
    }
    links.reverse();
    links
}

/// What a key was at a revision, or is.
fn range(member: SocketAddr, key: &str, revision: Option<u64>) -> Option<Value> {
    let mut body = json!({ "key": BASE64.encode(key) });
    if let Some(revision) = revision {
        body["revision"] = revision.to_string().into();
    }
    let reply = http::call(member, "POST", "/v3/kv/range", Some(&body)).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["kvs"].as_array()?.first().cloned()
}

/// Numbers of 64 bits are text there.
fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

/// What must not be in it.
pub(super) fn problems(links: &[Link]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut lives: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    for link in links {
        if link.led != Some(link.term) {
            problems.push(format!("written by one who did not lead: {link:?}"));
        }
        let before = lives.insert((link.term, link.life), link.number);
        if before.is_some_and(|before| before > link.number) {
            problems.push(format!("a commit after a later one of the same store: {link:?}"));
        }
    }
    for pair in links.windows(2) {
        if pair[1].term < pair[0].term || pair[1].generation < pair[0].generation {
            problems.push(format!("what was written went back: {pair:?}"));
        }
    }
    problems
}

#[test]
fn a_write_of_a_leader_that_no_longer_leads_is_seen() {
    let link =
        |revision, generation, term, led| Link { revision, generation, term, life: 0, number: revision, led };
    let good = [link(5, 1, 4, Some(4)), link(7, 2, 4, Some(4)), link(9, 1_001, 8, Some(8))];
    assert_eq!(problems(&good), [""; 0]);
    let late = [good[0].clone(), good[2].clone(), link(10, 1_002, 4, Some(8))];
    assert_eq!(problems(&late).len(), 2, "{:?}", problems(&late));
    let back = [good[1].clone(), link(9, 1, 8, None)];
    assert_eq!(problems(&back).len(), 2, "{:?}", problems(&back));
}
