//! Windows of one second, added up.
//!
//! A fleet of two thousand proxies with a hundred versions tells two hundred thousand cells in a second. Whoever looks at
//! a second asks for sums, and each looks for other cells; so cells are added when they come, and what is left of a
//! second is as large as the window of one proxy. Only windows that began and ended under the same plans, with the
//! same probes, are added: these are what a rollout tells windows apart by.
//!
//! The sums are exact. Cells that count clients, or have a negative control, stay apart from those that don't, because
//! what is left of a version without its control is only known where there is one.
//!
//! A lone proxy's window stays as it came. From the second window on, a histogram is an array from its first bucket to
//! its last, so that to add one is to add its numbers in place.

use std::collections::HashMap;

use serin_config::{
    EventName, Generation, RouteName, ServiceName, VersionName,
    outcome::OutcomeCounts,
    wire::{LatencyCounts, Slice, WindowCell, WindowReport},
};

/// Windows of one second, added.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The plan in force at the end of each of them.
    pub generation: Generation,
    /// The plan in force at the beginning of each of them.
    pub began_under: Generation,
    /// Canaries that these proxies still limited to a probe's rate.
    pub probing: Vec<ServiceName>,
    /// What was counted.
    pub cells: Vec<WindowCell>,
    /// Copies, and the requests that were copied.
    pub copies: Vec<WindowCell>,
}

impl From<WindowReport> for Sheet {
    fn from(report: WindowReport) -> Self {
        let WindowReport { generation, began_under, probing, cells, copies, .. } = report;
        Self { generation, began_under, probing, cells, copies }
    }
}

/// The sheets of a second that is not over.
#[derive(Debug, Default)]
pub struct Sheets(Vec<Growing>);

#[derive(Debug)]
struct Growing {
    /// The first window, with its cells until a second one comes.
    sheet: Sheet,
    sums: Option<(Sums, Sums)>,
}

impl Sheets {
    /// Adds a window. Gives its cells back where they are not kept.
    pub fn add(&mut self, window: Sheet) -> Vec<WindowCell> {
        let same = |known: &&mut Growing| {
            let Sheet { generation, began_under, probing, .. } = &known.sheet;
            (*generation, *began_under) == (window.generation, window.began_under)
                && *probing == window.probing
        };
        match self.0.iter_mut().find(same) {
            None => {
                self.0.push(Growing { sheet: window, sums: None });
                Vec::new()
            }
            Some(Growing { sheet, sums }) => {
                let (cells, copies) = sums.get_or_insert_with(|| {
                    let mut sums = <(Sums, Sums)>::default();
                    sums.0.add(&std::mem::take(&mut sheet.cells));
                    sums.1.add(&std::mem::take(&mut sheet.copies));
                    sums
                });
                cells.add(&window.cells);
                copies.add(&window.copies);
                window.cells
            }
        }
    }

    /// What they have come to.
    pub fn into_sheets(self) -> Vec<Sheet> {
        let whole = |Growing { sheet, sums }| match sums {
            Some((cells, copies)) => {
                Sheet { cells: cells.into_cells(), copies: copies.into_cells(), ..sheet }
            }
            None => sheet,
        };
        self.0.into_iter().map(whole).collect()
    }
}

/// What a cell is of, and what it tells besides outcomes and latencies: clients, a negative control.
type Key = (ServiceName, VersionName, RouteName, bool, bool);

#[derive(Debug, Default)]
struct Sums {
    cells: Vec<Sum>,
    places: HashMap<Key, usize>,
}

#[derive(Debug)]
struct Sum {
    service: ServiceName,
    version: VersionName,
    route: RouteName,
    outcomes: OutcomeCounts,
    headers: Dense,
    clients: Option<u64>,
    control: Option<Box<(OutcomeCounts, Dense)>>,
    events: Vec<(EventName, u64)>,
}

