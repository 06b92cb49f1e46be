//! Windows read straight from their bytes, for a control plane that is told thousands in a second.
//!
//! A window of a hundred versions has some hundred names and twice as many lists. To make a message of that first, and a
//! window of the message, is a thousand small pieces of memory, most of them for names that came a second ago too. Here
//! there is none where the cells of a window that nobody needs any more are filled anew ([`Reader::reuse`]): windows of one
//! fleet have the same cells in the same order, so names stay and lists have room enough already. Where there are no
//! such cells, names are those of the window before where they are the same.
//!
//! Only what every encoder writes is read so: each field once, lists packed, values that can be. Whatever differs is read the long way
//! ([`super::window::from_message`]), and that decides what it means, or what is wrong with it. So there is one set of
//! checks, and this is nothing but a shorter way to the same end, which a test holds. A window with copies of requests, of which
//! there are few, is read the long way.

use prost::Message;

use super::{
    Malformed,
    message::{Event, ServiceVersion, Trip, Window},
    window,
};
use crate::{
    limits::{NAMES_REMEMBERED_MAX, WINDOW_COUNT_MAX},
    name::{EventName, RouteName, ServiceName, VersionName},
    outcome::{Outcome, OutcomeCounts},
    plan::Generation,
    wire::{BUCKETS, LatencyCounts, Slice, WindowCell, WindowReport},
};

/// Reads the windows of one proxy.
#[derive(Debug, Default)]
pub struct Reader {
    /// What the cells of the window before were of.
    known: Vec<(ServiceName, VersionName, RouteName)>,
    /// Of a window that nobody needs any more; what is in them means nothing.
    spent: Vec<WindowCell>,
}

/// Wire types.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Reader {
    /// Fills these cells anew with the next window, whatever they are of.
    pub fn reuse(&mut self, spent: Vec<WindowCell>) {
        self.spent = spent;
    }

    /// The window in these bytes, which are a message `Window`.
    ///
    /// # Errors
    /// What in it can't be.
    pub fn window(&mut self, proxy: &str, bytes: &[u8]) -> Result<WindowReport, Malformed> {
        match self.short(proxy, bytes) {
            Some(report) => Ok(report),
            None => {
                let message = Window::decode(bytes);
                let message = message.map_err(|error| Malformed(format!("it is no window: {error}")))?;
                window::from_message(proxy, message)
            }
        }
    }

    /// None where it has another form than usual, or something in it can't be.
    fn short(&mut self, proxy: &str, bytes: &[u8]) -> Option<WindowReport> {
        let mut report = WindowReport {
            proxy: proxy.to_owned(),
            epoch: 0,
            sequence: 0,
            ended_ms: 0,
            age_ms: 0,
            generation: Generation(0),
            began_under: Generation(0),
            probing: Vec::new(),
            cells: Vec::new(),
            trips: Vec::new(),
            unready: Vec::new(),
            copies: Vec::new(),
        };
        let mut cells = std::mem::take(&mut self.spent);
        let mut place = 0;
        let mut rest = Bytes(bytes);
        while !rest.is_empty() {
            match rest.field()? {
                (1, VARINT) => report.epoch = rest.varint()?,
                (2, VARINT) => report.sequence = rest.varint()?,
                (3, VARINT) => report.ended_ms = rest.varint()?,
                (4, VARINT) => report.age_ms = rest.varint()?,
                (5, VARINT) => report.generation = Generation(rest.varint()?),
                (6, VARINT) => report.began_under = Generation(rest.varint()?),
                (7, LENGTH) => {
                    let name = std::str::from_utf8(rest.piece()?).ok()?;
                    report.probing.push(ServiceName::try_new(name).ok()?);
                }
                (8, LENGTH) => {
                    self.cell(&mut cells, place, rest.piece()?)?;
                    place += 1;
                }
                (9, LENGTH) => report.trips.push(window::trip(Trip::decode(rest.piece()?).ok()?).ok()?),
                (10, LENGTH) => {
                    let unready = ServiceVersion::decode(rest.piece()?).ok()?;
                    report.unready.push(window::unready(&unready).ok()?);
                }
                _ => return None,
            }
        }
        cells.truncate(place);
        Some(WindowReport { cells, ..report })
    }

    /// Reads a cell into this place, which is there already or the next.
    fn cell(&mut self, cells: &mut Vec<WindowCell>, place: usize, bytes: &[u8]) -> Option<()> {
        let (mut service, mut version, mut route): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut counted, mut control, mut clients, mut events) = (None, None, None, Vec::new());
        let mut rest = Bytes(bytes);
        while !rest.is_empty() {
            match rest.field()? {
                (1, LENGTH) => service = rest.piece()?,
                (2, LENGTH) => version = rest.piece()?,
                (3, LENGTH) => route = rest.piece()?,
                (4, LENGTH) if counted.is_none() => counted = Some(rest.piece()?),
                (5, VARINT) => clients = Some(rest.count()?),
                (6, LENGTH) if control.is_none() => control = Some(rest.piece()?),
                (7, LENGTH) => {
                    let Event { name, count } = Event::decode(rest.piece()?).ok()?;
                    events.push((EventName::try_new(&name).ok()?, within(count)?));
                }
                _ => return None,
            }
        }
        let there = cells.get(place).is_some_and(|cell| {
            cell.version.as_str().as_bytes() == version
                && cell.service.as_str().as_bytes() == service
                && cell.route.as_str().as_bytes() == route
        });
        if !there {
            let (service, version, route) = self.names(place, [service, version, route])?;
            let Slice { outcomes, headers } = Slice::default();
            let cell = WindowCell {
                service,
                version,
                route,
                outcomes,
                headers,
                clients,
                control: None,
                events: vec![],
            };
            match cells.get_mut(place) {
                Some(other) => *other = cell,
                None => cells.push(cell),
            }
        }
        let cell = cells.get_mut(place)?;
        counts(counted.unwrap_or_default(), &mut cell.outcomes, &mut cell.headers)?;
        match control {
            None => cell.control = None,
            Some(control) => {
                let slice = cell.control.get_or_insert_with(Box::default);
                counts(control, &mut slice.outcomes, &mut slice.headers)?;
            }
        }
        (cell.clients, cell.events) = (clients, events);
        Some(())
    }

    fn names(
        &mut self,
        place: usize,
        [service, version, route]: [&[u8]; 3],
    ) -> Option<(ServiceName, VersionName, RouteName)> {
        if let Some(known) = self.known.get(place)
            && known.1.as_str().as_bytes() == version
            && known.0.as_str().as_bytes() == service
            && known.2.as_str().as_bytes() == route
        {
            return Some(known.clone());
        }
        let text = |bytes| std::str::from_utf8(bytes).ok();
        // Cells of one service stand together.
        let before = place.checked_sub(1).and_then(|place| self.known.get(place));
        let service = match before.filter(|known| known.0.as_str().as_bytes() == service) {
            Some(known) => known.0.clone(),
            None => ServiceName::try_new(text(service)?).ok()?,
        };
        let version = VersionName::try_new(text(version)?).ok()?;
        let names = (service, version, RouteName::try_new(text(route)?).ok()?);
        if let Some(known) = self.known.get_mut(place) {
            *known = names.clone();
        } else if place < NAMES_REMEMBERED_MAX {
            self.known.push(names.clone());
        }
        Some(names)
    }
}

