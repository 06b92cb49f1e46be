//! Versions, their endpoints, and how long those may take.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    Surroundings, all, endpoint,
    range::{within, within_if_any, within_or},
    section, tls,
};
use crate::{
    address::Address,
    endpoint::{Discovery, EndpointPolicy},
    limits::{ENDPOINTS_MAX, TIMEOUT_MAX, VERSIONS_MAX},
    name::VersionName,
    problem::{Place, Problems, Reported},
    raw::{
        self,
        decode::{Element, Field, List, Named, Spanned},
        leaf::OrNone,
    },
    service::{Sticky, TimeoutChanges, Timeouts, Version},
    tls::{EndpointTls, HttpProtocol},
};

const RIGHT: &str = "write its versions, such as \"versions: { v1: { endpoints: [127.0.0.1:9001] } }\"";
const ENDPOINTS_RIGHT: &str =
    "write where it runs, such as \"endpoints: [127.0.0.1:9001]\" or \"dns: shop.internal:8080\"";
const SHORTEST: Duration = Duration::from_millis(1);

/// The names that roles and weights may use, whatever else is wrong with the versions; none where
/// they are not all known, or too many, which [`check_all`] reports.
pub(super) fn names(field: &Field<Named<VersionName, raw::Version>>) -> Option<BTreeSet<VersionName>> {
    let entries = &field.given()?.value.0;
    if entries.is_empty() || entries.len() > VERSIONS_MAX {
        return None;
    }
    entries.iter().map(|entry| entry.name.as_ref().ok().map(|name| name.value.clone())).collect()
}

/// All versions of a service; at least one. An endpoint belongs to one of them.
pub(super) fn check_all(
    field: Field<Named<VersionName, raw::Version>>,
    key: &Place,
    shared: &Shared<'_>,
    problems: &mut Problems,
) -> Result<Vec<Version>, Reported> {
    let Spanned { place, value: Named(entries) } = field.required("versions", key, problems, RIGHT)?;
    if entries.is_empty() {
        return Err(problems.add(&place, "there is no version", RIGHT));
    }
    if entries.len() > VERSIONS_MAX {
        let wrong = format!("there are {} versions", entries.len());
        return Err(problems.add(&place, wrong, format!("write at most {VERSIONS_MAX}")));
    }
    let mut taken = HashMap::new();
    let each = entries.into_iter().map(|entry| {
        let raw = entry.value.map(|raw| raw.value);
        check(
            entry.name.map(|name| name.value),
            raw?,
            &entry.place,
            &entry.text,
            &mut taken,
            shared,
            problems,
        )
    });
    all(each.collect())
}

/// What a service says for all of its versions.
pub(super) struct Shared<'a> {
    /// None if it is wrong.
    pub(super) policy: Option<&'a EndpointPolicy>,
    /// None if it is wrong.
    pub(super) sticky: Option<&'a Sticky>,
    pub(super) around: &'a Surroundings<'a>,
}

fn check(
    name: Result<VersionName, Reported>,
    raw: raw::Version,
    key: &Place,
    text: &str,
    taken: &mut HashMap<Address, String>,
    shared: &Shared<'_>,
    problems: &mut Problems,
) -> Result<Version, Reported> {
    let (listed, dns, file) = (raw.endpoints.optional(), raw.dns.optional(), raw.endpoints_file.optional());
    let found = match (listed, dns, file) {
        (Ok(None), Ok(None), Ok(None)) => Err(problems.add(key, "\"endpoints\" is missing", ENDPOINTS_RIGHT)),
        (Ok(Some(listed)), Ok(None), Ok(None)) => {
            check_endpoints(listed, text, taken, problems).map(|endpoints| (endpoints, None))
        }
        (Ok(None), Ok(Some(name)), Ok(None)) => Ok((Vec::new(), Some(Discovery::Dns(name.value)))),
        (Ok(None), Ok(None), Ok(Some(path))) => {
            endpoint::file(&path, shared.around.base_dir, problems).map(|file| (Vec::new(), Some(file)))
        }
        (Err(reported), ..) | (_, Err(reported), _) | (.., Err(reported)) => Err(reported),
        _ => {
            let right = "write one of endpoints, dns and endpoints_file";
            Err(problems.add(key, "its endpoints can be found in one way only", right))
        }
    };
    let protocol = raw.protocol.or(HttpProtocol::default());
    let tls = match raw.tls.optional() {
        Ok(Some(raw)) => {
            let (endpoints, discovery) = found.as_ref().map_or((&[][..], &None), |(e, d)| (&e[..], d));
            let tls = tls::check_endpoint(raw, endpoints, shared.around, problems);
            tls.map(|tls| Some(named_as_found(tls, discovery.as_ref())))
        }
        Ok(None) => Ok(None),
        Err(reported) => Err(reported),
    };
    let trace_sampling = raw.trace_sampling.optional().map(|given| given.map(|share| share.value));
    let fields = endpoint::Fields {
        balance: raw.balance,
        hash_header: raw.hash_header,
        slow_start: raw.slow_start,
        health: raw.health,
        outlier: raw.outlier,
    };
    let default = EndpointPolicy::default();
    let inherited = shared.policy.unwrap_or(&default);
    let endpoint_policy = endpoint::check_policy(fields, inherited, shared.sticky, problems);
    let (endpoints, discovery) = found?;
    let (protocol, tls, trace_sampling) = (protocol?, tls?, trace_sampling?);
    let endpoint_policy = endpoint_policy?;
    Ok(Version {
        protocol,
        tls,
        trace_sampling,
        discovery,
        endpoint_policy,
        ..Version::new(name?, endpoints)
    })
}

