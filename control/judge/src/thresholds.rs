//! Where the latencies of both arms are cut into bins: at quantiles of what the stable version did before.
//!
//! The comparison of latencies counts how many requests of either arm lie between cuts. Any cuts are valid as
//! long as they are fixed before the requests that they sort; good ones lie where the stable version has known
//! shares above them: 50 %, 25 %, 10 %, 5 %, 1 % and 0.1 %. So each stratum keeps a histogram of its stable version, and
//! works out its cuts anew every ten windows, always between two blocks. Two generations of 120 windows that take
//! turns let old latencies go: what is known is two to four minutes old.
//!
//! The canary's cuts lie further right by the tolerance: a canary that is slower by no more than that has no
//! larger share above its cuts than the stable version has above its own.

use serde::{Deserialize, Serialize};
use serin_config::{limits::SCHEME_BUCKETS_MAX, wire::LatencyCounts};

use crate::{scheme::Ladder, templates::Templates};

/// Shares of the stable version's requests above the cuts, in thousandths.
pub(crate) const PERMILLE: [u64; CUTS] = [500, 250, 100, 50, 10, 1];
/// Cuts that make the bins of the comparison.
pub(crate) const CUTS: usize = 6;
/// Bins between and around them.
pub(crate) const BINS: usize = CUTS + 1;
/// So many requests are to be expected above a cut before it is said that there is a gap.
const GAP_REQUESTS: u64 = 10;
/// The part of the requests above a cut, in per cent, that must lie above the shifted one to say so.
const GAP_PERCENT: u64 = 97;
/// The cuts at which the proof that the canary is not slower is led: 50 %, 5 % and 1 %.
pub(crate) const PROOF_CUTS: [usize; 3] = [0, 3, 4];

/// What the stable version did lately: counts by bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(crate) struct Past {
    current: Generation,
    previous: Generation,
}

#[derive(Debug, Clone, PartialEq)]
struct Generation {
    /// Sums stop at the largest number: a bucket with four thousand million requests is as good as one with more.
    counts: Box<[u32]>,
    total: u64,
    /// One more than the highest bucket that was ever counted in.
    top: usize,
}

impl Generation {
    fn new(buckets: u16) -> Self {
        Self { counts: vec![0; usize::from(buckets)].into(), total: 0, top: 0 }
    }

    fn sparse(&self) -> LatencyCounts {
        let counted = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        LatencyCounts(counted.filter_map(|(bucket, n)| Some((u16::try_from(bucket).ok()?, *n))).collect())
    }
}

impl Past {
    /// Nothing yet, on a scale of `buckets`.
    pub(crate) fn new(buckets: u16) -> Self {
        Self { current: Generation::new(buckets), previous: Generation::new(buckets) }
    }

    /// Counts requests; what lies beyond the scale belongs to its last bucket.
    pub(crate) fn push(&mut self, latencies: &LatencyCounts) {
        let generation = &mut self.current;
        let last = generation.counts.len().saturating_sub(1);
        let (mut total, mut top) = (generation.total, generation.top);
        for (bucket, n) in &latencies.0 {
            let bucket = usize::from(*bucket).min(last);
            if let Some(count) = generation.counts.get_mut(bucket) {
                let before = *count;
                *count = before.saturating_add(*n);
                total += u64::from(*count - before);
                if *count > 0 {
                    top = top.max(bucket + 1);
                }
            }
        }
        (generation.total, generation.top) = (total, top);
    }

    /// Adds all that `other` knows, generation by generation.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.push(&other.current.sparse());
        std::mem::swap(&mut self.current, &mut self.previous);
        self.push(&other.previous.sparse());
        std::mem::swap(&mut self.current, &mut self.previous);
    }

    /// Ends a generation: the one before the last is forgotten.
    pub(crate) fn rotate(&mut self) {
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.counts.fill(0);
        (self.current.total, self.current.top) = (0, 0);
    }

    /// Requests at or above a bucket.
    fn above(&self, bucket: u16) -> u64 {
        let of = |generation: &Generation| {
            // Nothing lies beyond the top.
            let counts = generation.counts.get(usize::from(bucket)..generation.top).unwrap_or_default();
            counts.iter().map(|n| u64::from(*n)).sum::<u64>()
        };
        of(&self.current) + of(&self.previous)
    }

    /// At which cuts of the proof a shift to the right shows nothing: the stable version itself has as much beyond the shifted
    /// cut as beyond its own, because all of its requests take the same time, or because there is a gap right there. A
    /// canary that is just like it could never be proven there to be no slower.
    pub(crate) fn gaps(&self, cuts: &Cuts) -> [bool; PROOF_CUTS.len()] {
        std::array::from_fn(|at| {
            let (cut, total) = (PROOF_CUTS[at], cuts.stable.total);
            let known = total * PERMILLE[cut] >= 1000 * GAP_REQUESTS;
            let (own, shifted) = (cuts.stable.above[cut], self.above(cuts.proof[at]));
            let sparse = 2000 * own < PERMILLE[cut] * total;
            known && (sparse || shifted * 100 >= own * GAP_PERCENT)
        })
    }

    /// The cuts at this moment; none if nothing was counted yet.
    pub(crate) fn cuts(&self) -> Option<StableCuts> {
        let total = self.current.total + self.previous.total;
        if total == 0 {
            return None;
        }
        let mut cuts = StableCuts { at: [0; CUTS], above: [0; CUTS], total };
        let (mut at, mut above) = (self.current.top.max(self.previous.top), 0);
        for cut in (0..CUTS).rev() {
            // The lowest bucket from which on no more than the share lie.
            while at > 0 {
                let n = u64::from(self.current.counts[at - 1]) + u64::from(self.previous.counts[at - 1]);
                if 1000 * (above + n) > PERMILLE[cut] * total {
                    break;
                }
                above += n;
                at -= 1;
            }
            cuts.at[cut] = u16::try_from(at).unwrap_or(u16::MAX);
            cuts.above[cut] = above;
        }
        Some(cuts)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    buckets: u16,
    current: LatencyCounts,
    previous: LatencyCounts,
}

