//! What a service does when a version fails, hangs or has too much to do.

use std::time::Duration;

use super::{
    all,
    range::{within, within_if_any, within_or},
    section, switched,
};
use crate::{
    limits::{
        BACKOFF_MAX, CONCURRENCY_MAX, FALLBACK_BYTES_MAX, FALLBACK_FIELDS_MAX, PENDING_MAX, REPLAY_BYTES_MAX,
        RETRIES_MAX, TIMEOUT_MAX,
    },
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, List, Named, Spanned, Switch, Toggle},
        leaf::{FieldName, OrNone, OrOff},
    },
    resilience::{AdaptiveConcurrency, Breaker, Fallback, Hang, Resilience, Retries, RetrySet, Tripwire},
};

const SHORTEST: Duration = Duration::from_millis(1);

/// The fields of a service that are checked here.
pub(super) struct Parts {
    pub(super) retries: Field<Switch<raw::Retries>>,
    pub(super) shield: Field<bool>,
    pub(super) breaker: Field<raw::Breaker>,
    pub(super) adaptive_concurrency: Field<Toggle<raw::AdaptiveConcurrency>>,
    pub(super) tripwire: Field<Switch<raw::Tripwire>>,
}

/// All of it; what the file leaves out has its default.
pub(super) fn check(parts: Parts, problems: &mut Problems) -> Result<Resilience, Reported> {
    let retries = switched(parts.retries, Retries::default(), |raw, _| retries(raw, problems));
    let shield = parts.shield.or(false);
    let breaker = section(parts.breaker).and_then(|raw| breaker(raw, problems));
    let adaptive_concurrency = match parts.adaptive_concurrency.optional() {
        Ok(None | Some(Spanned { value: Toggle::Off, .. })) => Ok(None),
        Ok(Some(Spanned { place, value: Toggle::On(raw) })) => adaptive(raw, &place, problems).map(Some),
        Err(reported) => Err(reported),
    };
    let tripwire = switched(parts.tripwire, Tripwire::default(), |raw, place| tripwire(raw, place, problems));
    Ok(Resilience {
        retries: retries?,
        shield: shield?,
        breaker: breaker?,
        adaptive_concurrency: adaptive_concurrency?,
        tripwire: tripwire?,
    })
}

fn retries(raw: raw::Retries, problems: &mut Problems) -> Result<Retries, Reported> {
    let default = Retries::default();
    let attempts = within_or(raw.attempts, 1..=RETRIES_MAX, default.attempts.into(), problems);
    let on = match raw.on.optional() {
        Ok(None) => Ok(default.on),
        Ok(Some(Spanned { place, value: List(items) })) if items.is_empty() => Err(problems.add(
            &place,
            "there is nothing to try again after",
            "write what to try again after, such as [connect_fail, unsent], or \"retries: off\"",
        )),
        Ok(Some(Spanned { value: List(items), .. })) => {
            let each = items.into_iter().map(|item| item.map(|item| item.value)).collect();
            all(each).map(RetrySet::of)
        }
        Err(reported) => Err(reported),
    };
    let per_try_timeout = match raw.per_try_timeout.optional() {
        Ok(None) => Ok(default.per_try_timeout),
        Ok(Some(Spanned { value: OrNone(None), .. })) => Ok(None),
        Ok(Some(Spanned { place, value: OrNone(Some(value)) })) => {
            within(&Spanned { place, value }, SHORTEST..=TIMEOUT_MAX, problems).map(Some)
        }
        Err(reported) => Err(reported),
    };
    let place = raw.max_backoff.given().or(raw.backoff.given()).map(|given| given.place.clone());
    let backoff = within_or(raw.backoff, Duration::ZERO..=BACKOFF_MAX, default.backoff, problems);
    let max_backoff = within_or(raw.max_backoff, Duration::ZERO..=BACKOFF_MAX, default.max_backoff, problems);
    let backoffs = backoff.and_then(|backoff| {
        let max_backoff = max_backoff?;
        match place {
            Some(place) if max_backoff < backoff => Err(problems.add(
                &place,
                "the longest wait is shorter than the first",
                "write a max_backoff that is at least the backoff",
            )),
            _ => Ok((backoff, max_backoff)),
        }
    });
    let budget = raw.budget.or(default.budget);
    let floor = within_or(raw.budget_floor, 0..=1_000, default.budget_floor.into(), problems);
    let max_body = within_or(raw.max_body, 0..=REPLAY_BYTES_MAX as u64, default.max_body as u64, problems);
    let (backoff, max_backoff) = backoffs?;
    Ok(Retries {
        attempts: small(attempts?),
        on: on?,
        per_try_timeout: per_try_timeout?,
        backoff,
        max_backoff,
        budget: budget?,
        budget_floor: small(floor?),
        max_body: size(max_body?),
    })
}

fn breaker(raw: raw::Breaker, problems: &mut Problems) -> Result<Breaker, Reported> {
    let default = Breaker::default();
    let most = CONCURRENCY_MAX as u64;
    let max_requests = within_if_any(raw.max_requests, 1..=most, problems);
    let max_connections = within_if_any(raw.max_connections, 1..=most, problems);
    let max_pending =
        within_or(raw.max_pending, 0..=PENDING_MAX as u64, default.max_pending as u64, problems);
    let pending_timeout =
        within_or(raw.pending_timeout, SHORTEST..=TIMEOUT_MAX, default.pending_timeout, problems);
    let fallback = match raw.fallback.optional() {
        Ok(given) => given.map(|given| fallback(given.value, problems)).transpose(),
        Err(reported) => Err(reported),
    };
    Ok(Breaker {
        max_requests: max_requests?.map(size),
        max_connections: max_connections?.map(size),
        max_pending: size(max_pending?),
        pending_timeout: pending_timeout?,
        fallback: fallback?,
    })
}

