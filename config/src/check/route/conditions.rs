//! What a request must have besides its host and path.

use std::collections::HashMap;

use ipnet::IpNet;

use super::{edits, path};
use crate::{
    check::all,
    limits::{ROUTE_ITEMS_MAX, VALUE_BYTES_MAX},
    matching::{Conditions, ValueMatch},
    problem::{Place, Problems, Reported, shown},
    raw::{
        self,
        decode::{Field, List, Named, Spanned},
    },
};

type Raw = Field<Named<String, raw::ValueMatch>>;

/// The three maps of values.
pub(super) struct Values {
    pub(super) headers: Raw,
    pub(super) query: Raw,
    pub(super) cookies: Raw,
}

/// All conditions, sorted, so that equal ones are equal.
pub(super) fn check(
    methods: Field<List<raw::Method>>,
    values: Values,
    client: Field<List<IpNet>>,
    certificate: Field<List<String>>,
    problems: &mut Problems,
) -> Result<Conditions, Reported> {
    let methods = list(methods, "a method such as GET", problems, |method, _| Ok(method.value.0));
    let headers = named(values.headers, problems, |name, place, problems| {
        edits::token(name, "header", place, problems).map(str::to_ascii_lowercase)
    });
    let query = named(values.query, problems, |name, _, _| Ok(name.into()));
    let cookies = named(values.cookies, problems, |name, place, problems| {
        edits::token(name, "cookie", place, problems).map(Into::into)
    });
    let client =
        list(client, "a network such as 10.0.0.0/8", problems, |network, _| Ok(network.value.trunc()));
    let certificate = list(certificate, "a name such as spiffe://example/shop", problems, identity);
    Ok(Conditions {
        methods: methods?,
        headers: headers?,
        query: query?,
        cookies: cookies?,
        client: client?,
        client_certificate: certificate?,
    })
}

/// Alternatives, sorted; where the list is given it has at least one.
fn list<T, V: Ord>(
    field: Field<List<T>>,
    example: &str,
    problems: &mut Problems,
    mut read: impl FnMut(Spanned<T>, &mut Problems) -> Result<V, Reported>,
) -> Result<Vec<V>, Reported> {
    let Some(Spanned { place, value: List(items) }) = field.optional()? else { return Ok(Vec::new()) };
    if items.is_empty() {
        let right = format!("write {example}, or leave the list out to match any");
        return Err(problems.add(&place, "nothing can be in an empty list", right));
    }
    bounded(items.len(), &place, problems)?;
    let mut values = all(items.into_iter().map(|item| read(item?, problems)).collect())?;
    values.sort();
    values.dedup();
    Ok(values)
}

/// Conditions by name, sorted; a name stands once.
fn named(
    field: Raw,
    problems: &mut Problems,
    mut name: impl FnMut(&str, &Place, &mut Problems) -> Result<String, Reported>,
) -> Result<Vec<(String, ValueMatch)>, Reported> {
    let Some(Spanned { place, value: Named(entries) }) = field.optional()? else { return Ok(Vec::new()) };
    bounded(entries.len(), &place, problems)?;
    let mut lines = HashMap::new();
    let each = entries.into_iter().map(|entry| {
        let named = name(&entry.text, &entry.place, problems).and_then(|named| {
            match lines.insert(named.clone(), entry.place.at.line) {
                None => Ok(named),
                Some(line) => {
                    let wrong = format!("\"{}\" stands in line {line} already", shown(&named));
                    Err(problems.add(&entry.place, wrong, "write one condition for each name"))
                }
            }
        });
        let value = entry.value.and_then(|value| value_match(value, problems));
        Ok((named?, value?))
    });
    let mut conditions = all(each.collect())?;
    conditions.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(conditions)
}

fn value_match(
    Spanned { place, value }: Spanned<raw::ValueMatch>,
    problems: &mut Problems,
) -> Result<ValueMatch, Reported> {
    const RIGHT: &str = "write one of { prefix: … }, { regex: … } and { present: true }, or the value itself";
    let form = match value {
        raw::ValueMatch::Exact(value) => {
            return text(Spanned { place, value }, problems).map(ValueMatch::Exact);
        }
        raw::ValueMatch::Form(form) => form,
    };
    let (prefix, regex, present) = (form.prefix.optional(), form.regex.optional(), form.present.optional());
    match (prefix?, regex?, present?) {
        (Some(prefix), None, None) => text(prefix, problems).map(ValueMatch::Prefix),
        (None, Some(regex), None) => path::pattern(&regex, problems).map(ValueMatch::Regex),
        (None, None, Some(present)) => Ok(ValueMatch::Present(present.value)),
        _ => Err(problems.add(&place, "what the value must be is not said in one way", RIGHT)),
    }
}

fn text(Spanned { place, value }: Spanned<String>, problems: &mut Problems) -> Result<String, Reported> {
    if value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
        let right = format!("write at most {VALUE_BYTES_MAX} bytes without control characters");
        return Err(problems.add(&place, "no such value can come", right));
    }
    Ok(value)
}

/// A URI or a DNS name, as it stands in certificates.
fn identity(Spanned { place, value }: Spanned<String>, problems: &mut Problems) -> Result<String, Reported> {
    let name = value.strip_suffix('*').unwrap_or(&value);
    if !name.is_empty()
        && name.len() <= VALUE_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'*')
    {
        return Ok(value);
    }
    let wrong = format!("\"{}\" is not a name in a certificate", shown(&value));
    Err(problems.add(&place, wrong, "write a URI or DNS name, perhaps with a * at its end for any end"))
}

fn bounded(items: usize, place: &Place, problems: &mut Problems) -> Result<(), Reported> {
    if items <= ROUTE_ITEMS_MAX {
        return Ok(());
    }
    let right = format!("write at most {ROUTE_ITEMS_MAX}");
    Err(problems.add(place, format!("there are {items} elements"), right))
}
