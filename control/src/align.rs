//! Many proxies, one second: windows that belong together are judged together.
//!
//! Counts add up, so that ten proxies make the same evidence as one; but only if what they counted in the same
//! second is added before it is judged. What the judge says of a second rests on both versions having lived through
//! the same seconds, and its caps count seconds, not messages: ten proxies that report one bad moment each, one
//! after the other, would look like ten bad moments.
//!
//! So a second stays open until every live proxy has told of it, or for a second of grace after its first window.
//! What comes later is left out, with all that it holds, and counted. It is never added to another second: left
//! out, it is missing from both versions alike. A lone proxy never waits.
//!
//! To which second a window belongs is told by the end of the window on its proxy's clock, corrected by what that clock is off:
//! the smallest difference that was seen lately between the clock here and there at an arrival, since a
//! message can only be slow. A proxy's windows go to seconds of their own, in their order, so a window that ends a
//! hair before its second's end does not share one with the next.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use serin_config::{
    limits::{CATCH_UP, PROXIES_MAX, SECOND_GRACE, SECONDS_OPEN_MAX, UPLINK_WINDOWS_MAX},
    wire::WindowReport,
};

/// A proxy that was silent for longer is not waited for.
const LIVE_MS: u64 = 3_000;
/// A clock that seems to be further off than this after the correction has jumped.
const JUMP_MS: u64 = 5_000;
/// How much a clock may lose against this one in a second, so that a slow drift is followed.
const DRIFT_MS: i64 = 1;
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
    /// What the proxies told of it, at least one.
    pub reports: Vec<WindowReport>,
}

/// What became of a window.
#[derive(Debug, Default)]
pub struct Aligned {
    /// The seconds that are complete now, in order.
    pub seconds: Vec<Second>,
    /// Whether the window came too late for its second.
    pub late: bool,
    /// The window, if so.
    pub left_out: Option<Box<WindowReport>>,
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

#[derive(Debug)]
struct Open {
    since_ms: u64,
    reports: Vec<WindowReport>,
}

/// Puts windows together.
#[derive(Debug, Default)]
pub struct Aligner {
    proxies: HashMap<String, Proxy>,
    open: BTreeMap<u64, Open>,
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
        let at = self.second_of(&report, now_ms);
        let late = self.closed.is_some_and(|closed| at <= closed);
        if report.age_ms < CAUGHT_UP_MS {
            self.expected.remove(&report.proxy);
        }
        let mut left_out = None;
        if late {
            left_out = Some(Box::new(report));
        } else {
            let open = self.open.entry(at).or_insert_with(|| Open { since_ms: now_ms, reports: Vec::new() });
            open.reports.push(report);
        }
        Aligned { seconds: self.close(now_ms), late, left_out }
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
                complete.push(Second { at, reports: open.reports });
            }
        }
        complete
    }

    fn second_of(&mut self, report: &WindowReport, now_ms: u64) -> u64 {
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
        let by_clock =
            u64::try_from(signed(report.ended_ms).saturating_add(offset_ms).max(0)).unwrap_or(0) / 1_000;
        // Another life of the same proxy may tell of the second in which the one before ended.
        let after = before
            .filter(|proxy| proxy.epoch == report.epoch)
            .map_or(0, |proxy| proxy.last.saturating_add(1));
        // Where a clock seemed to be ahead, the next windows go where they belong, so that others need not wait. A
        // lone proxy has nobody to meet, and loses nothing.
        let others = self.proxies.iter().filter(|(name, _)| **name != report.proxy);
        let alone =
            others.map(|(_, proxy)| proxy).all(|proxy| now_ms.saturating_sub(proxy.heard_ms) > LIVE_MS);
        let ahead = by_clock.saturating_add(1) < after;
        let last = if ahead && !alone { by_clock } else { by_clock.max(after) };
        let proxy = Proxy { epoch: report.epoch, offset_ms, last, heard_ms: now_ms };
        self.proxies.insert(report.proxy.clone(), proxy);
        last
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "align_tests.rs"]
mod tests;
