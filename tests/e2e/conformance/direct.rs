//! The foreign clients and servers with nothing between them: what does not hold here says nothing about Serin.

use crate::harness::python::{Server, python};

#[test]
fn the_grpc_client_and_server_agree() {
    let server = Server::start("grpc_server.py", &["127.0.0.1:0"]);
    python("grpc_client.py", &[server.address()]);
}

#[test]
fn the_websocket_client_and_server_agree() {
    let server = Server::start("websocket_server.py", &["127.0.0.1:0"]);
    python("websocket_client.py", &[server.address()]);
}
