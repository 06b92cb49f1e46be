//! How much a service bears: more and more load until it breaks, and why it broke.
//!
//! Two series. In the first, connections ask as fast as they are answered, from one to many: the most that can be got, and
//! its [`law`]. In the second, requests come at fixed rates around that, as users' do: up to the *knee* answers keep
//! their pace, beyond it they queue. The two are told apart since a closed loop can't show a queue that grows, and an open loop
//! near its end shows nothing else. What ran out at the end is told by what was measured then ([`limit`]).
//!
//! This module decides what is measured next and what follows from it; who measures hands in [`Level`]s.

pub mod html;
pub mod law;
pub mod limit;
pub mod text;

use serde::Serialize;

use self::{law::Curve, limit::Limit};
use crate::report::Record;

/// Connections of the first series, up to the most that the caller allows.
const CONNECTIONS: [usize; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/// The series is over when this part of the most was left in two levels running.
const FALLEN_TO: f64 = 0.8;
/// Rates of the second series, as parts of the most that the first one got.
const RATES: [f64; 9] = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.05];
/// Steps that halve the gap around the knee.
const REFINEMENTS: usize = 3;
/// A level is beyond the knee where fewer of the requests that were due ended in time than this.
const ENDED_MIN: f64 = 0.99;
/// Or more of them failed than this, and than at the lowest rate.
const FAILED_MAX: f64 = 0.001;
/// Or the 99th percentile is so many times that at the lowest rate,
const SLOWER: f64 = 5.0;
/// which counts as at least this: microseconds are the machine's, not the service's.
const FAST_US: f64 = 1_000.0;

/// What to measure next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// So many connections, as fast as they are answered.
    Connections(usize),
    /// So many requests a second.
    Rate(f64),
}

/// What was used while a level was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Used {
    /// Of each watched process: cores, and cores of its busiest thread.
    pub components: Vec<(String, f64, f64)>,
    /// Cores of the generator's busiest thread.
    pub generator: f64,
    /// The part of the machine's cores that was busy.
    pub machine: f64,
    /// The part of the bandwidth of the busiest network interface that was used; none where its speed is not known.
    pub bandwidth: Option<f64>,
}

/// One level of load.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Level {
    /// Connections that asked as fast as they were answered, or the rate.
    pub asked: f64,
    /// Requests a second that ended well.
    pub throughput: f64,
    /// Requests that were due; all of them for a closed loop.
    pub due: u64,
    /// Those that ended well within the time of the level.
    pub ended: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those of them that had no connection.
    pub no_connection: u64,
    /// Those that were answered with 503.
    pub refused: u64,
    /// Microseconds of good answers; none without one.
    pub p50_us: Option<u64>,
    /// The same.
    pub p99_us: Option<u64>,
    /// What was used meanwhile.
    pub used: Used,
}

impl Level {
    /// What a load's record says of a level that was to last `seconds`.
    pub fn of(asked: f64, record: &Record, seconds: f64, used: Used) -> Self {
        let latency = record.latency();
        let at = |q| (!latency.is_empty()).then(|| latency.value_at_quantile(q));
        let count = |outcome: &str| -> u64 {
            let of = record.groups.iter().filter(|group| group.outcome == outcome);
            of.map(|group| group.latency_us.total()).sum()
        };
        let in_time = record.seconds.iter().filter(|second| second.second as f64 <= seconds);
        let ended = in_time.map(|second| second.completed - second.failed).sum();
        Self {
            asked,
            throughput: ended as f64 / seconds,
            due: record.progress.due,
            ended,
            failed: record.failed(),
            no_connection: count(&crate::ErrorKind::Connect.to_string()),
            refused: count("503"),
            p50_us: at(0.5),
            p99_us: at(0.99),
            used,
        }
    }

    fn failed_share(&self) -> f64 {
        if self.due > 0 { self.failed as f64 / self.due as f64 } else { 0.0 }
    }
}

/// A sweep, as far as it has come.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    connections_max: usize,
    closed: Vec<Level>,
    /// Rising by rate.
    open: Vec<Level>,
    refined: usize,
}

