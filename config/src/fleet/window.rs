//! What proxies tell, to and from messages.
//!
//! Whoever sends is authenticated, but not faultless: what comes in is checked, so that no sum behind this can
//! overflow and no name is of another form than a file's.

use super::{
    Malformed,
    message::{self, Counts},
};
use crate::{
    limits::WINDOW_COUNT_MAX,
    name::{EventName, NameError, RouteName, ServiceName, VersionName},
    outcome::{Outcome, OutcomeCounts},
    plan::Generation,
    wire::{
        BUCKETS, Beat, BeatCount, LatencyCounts, Slice, Trip, TripCause, Unready, WindowCell, WindowReport,
    },
};

/// The message of a window that has waited for `age_ms`.
pub fn to_message(report: &WindowReport, age_ms: u64) -> message::Window {
    message::Window {
        epoch: report.epoch,
        sequence: report.sequence,
        ended_ms: report.ended_ms,
        age_ms,
        generation: report.generation.0,
        began_under: report.began_under.0,
        probing: report.probing.iter().map(ToString::to_string).collect(),
        cells: report.cells.iter().map(cell_to_message).collect(),
        trips: report.trips.iter().map(trip_to_message).collect(),
        unready: report.unready.iter().map(unready_to_message).collect(),
        copies: report.copies.iter().map(cell_to_message).collect(),
    }
}

/// The window of that proxy.
///
/// # Errors
/// What in it can't be.
pub fn from_message(proxy: &str, window: message::Window) -> Result<WindowReport, Malformed> {
    Ok(WindowReport {
        proxy: proxy.to_owned(),
        epoch: window.epoch,
        sequence: window.sequence,
        ended_ms: window.ended_ms,
        age_ms: window.age_ms,
        generation: Generation(window.generation),
        began_under: Generation(window.began_under),
        probing: each(&window.probing, |name| service(name))?,
        cells: window.cells.into_iter().map(cell).collect::<Result<_, _>>()?,
        trips: window.trips.into_iter().map(trip).collect::<Result<_, _>>()?,
        unready: each(&window.unready, unready)?,
        copies: window.copies.into_iter().map(cell).collect::<Result<_, _>>()?,
    })
}

/// The message of a beat.
pub fn beat_to_message(beat: &Beat) -> message::Beat {
    let counts = beat.counts.iter().map(|count| message::BeatCount {
        service: count.service.to_string(),
        version: count.version.to_string(),
        judged: count.judged,
        failed: count.failed,
    });
    message::Beat { ended_ms: beat.ended_ms, generation: beat.generation.0, counts: counts.collect() }
}

/// The beat of that proxy.
///
/// # Errors
/// What in it can't be.
pub fn beat_from_message(proxy: &str, beat: &message::Beat) -> Result<Beat, Malformed> {
    let counts = each(&beat.counts, |count| {
        let (judged, failed) = (bounded(count.judged)?, bounded(count.failed)?);
        if failed > judged {
            return Err(Malformed(format!("a beat counts {failed} failures among {judged} attempts")));
        }
        Ok(BeatCount { service: service(&count.service)?, version: version(&count.version)?, judged, failed })
    })?;
    Ok(Beat {
        proxy: proxy.to_owned(),
        ended_ms: beat.ended_ms,
        generation: Generation(beat.generation),
        counts,
    })
}

