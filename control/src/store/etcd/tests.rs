//! What only etcd can do wrong; the rest is the contract, which is tried here too. All of it speaks to a real etcd.

use std::{cell::Cell, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serin_config::{
    secret::Secret,
    settings::Etcd,
    tls::{CertificateFiles, EndpointTls},
};
use tokio::time::timeout;

use super::{server::Server, *};
use crate::{
    journal::Entry,
    store::{
        contract::{Ground, PROMISES},
        tests::{commit_of, first, rolling},
    },
};

struct Place<'a> {
    server: &'a Server,
    prefix: Prefix,
    term: Cell<i64>,
}

impl<'a> Place<'a> {
    fn new(server: &'a Server, prefix: &str) -> Self {
        let prefix = Prefix::new(prefix);
        let term = Cell::new(server.elect(&prefix));
        Self { server, prefix, term }
    }

    fn store(&self) -> EtcdStore {
        self.server.store(&self.prefix, self.term.get())
    }
}

impl Ground for Place<'_> {
    fn begin(&self) -> Box<dyn Engine> {
        Box::new(self.store())
    }

    fn found(&self) -> Box<dyn Engine> {
        Box::new(self.store())
    }
}

#[test]
fn etcd_keeps_what_a_store_promises() {
    let server = Server::start();
    for (number, (promise, keep)) in PROMISES.into_iter().enumerate() {
        println!("{promise}");
        keep(&Place::new(&server, &format!("contract-{number}")));
    }
}

#[test]
fn whoever_no_longer_leads_writes_nothing_though_he_has_not_noticed() {
    let server = Server::start();
    let place = Place::new(&server, "fencing");
    let deposed = Arc::new(Notify::new());
    let mut old = place.store().telling(deposed.clone());
    let begun = first();
    old.write(&commit_of(&begun)).unwrap();
    let told =
        || server.runtime.block_on(async { timeout(Duration::ZERO, deposed.notified()).await.is_ok() });
    assert!(!told());
    place.term.set(server.elect(&place.prefix));
    let decision = rolling(&begun.state);
    let refused = old.write(&commit_of(&decision)).unwrap_err();
    assert!(matches!(refused, StoreError::Deposed), "{refused}");
    assert!(told(), "whoever keeps its lease");
    let mut new = place.store();
    assert_eq!(new.load().unwrap().stored.generation, begun.state.plan.generation());
    new.write(&commit_of(&decision)).unwrap();
    let refused = old.write(&Commit::of_evidence(Generation(2), 2, BTreeMap::new())).unwrap_err();
    assert!(matches!(refused, StoreError::Deposed), "evidence neither: {refused}");
    let refused = old.write(&commit_of(&decision)).unwrap_err();
    assert!(matches!(refused, StoreError::Deposed), "nor what is there already: {refused}");
}

#[test]
fn a_commit_that_was_carried_out_is_known_though_its_answer_was_lost() {
    let server = Server::start();
    let place = Place::new(&server, "lost");
    let store = place.store();
    let meta =
        Meta { schema: SCHEMA, generation: Generation(1), next_rollout: 1, commit: "a".into(), large: None };
    server.runtime.block_on(async {
        let mut known = store.look().await.unwrap();
        let before = known.revision;
        assert!(store.write_meta(&mut known, &meta, &[]).await.is_ok());
        let after = known.revision;
        known.revision = before;
        assert!(store.write_meta(&mut known, &meta, &[]).await.is_ok(), "the same, sent again");
        assert_eq!(known.revision, after);
        known.revision = before;
        let other = Meta { commit: "b".into(), ..meta };
        assert!(matches!(store.write_meta(&mut known, &other, &[]).await, Err(Failed::Changed)));
    });
}

#[test]
fn a_large_commit_holds_whole_or_not_at_all_wherever_its_writer_ends() {
    let server = Server::start();
    let begun = first();
    let entry = rolling(&begun.state).entries[0].clone();
    let entries = (3..=2_000).map(|sequence| Entry { sequence, ..entry.clone() });
    let decision = rolling(&begun.state);
    let commit = Commit { entries: entries.collect(), ..commit_of(&decision) };
    for steps in 0..4 {
        let place = Place::new(&server, &format!("large-{steps}"));
        let mut writer = place.store();
        writer.write(&commit_of(&begun)).unwrap();
        server.runtime.block_on(break_off_after(&mut writer, &commit, steps));

        // Whoever is elected next.
        place.term.set(server.elect(&place.prefix));
        let mut next = place.store();
        let loaded = next.load().unwrap();
        let holds = steps >= 2;
        let expected = if holds { decision.state.plan.generation() } else { begun.state.plan.generation() };
        assert_eq!(loaded.stored.generation, expected, "after {steps} steps");
        let last = loaded.entries.last().unwrap().sequence;
        assert_eq!(last, if holds { 2_000 } else { 2 }, "after {steps} steps");
        assert_eq!(loaded.stored.services["shop"].live().is_some(), holds, "after {steps} steps");

        let after = Commit::of_evidence(loaded.stored.generation, 2, BTreeMap::new());
        next.write(&after).unwrap();
        let again = place.store().load().unwrap();
        assert_eq!(again.entries.len(), loaded.entries.len(), "all are in their places");
        let image = server.runtime.block_on(read_image(&place.server.client(), &place.prefix)).unwrap().0;
        assert!(!holds || !image.has_large(), "what is in its place is cleared away");
    }
}

