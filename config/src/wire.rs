//! What travels between proxies and the control plane: windows up, plans down. In one process the same
//! types travel through channels.

use serde::{Deserialize, Serialize};

use crate::{
    name::{EventName, RouteName, ServiceName, VersionName},
    outcome::OutcomeCounts,
    plan::Generation,
};

/// Buckets in each doubling of a [`LatencyCounts`]: the scale 5 of OpenTelemetry's exponential histograms,
/// 2.2 % wide. A tolerance is then a shift by whole buckets.
pub const BUCKETS_PER_OCTAVE: u32 = 32;
/// The number of buckets: 1 µs up to 60 s, the last holds everything longer.
pub const BUCKETS: usize = 26 * BUCKETS_PER_OCTAVE as usize;

/// The bucket of a latency in microseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the result is clamped to BUCKETS"
)]
pub fn bucket_of(micros: u64) -> u16 {
    let at = ((micros.max(1) as f64).log2() * f64::from(BUCKETS_PER_OCTAVE)).floor();
    at.min((BUCKETS - 1) as f64) as u16
}

/// The lower edge of a bucket in microseconds.
pub fn bucket_edge(bucket: u16) -> f64 {
    (f64::from(bucket) / f64::from(BUCKETS_PER_OCTAVE)).exp2()
}

/// A sparse histogram of latencies: (bucket, count), buckets rising, counts above zero.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LatencyCounts(pub Vec<(u16, u32)>);

impl LatencyCounts {
    /// All that were counted.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, n)| u64::from(*n)).sum()
    }

    /// How many lie wholly above `micros`: in buckets whose lower edge is at or above it.
    pub fn above(&self, micros: f64) -> u64 {
        self.0.iter().filter(|(bucket, _)| bucket_edge(*bucket) >= micros).map(|(_, n)| u64::from(*n)).sum()
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        let mut merged = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            match (mine.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    merged.push((a.0, a.1.saturating_add(b.1)));
                    mine.next();
                    theirs.next();
                }
                (Some(a), Some(b)) if a.0 < b.0 => merged.extend(mine.next()),
                (_, Some(_)) => merged.extend(theirs.next()),
                (Some(_), None) => merged.extend(mine.next()),
                (None, None) => break,
            }
        }
        self.0 = merged;
    }

    /// What is left of them without `part`, which was counted among them.
    #[must_use]
    pub fn less(&self, part: &Self) -> Self {
        let of = |bucket: u16| {
            let at = part.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket);
            at.map_or(0, |at| part.0[at].1)
        };
        let rest = self.0.iter().map(|(bucket, n)| (*bucket, n.saturating_sub(of(*bucket))));
        Self(rest.filter(|(_, n)| *n > 0).collect())
    }

    /// The upper edge, in microseconds, of the bucket that holds the quantile `q` (0 to 1); none if empty.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank between 1 and the total"
    )]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = ((self.total() as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(bucket, n)| {
            seen += u64::from(*n);
            (seen >= rank).then(|| bucket_edge(bucket + 1))
        })
    }
}

/// One second of counts from one proxy. Idempotent by (`proxy`, `epoch`, `sequence`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowReport {
    /// Which proxy counted.
    pub proxy: String,
    /// Which life of that proxy: its start time in milliseconds since 1970.
    pub epoch: u64,
    /// Which window of that life, from 1, without gaps.
    pub sequence: u64,
    /// When the window ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// How long it had waited at the proxy when it was sent, in milliseconds: not at all, but after a stream had
    /// broken off.
    #[serde(default)]
    pub age_ms: u64,
    /// The plan in force at its end.
    pub generation: Generation,
    /// The plan in force at its beginning; where it differs, the window saw two splits.
    pub began_under: Generation,
    /// Canaries that this proxy still limits to a probe's rate, so that their share says nothing.
    #[serde(default)]
    pub probing: Vec<ServiceName>,
    /// What was counted; cells without an attempt are left out.
    pub cells: Vec<WindowCell>,
    /// Canaries that the proxy has taken out by itself and that the plan in force still gives weight; each is
    /// told in every window until then.
    #[serde(default)]
    pub trips: Vec<Trip>,
    /// Versions that this proxy could send no request to when the window ended.
    #[serde(default)]
    pub unready: Vec<Unready>,
    /// Requests of which a canary got copies: its cells have how the copies fared, the stable version's how the same
    /// requests fared, each counted when both had ended. Copies are nobody's traffic and in no other cell.
    #[serde(default)]
    pub copies: Vec<WindowCell>,
}

/// A version without an endpoint that is ready: none is known, or each is down, ejected or not yet checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unready {
    /// The service.
    pub service: ServiceName,
    /// The version.
    pub version: VersionName,
}

