//! How many requests a route takes.

use super::edits::token;
use crate::{
    check::range::{within, within_if_any},
    limits::{RATE_MAX, RATE_MIN},
    problem::{Place, Problems, Reported, shown},
    rate_limit::{LimitKey, RateLimit},
    raw::{
        self,
        decode::{Field, Spanned},
    },
};

/// A rate, a burst and a key.
pub(super) fn check(
    field: Field<raw::RateLimit>,
    problems: &mut Problems,
) -> Result<Option<RateLimit>, Reported> {
    let Some(Spanned { place, value: raw }) = field.optional()? else { return Ok(None) };
    let right = "write how many requests a second are taken, such as \"requests_per_second: 100\"";
    let rate = raw.requests_per_second.required("requests_per_second", &place, problems, right);
    let rate = rate.and_then(|rate| within(&rate, RATE_MIN..=RATE_MAX as f64, problems));
    let burst = within_if_any(raw.burst, 1..=RATE_MAX, problems);
    let key = key(raw.key, problems);
    let (requests_per_second, burst, key) = (rate?, burst?, key?);
    let burst = burst.unwrap_or_else(|| one_second(requests_per_second));
    Ok(Some(RateLimit { requests_per_second, burst, key }))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is above 0 and at most RATE_MAX"
)]
fn one_second(rate: f64) -> u64 {
    (rate.ceil() as u64).max(1)
}

fn key(field: Field<raw::LimitKey>, problems: &mut Problems) -> Result<LimitKey, Reported> {
    let Some(Spanned { place, value }) = field.optional()? else { return Ok(LimitKey::Route) };
    match value {
        raw::LimitKey::Word(word) => match &*word {
            "route" => Ok(LimitKey::Route),
            "client_address" => Ok(LimitKey::ClientAddress),
            _ => {
                let right = "write route, client_address or { header: NAME }";
                Err(problems.add(&place, format!("\"{}\" has no buckets", shown(&word)), right))
            }
        },
        raw::LimitKey::Header(field) => header(field, &place, problems),
    }
}

fn header(field: Field<String>, place: &Place, problems: &mut Problems) -> Result<LimitKey, Reported> {
    let given = field.required("header", place, problems, "write { header: NAME }")?;
    let name = token(&given.value, "header", &given.place, problems)?;
    Ok(LimitKey::Header(name.to_ascii_lowercase()))
}
