//! What holds for rollouts of all services: freezes, groups, and how many at once.

use std::collections::{BTreeMap, BTreeSet};

use super::{all, range::within_if_any};
use crate::{
    freeze::{DAY, Freeze, Span, Zone},
    limits::{FREEZES_MAX, GROUPS_MAX, ROLLOUTS_AT_ONCE_MAX},
    name::{FreezeName, GroupName, ServiceName},
    problem::{Place, Problems, Reported, Suggestion},
    raw::{
        self,
        decode::{Field, List, Named, NamedEntry, Spanned},
        terms::Moment,
    },
    terms::{Group, Terms},
};

/// What the file says of them.
pub(super) struct Parts {
    pub(super) freezes: Field<Named<FreezeName, raw::Freeze>>,
    pub(super) groups: Field<Named<GroupName, List<ServiceName>>>,
    pub(super) max_parallel: Field<u64>,
}

/// The terms; `services` are those of the file, or nothing where that is not known.
pub(super) fn check(
    parts: Parts,
    services: Option<&BTreeSet<String>>,
    problems: &mut Problems,
) -> Result<Terms, Reported> {
    let freezes = freezes(parts.freezes, services, problems);
    let groups = groups(parts.groups, services, problems);
    let max = within_if_any(parts.max_parallel, 1..=ROLLOUTS_AT_ONCE_MAX, problems);
    let max_parallel_rollouts = max?.and_then(|max| usize::try_from(max).ok());
    Ok(Terms { freezes: freezes?, groups: groups?, max_parallel_rollouts, webhooks: Vec::new() })
}

pub(super) fn bounded<K, T>(
    field: Field<Named<K, T>>,
    (most, what): (usize, &str),
    problems: &mut Problems,
) -> Result<Vec<NamedEntry<K, T>>, Reported> {
    let Some(Spanned { place, value: Named(entries) }) = field.optional()? else { return Ok(Vec::new()) };
    if entries.len() > most {
        let wrong = format!("there are {} {what}", entries.len());
        return Err(problems.add(&place, wrong, format!("write at most {most}")));
    }
    Ok(entries)
}

fn freezes(
    field: Field<Named<FreezeName, raw::Freeze>>,
    services: Option<&BTreeSet<String>>,
    problems: &mut Problems,
) -> Result<Vec<Freeze>, Reported> {
    let entries = bounded(field, (FREEZES_MAX, "freezes"), problems)?;
    let each = entries.into_iter().map(|entry| {
        let name = entry.name.map(|name| name.value);
        let Spanned { place, value } = entry.value?;
        let covered = existing(value.services, services, problems);
        let zone = value.zone.or(Zone::utc());
        let right = "write when, such as \"from: fri 16:00\" and \"to: mon 08:00\"";
        let from = value.from.required("from", &place, problems, right);
        let to = value.to.required("to", &place, problems, right);
        let days = value.days.optional();
        let span = from.and_then(|from| span(&from, &to?, days?, problems));
        Ok(Freeze { name: name?, services: covered?, span: span?, zone: zone? })
    });
    all(each.collect())
}

fn span(
    from: &Spanned<Moment>,
    to: &Spanned<Moment>,
    days: Option<Spanned<List<crate::freeze::Day>>>,
    problems: &mut Problems,
) -> Result<Span, Reported> {
    if let (Some(days), Moment::Weekly(..) | Moment::Dated(_)) = (&days, from.value) {
        let right = "leave \"days\" out, or write \"from\" and \"to\" as HH:MM";
        return Err(problems.add(
            &days.place,
            "only a freeze of every day has days on which it begins",
            right,
        ));
    }
    let span = match (from.value, to.value) {
        (Moment::Daily(from), Moment::Daily(to)) => {
            let days = days.map_or(Ok(Vec::new()), |days| all(days.value.0))?;
            let days = days.into_iter().map(|day| day.value).collect();
            (from < DAY && from != to).then_some(Span::Daily { days, from, to })
        }
        (Moment::Weekly(day, from), Moment::Weekly(until, to)) => {
            let (begin, end) = (day as u16 * DAY + from, until as u16 * DAY + to);
            (from < DAY && begin != end).then_some(Span::Weekly { from: begin, to: end })
        }
        (Moment::Dated(from), Moment::Dated(to)) => (from < to).then_some(Span::Dated { from, to }),
        _ => {
            let right = "write both as HH:MM, both as DAY HH:MM, or both as YYYY-MM-DD HH:MM";
            return Err(problems.add(&to.place, "\"from\" and \"to\" are of two forms", right));
        }
    };
    let right = "write a \"to\" that comes after \"from\"; for a whole day, from: 00:00 and to: 24:00";
    span.ok_or_else(|| problems.add(&to.place, "the freeze lasts no time", right))
}

/// Services that the file has, each once.
pub(super) fn existing(
    field: Field<List<ServiceName>>,
    known: Option<&BTreeSet<String>>,
    problems: &mut Problems,
) -> Result<Vec<ServiceName>, Reported> {
    let Some(given) = field.optional()? else { return Ok(Vec::new()) };
    named(given, known, problems).map(|(_, services)| services)
}

fn named(
    Spanned { place, value: List(items) }: Spanned<List<ServiceName>>,
    known: Option<&BTreeSet<String>>,
    problems: &mut Problems,
) -> Result<(Place, Vec<ServiceName>), Reported> {
    let mut seen = BTreeSet::new();
    let each = items.into_iter().map(|item| {
        let Spanned { place, value } = item?;
        let text = value.as_str();
        if let Some(known) = known.filter(|known| !known.contains(text)) {
            let right = Suggestion { text, kind: "services", candidates: known.iter().map(String::as_str) };
            return Err(problems.add(&place, format!("there is no service \"{text}\""), right));
        }
        if !seen.insert(value.clone()) {
            return Err(problems.add(&place, format!("\"{text}\" stands twice"), "leave one of them out"));
        }
        Ok(value)
    });
    all(each.collect()).map(|services| (place, services))
}

fn groups(
    field: Field<Named<GroupName, List<ServiceName>>>,
    services: Option<&BTreeSet<String>>,
    problems: &mut Problems,
) -> Result<Vec<Group>, Reported> {
    let entries = bounded(field, (GROUPS_MAX, "groups"), problems)?;
    let mut taken: BTreeMap<ServiceName, String> = BTreeMap::new();
    let each = entries.into_iter().map(|entry| {
        let (place, members) = named(entry.value?, services, problems)?;
        if members.len() < 2 {
            let right = "name at least two services, such as \"storefront: [web, api]\"";
            return Err(problems.add(
                &place,
                "a group of fewer than two services has nothing to keep together",
                right,
            ));
        }
        for member in &members {
            if let Some(other) = taken.insert(member.clone(), entry.text.clone()) {
                let wrong = format!("\"{member}\" is in group \"{other}\" already");
                return Err(problems.add(&place, wrong, "put each service into one group at most"));
            }
        }
        Ok(Group { name: entry.name?.value, services: members })
    });
    all(each.collect())
}
