//! gRPC by its official library on both sides: unary, client-, server- and bidirectional streaming, metadata, deadlines,
//! cancellation and error statuses, over HTTP/2 in clear and over TLS, to servers over TCP, TLS and a Unix socket.

use super::rig::{Back, Ground, Rig};
use crate::harness::{
    beside,
    python::{Server, python},
};

#[test]
fn grpc_passes_from_every_way_in_to_every_way_out() {
    let _machine = beside();
    let ground = Ground::new();
    let unix = format!("unix:{}", ground.directory.path().join("grpc").display());
    let (cert, key) = (ground.identity.cert.display().to_string(), ground.identity.key.display().to_string());
    let servers = [
        (Back::Clear2, Server::start("grpc_server.py", &["127.0.0.1:0"])),
        (Back::Tls2, Server::start("grpc_server.py", &["127.0.0.1:0", "--cert", &cert, "--key", &key])),
        (Back::Unix2, Server::start("grpc_server.py", &[&unix])),
    ];
    let services: Vec<_> =
        servers.iter().map(|(back, server)| (*back, server.address().parse().expect("an address"))).collect();
    let rig = Rig::before(ground, &services);
    let ca = rig.authority.file().display().to_string();
    for (back, _) in &services {
        let host = format!("{}.test", back.name());
        python("grpc_client.py", &[&rig.serin.web.to_string(), "--authority", &host]);
        let tls = rig.tls.to_string();
        python("grpc_client.py", &[&tls, "--ca", &ca, "--name", &host, "--authority", &host]);
    }
}
