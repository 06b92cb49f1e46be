//! Tokens and certificates: made, shown, taken back; and what is sent twice.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::json;
use serin_config::{
    Grant, Role,
    grant::{CertificateGrant, CertificateName},
    secret::Secret,
    tls::{CertificateFiles, ClientCertificates, ListenerTls, TlsVersion},
};

use crate::{
    fixtures::name,
    world::{Reply, World, shop_in},
};

const ADMIN: &str = "the-admin-of-the-file";

fn guarded(directory: &Path) -> serin_config::Config {
    let mut config = shop_in(directory);
    config.control.token = Some(Secret::new(ADMIN.into()));
    config
}

#[test]
fn a_token_is_shown_once_works_and_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let config = guarded(directory.path());
    let world = World::start(&config);
    let wanted =
        json!({ "name": "ci", "role": "operator", "services": ["shop"], "expires_in_seconds": 3600 });
    let made = world.ask(Some(ADMIN), "POST", "/v1/tokens", Some(&wanted));
    assert_eq!(made.status, 201, "{made:?}");
    assert!(made.head.contains("cache-control: no-store"), "{made:?}");
    let (id, token) = (made.json()["id"].clone(), made.json()["token"].as_str().unwrap().to_owned());
    let (id, secret) = (id.as_str().unwrap().to_owned(), token.rsplit('_').next().unwrap().to_owned());

    let listed = world.ask(Some(ADMIN), "GET", "/v1/tokens", None);
    let row = &listed.json()["tokens"][0];
    assert_eq!((&row["id"], &row["name"], &row["services"]), (&json!(id), &json!("ci"), &json!(["shop"])));
    assert_eq!(row["created_by"], json!({ "name": "control.token", "from": "127.0.0.1" }));
    assert!(!listed.body.contains(&secret) && !listed.body.contains("digest"), "{}", listed.body);
    let again = world.ask(Some(ADMIN), "POST", "/v1/tokens", Some(&wanted));
    assert_eq!(again.problem(409), "name-taken");

    let start = json!({ "action": "start", "reason": "v2 is out" });
    assert_eq!(world.ask(Some(&token), "POST", "/v1/services/shop/rollout", Some(&start)).status, 200);
    let journal = world.ask(Some(&token), "GET", "/v1/journal?limit=1", None).json();
    assert_eq!(journal["entries"][0]["who"], json!({ "name": "ci", "from": "127.0.0.1", "token": id }));
    assert_eq!(journal["entries"][0]["actor"], "api");
    world.stop();

    // It outlives a restart, and nothing of it is in the store.
    let world = World::start(&config);
    assert_eq!(world.ask(Some(&token), "GET", "/v1/services/shop", None).status, 200);
    let kept = std::fs::read(directory.path().join("state.redb")).unwrap();
    assert!(!kept.windows(secret.len()).any(|window| window == secret.as_bytes()));
    let path = format!("/v1/tokens/{id}");
    assert_eq!(world.ask(Some(ADMIN), "DELETE", &path, None).status, 204);
    assert_eq!(world.ask(Some(&token), "GET", "/v1/services/shop", None).problem(401), "unauthorized");
    assert_eq!(world.ask(Some(ADMIN), "DELETE", &path, None).problem(404), "no-such-token");
    world.stop();
}

#[test]
fn what_is_wrong_with_a_token_that_is_wanted_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&guarded(directory.path()));
    let ask = |body| world.ask(Some(ADMIN), "POST", "/v1/tokens", Some(&body));
    assert_eq!(ask(json!({ "name": "two words", "role": "viewer" })).problem(422), "not-a-name");
    assert_eq!(ask(json!({ "name": "ci", "role": "owner" })).problem(400), "malformed-body");
    assert_eq!(
        ask(json!({ "name": "ci", "role": "viewer", "services": ["blog"] })).problem(422),
        "no-such-service"
    );
    assert_eq!(ask(json!({ "name": "ci", "role": "viewer", "services": [] })).problem(422), "no-services");
    assert_eq!(
        ask(json!({ "name": "ci", "role": "viewer", "expires_in_seconds": 1 })).problem(422),
        "not-a-life"
    );
    assert_eq!(
        ask(json!({ "name": "ci", "role": "viewer", "if_generation": 9 })).problem(409),
        "stale-generation"
    );
    assert_eq!(world.ask(Some(ADMIN), "DELETE", "/v1/tokens/nonsense", None).problem(404), "no-such-token");
    assert_eq!(world.ask(Some(ADMIN), "GET", "/v1/tokens", None).json()["tokens"], json!([]));
    world.stop();
}

