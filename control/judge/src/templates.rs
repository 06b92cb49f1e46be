//! The ways in which a canary may be slower, each as a bet on the bins of the latency comparison.
//!
//! A template gives a ratio r for each bin: how many times as large a share of the canary's requests it expects
//! there as of the stable version's. Ratios rise from bin to bin, so a template never rewards a canary that is
//! faster. Twenty of them look for a slower canary:
//!
//! - five *odds* templates for a shift of everything: r = θ / ((1 + (θ−1)·s₋)·(1 + (θ−1)·s₊)), s₋ and s₊ the stable
//!   version's shares above the lower and the upper end of the bin (proportional odds with ratio θ); a bin that is none,
//!   because two cuts fell together, has the ratio of the one before it;
//! - fifteen *steps* for a tail that grows: R above one cut (at 10 %, 1 % or 0.1 %), (1 − R·s)/(1 − s) below it. One that expects
//!   the canary to have most of its requests there, or whose cut is the same as the one before, is left out.
//!
//! Fifteen further steps with R below one look for a canary that is proven not to be slower.

use crate::{
    elementary::ln_all,
    thresholds::{BINS, CUTS, PROOF_CUTS, StableCuts},
};

/// Odds ratios, and the capital of each.
pub(crate) const ODDS: [f64; 5] = [1.2, 1.5, 2.2, 4.0, 10.0];
/// The cuts at which a tail may begin.
pub(crate) const STEP_CUTS: [usize; 3] = [2, 4, 5];
/// By how much such a tail may be larger.
pub(crate) const STEPS: [f64; 5] = [1.5, 2.5, 5.0, 20.0, 100.0];
/// By how much a tail must be smaller than the boundary in the proof.
pub(crate) const PROOF_STEPS: [f64; 5] = [0.3, 0.5, 0.7, 0.85, 0.95];
/// Templates of the comparison.
pub(crate) const COUNT: usize = ODDS.len() + STEP_CUTS.len() * STEPS.len();
/// Templates of the proof, cut by cut.
pub(crate) const PROOF_COUNT: usize = PROOF_CUTS.len() * PROOF_STEPS.len();
/// The largest share of the canary's requests that a step may expect above its cut.
const EXPECTED_MAX: f64 = 0.9;

/// The capital of each template: half for the odds, half for the steps.
pub(crate) const WEIGHTS: [f64; COUNT] = {
    let mut weights = [1.0 / 30.0; COUNT];
    let mut at = 0;
    while at < ODDS.len() {
        weights[at] = 0.1;
        at += 1;
    }
    weights
};

/// Requests of one arm in each bin, from fast to slow.
pub(crate) type Bins = [u64; BINS];

// One list holds all ratios, so that their logarithms are taken in one go.
const ODDS_AT: usize = 0;
const BELOW_AT: usize = ODDS_AT + ODDS.len() * BINS;
const ABOVE_AT: usize = BELOW_AT + COUNT - ODDS.len();
const PROOF_BELOW_AT: usize = ABOVE_AT + STEPS.len();
const PROOF_ABOVE_AT: usize = PROOF_BELOW_AT + PROOF_COUNT;
const RATIOS: usize = PROOF_ABOVE_AT + PROOF_STEPS.len();

/// The ratios that follow from one set of cuts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Templates {
    /// r − 1.
    gains: [f64; RATIOS],
    /// ln r.
    ln: [f64; RATIOS],
    /// Steps that are left out.
    absent: [bool; COUNT - ODDS.len()],
}

impl Templates {
    pub(crate) fn new(stable: &StableCuts) -> Self {
        let tails = stable.tails();
        let mut gains = [0.0; RATIOS];
        let mut absent = [false; COUNT - ODDS.len()];
        for (odds, theta) in ODDS.into_iter().enumerate() {
            for bin in 0..BINS {
                let at = ODDS_AT + odds * BINS + bin;
                if stable.repeats(bin) {
                    gains[at] = gains[at - 1];
                    continue;
                }
                let before = if bin == 0 { 1.0 } else { tails[bin - 1] };
                let after = if bin == CUTS { 0.0 } else { tails[bin] };
                let ratio = theta / ((1.0 + (theta - 1.0) * before) * (1.0 + (theta - 1.0) * after));
                gains[at] = ratio - 1.0;
            }
        }
        // (1 − R·s)/(1 − s) − 1, without the detour over one.
        let below = |tail: f64, step: f64| (1.0 - step) * tail / (1.0 - tail);
        for (at, cut) in STEP_CUTS.into_iter().enumerate() {
            for (of, step) in STEPS.into_iter().enumerate() {
                let place = at * STEPS.len() + of;
                absent[place] = step * tails[cut] > EXPECTED_MAX || stable.repeats(cut);
                if !absent[place] {
                    gains[BELOW_AT + place] = below(tails[cut], step);
                }
            }
        }
        for (at, cut) in PROOF_CUTS.into_iter().enumerate() {
            for (of, step) in PROOF_STEPS.into_iter().enumerate() {
                gains[PROOF_BELOW_AT + at * PROOF_STEPS.len() + of] = below(tails[cut], step);
            }
        }
        gains[ABOVE_AT..PROOF_BELOW_AT].copy_from_slice(&STEPS.map(|step| step - 1.0));
        gains[PROOF_ABOVE_AT..].copy_from_slice(&PROOF_STEPS.map(|step| step - 1.0));
        let mut ln = gains.map(|gain| 1.0 + gain);
        ln_all(&mut ln);
        Self { gains, ln, absent }
    }

