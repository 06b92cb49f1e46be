//! Where the endpoints of a version are found, and how they are looked after.
//!
//! A service says how the endpoints of all its versions are looked after; a version may say otherwise, field
//! by field.

use std::{path::Path as FilePath, time::Duration};

use super::range::{within_if_any, within_or};
use crate::{
    address::Address,
    endpoint::{
        Balance, Discovery, Dns, EndpointPolicy, HealthCheck, OutlierPolicy, Probe, StatusRange, SuccessRate,
    },
    limits as l,
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, List, Spanned, Switch},
        endpoint::BalanceName,
        leaf::OrNone,
    },
    service::Sticky,
    weight::Weight,
};

const PROBE_RIGHT: &str = "write one of http: { path: /healthz }, grpc: {} and tcp: {}";

/// The fields that a service and each of its versions have.
pub(super) struct Fields {
    pub(super) balance: Field<BalanceName>,
    pub(super) hash_header: Field<String>,
    pub(super) slow_start: Field<OrNone>,
    pub(super) health: Field<Switch<raw::Health>>,
    pub(super) outlier: Field<Switch<raw::Outlier>>,
}

/// A policy: `default`, but for what the fields say. None of `sticky` is a sticky key that is wrong itself.
pub(super) fn check_policy(
    fields: Fields,
    default: &EndpointPolicy,
    sticky: Option<&Sticky>,
    problems: &mut Problems,
) -> Result<EndpointPolicy, Reported> {
    let balance = balance(fields.balance, fields.hash_header, &default.balance, sticky, problems);
    let slow_start = slow_start(fields.slow_start, default, &balance, problems);
    let health = match fields.health.optional() {
        Ok(None) => Ok(default.health.clone()),
        Ok(Some(Spanned { value: Switch::Off, .. })) => Ok(None),
        Ok(Some(Spanned { value: Switch::On(raw), place })) => health(raw, &place, problems).map(Some),
        Err(reported) => Err(reported),
    };
    let outlier = match fields.outlier.optional() {
        Ok(None) => Ok(default.outlier),
        Ok(Some(Spanned { value: Switch::Off, .. })) => Ok(None),
        Ok(Some(Spanned { value: Switch::On(raw), place })) => outlier(raw, &place, problems).map(Some),
        Err(reported) => Err(reported),
    };
    Ok(EndpointPolicy { balance: balance?, slow_start: slow_start?, health: health?, outlier: outlier? })
}

fn balance(
    name: Field<BalanceName>,
    header: Field<String>,
    default: &Balance,
    sticky: Option<&Sticky>,
    problems: &mut Problems,
) -> Result<Balance, Reported> {
    let (name, header) = (name.optional(), header.optional());
    let (name, header) = (name?, header?);
    let ring = match &name {
        Some(name) => name.value == BalanceName::RingHash,
        None => matches!(default, Balance::RingHash { .. }),
    };
    if !ring {
        if let Some(header) = header {
            let right = "write balance: ring_hash beside it, or leave it out";
            return Err(problems.add(&header.place, "only ring_hash looks at a header", right));
        }
        return Ok(match name.map(|name| name.value) {
            None => default.clone(),
            Some(BalanceName::RoundRobin) => Balance::RoundRobin,
            Some(BalanceName::LeastRequest) => Balance::LeastRequest,
            Some(BalanceName::P2c | BalanceName::RingHash) => Balance::P2c,
        });
    }
    let inherited = match default {
        Balance::RingHash { header } => header.clone(),
        _ => None,
    };
    let header = match &header {
        Some(given) => Some(super::sticky::token(given, "header", problems)?.to_ascii_lowercase()),
        None => inherited,
    };
    if let (None, Some(Sticky::Random), Some(name)) = (&header, sticky, &name) {
        let right = "write hash_header: NAME beside it, or what the service is sticky by";
        return Err(problems.add(&name.place, "ring_hash has no key: the service is not sticky", right));
    }
    Ok(Balance::RingHash { header })
}

fn slow_start(
    field: Field<OrNone>,
    default: &EndpointPolicy,
    balance: &Result<Balance, Reported>,
    problems: &mut Problems,
) -> Result<Option<Duration>, Reported> {
    let ring = matches!(balance, Ok(Balance::RingHash { .. }));
    match field.optional()? {
        None => Ok(default.slow_start.filter(|_| !ring)),
        Some(Spanned { value: OrNone(None), .. }) => Ok(None),
        Some(Spanned { place, .. }) if ring => {
            let right = "leave it out, or choose another way to balance";
            Err(problems.add(&place, "with ring_hash the key decides, and not a share that grows", right))
        }
        Some(Spanned { place, value: OrNone(Some(value)) }) => {
            let range = l::SLOW_START_MIN..=l::SLOW_START_MAX;
            super::range::within(&Spanned { place, value }, range, problems).map(Some)
        }
    }
}

