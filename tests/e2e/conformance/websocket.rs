//! WebSocket by libraries of others on both sides: over HTTP/1.1 (clear, TLS, Unix socket) and over HTTP/2 (extended
//! CONNECT), to servers over TCP, TLS and a Unix socket.

use super::rig::{Back, Ground, Rig};
use crate::harness::{
    beside,
    python::{Server, python},
};

#[test]
fn websockets_pass_from_every_way_in_to_every_way_out() {
    let _machine = beside();
    let ground = Ground::new();
    let unix = format!("unix:{}", ground.directory.path().join("ws").display());
    let (cert, key) = (ground.identity.cert.display().to_string(), ground.identity.key.display().to_string());
    let servers = [
        (Back::Clear1, Server::start("websocket_server.py", &["127.0.0.1:0"])),
        (Back::Tls1, Server::start("websocket_server.py", &["127.0.0.1:0", "--cert", &cert, "--key", &key])),
        (Back::Unix1, Server::start("websocket_server.py", &[&unix])),
    ];
    let services: Vec<_> =
        servers.iter().map(|(back, server)| (*back, server.address().parse().expect("an address"))).collect();
    let rig = Rig::before(ground, &services);
    let ca = rig.authority.file().display().to_string();
    let (clear, tls, local) =
        (rig.serin.web.to_string(), rig.tls.to_string(), format!("unix:{}", rig.unix.display()));
    for (back, _) in &services {
        let host = format!("{}.test", back.name());
        for script in ["websocket_client.py", "websocket_h2_client.py"] {
            python(script, &[&clear, "--host", &host]);
            python(script, &[&tls, "--host", &host, "--ca", &ca]);
        }
        python("websocket_client.py", &[&local, "--host", &host]);
    }
}
