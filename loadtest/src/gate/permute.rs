//! Whether one run is worse than another: a permutation test over blocks of time, of all metrics at once.
//!
//! Requests of one second have more in common than their version (a pause of the garbage collector, a neighbour on the
//! machine), so they are no independent proofs of anything. What is exchanged is therefore whole blocks of seconds: if both
//! runs were of the same kind, each way of dealing the blocks out again would have been as likely as the one that
//! happened (Fisher's randomisation test; Good, *Permutation, Parametric and Bootstrap Tests of Hypotheses*, 3.1).
//! Nothing is supposed of the distribution of latencies, nor of that of the blocks.
//!
//! Several metrics are several chances to be wrong. All of them are dealt out together, and each is compared with the
//! largest that chance made of any (step-down max-T; Westfall and Young, *Resampling-Based Multiple Testing*, 2.8). The 95th
//! and the 99th percentile mostly move together, and so cost little more than one of them; Holm's
//! correction would charge for both.

use rand::{SeedableRng, rngs::SmallRng, seq::SliceRandom};

/// Times that the blocks are dealt out again; the smallest chance that can be told is one in so many and one.
pub const DEALS: usize = 9_999;
/// Always the same, so that a gate says the same of the same records.
const SEED: u64 = 0x5e71;

/// What one block counted: so many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Block {
    /// Those that count.
    pub hits: f64,
    /// Of how many.
    pub of: f64,
}

/// The blocks of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks {
    /// In the baseline.
    pub baseline: Vec<Block>,
    /// In the candidate.
    pub candidate: Vec<Block>,
}

/// For each metric the chance that dealing the blocks out again makes the candidate's share exceed the baseline's by as
/// much as it did, in this or in another metric that did not stand out more; one-sided.
///
/// All metrics have their blocks of the same seconds. None where either run has fewer than two.
pub fn chances(metrics: &[Blocks]) -> Option<Vec<f64>> {
    let first = metrics.first()?;
    let (baseline, all) = (first.baseline.len(), first.baseline.len() + first.candidate.len());
    let same = |blocks: &Blocks| {
        blocks.baseline.len() == baseline && blocks.baseline.len() + blocks.candidate.len() == all
    };
    if baseline < 2 || all < baseline + 2 || !metrics.iter().all(same) {
        return None;
    }
    let joined: Vec<Vec<Block>> =
        metrics.iter().map(|blocks| [&blocks.baseline[..], &blocks.candidate[..]].concat()).collect();
    let mut order: Vec<usize> = (0..all).collect();
    let mut random = SmallRng::seed_from_u64(SEED);
    let mut dealt: Vec<Vec<f64>> = vec![Vec::with_capacity(DEALS + 1); metrics.len()];
    for deal in 0..=DEALS {
        // The first is the one that happened.
        if deal > 0 {
            order.shuffle(&mut random);
        }
        for (of, blocks) in dealt.iter_mut().zip(&joined) {
            of.push(excess(blocks, &order, baseline));
        }
    }
    dealt.iter_mut().for_each(|of| standardize(of));
    Some(step_down(&dealt))
}

/// By how much the share in the later blocks exceeds that in the first ones.
fn excess(blocks: &[Block], order: &[usize], first: usize) -> f64 {
    let share = |part: &[usize]| {
        let (hits, of) =
            part.iter().fold((0.0, 0.0), |(hits, of), at| (hits + blocks[*at].hits, of + blocks[*at].of));
        if of > 0.0 { hits / of } else { 0.0 }
    };
    share(&order[first..]) - share(&order[..first])
}

/// So that metrics of different size can be compared. What never changes says nothing, and is zero.
fn standardize(values: &mut [f64]) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    for value in values {
        *value = if deviation > 0.0 { (*value - mean) / deviation } else { 0.0 };
    }
}

fn step_down(dealt: &[Vec<f64>]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..dealt.len()).collect();
    // The least conspicuous first: each maximum is over it and those before.
    order.sort_by(|a, b| dealt[*a][0].total_cmp(&dealt[*b][0]));
    let mut largest = vec![f64::NEG_INFINITY; DEALS + 1];
    let mut chances = vec![1.0; dealt.len()];
    for at in &order {
        for (most, value) in largest.iter_mut().zip(&dealt[*at]) {
            *most = most.max(*value);
        }
        // What differs by rounding alone is as much.
        let seen = dealt[*at][0] - 1e-9;
        // Of a metric that never changed nothing can be said.
        let still = dealt[*at].iter().all(|value| *value == 0.0);
        let as_much = largest.iter().filter(|most| **most >= seen).count();
        chances[*at] = if still { 1.0 } else { as_much as f64 / (DEALS + 1) as f64 };
    }
    // Nobody is surer than who stood out more.
    let mut least: f64 = 0.0;
    for at in order.iter().rev() {
        least = least.max(chances[*at]);
        chances[*at] = least;
    }
    chances
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(hits: &[f64]) -> Vec<Block> {
        hits.iter().map(|hits| Block { hits: *hits, of: 100.0 }).collect()
    }

    fn chance(baseline: &[Block], candidate: &[Block]) -> Option<f64> {
        let blocks = Blocks { baseline: baseline.to_vec(), candidate: candidate.to_vec() };
        chances(&[blocks]).map(|chances| chances[0])
    }

    #[test]
    fn equal_runs_are_not_told_apart_and_different_ones_are() {
        let a = blocks(&[3.0, 5.0, 4.0, 6.0, 2.0, 4.0]);
        let worse = blocks(&[13.0, 15.0, 14.0, 16.0, 12.0, 14.0]);
        assert!(chance(&a, &a).unwrap() > 0.4);
        // All of one above all of the other: one deal in 924.
        let p = chance(&a, &worse).unwrap();
        assert!((p - 1.0 / 924.0).abs() < 0.001, "{p}");
        assert!(chance(&worse, &a).unwrap() > 0.99, "one-sided");
        assert_eq!(chance(&a[..1], &worse), None);
    }

    #[test]
    fn one_bad_moment_is_no_proof() {
        let quiet = blocks(&[1.0; 12]);
        let mut hiccup = blocks(&[1.0; 12]);
        hiccup[5].hits = 90.0;
        assert!(chance(&quiet, &hiccup).unwrap() > 0.4);
    }

    #[test]
    fn what_never_changes_says_nothing() {
        let none = blocks(&[0.0; 12]);
        assert_eq!(chance(&none, &none), Some(1.0));
    }

    #[test]
    fn more_metrics_make_each_less_sure_but_those_that_move_together_hardly() {
        let pair = |add: f64, turn: usize| {
            let baseline = [3.0, 5.0, 4.0, 6.0, 2.0, 4.0, 7.0, 1.0];
            let mut candidate = baseline.map(|hits| hits + add);
            candidate.rotate_left(turn);
            Blocks { baseline: blocks(&baseline), candidate: blocks(&candidate) }
        };
        let alone = chances(&[pair(2.0, 0)]).unwrap()[0];
        let twice = chances(&[pair(2.0, 0), pair(2.0, 0)]).unwrap();
        assert_eq!(twice, [alone, alone]);
        let others: Vec<Blocks> =
            [pair(2.0, 0)].into_iter().chain((1..6).map(|turn| pair(0.0, turn))).collect();
        let among = chances(&others).unwrap();
        assert!(among[0] > alone && among[0] < 6.0 * alone, "{alone} alone, {among:?}");
        assert!(among[1..].iter().all(|chance| *chance >= among[0]));
    }
}