fn fallback(raw: raw::Fallback, problems: &mut Problems) -> Result<Fallback, Reported> {
    let status = within_or(raw.status, 200..=599, 503, problems);
    let body = match raw.body.optional() {
        Ok(Some(given)) if given.value.len() > FALLBACK_BYTES_MAX => Err(problems.add(
            &given.place,
            format!("the body has {} bytes", given.value.len()),
            format!("write at most {FALLBACK_BYTES_MAX}"),
        )),
        Ok(given) => Ok(given.map(|given| given.value).unwrap_or_default()),
        Err(reported) => Err(reported),
    };
    let headers = match raw.headers.optional() {
        Ok(Some(given)) => headers(given, problems),
        Ok(None) => Ok(Vec::new()),
        Err(reported) => Err(reported),
    };
    let (status, body) = (status?, body?);
    Ok(Fallback { status: u16::try_from(status).unwrap_or(503), body, headers: headers? })
}

fn headers(
    Spanned { place, value: Named(entries) }: Spanned<Named<FieldName, String>>,
    problems: &mut Problems,
) -> Result<Vec<(String, String)>, Reported> {
    if entries.len() > FALLBACK_FIELDS_MAX {
        let wrong = format!("there are {} header fields", entries.len());
        return Err(problems.add(&place, wrong, format!("write at most {FALLBACK_FIELDS_MAX}")));
    }
    let each = entries.into_iter().map(|entry| {
        let (name, value) = (entry.name, entry.value);
        let (name, value) = (name?, value?);
        if is_framing(&name.value.0) {
            let wrong = format!("\"{}\" belongs to the connection, not to the answer", name.value.0);
            return Err(problems.add(&name.place, wrong, "leave it out; Serin frames its own answers"));
        }
        let printable = |c: char| c == '\t' || !c.is_control();
        if !value.value.chars().all(printable) || value.value.trim() != value.value {
            let wrong = format!("\"{}\" can't be the value of a header field", shown(&value.value));
            return Err(problems.add(&value.place, wrong, "write one line without spaces around it"));
        }
        Ok((name.value.0, value.value))
    });
    all(each.collect())
}

fn is_framing(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

fn adaptive(
    raw: raw::AdaptiveConcurrency,
    place: &Place,
    problems: &mut Problems,
) -> Result<AdaptiveConcurrency, Reported> {
    let default = AdaptiveConcurrency::default();
    let range = || 1..=CONCURRENCY_MAX as u64;
    let min = within_or(raw.min, range(), default.min as u64, problems);
    let max = within_or(raw.max, range(), default.max as u64, problems);
    let initial = within_if_any(raw.initial, range(), problems);
    let tolerance = within_or(raw.tolerance, 1.0..=10.0, default.tolerance, problems);
    let (min, max, initial, tolerance) = (size(min?), size(max?), initial?.map(size), tolerance?);
    if min > max {
        let wrong = format!("min ({min}) is above max ({max})");
        return Err(problems.add(place, wrong, "write a min that is at most max"));
    }
    let initial = match initial {
        Some(initial) if !(min..=max).contains(&initial) => {
            let wrong = format!("initial ({initial}) is not between min ({min}) and max ({max})");
            return Err(problems.add(place, wrong, "write a value between them, or leave it out"));
        }
        Some(initial) => initial,
        None => default.initial.clamp(min, max),
    };
    Ok(AdaptiveConcurrency { min, max, initial, tolerance })
}

fn tripwire(raw: raw::Tripwire, place: &Place, problems: &mut Problems) -> Result<Tripwire, Reported> {
    let default = Tripwire::default();
    let connect_failures = or_off(raw.connect_failures, default.connect_failures.map(u64::from), problems);
    let timeouts = or_off(raw.timeouts, default.timeouts.map(u64::from), problems);
    let failed_requests = or_off(raw.failed_requests, default.failed_requests, problems);
    let hang = switched(raw.hang, Hang::default(), |raw, _| {
        let default = Hang::default();
        let requests = within_or(raw.requests, 1..=CONCURRENCY_MAX as u64, default.requests, problems);
        let silence =
            within_or(raw.silence, Duration::from_millis(100)..=TIMEOUT_MAX, default.silence, problems);
        Ok(Hang { requests: requests?, silence: silence? })
    });
    let tripwire = Tripwire {
        connect_failures: connect_failures?.map(small),
        timeouts: timeouts?.map(small),
        failed_requests: failed_requests?,
        hang: hang?,
    };
    let off = Tripwire { connect_failures: None, timeouts: None, failed_requests: None, hang: None };
    if tripwire == off {
        return Err(problems.add(place, "nothing can trip this wire", "write \"tripwire: off\""));
    }
    Ok(tripwire)
}

fn or_off(
    field: Field<OrOff>,
    default: Option<u64>,
    problems: &mut Problems,
) -> Result<Option<u64>, Reported> {
    match field.optional()? {
        None => Ok(default),
        Some(Spanned { value: OrOff(None), .. }) => Ok(None),
        Some(Spanned { place, value: OrOff(Some(value)) }) => {
            within(&Spanned { place, value }, 1..=1_000_000_000, problems).map(Some)
        }
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
