//! Versions, their endpoints, and how long those may take.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use super::{
    Surroundings, all,
    range::{within, within_or},
    section, tls,
};
use crate::{
    address::Address,
    limits::{TIMEOUT_MAX, VERSIONS_MAX},
    name::VersionName,
    problem::{Place, Problems, Reported},
    raw::{
        self,
        decode::{Element, Field, List, Named, Spanned},
        leaf::OrNone,
    },
    service::{Timeouts, Version},
    tls::HttpProtocol,
};

const RIGHT: &str = "write its versions, such as \"versions: { v1: { endpoints: [127.0.0.1:9001] } }\"";
const ENDPOINTS_RIGHT: &str = "write where it runs, such as \"endpoints: [127.0.0.1:9001]\"";
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
    around: &Surroundings<'_>,
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
        let raw = entry.value?.value;
        let endpoints = raw
            .endpoints
            .required("endpoints", &entry.place, problems, ENDPOINTS_RIGHT)
            .and_then(|endpoints| check_endpoints(endpoints, &entry.text, &mut taken, problems));
        let protocol = raw.protocol.or(HttpProtocol::default());
        let tls = match raw.tls.optional() {
            Ok(Some(raw)) => {
                let endpoints = endpoints.as_deref().unwrap_or_default();
                tls::check_endpoint(raw, endpoints, around, problems).map(Some)
            }
            Ok(None) => Ok(None),
            Err(reported) => Err(reported),
        };
        let trace_sampling = raw.trace_sampling.optional().map(|given| given.map(|share| share.value));
        let (protocol, tls, trace_sampling) = (protocol?, tls?, trace_sampling?);
        Ok(Version { protocol, tls, trace_sampling, ..Version::new(entry.name?.value, endpoints?) })
    });
    all(each.collect())
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
    Ok(Timeouts { connect: connect?, header: header?, idle: idle?, total: total? })
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
