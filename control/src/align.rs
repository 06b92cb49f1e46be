//! Many proxies, one second: windows that belong together are judged together.
//!
//! Counts add up, so that ten proxies make the same evidence as one; but only if what they counted in the same
//! second is added before it is judged. What the judge says of a second rests on both versions having lived through
//! the same seconds, and its caps count seconds, not messages: ten proxies that report one bad moment each, one
//! after the other, would look like ten bad moments.
//!
//! What is told of a second is added as it comes ([`crate::sheet`]); it is not kept window by window.
//!
//! So a second stays open until every live proxy has told of it, or for a second of grace after its first window.
//! What comes later is left out, with all that it holds, and counted. It is never added to another second: left
//! out, it is missing from both versions alike. A lone proxy never waits.
//!
//! To which second a window belongs is told by the end of the window on its proxy's clock, corrected by what that clock is off:
//! the smallest difference that was seen lately between the clock here and there at an arrival, since a
//! message can only be slow. A proxy's windows go to seconds of their own, in their order, so a window that ends a
//! hair before its second's end does not share one with the next. A proxy that was held up once, so that its window came
//! to the next second, shares that one with its next window: it would be a second ahead from then on, and all others late.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serin_config::{
    limits::{CATCH_UP, PROXIES_MAX, SECOND_GRACE, SECONDS_OPEN_MAX, UPLINK_WINDOWS_MAX},
    wire::{WindowCell, WindowReport},
};

use crate::{
    sheet::{Sheet, Sheets},
    totals::Totals,
};

/// A proxy that was silent for longer is not waited for.
const LIVE_MS: u64 = 3_000;
/// A clock that seems to be further off than this after the correction has jumped.
const JUMP_MS: u64 = 5_000;
/// How much a clock may lose against this one in a second, so that a slow drift is followed.
const DRIFT_MS: i64 = 1;
/// A window that ended earlier than this in a second is of that second, whatever the clock is off.
const UNDOUBTED_MS: u64 = 750;
/// A proxy whose window had waited for less than this has told all that it had to tell again.
const CAUGHT_UP_MS: u64 = 1_000;
const GRACE_MS: u64 = ms(SECOND_GRACE);
const CATCH_UP_MS: u64 = ms(CATCH_UP);

const fn ms(time: Duration) -> u64 {
    let ms = time.as_millis();
    assert!(ms < 60_000);
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let ms = ms as u64;
    ms
}

/// One second, all proxies together.
#[derive(Debug, Clone, PartialEq)]
pub struct Second {
    /// Which: seconds since 1970.
    pub at: u64,
    /// What the proxies told of it, added.
    pub sheets: Vec<Sheet>,
    /// Which windows that is, at least one.
    pub windows: Vec<Mark>,
}

/// A window that is in a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of which proxy.
    pub proxy: String,
    /// Of which life of it.
    pub epoch: u64,
    /// Its number.
    pub sequence: u64,
    /// When it ended, in milliseconds since 1970 by the clock here.
    pub ended_ms: u64,
    /// What it waits for, where an earlier window of its proxy is in a later second than its own.
    pub behind: Option<Box<Behind>>,
}

/// An earlier window of the same proxy is in a later second: this one must not be settled before that one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The second of that one, or of the last where there are several.
    pub second: u64,
    /// What is in this one.
    pub totals: Totals,
}

impl Mark {
    /// `behind` is the newest second with earlier windows of the same proxy, if that is later than its own.
    pub(crate) fn new(report: &WindowReport, ended_ms: u64, behind: Option<u64>) -> Self {
        let behind = behind.map(|second| {
            let mut totals = Totals::default();
            totals.count(&report.cells);
            Box::new(Behind { second, totals })
        });
        let WindowReport { proxy, epoch, sequence, .. } = report;
        Self { proxy: proxy.clone(), epoch: *epoch, sequence: *sequence, ended_ms, behind }
    }