impl From<Past> for Stored {
    fn from(past: Past) -> Self {
        Self {
            buckets: u16::try_from(past.current.counts.len()).unwrap_or(u16::MAX),
            current: past.current.sparse(),
            previous: past.previous.sparse(),
        }
    }
}

impl From<Stored> for Past {
    fn from(stored: Stored) -> Self {
        let mut past = Self::new(stored.buckets.min(SCHEME_BUCKETS_MAX));
        past.push(&stored.previous);
        past.rotate();
        past.push(&stored.current);
        past
    }
}

/// The stable version's cuts, and how many of its requests were at or above each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StableCuts {
    /// Buckets, rising.
    pub(crate) at: [u16; CUTS],
    /// Requests in the bucket of the cut and above.
    pub(crate) above: [u64; CUTS],
    /// All requests.
    pub(crate) total: u64,
}

impl StableCuts {
    /// The share above each cut, 0 to 1 and never 0: half a request is added where there is none.
    pub(crate) fn tails(&self) -> [f64; CUTS] {
        self.above.map(|above| (above as f64).max(0.5) / (self.total as f64 + 0.5))
    }

    /// Whether the cut is no other than the one before it, so that there is no bin between them.
    pub(crate) fn repeats(&self, cut: usize) -> bool {
        cut > 0 && self.at.get(cut).is_some_and(|at| *at == self.at[cut - 1])
    }
}

/// How much slower a canary may be: buckets by which each of its cuts lies further right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shifts {
    /// Harmless.
    pub(crate) tight: [u16; CUTS],
    /// Harmless during warm-up.
    pub(crate) loose: u16,
    /// What the proof leaves room for, at [`PROOF_CUTS`].
    pub(crate) proof: [u16; PROOF_CUTS.len()],
    /// The least difference that is not harmless, in microseconds.
    #[serde(with = "crate::exact")]
    pub(crate) min_us: f64,
}

/// All cuts of a stratum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cuts {
    pub(crate) stable: StableCuts,
    pub(crate) tight: [u16; CUTS],
    pub(crate) loose: [u16; CUTS],
    pub(crate) proof: [u16; PROOF_CUTS.len()],
    /// At which cuts of the proof shares are compared, and no shift. See [`Past::gaps`].
    #[serde(default)]
    pub(crate) gaps: [bool; PROOF_CUTS.len()],
}

impl Cuts {
    pub(crate) fn new(stable: StableCuts, shifts: &Shifts, ladder: &Ladder) -> Self {
        let beyond = |cut: usize, shift| ladder.beyond(stable.at[cut], shift, shifts.min_us);
        Self {
            stable,
            tight: std::array::from_fn(|cut| beyond(cut, shifts.tight[cut])),
            loose: std::array::from_fn(|cut| beyond(cut, shifts.loose)),
            proof: std::array::from_fn(|at| beyond(PROOF_CUTS[at], shifts.proof[at])),
            gaps: [false; PROOF_CUTS.len()],
        }
    }
}

/// The cuts in force with the templates that belong to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Cuts", into = "Cuts")]
pub(crate) struct Thresholds {
    pub(crate) cuts: Cuts,
    pub(crate) templates: Templates,
}

impl From<Cuts> for Thresholds {
    fn from(cuts: Cuts) -> Self {
        Self { cuts, templates: Templates::new(&cuts.stable) }
    }
}

impl From<Thresholds> for Cuts {
    fn from(thresholds: Thresholds) -> Self {
        thresholds.cuts
    }
}
