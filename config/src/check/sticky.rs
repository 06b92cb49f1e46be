//! What keeps a user on one version.

use crate::{
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, Spanned},
    },
    service::Sticky,
};

const RIGHT: &str = "write one of { cookie: NAME }, { header: NAME } and { client_address: true }";

/// Exactly one key, or nothing at all for a random split.
pub(super) fn check(field: Field<raw::Sticky>, problems: &mut Problems) -> Result<Sticky, Reported> {
    let Some(Spanned { place, value: raw }) = field.optional()? else { return Ok(Sticky::Random) };
    let (cookie, header) = (raw.cookie.optional(), raw.header.optional());
    let client_address = raw.client_address.optional();
    match (cookie?, header?, client_address?) {
        (Some(cookie), None, None) => token(&cookie, "cookie", problems).map(Sticky::Cookie),
        (None, Some(header), None) => {
            token(&header, "header", problems).map(|name| Sticky::Header(name.to_ascii_lowercase()))
        }
        (None, None, Some(Spanned { value: true, .. })) => Ok(Sticky::ClientAddress),
        (None, None, Some(Spanned { place, .. })) => Err(problems.add(
            &place,
            "false keeps nobody on a version",
            "write true, or leave \"sticky\" out",
        )),
        (None, None, None) => Err(problems.add(
            &place,
            "it is not said what keeps a user on one version",
            format!("{RIGHT}, or leave \"sticky\" out"),
        )),
        (a, b, c) => Err(two(&place, [a.is_some(), b.is_some(), c.is_some()], problems)),
    }
}

fn two(place: &Place, present: [bool; 3], problems: &mut Problems) -> Reported {
    let keys = ["cookie", "header", "client_address"].into_iter().zip(present);
    let named: Vec<_> = keys.filter(|(_, present)| *present).map(|(key, _)| key).collect();
    problems.add(place, format!("{} can't all be the key", named.join(" and ")), RIGHT)
}

/// The name of a cookie or header is a token (RFC 9110, 5.6.2; RFC 6265, 4.1.1).
pub(super) fn token(
    given: &Spanned<String>,
    kind: &str,
    problems: &mut Problems,
) -> Result<String, Reported> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !given.value.is_empty() && given.value.bytes().all(is_token) {
        return Ok(given.value.clone());
    }
    let wrong = format!("\"{}\" can't be the name of a {kind}", shown(&given.value));
    Err(problems.add(&given.place, wrong, "use letters, digits and '-' or '_', without spaces"))
}
