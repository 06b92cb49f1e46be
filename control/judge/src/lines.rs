//! Windows as text: one JSON object a line, so that they can be kept, sent, and judged again by anybody.
//!
//! `serin judge` reads them, the control plane exports the windows of its rollouts in the same form, and a replay
//! judges those again. What is written:
//!
//! ```text
//! {"type":"run","run":0,"window_s":1.0,"weight":0.05,"buckets":{…},"routes":["cart"]}   begins a run
//! {"type":"pre","t":-60,"routes":{"cart":{"baseline":{"n":90,"err":0,"hist":{"77":90}}}}}   stable's past
//! {"type":"win","t":0,"routes":{"cart":{"baseline":{…},"canary":{…}}}}                   a window
//! {"type":"end","run":0}                                                                  ends it
//! ```
//!
//! `n` counts all requests, `err` those that failed, `hist` the latencies of the others by bucket. Bucket i begins at
//! `v0_ms` × 2^(i/`per_octave`), the first and the last take whatever lies beyond. Names that are not known are
//! passed over: others may add what they need. Counts that contradict each other are refused.
//!
//! The types carry no behaviour of a reader or writer: what reads lines, and in which pace, is not known here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serin_config::{EventName, RouteName, Weight, wire::LatencyCounts};

use crate::{
    block::{Pair, Trials},
    window::{Arm, Pairing, Window},
};

/// What a line is; read it first, then the line as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The member `type`.
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// The kinds of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Run`].
    Run,
    /// [`Moment`]: counts of the stable version from before the run.
    Pre,
    /// [`Moment`]: a window.
    Win,
    /// [`End`].
    End,
}

/// A line to be written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line<'a> {
    /// Begins a run.
    Run(&'a Run),
    /// Counts of the stable version from before it.
    Pre(&'a Moment),
    /// A window.
    Win(&'a Moment),
    /// Ends a run.
    End(&'a End),
}

/// Begins a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub run: u64,
    /// The length of its windows in seconds, above 0.
    #[serde(default = "one_second")]
    pub window_s: f64,
    /// The canary's share of the requests, 0 to 1; none if it is not known or not constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// What the numbers of buckets mean; the production scheme if absent.
    #[serde(default)]
    pub buckets: Buckets,
    /// Its routes.
    pub routes: Vec<RouteName>,
}

fn one_second() -> f64 {
    1.0
}

/// Ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its number.
    pub run: u64,
}

/// What the numbers of buckets mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Buckets {
    /// Edges grow by the same factor.
    pub scheme: BucketScheme,
    /// The lower edge of the first bucket in milliseconds, above 0.
    pub v0_ms: f64,
    /// Buckets in each doubling, from 1.
    pub per_octave: u32,
    /// Their number, from 2.
    pub count: u32,
}

/// How edges grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketScheme {
    /// By a constant factor, a root of two.
    Log2,
}

impl Default for Buckets {
    /// The scheme of the proxies' own windows.
    fn default() -> Self {
        use serin_config::wire::{BUCKETS, BUCKETS_PER_OCTAVE};
        Self {
            scheme: BucketScheme::Log2,
            v0_ms: 1e-3,
            per_octave: BUCKETS_PER_OCTAVE,
            count: u32::try_from(BUCKETS).unwrap_or(u32::MAX),
        }
    }
}

/// The counts of one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Moment {
    /// When it began: seconds since the run's beginning, below 0 for its past.
    #[serde(serialize_with = "short")]
    pub t: f64,
    /// The canary's share during the whole window; the run's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Weight>,
    /// What each route saw.
    pub routes: BTreeMap<RouteName, Both>,
    /// The negative control: a slice of the stable version as `canary`, the rest of it as `baseline`.
    #[serde(default, skip_serializing_if = "Both::is_empty")]
    pub control: Both,
    /// Business events that others counted: `n` requests, `err` of them with the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<EventName, Both>,
    /// Whether `canary` has copies of the requests that `baseline` has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copies: bool,
}

/// Counts of both versions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Both {
    /// The stable version.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub baseline: Counts,
    /// The version under test.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub canary: Counts,
}

impl Both {
    fn is_empty(&self) -> bool {
        self.baseline.is_empty() && self.canary.is_empty()
    }
}

/// Counts of one version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that count.
    pub n: u64,
    /// Those of them that failed.
    pub err: u64,
    /// Distinct clients among those that failed, where clients stay with a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub err_clients: Option<u64>,
    /// What the failures count together, in thousandths, where kinds of failure have weights; `err` × 1000 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<u64>,
    /// Latencies of those that did not fail, by bucket.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hist: BTreeMap<u16, u64>,
    /// Business events.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<EventName, u64>,
}