/// Does so many steps of a large commit: laid down, named, and the first values in their places.
async fn break_off_after(store: &mut EtcdStore, commit: &Commit, steps: usize) {
    let mut known = store.look().await.unwrap();
    let mut meta = Meta {
        schema: SCHEMA,
        generation: commit.generation,
        next_rollout: commit.next_rollout,
        commit: "large".into(),
        large: None,
    };
    let changes = commit::changes(commit, &known.pieces, &mut known.sizes).unwrap();
    let changes = in_pieces(changes, &mut known.pieces);
    let all = Changes { changes };
    let parts: Vec<Vec<u8>> = all.encode_to_vec().chunks(ETCD_PIECE_BYTES_MAX).map(<[u8]>::to_vec).collect();
    if steps >= 1 {
        for (number, part) in parts.iter().enumerate() {
            let put = Change { name: piece("large/large", number), value: Some(part.clone()) };
            assert!(store.transact(&known, vec![store.op(&put)]).await.is_ok());
        }
    }
    if steps >= 2 {
        meta.large = Some(parts.len());
        assert!(store.write_meta(&mut known, &meta, &[]).await.is_ok());
    }
    if steps >= 3 {
        let first: Vec<RequestOp> = all.changes.iter().take(50).map(|change| store.op(change)).collect();
        assert!(store.transact(&known, first).await.is_ok());
    }
}

#[test]
fn an_etcd_that_is_gone_is_named_with_its_members() {
    let server = Server::start();
    let place = Place::new(&server, "gone");
    let mut store = place.store();
    store.write(&commit_of(&first())).unwrap();
    let address = server.address;
    let handle = server.runtime.handle().clone();
    let client = server.client();
    let prefix = place.prefix.clone();
    let term = place.term.get();
    let mut orphan = EtcdStore::new(client, prefix, term, handle);
    server.stop();
    let error = orphan.write(&Commit::of_evidence(Generation(1), 1, BTreeMap::new())).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("most of its members"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_checkpoint_that_is_large_keeps_the_next_one_away_for_as_long_as_the_rate_asks() {
    let server = Server::start();
    let place = Place::new(&server, "rate");
    let mut store = place.store();
    store.write(&commit_of(&first())).unwrap();
    let bytes = 600_000;
    let chunk = crate::history::Chunk { number: 0, bytes: vec![7; bytes] };
    let history = BTreeMap::from([(1, vec![chunk])]);
    let nothing = || Commit::of_evidence(Generation(1), 1, BTreeMap::new());
    let written = store.write(&Commit { history, ..nothing() }).unwrap();
    let least = 1_000 * bytes as u64 / ETCD_WRITE_BYTES_PER_SECOND;
    assert!((least..least + 100).contains(&written.rest_ms), "{written:?}");
    assert!(store.write(&nothing()).unwrap().rest_ms < 10, "a small one does not");
}

#[test]
fn etcd_is_spoken_to_by_name_and_password_and_says_which_is_wrong() {
    let server = Server::start();
    let place = Place::new(&server, "users");
    let (name, password) = (r#"{"name":"root","password":"s3cret"}"#, "s3cret");
    server.ask("/v3/auth/user/add", name);
    server.ask("/v3/auth/role/add", r#"{"name":"root"}"#);
    server.ask("/v3/auth/user/grant", r#"{"user":"root","role":"root"}"#);
    server.ask("/v3/auth/enable", "{}");
    let store = |user: Option<&str>| {
        let user = user.map(|password| ("root".to_owned(), Secret::new(password.to_owned())));
        let client = Client::new(Etcd { user, ..server.settings() });
        EtcdStore::new(client, place.prefix.clone(), place.term.get(), server.runtime.handle().clone())
    };
    store(Some(password)).write(&commit_of(&first())).unwrap();
    for wrong in [None, Some("guess")] {
        let refused = store(wrong).write(&commit_of(&first())).unwrap_err().to_string();
        assert!(refused.contains("user") && !refused.contains("guess"), "{refused}");
    }
}

#[test]
fn etcd_is_spoken_to_by_tls_with_a_certificate_on_either_side() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    std::fs::write(file("ca.pem"), authority.self_signed(&authority_key).unwrap().pem()).unwrap();
    let authority = Issuer::new(authority, authority_key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        own.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = own.signed_by(&key, &authority).unwrap();
        std::fs::write(file(&format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    let arguments = [
        format!("--cert-file={}", file("server.crt").display()),
        format!("--key-file={}", file("server.key").display()),
        format!("--trusted-ca-file={}", file("ca.pem").display()),
        "--client-cert-auth".to_owned(),
    ];
    let pair = CertificateFiles { cert: file("client.crt"), key: file("client.key") };
    let tls = EndpointTls { ca: Some(file("ca.pem")), server_name: None, client_certificate: Some(pair) };
    let server = Server::start_with("https", &arguments, Some(tls.clone()));
    let place = Place::new(&server, "tls");
    place.store().write(&commit_of(&first())).unwrap();

    let nameless = EndpointTls { client_certificate: None, ..tls };
    let client = Client::new(Etcd { tls: Some(nameless), ..server.settings() });
    let runtime = server.runtime.handle().clone();
    let mut stranger = EtcdStore::new(client, place.prefix.clone(), place.term.get(), runtime);
    let refused = stranger.write(&commit_of(&first())).unwrap_err();
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused}");
}
