//! What a stratum counts until both arms had traffic.
//!
//! Requests and failures are one half, latencies, already sorted into the bins that the cuts of the moment make, the
//! other. Whether the block is complete depends on the number of requests alone.
//!
//! What counts as bad is what was randomised: where the split is sticky, whole clients are, and one client with a
//! broken session may fail a hundred times. There the failing clients are counted, each once. Otherwise
//! requests are counted, each kind of failure with its weight: a part of a failure is no more than a
//! whole one, and the factor is convex in it, so its expectation stays at most one.

use serde::{Deserialize, Serialize};
use serin_config::wire::LatencyCounts;

use crate::{
    error_rate::Counts,
    templates::Bins,
    thresholds::{Cuts, PROOF_CUTS},
    window::{Arm, Pairing},
};

/// Counts of both arms.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct StratumBlock {
    /// Whether a window was counted.
    open: bool,
    canary_requests: u64,
    /// In thousandths.
    canary_bad: u64,
    stable_requests: u64,
    /// In thousandths.
    stable_bad: u64,
    /// Whether failing clients were counted, and not requests.
    #[serde(default)]
    by_client: bool,
    /// Failed requests of both arms, in thousandths.
    #[serde(default)]
    failed: [u64; 2],
    /// The canary's successes between its cuts.
    pub(crate) tight: Bins,
    /// The same with the tolerance of a warm-up.
    pub(crate) loose: Bins,
    /// The canary's successes at or above each cut of the proof.
    pub(crate) proof: [u64; PROOF_CUTS.len()],
    /// The stable version's successes between its cuts.
    pub(crate) stable: Bins,
}

impl StratumBlock {
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Counts requests and failures of a window.
    pub(crate) fn count(&mut self, window: &Pairing) {
        self.open = true;
        let (canary, stable) = bad(window);
        add(&mut self.canary_requests, window.canary.judged);
        add(&mut self.canary_bad, canary);
        add(&mut self.stable_requests, window.stable.judged);
        add(&mut self.stable_bad, stable);
        self.by_client |= window.canary.clients.is_some() || window.stable.clients.is_some();
        let [canary_failed, stable_failed] = &mut self.failed;
        add(canary_failed, failed(&window.canary));
        add(stable_failed, failed(&window.stable));
    }

    /// Counts latencies of a window; those of a warm-up only where there is one.
    pub(crate) fn sort(&mut self, window: &Pairing, cuts: &Cuts, warm_up: bool) {
        sort(&mut self.stable, &cuts.stable.at, &window.stable.headers);
        sort(&mut self.tight, &cuts.tight, &window.canary.headers);
        if warm_up {
            sort(&mut self.loose, &cuts.loose, &window.canary.headers);
        }
        let mut proof = [0; PROOF_CUTS.len() + 1];
        sort(&mut proof, &cuts.proof, &window.canary.headers);
        let mut above = 0;
        for (sum, n) in self.proof.iter_mut().zip(&proof[1..]).rev() {
            above += n;
            add(sum, above);
        }
    }

    /// Whether both arms had a request.
    pub(crate) fn is_complete(&self) -> bool {
        self.canary_requests >= 1 && self.stable_requests >= 1
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            canary: self.canary_requests as f64,
            canary_bad: self.canary_bad as f64 / 1e3,
            stable: self.stable_requests as f64,
            stable_bad: self.stable_bad as f64 / 1e3,
        }
    }

    /// The same by requests, where [`Self::counts`] has failing clients.
    pub(crate) fn by_request(&self) -> Option<Counts> {
        let [canary_bad, stable_bad] = self.failed.map(|failed| failed as f64 / 1e3);
        self.by_client.then(|| Counts { canary_bad, stable_bad, ..self.counts() })
    }

    /// Successes of the canary and of the stable version whose latency was counted.
    pub(crate) fn successes(&self) -> (u64, u64) {
        let sum = |bins: &Bins| bins.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        (sum(&self.tight), sum(&self.stable))
    }
}

/// Failed requests by their weights, in thousandths; never more than all.
fn failed(arm: &Arm) -> u64 {
    arm.charged.min(arm.judged.saturating_mul(1000))
}