#[test]
fn lists_go_on_where_the_last_page_ended() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&guarded(directory.path()));
    for n in 0..5 {
        world.token(ADMIN, &format!("t{n}"), "viewer", None);
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/tokens?limit=2".to_owned());
    loop {
        let page = world.ask(Some(ADMIN), "GET", &path, None).json();
        seen.extend(
            page["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/tokens?limit=2&after={next}");
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
    world.stop();
}

#[test]
fn a_change_that_is_sent_twice_with_one_key_is_done_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = shop_in(directory.path());
    let world = World::start(&config);
    let send = |world: &World, key: &str, body: &str| {
        let headers = format!("content-type: application/json\r\nidempotency-key: {key}\r\n");
        world.send("POST", "/v1/services/shop/rollout", &headers, body)
    };
    let start = json!({ "action": "start" }).to_string();
    let first = send(&world, "a", &start);
    assert_eq!((first.status, &first.json()["repeated"]), (200, &json!(false)), "{first:?}");
    let generation = first.json()["generation"].clone();
    assert_eq!(world.steer(&json!({ "action": "pause" })).status, 200);
    let second = send(&world, "a", &start);
    assert_eq!((second.status, &second.json()["repeated"]), (200, &json!(true)), "{second:?}");
    assert_eq!(second.json()["generation"], generation, "the plan that it made then");
    assert_eq!(second.json()["rollout"]["state"], "paused", "things as they are now");
    let other = json!({ "action": "abort" }).to_string();
    assert_eq!(send(&world, "a", &other).problem(422), "key-taken");
    // What was refused is not remembered: asked again, it is asked anew.
    assert_eq!(send(&world, "b", &start).problem(409), "rollout-in-progress");
    assert_eq!(send(&world, &"k".repeat(300), &start).problem(400), "malformed-header");
    world.stop();
    let world = World::start(&config);
    assert_eq!(send(&world, "a", &start).json()["repeated"], true, "a restart forgets none");
    assert_eq!(world.steer(&json!({ "action": "abort" })).status, 200);
    assert_eq!(send(&world, "b", &start).json()["repeated"], false);
    world.stop();
}

#[test]
fn the_plan_may_stand_in_if_match() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&shop_in(directory.path()));
    let path = "/v1/services/shop/weights";
    let tag = world.get(path);
    assert!(tag.head.contains("etag: \"1\""), "{tag:?}");
    let put = |if_match: &str, body: &str| {
        let headers = format!("content-type: application/json\r\nif-match: {if_match}\r\n");
        world.send("PUT", path, &headers, body)
    };
    let weights = r#"{"weights":{"v1":"90%","v2":"10%"}}"#;
    assert_eq!(put("\"7\"", weights).problem(409), "stale-generation");
    assert_eq!(put("*", weights).problem(400), "malformed-header");
    let both = r#"{"weights":{"v1":"90%","v2":"10%"},"if_generation":2}"#;
    assert_eq!(put("\"1\"", both).problem(422), "two-generations");
    assert_eq!(put("\"1\"", weights).status, 200);
    assert!(world.get(path).head.contains("etag: \"2\""));
    world.stop();
}

#[test]
fn one_caller_s_requests_do_not_take_those_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(&guarded(directory.path()));
    let (greedy, modest) =
        (world.token(ADMIN, "greedy", "viewer", None), world.token(ADMIN, "modest", "viewer", None));
    let mut stream = TcpStream::connect(world.address()).unwrap();
    let request =
        format!("GET /v1/openapi.json HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {greedy}\r\n\r\n");
    // Sent at once, and far more than the bucket holds, so that no slow machine refills it meanwhile.
    let times = 20 * serin_config::limits::API_BURST as usize;
    let mut reader = stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || {
        for _ in 0..times {
            if stream.write_all(request.replace("openapi.json", "nowhere").as_bytes()).is_err() {
                return;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    writing.join().unwrap();
    assert!(text.contains("HTTP/1.1 429") && text.contains("retry-after: 1"), "nobody was told to wait");
    assert_eq!(world.ask(Some(&modest), "GET", "/v1/services", None).status, 200);
    world.stop();
}

struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn sign(&self, common_name: &str, dns: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = vec![SanType::DnsName(dns.try_into().unwrap())];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

fn over_tls(world: &World, authority: &Authority, shown: Option<&(String, String)>, request: &str) -> Reply {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.1.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let config = match shown {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    let name = ServerName::try_from("control.example").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    Reply::to(StreamOwned::new(client, TcpStream::connect(world.address()).unwrap()), request)
}

#[test]
fn a_client_certificate_is_an_identity_with_the_role_that_the_file_gives() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (cert, key) = authority.sign("server", "control.example");
    let mut config = shop_in(directory.path());
    config.control.tls = Some(ListenerTls {
        certificates: vec![CertificateFiles { cert: file("s.crt", &cert), key: file("s.key", &key) }],
        min_version: TlsVersion::Tls13,
        client_certificates: Some(ClientCertificates { ca: file("ca.crt", &authority.1), required: false }),
        http2: false,
    });
    config.control.identities = vec![CertificateGrant {
        name: CertificateName::Dns("ci.example".into()),
        grant: Grant { role: Role::Operator, services: Some([name("shop")].into()) },
    }];
    let world = World::start(&config);
    let request = |method: &str, path: &str, body: &str| {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: control.example\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    };
    let (ci, eve) = (authority.sign("ci", "ci.example"), authority.sign("eve", "eve.example"));
    let read = request("GET", "/v1/services/shop", "");
    assert_eq!(over_tls(&world, &authority, None, &read).problem(401), "unauthorized");
    assert_eq!(over_tls(&world, &authority, Some(&eve), &read).problem(401), "unauthorized");
    assert_eq!(over_tls(&world, &authority, Some(&ci), &read).status, 200);
    let start = request("POST", "/v1/services/shop/rollout", r#"{"action":"start"}"#);
    assert_eq!(over_tls(&world, &authority, Some(&ci), &start).status, 200);
    let tokens = request("GET", "/v1/tokens", "");
    assert_eq!(over_tls(&world, &authority, Some(&ci), &tokens).problem(403), "forbidden");
    let journal = over_tls(&world, &authority, Some(&ci), &request("GET", "/v1/journal?limit=1", "")).json();
    assert_eq!(journal["entries"][0]["who"]["name"], "ci.example");
    // Who speaks in clear is told to speak TLS, and nothing else.
    let told = Reply::to(TcpStream::connect(world.address()).unwrap(), &read);
    assert_eq!(told.problem(400), "not-tls");
    assert!(told.body.contains("ask with https://") && !told.body.contains("shop"), "{told:?}");
    world.stop();
}
