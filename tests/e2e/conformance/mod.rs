//! The protocols, as clients and servers written by others speak them: curl, nghttp2's tools, the official gRPC
//! library and a WebSocket library, each on its side of Serin.
//!
//! What only raw bytes can show (malformed requests, exact framing) is tested elsewhere in this suite.

mod curl;
mod direct;
mod matrix;
mod rig;
mod rpc;
mod websocket;
