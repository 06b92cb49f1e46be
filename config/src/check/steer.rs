//! What bends the split: overrides, the mirror, and how the steps of a rollout copy requests.

use std::{collections::BTreeSet, time::Duration};

use super::{all, range::within_or, service::existing, sticky::token};
use crate::{
    limits::{
        CONCURRENCY_MAX, MIRROR_BODY_DEFAULT, MIRROR_BODY_MAX, MIRROR_IN_FLIGHT_DEFAULT,
        MIRROR_TIMEOUT_DEFAULT, OVERRIDES_MAX, ROUTE_ITEMS_MAX, TIMEOUT_MAX,
    },
    name::VersionName,
    policy::Copying,
    problem::{Problems, Reported},
    raw::{
        self,
        decode::{Field, List, Spanned},
        size::ByteSize,
    },
    steer::{Mirror, Override, OverrideKey},
    weight::Weight,
};

const SHORTEST: Duration = Duration::from_millis(1);

/// Requests that name their version.
pub(super) fn overrides(
    field: Field<List<raw::Override>>,
    known: &BTreeSet<VersionName>,
    problems: &mut Problems,
) -> Result<Vec<Override>, Reported> {
    let Some(Spanned { place, value: List(items) }) = field.optional()? else { return Ok(Vec::new()) };
    if items.len() > OVERRIDES_MAX {
        let wrong = format!("there are {} overrides", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {OVERRIDES_MAX}")));
    }
    all(items.into_iter().map(|item| pin(item?, known, problems)).collect())
}

fn pin(
    Spanned { place, value: raw }: Spanned<raw::Override>,
    known: &BTreeSet<VersionName>,
    problems: &mut Problems,
) -> Result<Override, Reported> {
    let version = raw
        .version
        .optional()
        .and_then(|given| given.map(|given| existing(&given, known, problems)).transpose());
    let value = raw.value.optional();
    let key = match (raw.header.optional(), raw.cookie.optional()) {
        (Ok(Some(header)), Ok(None)) => {
            token(&header, "header", problems).map(|name| OverrideKey::Header(name.to_ascii_lowercase()))
        }
        (Ok(None), Ok(Some(cookie))) => token(&cookie, "cookie", problems).map(OverrideKey::Cookie),
        (Err(reported), _) | (_, Err(reported)) => Err(reported),
        _ => {
            let wrong = "a request names its version by one header or one cookie";
            Err(problems.add(&place, wrong, "write { header: NAME } or { cookie: NAME }"))
        }
    };
    let (key, value, version) = (key?, value?, version?);
    if let (Some(value), None) = (&value, &version) {
        let wrong = "which version the value pins to is not said";
        return Err(problems.add(&value.place, wrong, "write \"version: NAME\", or leave the value out"));
    }
    Ok(Override { key, value: value.map(|value| value.value), version })
}

/// Who gets copies.
pub(super) fn mirror(
    field: Field<raw::Mirror>,
    known: &BTreeSet<VersionName>,
    problems: &mut Problems,
) -> Result<Option<Mirror>, Reported> {
    let Some(Spanned { place, value: raw }) = field.optional()? else { return Ok(None) };
    let right = "write who gets the copies, such as \"mirror: { version: canary }\"";
    let version = raw.version.required("version", &place, problems, right);
    let version = version.and_then(|version| existing(&version, known, problems));
    let share = within_or(raw.share, Weight::ZERO..=Weight::WHOLE, Weight::WHOLE, problems);
    let in_flight = 1..=CONCURRENCY_MAX as u64;
    let max_in_flight = within_or(raw.max_in_flight, in_flight, MIRROR_IN_FLIGHT_DEFAULT, problems);
    let max_body = body(raw.max_body, problems);
    let timeout = within_or(raw.timeout, SHORTEST..=TIMEOUT_MAX, MIRROR_TIMEOUT_DEFAULT, problems);
    Ok(Some(Mirror {
        version: version?,
        share: share?,
        max_in_flight: max_in_flight?,
        max_body: max_body?,
        timeout: timeout?,
    }))
}

/// How steps with mirror copy requests.
pub(super) fn copying(field: Field<raw::Copying>, problems: &mut Problems) -> Result<Copying, Reported> {
    let Some(Spanned { value: raw, .. }) = field.optional()? else { return Ok(Copying::default()) };
    let default = Copying::default();
    let methods = match raw.methods.optional()? {
        None => Ok(default.methods),
        Some(Spanned { place, value: List(items) }) if items.is_empty() => {
            let right = "write [GET, HEAD, OPTIONS], or leave \"methods\" out";
            Err(problems.add(&place, "no method is copied", right))
        }
        Some(Spanned { place, value: List(items) }) if items.len() > ROUTE_ITEMS_MAX => {
            let right = format!("write at most {ROUTE_ITEMS_MAX}");
            Err(problems.add(&place, format!("there are {} methods", items.len()), right))
        }
        Some(Spanned { value: List(items), .. }) => {
            let each = items.into_iter().map(|item| Ok(item?.value.0)).collect();
            all(each).map(|methods| BTreeSet::from_iter(methods).into_iter().collect())
        }
    };
    let in_flight = 1..=CONCURRENCY_MAX as u64;
    let max_in_flight = within_or(raw.max_in_flight, in_flight, default.max_in_flight, problems);
    let max_body = body(raw.max_body, problems);
    let timeout = within_or(raw.timeout, SHORTEST..=TIMEOUT_MAX, default.timeout, problems);
    Ok(Copying { methods: methods?, max_in_flight: max_in_flight?, max_body: max_body?, timeout: timeout? })
}

fn body(field: Field<ByteSize>, problems: &mut Problems) -> Result<u64, Reported> {
    let Some(Spanned { place, value: ByteSize(bytes) }) = field.optional()? else {
        return Ok(MIRROR_BODY_DEFAULT);
    };
    if bytes <= MIRROR_BODY_MAX {
        return Ok(bytes);
    }
    let right = format!("write at most {}MiB: copies wait in memory", MIRROR_BODY_MAX / (1024 * 1024));
    Err(problems.add(&place, "no request as long as that is copied", right))
}
