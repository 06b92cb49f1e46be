//! Bodies that stream: nothing is kept but what is on its way, and each side waits for the other.
//!
//! [`request`] goes from the client to the endpoint, [`response`] the other way; [`client`] is what the first
//! tells of the client while it goes, [`streaming`] what the second ends: a connection's use, and an attempt.

mod client;
mod request;
mod response;
mod streaming;

pub(crate) use self::{
    client::ClientSide,
    request::RequestBody,
    response::ResponseBody,
    streaming::{StreamLimits, Streaming},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
