//! The guards on a canary, which a canary must be able to meet.

use std::time::Duration;

use super::{
    all,
    range::{within, within_if_any, within_or},
    steps::{RATIO, reachable},
    switched,
};
use crate::{
    limits::LATENCY_MAX_US,
    name::EventName,
    policy::{
        CountedBy, EVENT_RATIO_DEFAULT, ErrorComparison, EventGuard, Guards, LatencyComparison, Margin,
        Preset,
    },
    problem::{Place, Problems, Reported, Suggestion},
    raw::{
        self,
        decode::{Named, NamedEntry, Spanned},
    },
    weight::Weight,
};

/// All guards; `events` are those that the service counts, or nothing where that is not known.
pub(super) fn check(
    raw: raw::Guards,
    preset: Preset,
    events: Option<&[EventName]>,
    problems: &mut Problems,
) -> Result<Guards, Reported> {
    let errors = switched(raw.errors, preset.errors(), |raw, place| errors(raw, preset, place, problems));
    let latency = switched(raw.latency, LatencyComparison::default(), |raw, _| latency(raw, problems));
    let nearly = |ppm| Weight::from_ppm(ppm).unwrap_or(Weight::WHOLE);
    let rates = nearly(1)..=nearly(Weight::WHOLE.ppm() - 1);
    let max_error_rate = within_if_any(raw.max_error_rate, rates, problems);
    // What takes longer than the longest latency that is measured can't be told apart from it.
    let latencies = Duration::from_millis(1)..=Duration::from_micros(LATENCY_MAX_US);
    let max_p99 = within_if_any(raw.max_p99, latencies, problems);
    let events = match raw.events.optional() {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(Spanned { value: Named(entries), .. })) => {
            all(entries.into_iter().map(|entry| event(entry, events, problems)).collect())
        }
        Err(reported) => Err(reported),
    };
    Ok(Guards {
        errors: errors?,
        latency: latency?,
        max_error_rate: max_error_rate?,
        max_p99: max_p99?,
        events: events?,
    })
}

fn errors(
    raw: raw::ErrorComparison,
    preset: Preset,
    place: &Place,
    problems: &mut Problems,
) -> Result<ErrorComparison, Reported> {
    let default = preset.errors();
    let ratio = within_or(raw.ratio, RATIO, default.ratio, problems);
    let pass_ratio = within_or(raw.pass_ratio, RATIO, default.pass_ratio, problems);
    let (margin, pass_margin) = (raw.margin.or(default.margin), raw.pass_margin.or(default.pass_margin));
    let (ratio, pass_ratio, margin, pass_margin) = (ratio?, pass_ratio?, margin?, pass_margin?);
    let pass = Margin { ratio: pass_ratio, margin: pass_margin };
    reachable(&pass, ("pass_ratio", "pass_margin"), place, problems)?;
    Ok(ErrorComparison { ratio, margin, pass_ratio, pass_margin })
}

fn latency(raw: raw::LatencyComparison, problems: &mut Problems) -> Result<LatencyComparison, Reported> {
    let default = LatencyComparison::default();
    let tolerance = match raw.tolerance.optional() {
        Ok(Some(given)) => Ok(given.value.fraction()),
        Ok(None) => Ok(default.tolerance),
        Err(reported) => Err(reported),
    };
    let differences = Duration::ZERO..=Duration::from_micros(LATENCY_MAX_US);
    let min_difference = within_or(raw.min_difference, differences, default.min_difference, problems);
    let proof = raw.proof.or(default.proof);
    Ok(LatencyComparison { tolerance: tolerance?, min_difference: min_difference?, proof: proof? })
}

fn event(
    entry: NamedEntry<EventName, raw::EventGuard>,
    known: Option<&[EventName]>,
    problems: &mut Problems,
) -> Result<EventGuard, Reported> {
    let Spanned { place, value: raw } = entry.value?;
    let counted_by = raw.counted_by.or(CountedBy::default());
    let name = entry.name.and_then(|name| match counted_by {
        Ok(CountedBy::Push) => pushed(name, known, problems),
        _ => counted(name, known, problems),
    });
    let right = "write which direction is bad: \"bad: more\" or \"bad: fewer\"";
    let bad = raw.bad.required("bad", &place, problems, right);
    let ratio = match raw.ratio.optional() {
        Ok(Some(given)) => within(&given, RATIO, problems),
        Ok(None) => Ok(EVENT_RATIO_DEFAULT),
        Err(reported) => Err(reported),
    };
    Ok(EventGuard { event: name?, bad: bad?.value, ratio: ratio?, counted_by: counted_by? })
}

/// What is pushed must not be counted by proxies as well.
fn pushed(
    Spanned { place, value }: Spanned<EventName>,
    known: Option<&[EventName]>,
    problems: &mut Problems,
) -> Result<EventName, Reported> {
    if known.is_some_and(|known| known.contains(&value)) {
        let wrong = format!("\"{value}\" is counted by the proxies already: the service's events name it");
        let right = "leave out \"counted_by: push\", or take it out of the service's events";
        return Err(problems.add(&place, wrong, right));
    }
    Ok(value)
}

fn counted(
    Spanned { place, value }: Spanned<EventName>,
    known: Option<&[EventName]>,
    problems: &mut Problems,
) -> Result<EventName, Reported> {
    match known {
        Some(known) if !known.contains(&value) => {
            let wrong = format!("the service counts no event \"{value}\"");
            if known.is_empty() {
                let right = format!(
                    "name it beside the rollout: \"events: {{ names: [{value}] }}\", or write \"counted_by: push\" if you count it"
                );
                return Err(problems.add(&place, wrong, right));
            }
            let candidates = known.iter().map(EventName::as_str);
            Err(problems.add(&place, wrong, Suggestion { text: value.as_str(), kind: "events", candidates }))
        }
        _ => Ok(value),
    }
}
