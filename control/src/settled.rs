//! Up to where what proxies told is settled: judged, or left out for good. What follows from it is stored with it, in
//! one transaction, so that whoever goes on from the store knows which windows it must still be told, and counts none
//! twice.
//!
//! A window is not settled when it comes: it may wait for those of other proxies. So these marks trail behind what was
//! taken. A proxy keeps its windows until such a mark has passed them.
//!
//! Nor are the windows of one proxy always settled in their order: where its clock seemed to be ahead, a later one may go
//! to an earlier second. A mark that went by the later one would pass the earlier one, which would be lost if this process
//! ended now. So one whose turn has not come is put aside, and counted with the one that it waits for. Windows of a second
//! come added; the few that have to wait carry what was in them ([`crate::align::Behind`]), which is taken out of the sums
//! until then. So marks and totals always say the same.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serin_config::{ServiceName, limits::PROXIES_MAX};

use crate::{
    align::{LeftOut, Mark, Second},
    store::Facts,
    totals::{Total, Totals},
};

/// The name under which it is stored.
pub const FACT: &str = "seen";

/// The marks, and the totals of what lies before them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settled {
    /// The newest second that was judged, in seconds since 1970.
    closed: Option<u64>,
    /// For each proxy, its life and the number of its newest window that is settled.
    proxies: BTreeMap<String, (u64, u64)>,
    /// What was counted in all windows that are settled; each once.
    totals: Totals,
    /// Windows that are settled and wait for an earlier one of their proxy. They came while its second was open: within
    /// a few seconds, and at most as many of each proxy as it keeps.
    #[serde(skip)]
    aside: Vec<Mark>,
}

impl Settled {
    /// Those that are stored. What is of another form is begun anew, as evidence is.
    pub fn from_facts(facts: &Facts) -> Self {
        let stored = facts.get(FACT).cloned().and_then(|fact| serde_json::from_value(fact).ok());
        stored.unwrap_or_default()
    }

    /// A second is complete: whatever is made of it is made now.
    pub fn second(&mut self, second: &Second) {
        self.closed = self.closed.max(Some(second.at));
        second.sheets.iter().for_each(|sheet| self.totals.count(&sheet.cells));
        for window in &second.windows {
            match &window.behind {
                None => self.mark(window),
                Some(behind) => {
                    self.totals.take_out(&behind.totals);
                    self.aside.push(window.clone());
                }
            }
        }
        let due: Vec<Mark> = self.aside.extract_if(.., |window| !window.is_behind(second.at)).collect();
        for window in due {
            self.mark(&window);
            if let Some(behind) = &window.behind {
                self.totals.add(&behind.totals);
            }
        }
    }

    /// A window came too late for its second: it counts for the totals, and for nothing else.
    pub fn left_out(&mut self, late: &LeftOut) {
        if late.mark.behind.is_some() {
            self.aside.push(late.mark.clone());
        } else {
            self.mark(&late.mark);
            self.totals.count(&late.cells);
        }
    }

    fn mark(&mut self, window: &Mark) {
        let number = (window.epoch, window.sequence);
        if let Some(mark) = self.proxies.get_mut(&window.proxy) {
            *mark = (*mark).max(number);
            return;
        }
        if self.proxies.len() >= PROXIES_MAX {
            // The life that began first.
            let oldest = self.proxies.iter().min_by_key(|(_, (epoch, _))| *epoch);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.proxies.remove(&oldest);
            }
        }
        self.proxies.insert(window.proxy.clone(), number);
    }

    /// The newest second that was judged.
    pub fn closed(&self) -> Option<u64> {
        self.closed
    }

    /// The marks: for each proxy, its life and the number of its newest window that is settled.
    pub fn proxies(&self) -> impl Iterator<Item = (&str, (u64, u64))> {
        self.proxies.iter().map(|(name, mark)| (name.as_str(), *mark))
    }

    /// The marks, to be told to proxies.
    pub fn marks(&self) -> HashMap<String, (u64, u64)> {
        self.proxies.iter().map(|(name, mark)| (name.clone(), *mark)).collect()
    }

    /// The number of a proxy's life that begins at that time: above those of all that are known, though its clock may have been
    /// set back since.
    pub fn next_life(&self, proxy: &str, now_ms: u64) -> u64 {
        self.proxies.get(proxy).map_or(now_ms, |(epoch, _)| now_ms.max(epoch.saturating_add(1)))
    }

    /// What was counted of a version since it was first seen.
    pub fn total(&self, service: &str, version: &str) -> Total {
        self.totals.of(service, version)
    }

    /// Forgets the totals of services that are no longer there.
    pub fn keep_only(&mut self, there: impl Fn(&ServiceName) -> bool) {
        self.totals.keep_only(there);
    }
}

#[cfg(test)]
#[path = "settled_tests.rs"]
mod tests;