    /// What a block of `canary` and `stable` requests, both at least one, is worth to a request in each bin.
    /// All is divided by `clump`.
    pub(crate) fn bets(&self, canary: u64, stable: u64, clump: f64) -> Bets<'_> {
        let (canary, stable) = (canary as f64, stable as f64);
        let share = canary / (canary + stable);
        let mut ln_mean = [0.0; RATIOS];
        ln_mean.iter_mut().zip(&self.gains).for_each(|(mean, gain)| *mean = 1.0 + share * gain);
        ln_all(&mut ln_mean);
        Bets { templates: self, ln_mean, part: 1.0 / clump }
    }

    /// The ratio of each bin, template by template; none for those that are left out.
    #[cfg(test)]
    pub(crate) fn ratios(&self) -> Vec<Option<[f64; BINS]>> {
        let odds = (0..ODDS.len())
            .map(|odds| Some(std::array::from_fn(|bin| 1.0 + self.gains[ODDS_AT + odds * BINS + bin])));
        let steps = (0..COUNT - ODDS.len()).map(|step| {
            let (below, above) = (self.gains[BELOW_AT + step], STEPS[step % STEPS.len()] - 1.0);
            let cut = STEP_CUTS[step / STEPS.len()];
            (!self.absent[step])
                .then(|| std::array::from_fn(|bin| 1.0 + if bin > cut { above } else { below }))
        });
        odds.chain(steps).collect()
    }
}

/// The templates, ready for one block: with a share π of its requests made by the canary, the factor is
///
/// ```text
/// ln S = Σ c·ln r − (c + b)·ln(1 + π·(r − 1))
/// ```
///
/// over bins with c requests of the canary and b of the stable version. Its expectation is at most one if both arms'
/// latencies are spread alike, by the inequality of weighted means, whatever r is; and since r rises, a canary
/// that is faster only lowers it. No distribution is assumed.
pub(crate) struct Bets<'a> {
    templates: &'a Templates,
    /// ln(1 + π·(r − 1)).
    ln_mean: [f64; RATIOS],
    part: f64,
}

/// The same for any one template.
#[cfg(test)]
pub(crate) fn ln_factor(canary: &Bins, stable: &Bins, ratios: &[f64; BINS]) -> f64 {
    let sum = |bins: &Bins| bins.iter().sum::<u64>() as f64;
    let share = sum(canary) / (sum(canary) + sum(stable));
    let each = canary.iter().zip(stable).zip(ratios);
    each.map(|((c, b), r)| *c as f64 * r.ln() - (*c + *b) as f64 * (share * (r - 1.0)).ln_1p()).sum()
}

impl Bets<'_> {
    /// Sets ln S of each template of the comparison.
    pub(crate) fn slower(&self, canary: &Bins, stable: &Bins, factors: &mut [f64; COUNT]) {
        let (ln, ln_mean) = (&self.templates.ln, &self.ln_mean);
        let mine = canary.map(|n| n as f64);
        let both: [f64; BINS] = std::array::from_fn(|bin| mine[bin] + stable[bin] as f64);
        for (odds, factor) in factors[..ODDS.len()].iter_mut().enumerate() {
            *factor = 0.0;
            for bin in 0..BINS {
                let at = ODDS_AT + odds * BINS + bin;
                *factor += mine[bin] * ln[at] - both[bin] * ln_mean[at];
            }
        }
        for (at, cut) in STEP_CUTS.into_iter().enumerate() {
            let split = Split::at(cut, &mine, &both);
            for of in 0..STEPS.len() {
                let place = at * STEPS.len() + of;
                let factor = &mut factors[ODDS.len() + place];
                *factor = self.two_bins(&split, BELOW_AT + place, ABOVE_AT + of);
                if self.templates.absent[place] {
                    *factor = 0.0;
                }
            }
        }
        factors.iter_mut().for_each(|factor| *factor *= self.part);
    }

    /// ln S of each template of the proof, given the canary's requests at or above its cuts of the proof.
    pub(crate) fn not_slower(
        &self,
        canary: &Bins,
        above: [u64; PROOF_CUTS.len()],
        stable: &Bins,
    ) -> [f64; PROOF_COUNT] {
        let mine = canary.map(|n| n as f64);
        let all: f64 = mine.iter().sum();
        let theirs = stable.map(|n| n as f64);
        let mut factors = [0.0; PROOF_COUNT];
        for (at, cut) in PROOF_CUTS.into_iter().enumerate() {
            let stable = Split::at(cut, &theirs, &theirs);
            let above = above[at] as f64;
            let split = Split {
                mine: (all - above, above),
                both: (all - above + stable.mine.0, above + stable.mine.1),
            };
            for of in 0..PROOF_STEPS.len() {
                let place = at * PROOF_STEPS.len() + of;
                factors[place] =
                    self.part * self.two_bins(&split, PROOF_BELOW_AT + place, PROOF_ABOVE_AT + of);
            }
        }
        factors
    }

    fn two_bins(&self, split: &Split, below: usize, above: usize) -> f64 {
        let (ln, ln_mean) = (&self.templates.ln, &self.ln_mean);
        split.mine.0 * ln[below] - split.both.0 * ln_mean[below] + split.mine.1 * ln[above]
            - split.both.1 * ln_mean[above]
    }
}

