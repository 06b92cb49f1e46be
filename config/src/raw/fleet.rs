//! The two ends of a stream between proxy and control plane, as they are written.

use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf, List},
    leaf::{SecretSource, choice_leaf},
    record::record,
    tls::{EndpointTls, ListenerTls},
};
use crate::{
    address::Address,
    endpoint::DnsName,
    fleet::{ControlEndpoint, Names},
    problem::{nearest, shown},
};

record! {
    /// The listener for proxies that run as processes of their own (serin proxy).
    pub struct Fleet {
        /// Where it listens. Beyond loopback it needs tls, and client_ca in it or a token. Default: 127.0.0.1:9903.
        @ address: Address,
        /// Its TLS. With client_ca each proxy must show a certificate that one of these authorities has signed.
        @ tls: ListenerTls,
        /// The token that each proxy must show: "${NAME}" for an environment variable or "${file:PATH}" for a file,
        /// relative to this file's directory. Default: none is asked for.
        @ token: SecretSource,
        /// Which name (telemetry.instance) a proxy may have that shows a certificate: certificate (the common name or a DNS
        /// name of its certificate) or any (whoever has a certificate may take every proxy's name). Default: certificate.
        @ names: Names,
    }

    /// Where this proxy finds its control plane (serin proxy).
    pub struct Connect {
        /// Where the control planes listen for proxies: IP:PORT, NAME:PORT or unix:/path; at least one. Whichever
        /// leads is used.
        required @ endpoints: List<ControlEndpoint>,
        /// TLS to them; { } is enough. Needed where one of them is not on this machine.
        @ tls: EndpointTls,
        /// The token that this proxy shows: "${NAME}" for an environment variable or "${file:PATH}" for a file,
        /// relative to this file's directory. Default: none.
        @ token: SecretSource,
        /// The file that keeps the last plan, so that the proxy can start while no control plane answers, relative
        /// to this file's directory. Default: serin-plan.json.
        @ cache: String,
    }
}

choice_leaf!(
    Names,
    "certificate or any",
    "which name a proxy may have",
    [("certificate", Self::Certificate), ("any", Self::Any)]
);

impl Leaf for ControlEndpoint {
    const EXPECTED: &'static str =
        "where a control plane listens, such as 10.0.0.5:9903 or control.internal:9903";
    fn read(text: &str) -> Result<Self, Fault> {
        if let Ok(address) = text.parse() {
            return Ok(Self::At(address));
        }
        let wrong = |fault: Fault| Fault::new(fault.wrong, format!("write {}", Self::EXPECTED));
        <DnsName as Leaf>::read(text).map(Self::Named).map_err(wrong)
    }
    fn schema() -> Value {
        json!({ "type": "string", "examples": ["10.0.0.5:9903", "control.internal:9903", "unix:/run/serin.sock"] })
    }
}
