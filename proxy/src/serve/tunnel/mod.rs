//! Connections that change to another protocol: WebSocket, and whatever else a service allows.
//!
//! A client asks by `Upgrade` (HTTP/1.1; RFC 9110, 7.8) or by an extended `CONNECT` (HTTP/2; RFC 8441). Either
//! becomes the request of HTTP/1.1 here, the endpoint is asked in its own protocol, and not one byte passes
//! in either direction before it has agreed: a proxy that forwards earlier lets a refused client speak to the
//! endpoint behind its back. Once it has agreed the two sockets are joined, and the exchange ends with them.
//!
//! [`wish`] reads what the client wants, [`grant`] what the endpoint says to it, [`flow`] moves the bytes.

mod flow;
mod grant;
mod websocket;
mod wish;

pub(crate) use self::{
    flow::Tunnel,
    grant::{Grant, granted},
    wish::{Wish, unfold, wished},
};