/// Why counts are refused: nothing real can have produced them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// More failures than requests.
    #[error("{at}: err is {err}, more than n, which is {n}")]
    Failed {
        /// Route and version.
        at: String,
        /// Failures.
        err: u64,
        /// Requests.
        n: u64,
    },
    /// More distinct clients than failures.
    #[error("{at}: err_clients is {clients}, more than err, which is {err}")]
    Clients {
        /// Route and version.
        at: String,
        /// Clients.
        clients: u64,
        /// Failures.
        err: u64,
    },
    /// More latencies than requests.
    #[error("{at}: hist holds {latencies} requests, more than n, which is {n}")]
    Latencies {
        /// Route and version.
        at: String,
        /// Latencies.
        latencies: u64,
        /// Requests.
        n: u64,
    },
    /// A bucket that the run does not have.
    #[error("{at}: hist has bucket {bucket}; the run has buckets 0 to {last}")]
    Bucket {
        /// Route and version.
        at: String,
        /// The bucket.
        bucket: u16,
        /// The last that there is.
        last: u32,
    },
    /// A route that the run does not have.
    #[error("route \"{0}\" is not among the run's routes")]
    Route(RouteName),
}

impl Moment {
    /// A window as a line.
    pub fn of(t: f64, window: &Window) -> Self {
        let routes = window.routes.iter().map(|(route, pairing)| (route.clone(), Both::of(pairing)));
        let counts = |trials: Trials| Counts { n: trials.requests, err: trials.bad, ..Counts::default() };
        let both = |pair: &Pair| Both { baseline: counts(pair.stable), canary: counts(pair.canary) };
        let told = window.told.iter().map(|(event, pair)| (event.clone(), both(pair)));
        Self {
            t,
            share: window.share,
            routes: routes.collect(),
            control: Both::of(&window.control),
            told: told.collect(),
            copies: window.copies,
        }
    }

    /// The window, if its counts can be true in this run.
    pub fn window(self, run: &Run) -> Result<Window, Contradiction> {
        let mut window = Window { share: self.share, copies: self.copies, ..Window::default() };
        for (route, both) in self.routes {
            if !run.routes.contains(&route) {
                return Err(Contradiction::Route(route));
            }
            let pairing = both.pairing(route.as_str(), &run.buckets)?;
            window.routes.insert(route, pairing);
        }
        window.control = self.control.pairing("control", &run.buckets)?;
        for (event, both) in self.told {
            let pairing = both.pairing(event.as_str(), &run.buckets)?;
            window.told.insert(event, pairing.failures());
        }
        Ok(window)
    }
}

impl Both {
    fn of(pairing: &Pairing) -> Self {
        Self { baseline: Counts::of(&pairing.stable), canary: Counts::of(&pairing.canary) }
    }

    fn pairing(self, route: &str, buckets: &Buckets) -> Result<Pairing, Contradiction> {
        Ok(Pairing {
            stable: self.baseline.arm(|| format!("{route}, baseline"), buckets)?,
            canary: self.canary.arm(|| format!("{route}, canary"), buckets)?,
        })
    }
}

impl Counts {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn of(arm: &Arm) -> Self {
        let plain = arm.charged == arm.failed.saturating_mul(1000);
        Self {
            n: arm.judged,
            err: arm.failed,
            err_clients: arm.clients,
            charged: (!plain).then_some(arm.charged),
            hist: arm.headers.0.iter().map(|(bucket, n)| (*bucket, u64::from(*n))).collect(),
            events: arm.events.iter().cloned().collect(),
        }
    }

    fn arm(self, at: impl Fn() -> String, buckets: &Buckets) -> Result<Arm, Contradiction> {
        let (n, err) = (self.n, self.err);
        if err > n {
            return Err(Contradiction::Failed { at: at(), err, n });
        }
        if let Some(clients) = self.err_clients.filter(|clients| *clients > err) {
            return Err(Contradiction::Clients { at: at(), clients, err });
        }
        let latencies = self.hist.values().fold(0_u64, |sum, n| sum.saturating_add(*n));
        if latencies > n {
            return Err(Contradiction::Latencies { at: at(), latencies, n });
        }
        let last = buckets.count.saturating_sub(1);
        if let Some(bucket) = self.hist.keys().next_back().filter(|bucket| u32::from(**bucket) > last) {
            return Err(Contradiction::Bucket { at: at(), bucket: *bucket, last });
        }
        let hist = self.hist.into_iter().filter(|(_, n)| *n > 0);
        let headers = hist.map(|(bucket, n)| (bucket, u32::try_from(n).unwrap_or(u32::MAX)));
        Ok(Arm {
            judged: n,
            failed: err,
            charged: self.charged.unwrap_or(err.saturating_mul(1000)),
            clients: self.err_clients,
            headers: LatencyCounts(headers.collect()),
            events: self.events.into_iter().collect(),
        })
    }
}

/// Whole seconds without a fraction, as a person writes them.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn short<S: Serializer>(t: &f64, to: S) -> Result<S::Ok, S::Error> {
    seconds(*t, to)
}

