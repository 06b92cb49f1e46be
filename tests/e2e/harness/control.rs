//! The control API, as a client sees it.

use std::{io, net::SocketAddr};

use serde_json::{Value, json};
use serin_config::Weight;

use super::{
    SOON,
    config::SERVICE,
    http::{self, Reply},
    until,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Control(pub(crate) SocketAddr);

/// What the API says of the service at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) generation: u64,
    pub(crate) canary: Weight,
}

impl Control {
    /// The plan's generation and the canary's weight; an error while nobody answers.
    pub(crate) fn now(self) -> io::Result<Now> {
        let reply = http::get(self.0, &format!("/v1/services/{SERVICE}"))?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        Ok(read(&reply.json()))
    }

    /// Asks for a split, `v2` at `canary`, if the plan is still at `if_generation`.
    pub(crate) fn set_canary(self, canary: Weight, if_generation: u64) -> io::Result<Reply> {
        let body = json!({
            "weights": { "v1": canary.complement(), "v2": canary },
            "if_generation": if_generation,
        });
        http::call(self.0, "PUT", &format!("/v1/services/{SERVICE}/weights"), Some(&body))
    }

    /// Starts the rollout. Asks again where nobody can answer just now: a connection breaks, or a leader is being elected.
    pub(crate) fn start_rollout(self) {
        let path = format!("/v1/services/{SERVICE}/rollout");
        until(SOON, "the rollout starts", || {
            let asked = http::call(self.0, "POST", &path, Some(&json!({ "action": "start" })));
            let Some(reply) = asked.ok().filter(|reply| reply.status != 503) else { return false };
            // What was asked before may have been done although its answer was lost.
            let done = reply.status == 409 && reply.body.contains("rollout-in-progress");
            assert!(done || (200..300).contains(&reply.status), "{}: {}", reply.status, reply.body);
            true
        });
    }

    /// The rollout as it is.
    pub(crate) fn rollout(self) -> Value {
        let reply = http::get(self.0, &format!("/v1/services/{SERVICE}/rollout")).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    /// All decisions on the service.
    pub(crate) fn journal(self) -> Vec<Value> {
        let reply = http::get(self.0, &format!("/v1/journal?service={SERVICE}&limit=1000")).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["entries"].as_array().cloned().unwrap_or_else(|| panic!("no entries: {}", reply.body))
    }
}

/// Reads generation and canary weight from the API's form of a service.
pub(crate) fn read(service: &Value) -> Now {
    let generation = service["generation"].as_u64().unwrap_or_else(|| panic!("no generation: {service}"));
    let canary = service["weights"]["v2"].as_str().unwrap_or_else(|| panic!("no weight of v2: {service}"));
    Now { generation, canary: canary.parse().unwrap() }
}