fn health(raw: raw::Health, place: &Place, problems: &mut Problems) -> Result<HealthCheck, Reported> {
    let probe = probe(raw.http, raw.grpc, raw.tcp, place, problems);
    let default = HealthCheck::new(Probe::Tcp);
    let interval =
        within_or(raw.interval, l::HEALTH_INTERVAL_MIN..=l::HEALTH_INTERVAL_MAX, default.interval, problems);
    let timeout =
        within_or(raw.timeout, l::HEALTH_TIMEOUT_MIN..=l::HEALTH_TIMEOUT_MAX, default.timeout, problems);
    let rise = count(raw.rise, 1, l::HEALTH_STREAK_MAX, default.rise, problems);
    let fall = count(raw.fall, 1, l::HEALTH_STREAK_MAX, default.fall, problems);
    Ok(HealthCheck { probe: probe?, interval: interval?, timeout: timeout?, rise: rise?, fall: fall? })
}

fn probe(
    http: Field<raw::HttpProbe>,
    grpc: Field<raw::GrpcProbe>,
    tcp: Field<raw::Nothing>,
    place: &Place,
    problems: &mut Problems,
) -> Result<Probe, Reported> {
    let (http, grpc, tcp) = (http.optional(), grpc.optional(), tcp.optional());
    match (http?, grpc?, tcp?) {
        (Some(http), None, None) => http_probe(http.value, problems),
        (None, Some(grpc), None) => {
            let service = text(grpc.value.service, "a gRPC service", problems)?.unwrap_or_default();
            Ok(Probe::Grpc { service })
        }
        (None, None, Some(_)) => Ok(Probe::Tcp),
        (None, None, None) => Err(problems.add(place, "it is not said what is asked", PROBE_RIGHT)),
        _ => Err(problems.add(place, "one check can ask one thing only", PROBE_RIGHT)),
    }
}

fn http_probe(raw: raw::HttpProbe, problems: &mut Problems) -> Result<Probe, Reported> {
    let path = match raw.path.optional() {
        Ok(None) => Ok("/".into()),
        Ok(Some(path)) if is_path(&path.value) => Ok(path.value),
        Ok(Some(Spanned { place, value })) => {
            let wrong = format!("\"{}\" is not a path", shown(&value));
            let right = "begin it with \"/\", and write what is not visible ASCII as %XX";
            Err(problems.add(&place, wrong, right))
        }
        Err(reported) => Err(reported),
    };
    let status = raw.status.or(StatusRange::DEFAULT);
    let host = text(raw.host, "a host", problems);
    Ok(Probe::Http { path: path?, status: status?, host: host? })
}