/// Reads counts, in the place of those that are there.
fn counts(bytes: &[u8], outcomes: &mut OutcomeCounts, headers: &mut LatencyCounts) -> Option<()> {
    let (mut by_outcome, mut buckets, mut counts) = (None, None, None);
    let mut rest = Bytes(bytes);
    while !rest.is_empty() {
        match rest.field()? {
            (1, LENGTH) if by_outcome.is_none() => by_outcome = Some(rest.piece()?),
            (2, LENGTH) if buckets.is_none() => buckets = Some(rest.piece()?),
            (3, LENGTH) if counts.is_none() => counts = Some(rest.piece()?),
            _ => return None,
        }
    }
    let mut by_outcome = Bytes(by_outcome.unwrap_or_default());
    *outcomes = OutcomeCounts::default();
    for outcome in Outcome::ALL {
        if by_outcome.is_empty() {
            break;
        }
        outcomes.add_times(outcome, by_outcome.count()?);
    }
    let (mut buckets, mut counts) = (Bytes(buckets.unwrap_or_default()), Bytes(counts.unwrap_or_default()));
    // A number takes a byte at least, so this is room enough and no more than was told.
    let LatencyCounts(headers) = headers;
    headers.clear();
    headers.reserve(buckets.0.len().min(BUCKETS));
    let mut at = 0_u64;
    while !buckets.is_empty() {
        let (gap, count) = (buckets.varint()?, u32::try_from(counts.varint()?).ok()?);
        at = at.checked_add(gap)?;
        let bucket = u16::try_from(at).ok().filter(|bucket| usize::from(*bucket) < BUCKETS)?;
        if count == 0 || gap == 0 && !headers.is_empty() {
            return None;
        }
        headers.push((bucket, count));
    }
    (by_outcome.is_empty() && counts.is_empty()).then_some(())
}

fn within(count: u64) -> Option<u64> {
    (count <= WINDOW_COUNT_MAX).then_some(count)
}

/// What is not read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn varint(&mut self) -> Option<u64> {
        // Nearly all numbers are small.
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(u64::from(*byte));
        }
        let mut value = 0_u64;
        for (place, byte) in self.0.iter().enumerate().take(9) {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                self.0 = &self.0[place + 1..];
                return Some(value);
            }
        }
        // Ten bytes are for numbers that nothing here can have.
        None
    }

    fn count(&mut self) -> Option<u64> {
        self.varint().and_then(within)
    }

    /// The number of the next field, and its wire type.
    fn field(&mut self) -> Option<(u64, u64)> {
        let tag = self.varint()?;
        Some((tag >> 3, tag & 7))
    }

    /// A length, and so many bytes.
    fn piece(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (piece, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(piece)
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
