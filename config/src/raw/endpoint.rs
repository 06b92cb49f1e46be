//! How the endpoints of a version are found and looked after, as it is written.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    decode::{Decode, Fault, Leaf, List, Switch, entries},
    record::record,
};
use crate::{
    address::Address,
    endpoint::{DnsName, OnUnready, StatusRange},
    limits::{DNS_LABEL_MAX, DNS_NAME_MAX},
    problem::{Place, Problems, Reported, nearest, shown},
    tree::Node,
    weight::Weight,
};

record! {
    /// Whether an endpoint is well: exactly one of http, grpc and tcp, and how often it is asked.
    pub struct Health {
        /// GET a path over HTTP/1.1.
        @ http: HttpProbe,
        /// grpc.health.v1.Health/Check over HTTP/2; SERVING passes.
        @ grpc: GrpcProbe,
        /// {}: whether it accepts a connection.
        @ tcp: Nothing,
        /// From the beginning of one check to that of the next, ±10%. Default: 2s.
        @ interval: Duration,
        /// For the whole check. Default: 1s.
        @ timeout: Duration,
        /// Checks in a row that must pass before an endpoint that was down is used. Default: 2.
        @ rise: u64,
        /// Checks in a row that must fail before an endpoint that was up is left out. Default: 3.
        @ fall: u64,
    }

    /// A request that a healthy endpoint answers well.
    pub struct HttpProbe {
        /// The path, with a query if need be. Default: /.
        @ path: String,
        /// The statuses that pass: one, or FIRST-LAST. Default: 200-399.
        @ status: StatusRange,
        /// The Host header. Default: the endpoint's address.
        @ host: String,
    }

    /// A question by the standard health protocol of gRPC.
    pub struct GrpcProbe {
        /// The service that is asked about. Default: the server as a whole.
        @ service: String,
    }

    /// When an endpoint is left out for a while because its attempts fail.
    pub struct Outlier {
        /// After so many failures in a row; 0 is never. Default: 5.
        @ consecutive_failures: u64,
        /// When it fails much more often than its fellows; off is never. On by default.
        @ success_rate: Switch<SuccessRate>,
        /// How often success rates are compared. Default: 10s.
        @ interval: Duration,
        /// How long the first ejection lasts, the second twice as long, and so on. Default: 30s.
        @ base_ejection: Duration,
        /// The longest that an ejection lasts. Default: 5m.
        @ max_ejection: Duration,
        /// The largest share of the endpoints that is out at once; the last one that is ready always stays.
        /// Default: 50%.
        @ max_ejected: Weight,
    }

    /// An endpoint is left out whose success rate is too far below the mean.
    pub struct SuccessRate {
        /// So many endpoints must have had enough requests. Default: 5.
        @ min_endpoints: u64,
        /// So many requests an endpoint must have had in the interval. Default: 100.
        @ min_requests: u64,
        /// How many standard deviations are too far. Default: 1.9.
        @ deviations: f64,
    }

    /// Whom the names of versions are asked of, and how often.
    pub struct Dns {
        /// The resolvers, IP:PORT. Default: those of /etc/resolv.conf.
        @ resolvers: List<Address>,
        /// A name is not asked for again sooner, however short its TTL. Default: 1s.
        @ min_ttl: Duration,
        /// A name is asked for again by then, however long its TTL. Default: 5m.
        @ max_ttl: Duration,
        /// For one question to one resolver. Default: 2s.
        @ timeout: Duration,
    }
}

/// A map without entries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Decode for Nothing {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        match entries(node, place, problems)? {
            [] => Ok(Self),
            _ => Err(problems.add(
                place,
                "a map stands where {} must",
                "write {}: there is nothing to be set here",
            )),
        }
    }

    fn schema() -> Value {
        json!({ "type": ["object", "null"], "additionalProperties": false })
    }
}

/// The name of a way to choose an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalanceName {
    /// `p2c`
    P2c,
    /// `round_robin`
    RoundRobin,
    /// `least_request`
    LeastRequest,
    /// `ring_hash`
    RingHash,
}

const BALANCES: [(&str, BalanceName); 4] = [
    ("p2c", BalanceName::P2c),
    ("round_robin", BalanceName::RoundRobin),
    ("least_request", BalanceName::LeastRequest),
    ("ring_hash", BalanceName::RingHash),
];

const ON_UNREADY: [(&str, OnUnready); 2] = [("fail", OnUnready::Fail), ("spill", OnUnready::Spill)];