/// Writes seconds: whole ones without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "it is whole, and below 2^53")]
pub fn seconds<S: Serializer>(t: f64, to: S) -> Result<S::Ok, S::Error> {
    let whole = t.fract() == 0.0 && t.abs() < 9e15;
    if whole { to.serialize_i64(t as i64) } else { to.serialize_f64(t) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let text = r#"{"type":"run","run":7,"window_s":1.0,"weight":0.05,
            "buckets":{"scheme":"log2","v0_ms":0.5,"per_octave":16,"count":240},"routes":["r0"]}"#;
        assert_eq!(serde_json::from_str::<Head>(text).unwrap().kind, Kind::Run);
        serde_json::from_str(text).unwrap()
    }

    fn window(counts: &str) -> Result<Window, Contradiction> {
        let text = format!(r#"{{"type":"win","t":0,"routes":{{"r0":{{"canary":{counts}}}}}}}"#);
        serde_json::from_str::<Moment>(&text).unwrap().window(&run())
    }

    #[test]
    fn a_window_reads_as_its_counts_and_an_arm_that_is_absent_had_nothing() {
        let window = window(r#"{"n":12,"err":3,"err_clients":2,"hist":{"100":4,"77":5},"more":[]}"#).unwrap();
        let pairing = &window.routes["r0"];
        let canary = &pairing.canary;
        assert_eq!((canary.judged, canary.failed, canary.charged, canary.clients), (12, 3, 3_000, Some(2)));
        assert_eq!(canary.headers.0, [(77, 5), (100, 4)]);
        assert_eq!(pairing.stable, Arm::default());
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_window() {
        let text = r#"{"t":3,"share":"5%","routes":{"r0":{"baseline":{"n":9,"err":1,"charged":200,"hist":{"9":8}},
            "canary":{"n":5,"err":0,"events":{"paid":2}}}},"control":{"canary":{"n":1,"err":0}},
            "told":{"refunded":{"baseline":{"n":90,"err":3},"canary":{"n":10,"err":1}}}}"#;
        let window = serde_json::from_str::<Moment>(text).unwrap().window(&run()).unwrap();
        let written = serde_json::to_string(&Line::Win(&Moment::of(3.0, &window))).unwrap();
        assert!(written.starts_with(r#"{"type":"win","t":3,"share":"5%","routes":{"r0":"#), "{written}");
        let again = serde_json::from_str::<Moment>(&written).unwrap().window(&run()).unwrap();
        assert_eq!(again, window);
        assert_eq!((window.routes["r0"].stable.charged, window.control.canary.judged), (200, 1));
        let told = window.told.values().next().unwrap();
        assert_eq!((told.stable.bad, told.canary.requests), (3, 10));
    }

    #[test]
    fn counts_that_contradict_each_other_are_refused_with_their_place() {
        for (counts, said) in [
            (r#"{"n":1,"err":2}"#, "r0, canary: err is 2, more than n, which is 1"),
            (r#"{"n":9,"err":2,"err_clients":3}"#, "r0, canary: err_clients is 3, more than err, which is 2"),
            (
                r#"{"n":1,"err":0,"hist":{"3":2}}"#,
                "r0, canary: hist holds 2 requests, more than n, which is 1",
            ),
            (
                r#"{"n":1,"err":0,"hist":{"240":1}}"#,
                "r0, canary: hist has bucket 240; the run has buckets 0 to 239",
            ),
            (
                r#"{"n":1,"err":0,"hist":{"3":18446744073709551615,"4":1}}"#,
                "r0, canary: hist holds 18446744073709551615 requests, more than n, which is 1",
            ),
        ] {
            assert_eq!(window(counts).unwrap_err().to_string(), said);
        }
        let text = r#"{"t":0,"routes":{"r1":{}}}"#;
        let refused = serde_json::from_str::<Moment>(text).unwrap().window(&run()).unwrap_err();
        assert_eq!(refused.to_string(), "route \"r1\" is not among the run's routes");
    }

    #[test]
    fn counts_beyond_what_a_histogram_holds_are_kept_at_its_most() {
        let most = u64::MAX;
        let window = window(&format!(r#"{{"n":{most},"err":{most},"hist":{{"1":{most}}}}}"#)).unwrap();
        let canary = &window.routes["r0"].canary;
        assert_eq!((canary.judged, canary.charged), (most, most));
        assert_eq!(canary.headers.0, [(1, u32::MAX)]);
    }

    #[test]
    fn seconds_are_written_as_people_write_them() {
        let written = |t: f64| serde_json::to_string(&Moment { t, ..Moment::default() }).unwrap();
        assert_eq!(written(0.0), r#"{"t":0,"routes":{}}"#);
        assert_eq!(written(-60.0), r#"{"t":-60,"routes":{}}"#);
        assert_eq!(written(0.25), r#"{"t":0.25,"routes":{}}"#);
    }
}