/// A canary that a proxy has taken out without waiting for anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    /// The service.
    pub service: ServiceName,
    /// The canary.
    pub version: VersionName,
    /// Which wire it was.
    #[serde(default)]
    pub cause: TripCause,
    /// Why, for people.
    pub reason: String,
    /// The plan in force when it happened.
    pub generation: Generation,
    /// When it happened, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What tripped a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TripCause {
    /// It can't be reached, does not answer, or failed too often in a row.
    #[default]
    Fault,
    /// The rollout's bound on failed requests is spent.
    FailedRequests,
    /// The rollout's bound on added latency is spent.
    AddedLatency,
}

/// One window of one (service, version, route).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowCell {
    /// The service.
    pub service: ServiceName,
    /// The version that made the attempts.
    pub version: VersionName,
    /// The route that led there.
    pub route: RouteName,
    /// How the attempts ended.
    pub outcomes: OutcomeCounts,
    /// Time to response headers of the attempts that did not fail. A request that hangs is counted here in the last
    /// bucket, and among the outcomes as one without fault, before it ends; when it ends it is counted again only
    /// if it failed.
    pub headers: LatencyCounts,
    /// Failed attempts with each client counted once for each split that it saw; a failed attempt without a key is a
    /// client of its own. None where the split is not sticky, or is none.
    #[serde(default)]
    pub clients: Option<u64>,
    /// The part of the stable version's counts that serves as the negative control: as many of its endpoints as the
    /// canary has, or a tenth of the requests where it has one endpoint only.
    #[serde(default)]
    pub control: Option<Box<Slice>>,
    /// Business events that responses named.
    #[serde(default)]
    pub events: Vec<(EventName, u64)>,
}

/// A part of a cell's counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Slice {
    /// As in [`WindowCell`].
    pub outcomes: OutcomeCounts,
    /// As in [`WindowCell`].
    pub headers: LatencyCounts,
}

/// A quarter of a second of plain counts, for the fast lane that stops a dead canary. Only services whose canary and stable
/// version both have weight are in it. A beat that is lost is no matter: both versions lose it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Which proxy counted.
    pub proxy: String,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// The plan in force at its end.
    pub generation: Generation,
    /// What was counted, for each version that had an attempt.
    pub counts: Vec<BeatCount>,
}

/// One version in a beat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BeatCount {
    /// The service.
    pub service: ServiceName,
    /// The version.
    pub version: VersionName,
    /// Attempts that count.
    pub judged: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// How often a business event came, counted by somebody else: a payment service, a query of a metrics store. Both versions over
/// the same time, and nothing told twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventReport {
    /// The service.
    pub service: ServiceName,
    /// The event, one that a guard of its policy names.
    pub event: EventName,
    /// What each version had.
    pub versions: Vec<EventCount>,
}

/// One version in an [`EventReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCount {
    /// The version.
    pub version: VersionName,
    /// The requests (orders, sessions …) among which it was counted.
    pub requests: u64,
    /// Those of them that had the event.
    pub count: u64,
}

/// What a proxy tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// A second of counts.
    Window(WindowReport),
    /// A quarter of a second of the fast lane.
    Beat(Beat),
}

/// How the last reload of the configuration went; shown by the admin listener and as metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ReloadStatus {
    /// Reloads that were taken.
    pub succeeded: u64,
    /// Reloads that were refused; nothing was changed by them.
    pub failed: u64,
    /// When the last one was taken, in milliseconds since 1970; zero before the first.
    pub last_success_ms: u64,
    /// Why the last one was refused, a line for each problem; empty if it was taken.
    pub problems: Vec<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(values: &[u64]) -> LatencyCounts {
        let mut all = LatencyCounts::default();
        for value in values {
            all.merge(&LatencyCounts(vec![(bucket_of(*value), 1)]));
        }
        all
    }

    #[test]
    fn a_quantile_is_the_upper_edge_of_the_bucket_that_holds_it() {
        let all = counts(&(1..=1000).map(|ms| ms * 1000).collect::<Vec<_>>());
        let p99 = all.quantile(0.99).unwrap();
        assert!((990_000.0..=990_000.0 * 1.023).contains(&p99), "{p99}");
        assert_eq!(LatencyCounts::default().quantile(0.5), None);
    }

    proptest! {
        #[test]
        fn a_latency_lies_between_the_edges_of_its_bucket(micros in 1_u64..60_000_000) {
            let bucket = bucket_of(micros);
            prop_assert!(bucket_edge(bucket) <= micros as f64 * (1.0 + 1e-12));
            prop_assert!(micros as f64 <= bucket_edge(bucket + 1) * (1.0 + 1e-12));
        }

        #[test]
        fn merging_adds_counts_in_any_order(a in proptest::collection::vec(1_u64..1_000_000, 0..40), b in proptest::collection::vec(1_u64..1_000_000, 0..40)) {
            let (mut ab, mut ba) = (counts(&a), counts(&b));
            ab.merge(&counts(&b));
            ba.merge(&counts(&a));
            prop_assert_eq!(&ab, &ba);
            prop_assert_eq!(ab.total(), (a.len() + b.len()) as u64);
        }
    }
}
