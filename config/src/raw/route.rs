//! Routes, as they are written.

use ipnet::IpNet;
use serde_json::{Value as Json, json};

use super::{
    decode::{Decode, Fault, Field, Leaf, List, Named},
    record::record,
    service::Timeouts,
};
use crate::{
    name::{RouteName, ServiceName},
    problem::{Place, Problems, Reported, shown},
    tree::{Node, Value},
};

record! {
    /// A match that leads to a service, or that Serin answers itself: exactly one of service, respond and
    /// redirect. Routes are tried in this order: higher priority; exact host, wildcard host, any host; exact
    /// path, regular expression, longer prefix; more conditions; order of the file.
    pub struct Route {
        /// Its name in metrics and verdicts. Default: the service's name if no other route has it, else
        /// route-1, route-2, …
        @ name: RouteName,
        /// Goes before every route with a lower one, whatever they match. Default: 0.
        @ priority: u64,
        /// The host it serves, without a port: shop.example.com, or *.example.com for hosts with one or more
        /// labels more. Default: any host.
        @ host: String,
        /// The path it serves, exactly. At most one of path, path_prefix and path_regex; each is compared with
        /// the normalised path, and the endpoint gets the path as it was sent.
        @ path: String,
        /// The path prefix it serves, in whole segments: /api takes /api and /api/x but not /apiary.
        /// Default: /
        @ path_prefix: String,
        /// A regular expression for the whole path.
        @ path_regex: String,
        /// One of these methods. Default: any.
        @ methods: List<Method>,
        /// What headers must be, by name: a value, or { prefix: … }, { regex: … } or { present: true }.
        @ headers: Named<String, ValueMatch>,
        /// What parameters of the query must be, by name, percent-decoded.
        @ query: Named<String, ValueMatch>,
        /// What cookies must be, by name.
        @ cookies: Named<String, ValueMatch>,
        /// A client in one of these networks. Behind trusted_proxies it is the client that they name.
        @ client: List<IpNet>,
        /// A verified client certificate with one of these names (URI or DNS); a * at the end stands for any end.
        @ client_certificate: List<String>,
        /// The service it leads to.
        @ service: ServiceName,
        /// An answer by Serin itself.
        @ respond: Respond,
        /// Where the client is sent instead.
        @ redirect: Redirect,
        /// What changes in the request's target on its way to the endpoint.
        @ rewrite: Rewrite,
        /// What changes in the request's head on its way to the endpoint.
        @ request_headers: HeaderEdits,
        /// What changes in the answer's head on its way to the client.
        @ response_headers: HeaderEdits,
        /// Timeouts other than the service's.
        @ timeouts: Timeouts,
        /// How many requests it takes; beyond it they get 429. Default: no limit.
        @ rate_limit: RateLimit,
    }

    /// An answer by Serin itself.
    pub struct Respond {
        /// 200 to 599. Default: 200.
        @ status: u64,
        /// Its body. Default: none.
        @ body: String,
        /// Its headers, by name. Default: content-type text/plain where there is a body.
        @ headers: Named<String, String>,
    }

    /// Where a client is sent. What is left out stays as the client asked for it; the query always does.
    pub struct Redirect {
        /// http or https.
        @ scheme: String,
        /// Another host.
        @ host: String,
        /// Another port. Default: the standard port if scheme or host is given, else the client's.
        @ port: u64,
        /// Another path.
        @ path: String,
        /// Another prefix instead of the one that the route matched.
        @ prefix: String,
        /// 301, 302, 303, 307 or 308. Default: 307, since browsers keep a permanent redirect for ever.
        @ status: u64,
    }

    /// What changes in the target of a request.
    pub struct Rewrite {
        /// Another path.
        @ path: String,
        /// Another prefix instead of the one that the route matched.
        @ prefix: String,
        /// Another host, with a port if the endpoint shall see one.
        @ host: String,
    }

    /// Changes of header fields: what is removed first, then what is set, then what is added.
    pub struct HeaderEdits {
        /// Fields that get this value, instead of whatever there was.
        @ set: Named<String, String>,
        /// Fields of which there shall be one more.
        @ add: Named<String, String>,
        /// Fields that go.
        @ remove: List<String>,
    }

    /// A token bucket, shared by all workers.
    pub struct RateLimit {
        /// Requests a second in the long run.
        required @ requests_per_second: f64,
        /// Requests that may come at once. Default: those of one second, at least 1.
        @ burst: u64,
        /// What has a bucket of its own: route, client_address, or { header: NAME }. Default: route.
        @ key: LimitKey,
    }

    /// A value's form: exactly one of these.
    pub struct ValueForm {
        /// A value that begins so.
        @ prefix: String,
        /// A value that this regular expression matches from end to end.
        @ regex: String,
        /// true: there, with any value; false: not there.
        @ present: bool,
    }

    /// A header whose values have buckets of their own.
    pub struct HeaderKey {
        /// The header.
        required @ header: String,
    }
}

/// What a value must be: itself, or of a form.
#[derive(Debug, Clone)]
pub enum ValueMatch {
    /// This value.
    Exact(String),
    /// A value of this form.
    Form(ValueForm),
}

impl Decode for ValueMatch {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        match &node.value {
            Value::Scalar { .. } => String::decode(node, place, problems).map(Self::Exact),
            _ => ValueForm::decode(node, place, problems).map(Self::Form),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "type": ["string", "number", "boolean"] }, ValueForm::schema()] })
    }
}

/// What has a bucket of its own.
#[derive(Debug, Clone)]
pub enum LimitKey {
    /// `route` or `client_address`.
    Word(String),
    /// Each value of a header.
    Header(Field<String>),
}

impl Decode for LimitKey {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        match &node.value {
            Value::Scalar { .. } => String::decode(node, place, problems).map(Self::Word),
            _ => HeaderKey::decode(node, place, problems).map(|key| Self::Header(key.header)),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "enum": ["route", "client_address"] }, HeaderKey::schema()] })
    }
}

/// A method of HTTP, in capitals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method(pub String);

impl Leaf for Method {
    const EXPECTED: &'static str = "a method such as GET";
    fn read(text: &str) -> Result<Self, Fault> {
        const LENGTH_MAX: usize = 32;
        let formed = (1..=LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        match (formed, &*text.to_ascii_uppercase()) {
            (true, "CONNECT" | "TRACE" | "TRACK") => {
                let wrong = format!("{} is never served", shown(text));
                Err(Fault::new(wrong, "leave it out: such requests are refused before any route"))
            }
            (true, method) if text == method => Ok(Self(text.into())),
            (true, method) => {
                let wrong =
                    format!("\"{}\" has small letters, and methods are told apart by them", shown(text));
                Err(Fault::new(wrong, format!("write {method}")))
            }
            (false, _) => Err(Fault::new(
                format!("\"{}\" is not a method", shown(text)),
                "write one such as GET or POST",
            )),
        }
    }
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Z0-9_-]+$", "examples": ["GET", "POST"] })
    }
}