/// Requests below a cut, and at or above it.
struct Split {
    mine: (f64, f64),
    both: (f64, f64),
}

impl Split {
    fn at(cut: usize, mine: &[f64; BINS], both: &[f64; BINS]) -> Self {
        let halves =
            |bins: &[f64; BINS]| (bins[..=cut].iter().sum::<f64>(), bins[cut + 1..].iter().sum::<f64>());
        Self { mine: halves(mine), both: halves(both) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stable() -> StableCuts {
        StableCuts { at: [100, 110, 120, 130, 140, 150], above: [500, 250, 100, 50, 10, 1], total: 1000 }
    }

    #[test]
    fn capital_sums_to_one() {
        assert!((WEIGHTS.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn ratios_rise_from_bin_to_bin_so_that_a_faster_canary_is_never_suspect() {
        let templates = Templates::new(&stable());
        assert_eq!(templates.ratios().iter().flatten().count(), 5 + 3 + 4 + 5);
        for ratios in templates.ratios().into_iter().flatten() {
            assert!(ratios.is_sorted(), "{ratios:?}");
        }
        let bets = templates.bets(100, 900, 1.0);
        let alike = [450, 225, 135, 45, 36, 8, 1];
        let (mut faster, mut slower) = ([0.0; COUNT], [0.0; COUNT]);
        bets.slower(&[80, 20, 0, 0, 0, 0, 0], &alike, &mut faster);
        assert!(faster.iter().all(|ln| *ln <= 0.0), "{faster:?}");
        bets.slower(&[0, 0, 0, 0, 50, 30, 20], &alike, &mut slower);
        assert!(slower.iter().any(|ln| *ln > 50.0), "{slower:?}");
    }

    #[test]
    fn a_step_at_a_repeated_cut_or_with_too_large_a_tail_is_left_out() {
        let mut stable = stable();
        (stable.at[4], stable.above[4]) = (130, 50);
        let ratios = Templates::new(&stable).ratios();
        assert_eq!(ratios[5..10].iter().flatten().count(), 3, "20 · 10 % and 100 · 10 % are no shares");
        assert_eq!(ratios[10..15].iter().flatten().count(), 0, "the cut at 1 % is the one at 5 %");
        let mut factors = [1.0; COUNT];
        let bets = Templates::new(&stable);
        let bets = bets.bets(10, 90, 1.0);
        bets.slower(&[0, 0, 0, 0, 0, 0, 10], &[90, 0, 0, 0, 0, 0, 0], &mut factors);
        assert!(factors[10..15].iter().all(|ln| *ln == 0.0));
    }

    #[test]
    fn the_factor_has_no_expectation_above_one_where_both_arms_are_alike() {
        // Two requests of the canary and one of the stable version, each in one of two bins: all eight cases.
        let templates = Templates::new(&StableCuts { at: [1, 2, 3, 4, 5, 6], above: [3; CUTS], total: 10 });
        let bets = templates.bets(2, 1, 1.0);
        let place = |slow: u64, of: u64| [of - slow, 0, 0, 0, 0, 0, slow];
        for p in [0.01, 0.3, 0.5, 0.9] {
            let chance = |slow: u64, of: u64| {
                let ways = if (slow, of) == (1, 2) { 2.0 } else { 1.0 };
                ways * f64::powi(p, slow as i32) * f64::powi(1.0 - p, (of - slow) as i32)
            };
            let mut expectation = [0.0; COUNT];
            for (canary, stable) in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)] {
                let mut ln = [0.0; COUNT];
                bets.slower(&place(canary, 2), &place(stable, 1), &mut ln);
                for (sum, ln) in expectation.iter_mut().zip(ln) {
                    *sum += chance(canary, 2) * chance(stable, 1) * ln.exp();
                }
            }
            assert!(expectation.iter().all(|e| *e <= 1.0 + 1e-12), "{p}: {expectation:?}");
        }
    }
}