fn is_path(text: &str) -> bool {
    text.starts_with('/') && text.len() <= l::PROBE_TEXT_MAX && !text.contains('#') && is_visible(text)
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn text(field: Field<String>, what: &str, problems: &mut Problems) -> Result<Option<String>, Reported> {
    match field.optional()? {
        None => Ok(None),
        Some(given) if given.value.len() <= l::PROBE_TEXT_MAX && is_visible(&given.value) => {
            Ok(Some(given.value))
        }
        Some(Spanned { place, value }) => {
            let right = format!("use at most {} visible ASCII characters without spaces", l::PROBE_TEXT_MAX);
            Err(problems.add(&place, format!("\"{}\" can't be {what}", shown(&value)), right))
        }
    }
}

fn outlier(raw: raw::Outlier, place: &Place, problems: &mut Problems) -> Result<OutlierPolicy, Reported> {
    let default = OutlierPolicy::default();
    let most = l::OUTLIER_CONSECUTIVE_MAX;
    let consecutive = match within_if_any(raw.consecutive_failures, 0..=u64::from(most), problems) {
        Ok(None) => Ok(default.consecutive_failures),
        Ok(Some(given)) => Ok(u32::try_from(given).ok().filter(|count| *count > 0)),
        Err(reported) => Err(reported),
    };
    let success_rate = match raw.success_rate.optional() {
        Ok(None) => Ok(default.success_rate),
        Ok(Some(Spanned { value: Switch::Off, .. })) => Ok(None),
        Ok(Some(Spanned { value: Switch::On(raw), .. })) => success_rate(raw, problems).map(Some),
        Err(reported) => Err(reported),
    };
    let mut time =
        |field, default| within_or(field, l::OUTLIER_INTERVAL_MIN..=l::EJECTION_LONGEST, default, problems);
    let interval = time(raw.interval, default.interval);
    let base_ejection = time(raw.base_ejection, default.base_ejection);
    let max_given = raw.max_ejection.given().is_some();
    let max_ejection = time(raw.max_ejection, default.max_ejection);
    let max_ejected = within_or(raw.max_ejected, Weight::ZERO..=Weight::WHOLE, default.max_ejected, problems);
    let (base_ejection, mut max_ejection) = (base_ejection?, max_ejection?);
    if max_ejection < base_ejection {
        if max_given {
            let right = "write a max_ejection that is at least the base_ejection";
            return Err(problems.add(place, "the longest ejection is shorter than the first", right));
        }
        max_ejection = base_ejection;
    }
    Ok(OutlierPolicy {
        consecutive_failures: consecutive?,
        success_rate: success_rate?,
        interval: interval?,
        base_ejection,
        max_ejection,
        max_ejected: max_ejected?,
    })
}

fn success_rate(raw: raw::SuccessRate, problems: &mut Problems) -> Result<SuccessRate, Reported> {
    let default = SuccessRate::default();
    let endpoints = count(raw.min_endpoints, 2, l::SUCCESS_RATE_COUNT_MAX, default.min_endpoints, problems);
    let requests = count(raw.min_requests, 1, l::SUCCESS_RATE_COUNT_MAX, default.min_requests, problems);
    let deviations = within_or(raw.deviations, 0.1..=10.0, default.deviations, problems);
    Ok(SuccessRate { min_endpoints: endpoints?, min_requests: requests?, deviations: deviations? })
}

fn count(
    field: Field<u64>,
    least: u32,
    most: u32,
    default: u32,
    problems: &mut Problems,
) -> Result<u32, Reported> {
    let given = within_or(field, least.into()..=most.into(), default.into(), problems)?;
    Ok(u32::try_from(given).unwrap_or(most))
}

/// The file of a version's endpoints, relative to the configuration's directory.
pub(super) fn file(
    Spanned { place, value }: &Spanned<String>,
    base_dir: &FilePath,
    problems: &mut Problems,
) -> Result<Discovery, Reported> {
    if value.is_empty() {
        return Err(problems.add(
            place,
            "the path is empty",
            "write the path of a file that lists addresses",
        ));
    }
    Ok(Discovery::File(base_dir.join(value)))
}

/// Whom names are asked of.
pub(super) fn check_dns(field: Field<raw::Dns>, problems: &mut Problems) -> Result<Dns, Reported> {
    let (raw, default) = (super::section(field)?, Dns::default());
    let resolvers = match raw.resolvers.optional() {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(given)) => resolvers(given, problems),
        Err(reported) => Err(reported),
    };
    let mut time = |field, default| within_or(field, l::DNS_TTL_LEAST..=l::DNS_TTL_MOST, default, problems);
    let max_given = raw.max_ttl.given().map(|given| given.place.clone());
    let min_ttl = time(raw.min_ttl, default.min_ttl);
    let max_ttl = time(raw.max_ttl, default.max_ttl);
    let timeout = within_or(raw.timeout, l::DNS_TIMEOUT_MIN..=l::DNS_TIMEOUT_MAX, default.timeout, problems);
    let (min_ttl, mut max_ttl) = (min_ttl?, max_ttl?);
    if max_ttl < min_ttl {
        if let Some(place) = max_given {
            let right = "write a max_ttl that is at least the min_ttl";
            return Err(problems.add(&place, "it is shorter than min_ttl", right));
        }
        max_ttl = min_ttl;
    }
    Ok(Dns { resolvers: resolvers?, min_ttl, max_ttl, timeout: timeout? })
}

fn resolvers(
    Spanned { place, value: List(items) }: Spanned<List<Address>>,
    problems: &mut Problems,
) -> Result<Vec<std::net::SocketAddr>, Reported> {
    if items.is_empty() || items.len() > l::DNS_RESOLVERS_MAX {
        let right = format!("write 1 to {} addresses, or leave it out", l::DNS_RESOLVERS_MAX);
        return Err(problems.add(&place, format!("there are {} resolvers", items.len()), right));
    }
    let each = items.into_iter().map(|item| match item? {
        Spanned { value: Address::Tcp(address), .. } if address.port() > 0 => Ok(address),
        Spanned { place, value } => {
            let wrong = format!("{value} is not where a resolver listens");
            Err(problems.add(&place, wrong, "write IP:PORT, such as 127.0.0.53:53"))
        }
    });
    super::all(each.collect())
}
