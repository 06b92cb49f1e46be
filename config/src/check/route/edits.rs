//! Changes of header fields: names and values that can't break a message.

use std::collections::HashSet;

use crate::{
    check::{all, section},
    filter::HeaderEdits,
    limits::{ROUTE_ITEMS_MAX, VALUE_BYTES_MAX},
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, List, Named, Spanned},
    },
};

/// Whose head is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Request,
    Response,
}

/// Removals, then fields that are set, then fields that are added.
pub(super) fn check(
    field: Field<raw::HeaderEdits>,
    of: Of,
    problems: &mut Problems,
) -> Result<HeaderEdits, Reported> {
    let raw = section(field)?;
    let (set, add) = (fields(raw.set, of, problems), fields(raw.add, of, problems));
    let remove = raw.remove.or(List(Vec::new())).and_then(|List(items)| {
        all(items
            .into_iter()
            .map(|item| item.and_then(|item| name(&item.value, &item.place, of, problems)))
            .collect())
    });
    Ok(HeaderEdits { remove: remove?, set: set?, add: add? })
}

/// Header fields by name; each name once.
pub(super) fn fields(
    field: Field<Named<String, String>>,
    of: Of,
    problems: &mut Problems,
) -> Result<Vec<(String, String)>, Reported> {
    let Some(Spanned { place, value: Named(entries) }) = field.optional()? else { return Ok(Vec::new()) };
    if entries.len() > ROUTE_ITEMS_MAX {
        let wrong = format!("there are {} header fields", entries.len());
        return Err(problems.add(&place, wrong, format!("write at most {ROUTE_ITEMS_MAX}")));
    }
    let mut seen = HashSet::new();
    let each = entries.into_iter().map(|entry| {
        let name = name(&entry.text, &entry.place, of, problems).and_then(|name| {
            if seen.insert(name.clone()) {
                return Ok(name);
            }
            let wrong = format!("\"{}\" stands twice", shown(&name));
            Err(problems.add(&entry.place, wrong, "write each field once: case does not tell names apart"))
        });
        let value = entry.value.and_then(|given| value(&given, problems));
        Ok((name?, value?))
    });
    all(each.collect())
}

/// The name of a header or cookie is a token (RFC 9110, 5.6.2; RFC 6265, 4.1.1).
pub(super) fn token<'a>(
    text: &'a str,
    kind: &str,
    place: &Place,
    problems: &mut Problems,
) -> Result<&'a str, Reported> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.len() <= VALUE_BYTES_MAX && text.bytes().all(is_token) {
        return Ok(text);
    }
    let wrong = format!("\"{}\" can't be the name of a {kind}", shown(text));
    Err(problems.add(place, wrong, "use letters, digits and '-' or '_', without spaces"))
}

/// A header that may be changed: not one that frames the message or belongs to one hop, nor what only Serin says.
fn name(text: &str, place: &Place, of: Of, problems: &mut Problems) -> Result<String, Reported> {
    let name = token(text, "header", place, problems)?.to_ascii_lowercase();
    let framing = "it frames the message or belongs to one hop, which is Serin's own business";
    let why = match name.as_str() {
        "connection" | "content-length" | "expect" | "http2-settings" | "keep-alive" | "proxy-connection" => {
            framing
        }
        "te" | "trailer" | "transfer-encoding" | "upgrade" => framing,
        "host" if of == Of::Request => "write \"rewrite: { host: … }\" instead",
        "host" => "an answer has no host",
        name if name.starts_with("x-serin-") => "only Serin says what begins with x-serin-",
        _ => return Ok(name),
    };
    Err(problems.add(place, format!("\"{}\" can't be changed", shown(text)), why))
}

/// Visible ASCII, spaces and tabs within: whatever could end the line is refused (RFC 9110, 5.5).
fn value(Spanned { place, value }: &Spanned<String>, problems: &mut Problems) -> Result<String, Reported> {
    let allowed = |b: u8| b.is_ascii_graphic() || matches!(b, b' ' | b'\t');
    let trimmed = value.trim_matches([' ', '\t']);
    if trimmed.len() <= VALUE_BYTES_MAX && trimmed.bytes().all(allowed) {
        return Ok(trimmed.into());
    }
    let right = format!("write at most {VALUE_BYTES_MAX} visible ASCII characters and spaces, on one line");
    Err(problems.add(place, format!("\"{}\" can't be the value of a header", shown(value)), right))
}