/// What counts as bad in either arm, in thousandths; never more than all.
pub(crate) fn bad(window: &Pairing) -> (u64, u64) {
    // An arm without a failure has no failing client, whether or not its proxy said so.
    let clients = |arm: &Arm| arm.clients.or((arm.failed == 0).then_some(0));
    let sticky = window.canary.clients.is_some() || window.stable.clients.is_some();
    let capped = |arm: &Arm, bad: u64| bad.min(arm.judged.saturating_mul(1000));
    match (clients(&window.canary), clients(&window.stable)) {
        (Some(canary), Some(stable)) if sticky => {
            let of = |arm: &Arm, clients: u64| capped(arm, clients.saturating_mul(1000).min(arm.charged));
            (of(&window.canary, canary), of(&window.stable, stable))
        }
        _ => (capped(&window.canary, window.canary.charged), capped(&window.stable, window.stable.charged)),
    }
}

/// Adds a histogram to the bins that `cuts` make. Its buckets rise, and the bin moves on with them; one that is out of
/// order is counted where the others have got to.
fn sort<const K: usize, const N: usize>(bins: &mut [u64; N], cuts: &[u16; K], headers: &LatencyCounts) {
    const { assert!(N == K + 1) };
    let mut entries = headers.0.iter();
    let mut next = entries.next();
    for (bin, cut) in bins.iter_mut().zip(cuts) {
        // No histogram has so many buckets that plain sums of 32-bit counts could overflow.
        let mut sum = 0_u64;
        while let Some((_, n)) = next.filter(|(bucket, _)| bucket < cut) {
            sum += u64::from(*n);
            next = entries.next();
        }
        add(bin, sum);
    }
    let above = next.into_iter().chain(entries).map(|(_, n)| u64::from(*n)).sum();
    add(&mut bins[K], above);
}

fn add(sum: &mut u64, n: u64) {
    *sum = sum.saturating_add(n);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thresholds::BINS;

    #[test]
    fn latencies_are_sorted_into_bins_and_none_is_lost() {
        let cuts = [10, 10, 20, 30, 40, 50];
        let mut bins = [0; BINS];
        sort(
            &mut bins,
            &cuts,
            &LatencyCounts(vec![(9, 1), (10, 2), (19, 3), (20, 4), (49, 5), (50, 6), (900, 7)]),
        );
        assert_eq!(bins, [1, 0, 5, 4, 0, 5, 13]);
        let mut bins = [0; BINS];
        sort(&mut bins, &cuts, &LatencyCounts(vec![(50, 1), (9, 2), (20, 3)]));
        assert_eq!(bins, [0, 0, 0, 0, 0, 0, 6], "out of order");
    }

    fn pairing(canary: Arm, stable: Arm) -> Pairing {
        Pairing { canary, stable }
    }

    #[test]
    fn failing_clients_count_where_the_split_is_sticky_and_requests_where_it_is_not() {
        let sticky = |judged, failed, clients| Arm { clients, ..Arm::counted(judged, failed) };
        let both = pairing(sticky(100, 30, Some(2)), sticky(900, 5, Some(5)));
        assert_eq!(bad(&both), (2_000, 5_000));
        let silent = pairing(sticky(100, 30, Some(2)), sticky(900, 0, None));
        assert_eq!(bad(&silent), (2_000, 0));
        let unknown = pairing(sticky(100, 30, Some(2)), sticky(900, 5, None));
        assert_eq!(bad(&unknown), (30_000, 5_000), "one arm counted by requests: then both are");
        assert_eq!(bad(&pairing(Arm::counted(100, 30), Arm::counted(900, 0))), (30_000, 0));
    }

    #[test]
    fn there_are_never_more_bad_requests_than_requests() {
        let window = pairing(Arm::counted(3, 10), Arm { clients: Some(9), ..Arm::counted(2, 9) });
        assert_eq!(bad(&window), (3_000, 2_000));
        let window = pairing(Arm::counted(u64::MAX, u64::MAX), Arm::counted(1, u64::MAX));
        assert_eq!(bad(&window), (u64::MAX, 1_000));
    }
}