impl Sums {
    fn add(&mut self, cells: &[WindowCell]) {
        // Proxies of one fleet tell the same cells in the same order.
        let mut next = 0;
        for cell in cells {
            if !self.cells.get(next).is_some_and(|known| known.is_for(cell)) {
                next = self.place(cell);
            }
            if let Some(sum) = self.cells.get_mut(next) {
                sum.add(cell);
            }
            next += 1;
        }
    }

    fn place(&mut self, cell: &WindowCell) -> usize {
        let (clients, control) = (cell.clients.is_some(), cell.control.is_some());
        let key = (cell.service.clone(), cell.version.clone(), cell.route.clone(), clients, control);
        *self.places.entry(key).or_insert_with(|| {
            self.cells.push(Sum {
                service: cell.service.clone(),
                version: cell.version.clone(),
                route: cell.route.clone(),
                outcomes: OutcomeCounts::default(),
                headers: Dense::default(),
                clients: clients.then_some(0),
                control: control.then(Box::default),
                events: Vec::new(),
            });
            self.cells.len() - 1
        })
    }

    fn into_cells(self) -> Vec<WindowCell> {
        let cell = |sum: Sum| WindowCell {
            service: sum.service,
            version: sum.version,
            route: sum.route,
            outcomes: sum.outcomes,
            headers: sum.headers.sparse(),
            clients: sum.clients,
            control: sum.control.map(|control| {
                let (outcomes, headers) = *control;
                Box::new(Slice { outcomes, headers: headers.sparse() })
            }),
            events: sum.events,
        };
        self.cells.into_iter().map(cell).collect()
    }
}

impl Sum {
    fn is_for(&self, cell: &WindowCell) -> bool {
        self.version == cell.version
            && self.service == cell.service
            && self.route == cell.route
            && (self.clients.is_some(), self.control.is_some())
                == (cell.clients.is_some(), cell.control.is_some())
    }

    fn add(&mut self, cell: &WindowCell) {
        self.outcomes.merge(&cell.outcomes);
        self.headers.add(&cell.headers);
        if let (Some(sum), Some(clients)) = (&mut self.clients, cell.clients) {
            *sum = sum.saturating_add(clients);
        }
        if let (Some(sum), Some(slice)) = (&mut self.control, &cell.control) {
            sum.0.merge(&slice.outcomes);
            sum.1.add(&slice.headers);
        }
        for (event, count) in &cell.events {
            match self.events.iter_mut().find(|(name, _)| name == event) {
                Some((_, sum)) => *sum = sum.saturating_add(*count),
                None => self.events.push((event.clone(), *count)),
            }
        }
    }
}

/// A histogram as an array, from the first occupied bucket to the last.
#[derive(Debug, Default)]
struct Dense {
    first: usize,
    counts: Vec<u32>,
}

impl Dense {
    fn add(&mut self, other: &LatencyCounts) {
        let (Some((low, _)), Some((high, _))) = (other.0.first(), other.0.last()) else { return };
        self.cover(usize::from(*low), usize::from(*high));
        for (bucket, n) in &other.0 {
            let at = usize::from(*bucket).checked_sub(self.first);
            if let Some(count) = at.and_then(|at| self.counts.get_mut(at)) {
                *count = count.saturating_add(*n);
            }
        }
    }

    fn cover(&mut self, low: usize, high: usize) {
        if self.counts.is_empty() {
            self.first = low;
        } else if low < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - low));
            self.first = low;
        }
        let length = high + 1 - self.first;
        if self.counts.len() < length {
            self.counts.resize(length, 0);
        }
    }

    fn sparse(&self) -> LatencyCounts {
        let occupied = (self.first..).zip(&self.counts).filter(|(_, n)| **n > 0);
        let bucket = |(at, n): (usize, &u32)| Some((u16::try_from(at).ok()?, *n));
        LatencyCounts(occupied.filter_map(bucket).collect())
    }
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
