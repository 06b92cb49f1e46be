//! The state in etcd: members that can be reached safely, and a lease that etcd grants.

use std::{net::IpAddr, time::Duration};

use super::{Surroundings, secret, section, tls};
use crate::{
    duration::show,
    limits::{
        COMPACTION_DEFAULT, COMPACTION_MIN, ETCD_ENDPOINTS_MAX, ETCD_PREFIX_CHARS_MAX, LEASE_DEFAULT,
        LEASE_MAX, LEASE_MIN,
    },
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, List, Spanned},
        leaf::OrNone,
    },
    secret::Secret,
    settings::{Advertise, ETCD_PREFIX_DEFAULT, Etcd},
};

const MEMBERS_RIGHT: &str = "write \"endpoints: [10.0.0.1:2379, 10.0.0.2:2379, 10.0.0.3:2379]\"";

pub(super) fn check(
    field: Field<raw::Etcd>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Option<Etcd>, Reported> {
    let Some(Spanned { place, value: raw }) = field.optional()? else { return Ok(None) };
    let tls = match raw.tls.optional() {
        Ok(tls) => tls.map(|tls| tls::check_endpoint(tls, &[], around, problems)).transpose(),
        Err(reported) => Err(reported),
    };
    let plain = matches!(tls, Ok(None));
    let endpoints = members(raw.endpoints, &place, plain, raw.danger_plain.or(false), problems);
    let prefix = prefix(raw.prefix, problems);
    let lease = lease(raw.lease, problems);
    let user = user(raw.user, raw.password, "etcd", around, problems);
    let compaction = compaction(raw.compaction, problems);
    let advertise = advertise(raw.advertise, around, problems);
    Ok(Some(Etcd {
        endpoints: endpoints?,
        prefix: prefix?,
        lease: lease?,
        user: user?,
        tls: tls?,
        compaction: compaction?,
        advertise: advertise?,
    }))
}

fn members(
    field: Field<List<String>>,
    place: &Place,
    plain: bool,
    danger: Result<bool, Reported>,
    problems: &mut Problems,
) -> Result<Vec<Box<str>>, Reported> {
    let Spanned { place, value: List(items) } =
        field.required("endpoints", place, problems, MEMBERS_RIGHT)?;
    if items.is_empty() {
        return Err(problems.add(&place, "there is no member", MEMBERS_RIGHT));
    }
    if items.len() > ETCD_ENDPOINTS_MAX {
        let wrong = format!("there are {} members", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {ETCD_ENDPOINTS_MAX}")));
    }
    let danger = danger?;
    let each = items.into_iter().map(|item| {
        let Spanned { place, value } = item?;
        let Some((host, _)) = host_and_port(&value) else {
            let wrong = format!("\"{}\" is not a member of etcd", shown(&value));
            return Err(problems.add(
                &place,
                wrong,
                "write HOST:PORT such as 10.0.0.1:2379, without http://",
            ));
        };
        if plain && !danger && !is_local(host) {
            let wrong = format!("{} is spoken to over the network in clear", shown(&value));
            let right = "add tls: { } or tls: { ca: PATH }, or set danger_plain: true";
            return Err(problems.add(&place, wrong, right));
        }
        Ok(value.into_boxed_str())
    });
    super::all(each.collect())
}

/// A host and a port; an IPv6 address in brackets.
pub(super) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    let is_name = |text: &str| {
        let label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        !text.is_empty() && text.len() <= crate::limits::DNS_NAME_MAX && text.bytes().all(label)
    };
    (bare.parse::<IpAddr>().is_ok() || is_name(bare)).then_some((bare, port))
}

pub(super) fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn prefix(field: Field<String>, problems: &mut Problems) -> Result<String, Reported> {
    let Some(given) = field.optional()? else { return Ok(ETCD_PREFIX_DEFAULT.into()) };
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    let bare = given.value.trim_matches('/');
    if bare.is_empty() || bare.len() > ETCD_PREFIX_CHARS_MAX || !bare.bytes().all(good) {
        let wrong = format!("\"{}\" is not a prefix of keys", shown(&given.value));
        let right = format!(
            "use 1 to {ETCD_PREFIX_CHARS_MAX} letters, digits, '-', '_', '.' or '/', such as serin/shop"
        );
        return Err(problems.add(&given.place, wrong, right));
    }
    Ok(bare.into())
}

fn lease(field: Field<Duration>, problems: &mut Problems) -> Result<Duration, Reported> {
    let Some(given) = field.optional()? else { return Ok(LEASE_DEFAULT) };
    let whole = given.value.subsec_millis() == 0;
    if whole && (LEASE_MIN..=LEASE_MAX).contains(&given.value) {
        return Ok(given.value);
    }
    let wrong = format!("a lease of {} can't be had from etcd", show(given.value));
    let right = format!("write whole seconds from {} to {}", show(LEASE_MIN), show(LEASE_MAX));
    Err(problems.add(&given.place, wrong, right))
}

/// Who logs in where, with a password.
pub(super) fn user(
    name: Field<String>,
    password: Field<crate::raw::leaf::SecretSource>,
    whom: &str,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Option<(String, Secret)>, Reported> {
    let (name, password) = (name.optional(), password.optional());
    match (name?, password?) {
        (None, None) => Ok(None),
        (Some(name), Some(source)) => {
            let (text, whence) = secret::text(&source, around, problems)?;
            if name.value.is_empty() || text.is_empty() {
                let (place, wrong) = if name.value.is_empty() {
                    (&name.place, "the user has no name".to_owned())
                } else {
                    (&source.place, format!("{whence} is empty"))
                };
                return Err(problems.add(
                    place,
                    wrong,
                    format!("write the user and the password that {whom} knows"),
                ));
            }
            Ok(Some((name.value, Secret::new(text))))
        }
        (Some(name), None) => {
            let right = "write password: \"${NAME}\" or password: \"${file:PATH}\" too";
            Err(problems.add(&name.place, "a user stands here without a password", right))
        }
        (None, Some(source)) => Err(problems.add(
            &source.place,
            "a password stands here without its user",
            "write \"user: …\" too",
        )),
    }
}

fn compaction(field: Field<OrNone>, problems: &mut Problems) -> Result<Option<Duration>, Reported> {
    let Some(Spanned { place, value: OrNone(given) }) = field.optional()? else {
        return Ok(Some(COMPACTION_DEFAULT));
    };
    match given {
        Some(every) if every < COMPACTION_MIN => {
            let wrong = format!("to compact every {} costs etcd more than it saves", show(every));
            Err(problems.add(&place, wrong, format!("write {} or more, or none", show(COMPACTION_MIN))))
        }
        given => Ok(given),
    }
}

fn advertise(
    field: Field<raw::Advertise>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Advertise, Reported> {
    let raw = section(field)?;
    let api = raw.api.optional().and_then(|given| given.map(|api| url(&api, problems)).transpose());
    let fleet =
        raw.fleet.optional().and_then(|given| given.map(|fleet| place_of(&fleet, problems)).transpose());
    let ca = raw.ca.optional();
    let ca = ca.and_then(|given| given.map(|ca| tls::authorities(&ca, around, problems)).transpose());
    Ok(Advertise { api: api?, fleet: fleet?, ca: ca? })
}

fn url(given: &Spanned<String>, problems: &mut Problems) -> Result<String, Reported> {
    let text = given.value.trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if host.and_then(host_and_port).is_some() {
        return Ok(text.into());
    }
    let wrong = format!("\"{}\" does not say where the API is", shown(&given.value));
    Err(problems.add(
        &given.place,
        wrong,
        "write https://HOST:PORT or http://HOST:PORT, and nothing behind it",
    ))
}

fn place_of(given: &Spanned<String>, problems: &mut Problems) -> Result<String, Reported> {
    if host_and_port(&given.value).is_some() {
        return Ok(given.value.clone());
    }
    let wrong = format!("\"{}\" does not say where proxies connect to", shown(&given.value));
    Err(problems.add(&given.place, wrong, "write HOST:PORT such as control-1.internal:9903"))
}