/// Endpoints that are found by a name have certificates for that name.
fn named_as_found(mut tls: EndpointTls, discovery: Option<&Discovery>) -> EndpointTls {
    if let (None, Some(Discovery::Dns(name))) = (&tls.server_name, discovery) {
        tls.server_name = Some(name.host.trim_end_matches('.').to_ascii_lowercase());
    }
    tls
}

fn check_endpoints(
    Spanned { place, value: List(items) }: Spanned<List<Address>>,
    version: &str,
    taken: &mut HashMap<Address, String>,
    problems: &mut Problems,
) -> Result<Vec<Address>, Reported> {
    if items.is_empty() {
        return Err(problems.add(&place, "there is no endpoint", ENDPOINTS_RIGHT));
    }
    if items.len() > ENDPOINTS_MAX {
        let wrong = format!("there are {} endpoints", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {ENDPOINTS_MAX}")));
    }
    all(items.into_iter().map(|item| check_endpoint(item, version, taken, problems)).collect())
}

fn check_endpoint(
    item: Element<Address>,
    version: &str,
    taken: &mut HashMap<Address, String>,
    problems: &mut Problems,
) -> Result<Address, Reported> {
    let Spanned { place, value: address } = item?;
    if matches!(address, Address::Tcp(address) if address.port() == 0) {
        let right = "write the port that the version listens on";
        return Err(problems.add(&place, format!("{address} has no port that can be called"), right));
    }
    if let Some(other) = taken.insert(address.clone(), version.into()) {
        let whose = if other == version { "this version".into() } else { format!("version \"{other}\"") };
        let right = "write each endpoint once in a service: what one address does can't be told apart";
        return Err(problems.add(&place, format!("{address} is an endpoint of {whose} already"), right));
    }
    Ok(address)
}

/// Timeouts: from a millisecond to a day, or none where a wait without an end makes sense.
pub(super) fn check_timeouts(
    field: Field<raw::Timeouts>,
    problems: &mut Problems,
) -> Result<Timeouts, Reported> {
    let (raw, default) = (section(field)?, Timeouts::default());
    let connect = within_or(raw.connect, SHORTEST..=TIMEOUT_MAX, default.connect, problems);
    let header = or_none(raw.header, default.header, problems);
    let idle = or_none(raw.idle, default.idle, problems);
    let total = or_none(raw.total, default.total, problems);
    let tunnel = or_none(raw.tunnel, default.tunnel, problems);
    Ok(Timeouts { connect: connect?, header: header?, idle: idle?, total: total?, tunnel: tunnel? })
}

/// Timeouts of a route: those that are given.
pub(super) fn check_timeout_changes(
    field: Field<raw::Timeouts>,
    problems: &mut Problems,
) -> Result<TimeoutChanges, Reported> {
    let raw = section(field)?;
    let connect = within_if_any(raw.connect, SHORTEST..=TIMEOUT_MAX, problems);
    let mut change = |field: Field<OrNone>| match field {
        Field::Absent => Ok(None),
        given => or_none(given, None, problems).map(Some),
    };
    let (header, idle) = (change(raw.header), change(raw.idle));
    let (total, tunnel) = (change(raw.total), change(raw.tunnel));
    Ok(TimeoutChanges { connect: connect?, header: header?, idle: idle?, total: total?, tunnel: tunnel? })
}

fn or_none(
    field: Field<OrNone>,
    default: Option<Duration>,
    problems: &mut Problems,
) -> Result<Option<Duration>, Reported> {
    match field.optional()? {
        None => Ok(default),
        Some(Spanned { value: OrNone(None), .. }) => Ok(None),
        Some(Spanned { place, value: OrNone(Some(value)) }) => {
            within(&Spanned { place, value }, SHORTEST..=TIMEOUT_MAX, problems).map(Some)
        }
    }
}