/// What a sweep found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// The first series.
    pub closed: Vec<Level>,
    /// The second, rising by rate.
    pub open: Vec<Level>,
    /// The curve through the first.
    pub curve: Option<Curve>,
    /// The most that was got, in requests a second.
    pub most: f64,
    /// The highest rate at which answers kept their pace; none where they did at no rate.
    pub knee: Option<f64>,
    /// What ran out beyond it.
    pub limit: Limit,
}

impl Sweep {
    /// One that opens at most so many connections.
    pub fn new(connections_max: usize) -> Self {
        Self { connections_max: connections_max.max(1), ..Self::default() }
    }

    /// What to measure next; none when enough is known.
    pub fn next(&self) -> Option<Next> {
        if let Some(connections) = self.next_connections() {
            return Some(Next::Connections(connections));
        }
        let most = self.most();
        if most <= 0.0 {
            return None;
        }
        let measured = |rate: f64| self.open.iter().any(|level| (level.asked / rate - 1.0).abs() < 1e-6);
        let broken =
            self.open.iter().filter(|level| self.is_beyond(level)).map(|level| level.asked).reduce(f64::min);
        let planned = RATES.iter().map(|part| part * most).find(|rate| !measured(*rate));
        match (planned, broken) {
            // Beyond what broke it there is nothing to learn.
            (Some(rate), None) => Some(Next::Rate(rate)),
            (Some(rate), Some(broken)) if rate < broken => Some(Next::Rate(rate)),
            (_, Some(broken)) if self.refined < REFINEMENTS => {
                let borne = self.knee().unwrap_or(0.0);
                Some(Next::Rate((borne + broken) / 2.0))
            }
            _ => None,
        }
    }

    fn next_connections(&self) -> Option<usize> {
        let fallen = self
            .closed
            .iter()
            .rev()
            .take(2)
            .filter(|level| level.throughput < FALLEN_TO * self.most())
            .count();
        let next = CONNECTIONS.get(self.closed.len()).copied()?;
        (fallen < 2 && next <= self.connections_max && self.open.is_empty()).then_some(next)
    }

    /// Takes what was measured.
    pub fn push(&mut self, level: Level, of: Next) {
        match of {
            Next::Connections(_) => self.closed.push(level),
            Next::Rate(_) => {
                if self.open.iter().any(|before| self.is_beyond(before)) {
                    self.refined += 1;
                }
                let at = self.open.partition_point(|before| before.asked < level.asked);
                self.open.insert(at, level);
            }
        }
    }

    fn most(&self) -> f64 {
        self.closed.iter().map(|level| level.throughput).fold(0.0, f64::max)
    }

    /// Whether answers no longer keep their pace.
    fn is_beyond(&self, level: &Level) -> bool {
        let Some(lowest) = self.open.first() else { return false };
        let slow = lowest.p99_us.map_or(FAST_US, |us| us as f64).max(FAST_US) * SLOWER;
        let ended = level.due == 0 || (level.ended + level.failed) as f64 >= ENDED_MIN * level.due as f64;
        !ended
            || level.failed_share() > FAILED_MAX.max(2.0 * lowest.failed_share())
            || level.p99_us.is_none_or(|us| us as f64 > slow)
    }

    fn knee(&self) -> Option<f64> {
        self.open.iter().take_while(|level| !self.is_beyond(level)).last().map(|level| level.asked)
    }

    /// What follows from all of it.
    pub fn findings(self) -> Findings {
        let points: Vec<(f64, f64)> =
            self.closed.iter().map(|level| (level.asked, level.throughput)).collect();
        let broken = self.open.iter().find(|level| self.is_beyond(level));
        let fullest = self.closed.iter().max_by(|a, b| a.throughput.total_cmp(&b.throughput));
        let limit = limit::of(broken, fullest);
        let (curve, most, knee) = (Curve::through(&points), self.most(), self.knee());
        Findings { closed: self.closed, open: self.open, curve, most, knee, limit }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