    /// Whether it waits for an earlier one of its proxy, now that all seconds up to this one are complete.
    pub fn is_behind(&self, closed: u64) -> bool {
        self.behind.as_ref().is_some_and(|behind| behind.second > closed)
    }
}

#[cfg(test)]
impl Second {
    /// The second in which these windows ended.
    pub(crate) fn of(at: u64, reports: Vec<WindowReport>) -> Self {
        let mut open = Open::default();
        reports.into_iter().for_each(|report| {
            let mark = Mark::new(&report, report.ended_ms, None);
            open.add(report, mark);
        });
        open.close(at)
    }
}

/// What became of a window.
#[derive(Debug, Default)]
pub struct Aligned {
    /// The seconds that are complete now, in order.
    pub seconds: Vec<Second>,
    /// Whether the window came too late for its second.
    pub late: bool,
    /// The window, if so.
    pub left_out: Option<Box<LeftOut>>,
    /// Cells that nobody needs any more, to be filled anew.
    pub spent: Vec<WindowCell>,
}

/// A window that came too late for its second.
#[derive(Debug)]
pub struct LeftOut {
    /// That second.
    pub at: u64,
    /// Which window it is.
    pub mark: Mark,
    /// What it counted.
    pub cells: Vec<WindowCell>,
}

#[derive(Debug)]
struct Proxy {
    epoch: u64,
    /// What to add to its clock.
    offset_ms: i64,
    /// The newest second that it told of.
    last: u64,
    heard_ms: u64,
}

#[derive(Debug, Default)]
struct Open {
    since_ms: u64,
    sheets: Sheets,
    windows: Vec<Mark>,
}

impl Open {
    fn add(&mut self, report: WindowReport, mark: Mark) -> Vec<WindowCell> {
        self.windows.push(mark);
        self.sheets.add(Sheet::from(report))
    }

    fn close(self, at: u64) -> Second {
        Second { at, sheets: self.sheets.into_sheets(), windows: self.windows }
    }
}

/// Puts windows together.
#[derive(Debug, Default)]
pub struct Aligner {
    proxies: HashMap<String, Proxy>,
    open: BTreeMap<u64, Open>,
    /// For each proxy with windows in open seconds, the newest of these seconds.
    newest: HashMap<String, u64>,
    /// The newest second that was closed.
    closed: Option<u64>,
    /// Proxies that may have windows to tell again, and until when they are waited for.
    expected: HashSet<String>,
    expected_until_ms: u64,
}

