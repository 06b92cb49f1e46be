//! What a gate looks at.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::report::{Record, text::micros};

/// One figure of a load. For all but throughput less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// The median of latency.
    P50,
    /// Its 90th percentile.
    P90,
    /// Its 95th percentile.
    P95,
    /// Its 99th percentile.
    P99,
    /// Its 99.9th percentile.
    P999,
    /// The share of requests that failed.
    ErrorRate,
    /// Requests a second that ended.
    Throughput,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::P50, Self::P90, Self::P95, Self::P99, Self::P999, Self::ErrorRate, Self::Throughput];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::ErrorRate => "error_rate",
            Self::Throughput => "throughput",
        }
    }

    /// The metric of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// Of a latency, which quantile.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P90 => Some(0.9),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::P999 => Some(0.999),
            Self::ErrorRate | Self::Throughput => None,
        }
    }

    /// Its value: microseconds, a share from 0 to 1, or requests a second; none where nothing was counted.
    pub fn of(self, record: &Record) -> Option<f64> {
        let total = record.total();
        match self {
            Self::ErrorRate => (total > 0).then(|| record.failed() as f64 / total as f64),
            Self::Throughput => (total > 0).then(|| record.throughput()),
            _ => {
                let latency = record.latency();
                let at = self.quantile().filter(|_| !latency.is_empty());
                at.map(|q| latency.value_at_quantile(q) as f64)
            }
        }
    }

    /// A value of it, for people.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::ErrorRate => format!("{:.4} %", value * 100.0),
            Self::Throughput => format!("{value:.1}/s"),
            _ => micros(value.round() as u64),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}