fn each<T, U>(all: &[T], make: impl Fn(&T) -> Result<U, Malformed>) -> Result<Vec<U>, Malformed> {
    all.iter().map(make).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn malformed(error: NameError) -> Malformed {
    Malformed(error.to_string())
}

fn service(name: &str) -> Result<ServiceName, Malformed> {
    ServiceName::try_new(name).map_err(malformed)
}

fn version(name: &str) -> Result<VersionName, Malformed> {
    VersionName::try_new(name).map_err(malformed)
}

fn bounded(count: u64) -> Result<u64, Malformed> {
    if count <= WINDOW_COUNT_MAX {
        return Ok(count);
    }
    Err(Malformed(format!("a window counts {count} of one thing; {WINDOW_COUNT_MAX} is the most")))
}

fn cell_to_message(cell: &WindowCell) -> message::Cell {
    let events =
        cell.events.iter().map(|(name, count)| message::Event { name: name.to_string(), count: *count });
    message::Cell {
        service: cell.service.to_string(),
        version: cell.version.to_string(),
        route: cell.route.to_string(),
        counts: Some(counts_to_message(&cell.outcomes, &cell.headers)),
        clients: cell.clients,
        control: cell.control.as_ref().map(|slice| counts_to_message(&slice.outcomes, &slice.headers)),
        events: events.collect(),
    }
}

fn cell(cell: message::Cell) -> Result<WindowCell, Malformed> {
    let (outcomes, headers) = counts(cell.counts.unwrap_or_default())?;
    let control = cell.control.map(|slice| {
        let (outcomes, headers) = counts(slice)?;
        Ok(Box::new(Slice { outcomes, headers }))
    });
    Ok(WindowCell {
        service: service(&cell.service)?,
        version: version(&cell.version)?,
        route: RouteName::try_new(&cell.route).map_err(malformed)?,
        outcomes,
        headers,
        clients: cell.clients.map(bounded).transpose()?,
        control: control.transpose()?,
        events: each(&cell.events, |event| {
            Ok((EventName::try_new(&event.name).map_err(malformed)?, bounded(event.count)?))
        })?,
    })
}

fn counts_to_message(outcomes: &OutcomeCounts, headers: &LatencyCounts) -> Counts {
    let mut by_outcome: Vec<u64> = Outcome::ALL.iter().map(|outcome| outcomes.of(*outcome)).collect();
    by_outcome.truncate(by_outcome.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
    let before = std::iter::once(0).chain(headers.0.iter().map(|(bucket, _)| *bucket));
    let gaps =
        headers.0.iter().zip(before).map(|((bucket, _), before)| u32::from(bucket.saturating_sub(before)));
    Counts {
        outcomes: by_outcome,
        buckets: gaps.collect(),
        counts: headers.0.iter().map(|(_, count)| *count).collect(),
    }
}

fn counts(counts: Counts) -> Result<(OutcomeCounts, LatencyCounts), Malformed> {
    if counts.outcomes.len() > Outcome::COUNT {
        let wrong = format!("a window has {} outcomes; {} are known", counts.outcomes.len(), Outcome::COUNT);
        return Err(Malformed(wrong));
    }
    if counts.buckets.len() != counts.counts.len() {
        let (buckets, counts) = (counts.buckets.len(), counts.counts.len());
        return Err(Malformed(format!("a histogram has {buckets} buckets and {counts} counts")));
    }
    let mut outcomes = OutcomeCounts::default();
    for (outcome, count) in Outcome::ALL.into_iter().zip(counts.outcomes) {
        outcomes.add_times(outcome, bounded(count)?);
    }
    let (mut latencies, mut at) = (Vec::with_capacity(counts.buckets.len()), 0_u32);
    for (place, (gap, count)) in counts.buckets.into_iter().zip(counts.counts).enumerate() {
        at = at.saturating_add(gap);
        let bucket = u16::try_from(at).ok().filter(|bucket| usize::from(*bucket) < BUCKETS);
        match bucket {
            Some(bucket) if count > 0 && (gap > 0 || place == 0) => latencies.push((bucket, count)),
            _ => {
                return Err(Malformed(format!(
                    "a histogram has {count} in bucket {at}, after a gap of {gap}"
                )));
            }
        }
    }
    Ok((outcomes, LatencyCounts(latencies)))
}

fn unready_to_message(unready: &Unready) -> message::ServiceVersion {
    message::ServiceVersion { service: unready.service.to_string(), version: unready.version.to_string() }
}

fn trip_to_message(trip: &Trip) -> message::Trip {
    let cause = match trip.cause {
        TripCause::Fault => message::TripCause::Fault,
        TripCause::FailedRequests => message::TripCause::FailedRequests,
        TripCause::AddedLatency => message::TripCause::AddedLatency,
    };
    message::Trip {
        service: trip.service.to_string(),
        version: trip.version.to_string(),
        cause: cause.into(),
        reason: trip.reason.clone(),
        generation: trip.generation.0,
        at_ms: trip.at_ms,
    }
}

pub(super) fn unready(unready: &message::ServiceVersion) -> Result<Unready, Malformed> {
    Ok(Unready { service: service(&unready.service)?, version: version(&unready.version)? })
}

pub(super) fn trip(trip: message::Trip) -> Result<Trip, Malformed> {
    let cause = match trip.cause() {
        message::TripCause::Fault => TripCause::Fault,
        message::TripCause::FailedRequests => TripCause::FailedRequests,
        message::TripCause::AddedLatency => TripCause::AddedLatency,
    };
    Ok(Trip {
        service: service(&trip.service)?,
        version: version(&trip.version)?,
        cause,
        reason: trip.reason,
        generation: Generation(trip.generation),
        at_ms: trip.at_ms,
    })
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
