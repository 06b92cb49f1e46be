//! Business events: a header, and the names in it that are counted.

use std::collections::BTreeSet;

use super::all;
use crate::{
    limits::EVENTS_MAX,
    name::EventName,
    problem::{Problems, Reported},
    raw::{
        self,
        decode::{Element, Field, List, Spanned},
        leaf::FieldName,
    },
    service::{EVENT_HEADER_DEFAULT, Events},
};

/// The section, if there is one.
pub(super) fn check(field: Field<raw::Events>, problems: &mut Problems) -> Result<Option<Events>, Reported> {
    let Some(Spanned { place, value: raw }) = field.optional()? else { return Ok(None) };
    let header = raw.header.or(FieldName(EVENT_HEADER_DEFAULT.into()));
    let right = "write what responses name, such as \"names: [checkout]\"";
    let names = raw.names.required("names", &place, problems, right).and_then(|given| names(given, problems));
    Ok(Some(Events { header: header?.0, names: names? }))
}

fn names(
    Spanned { place, value: List(items) }: Spanned<List<EventName>>,
    problems: &mut Problems,
) -> Result<Vec<EventName>, Reported> {
    if items.is_empty() {
        let right = "write [checkout, …], or leave \"events\" out";
        return Err(problems.add(&place, "there is no event", right));
    }
    if items.len() > EVENTS_MAX {
        let wrong = format!("there are {} events", items.len());
        return Err(problems.add(&place, wrong, format!("write at most {EVENTS_MAX}")));
    }
    let mut seen = BTreeSet::new();
    let each = items.into_iter().map(|item: Element<EventName>| {
        let Spanned { place, value } = item?;
        if !seen.insert(value.clone()) {
            return Err(problems.add(
                &place,
                format!("\"{value}\" stands here twice"),
                "name each event once",
            ));
        }
        Ok(value)
    });
    all(each.collect())
}