/// One of a few words.
fn one_of<T: Copy>(text: &str, words: &[(&str, T)], what: &str, expected: &str) -> Result<T, Fault> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let right = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write {expected}"),
        };
        Fault::new(format!("\"{}\" is not {what}", shown(text)), right)
    })
}

impl Leaf for BalanceName {
    const EXPECTED: &'static str = "p2c, round_robin, least_request or ring_hash";
    fn read(text: &str) -> Result<Self, Fault> {
        one_of(text, &BALANCES, "a way to choose an endpoint", Self::EXPECTED)
    }
    fn schema() -> Value {
        json!({ "enum": BALANCES.map(|(name, _)| name) })
    }
}

impl Leaf for OnUnready {
    const EXPECTED: &'static str = "fail or spill";
    fn read(text: &str) -> Result<Self, Fault> {
        one_of(text, &ON_UNREADY, "what can be done with a request that finds no endpoint", Self::EXPECTED)
    }
    fn schema() -> Value {
        json!({ "enum": ON_UNREADY.map(|(name, _)| name) })
    }
}

impl Leaf for StatusRange {
    const EXPECTED: &'static str = "a status such as 200, or a range such as 200-399";
    fn read(text: &str) -> Result<Self, Fault> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let range = status(first).zip(status(last));
        range.and_then(|(first, last)| Self::try_new(first, last)).ok_or_else(|| {
            let wrong = format!("\"{}\" is neither a status nor a range of them", shown(text));
            Fault::new(wrong, "write statuses from 100 to 599, such as 200 or 200-399")
        })
    }
    fn schema() -> Value {
        let status = "[1-5][0-9][0-9]";
        json!({
            "type": ["string", "integer"],
            "pattern": format!("^{status}(-{status})?$"),
            "examples": ["200-399", 204],
        })
    }
}

impl Leaf for DnsName {
    const EXPECTED: &'static str = "a name and a port such as shop.internal:8080";
    fn read(text: &str) -> Result<Self, Fault> {
        let named = text.rsplit_once(':').and_then(|(host, port)| {
            let digits = port.bytes().all(|b| b.is_ascii_digit());
            Some((host, port.parse::<u16>().ok().filter(|port| digits && *port > 0)?))
        });
        let Some((host, port)) = named else {
            let wrong = format!("\"{}\" is not a name with a port", shown(text));
            return Err(Fault::new(wrong, "write NAME:PORT, such as shop.internal:8080"));
        };
        if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
            let wrong = format!("\"{}\" is an address, not a name", shown(text));
            return Err(Fault::new(wrong, format!("write endpoints: [\"{}\"]", shown(text))));
        }
        if !is_host(host) {
            let wrong = format!("\"{}\" is not a host name", shown(host));
            let right = format!(
                "use letters, digits, '-' and '_' between dots, {DNS_LABEL_MAX} at most between two and \
                 {DNS_NAME_MAX} in all"
            );
            return Err(Fault::new(wrong, right));
        }
        Ok(Self { host: host.into(), port })
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": r"^[A-Za-z0-9_.-]+:[0-9]+$",
            "examples": ["shop.internal:8080", "shop.default.svc.cluster.local.:80"],
        })
    }
}

/// RFC 1035, 2.3.1 and 2.3.4, with the underscores that services use (RFC 8552).
fn is_host(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let label = |label: &str| {
        (1..=DNS_LABEL_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= DNS_NAME_MAX && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_port_and_is_no_address() {
        let name = |host: &str, port| Ok(DnsName { host: host.into(), port });
        assert_eq!(DnsName::read("shop.internal:8080"), name("shop.internal", 8080));
        assert_eq!(DnsName::read("_http.shop.:80"), name("_http.shop.", 80));
        for wrong in
            ["shop", "shop:", "shop:0", "shop:65536", "shop:+1", ":80", "a..b:80", "a b:80", "[::1]:80"]
        {
            assert!(DnsName::read(wrong).is_err(), "{wrong}");
        }
        assert!(DnsName::read("10.0.0.1:80").unwrap_err().right.contains("endpoints: [\"10.0.0.1:80\"]"));
    }

    #[test]
    fn statuses_are_one_or_a_range() {
        assert_eq!(StatusRange::read("200-399"), Ok(StatusRange::DEFAULT));
        assert_eq!(StatusRange::read("204").unwrap().to_string(), "204");
        for wrong in ["", "2xx", "200-", "-200", "399-200", "99", "600", "200-+300"] {
            assert!(StatusRange::read(wrong).is_err(), "{wrong}");
        }
    }
}