impl Aligner {
    /// Goes on from an earlier life of this process: seconds up to `closed` are over, and these proxies are waited for
    /// for a moment, since all of them come back at once and tell several seconds each.
    pub fn resume<'a>(&mut self, closed: Option<u64>, proxies: impl Iterator<Item = &'a str>, now_ms: u64) {
        self.closed = closed;
        self.expected = proxies.map(ToOwned::to_owned).collect();
        self.expected_until_ms = now_ms.saturating_add(CATCH_UP_MS);
    }

    /// Takes a window that is new. `now_ms` is in milliseconds since 1970, by a clock that never goes back.
    pub fn take(&mut self, report: WindowReport, now_ms: u64) -> Aligned {
        let (at, ended_ms) = self.second_of(&report, now_ms);
        let late = self.closed.is_some_and(|closed| at <= closed);
        if report.age_ms < CAUGHT_UP_MS {
            self.expected.remove(&report.proxy);
        }
        let newest = self.newest.get_mut(&report.proxy);
        let behind = newest.as_deref().copied().filter(|newest| *newest > at);
        let mark = Mark::new(&report, ended_ms, behind);
        let (mut left_out, mut spent) = (None, Vec::new());
        if late {
            left_out = Some(Box::new(LeftOut { at, mark, cells: report.cells }));
        } else {
            match newest {
                Some(newest) => *newest = at.max(*newest),
                None => drop(self.newest.insert(report.proxy.clone(), at)),
            }
            let open = self.open.entry(at).or_insert_with(|| Open { since_ms: now_ms, ..Open::default() });
            spent = open.add(report, mark);
        }
        Aligned { seconds: self.close(now_ms), late, left_out, spent }
    }

    /// Closes what has waited long enough.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Second> {
        self.close(now_ms)
    }

    fn close(&mut self, now_ms: u64) -> Vec<Second> {
        let mut complete = Vec::new();
        let catching_up = !self.expected.is_empty() && now_ms < self.expected_until_ms;
        if !catching_up {
            self.expected.clear();
        }
        let most = SECONDS_OPEN_MAX + if catching_up { UPLINK_WINDOWS_MAX } else { 0 };
        while let Some((at, open)) = self.open.first_key_value() {
            let live = |proxy: &&Proxy| now_ms.saturating_sub(proxy.heard_ms) <= LIVE_MS;
            let all = self.proxies.values().filter(live).all(|proxy| proxy.last >= *at);
            let waited = now_ms.saturating_sub(open.since_ms) >= GRACE_MS;
            if !((all || waited) && !catching_up || self.open.len() > most) {
                break;
            }
            if let Some((at, open)) = self.open.pop_first() {
                self.closed = Some(at);
                for window in &open.windows {
                    if self.newest.get(&window.proxy).is_some_and(|newest| *newest <= at) {
                        self.newest.remove(&window.proxy);
                    }
                }
                complete.push(open.close(at));
            }
        }
        complete
    }

    /// Whether no more proxies than these are live.
    pub fn has_at_most(&self, proxies: usize, now_ms: u64) -> bool {
        let live = self.proxies.values().filter(|proxy| now_ms.saturating_sub(proxy.heard_ms) <= LIVE_MS);
        live.take(proxies.saturating_add(1)).count() <= proxies
    }

    /// To which second a window belongs, and when it ended by the clock here.
    fn second_of(&mut self, report: &WindowReport, now_ms: u64) -> (u64, u64) {
        // Since it was sent; what it had waited before says nothing of clocks.
        let off = signed(now_ms).saturating_sub(signed(report.ended_ms.saturating_add(report.age_ms)));
        if !self.proxies.contains_key(&report.proxy) && self.proxies.len() >= PROXIES_MAX {
            let silent = self.proxies.iter().min_by_key(|(_, proxy)| proxy.heard_ms);
            if let Some(name) = silent.map(|(name, _)| name.clone()) {
                self.proxies.remove(&name);
            }
        }
        let before = self.proxies.get(&report.proxy);
        let known = before.filter(|proxy| off.abs_diff(proxy.offset_ms) <= JUMP_MS);
        let offset_ms = known.map_or(off, |proxy| proxy.offset_ms.saturating_add(DRIFT_MS).min(off));
        let ended_ms = u64::try_from(signed(report.ended_ms).saturating_add(offset_ms).max(0)).unwrap_or(0);
        let by_clock = ended_ms / 1_000;
        // Another life of the same proxy may tell of the second in which the one before ended.
        let after = before
            .filter(|proxy| proxy.epoch == report.epoch)
            .map_or(0, |proxy| proxy.last.saturating_add(1));
        // Where a clock seemed to be ahead, the next windows go where they belong, so that others need not wait. A
        // lone proxy has nobody to meet, and loses nothing.
        let others = self.proxies.iter().filter(|(name, _)| **name != report.proxy);
        let alone =
            others.map(|(_, proxy)| proxy).all(|proxy| now_ms.saturating_sub(proxy.heard_ms) > LIVE_MS);
        let ahead = by_clock.saturating_add(1) < after
            || (by_clock < after
                && ended_ms % 1_000 < UNDOUBTED_MS
                && self.closed.is_none_or(|closed| by_clock > closed));
        let last = if ahead && !alone { by_clock } else { by_clock.max(after) };
        let proxy = Proxy { epoch: report.epoch, offset_ms, last, heard_ms: now_ms };
        match self.proxies.get_mut(&report.proxy) {
            Some(known) => *known = proxy,
            None => drop(self.proxies.insert(report.proxy.clone(), proxy)),
        }
        (last, ended_ms)
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "align_tests.rs"]
mod tests;
