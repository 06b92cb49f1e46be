//! Distributions of latency, cut fine: eight cells to each bucket of the judge.
//!
//! A latency that is multiplied moves by a number of cells; so load, warm-up, leaks and slower pods are one addition
//! when a count is drawn, and both arms see exactly the same distribution where nothing sets them apart. A second's
//! histogram is one multinomial draw: by single requests where there are few, bucket by bucket where there are many.

use std::sync::Arc;

use serin_config::wire::{BUCKETS, LatencyCounts};

use crate::draw::Rng;

const CELLS_PER_BUCKET: usize = 8;
const CELLS_PER_OCTAVE: f64 = 32.0 * CELLS_PER_BUCKET as f64;
const CELLS: usize = BUCKETS * CELLS_PER_BUCKET;
/// Entries of the table that finds a quantile's cell.
const GUIDES: usize = 4096;
/// From so many requests on, buckets are drawn instead of requests.
const BY_BUCKET_FROM: u64 = 1500;

/// A distribution of latencies.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// The share below each cell's lower edge, and 1 at the end.
    below: Vec<f64>,
    guides: Vec<u32>,
    /// First cell with a share and the one after the last.
    from: usize,
    to: usize,
}

/// How far latencies move where they are multiplied by `factor`.
pub(crate) fn cells(factor: f64) -> i64 {
    (factor.log2() * CELLS_PER_OCTAVE).round() as i64
}

fn edge_us(cell: usize) -> f64 {
    (cell as f64 / CELLS_PER_OCTAVE).exp2()
}

impl Shape {
    fn of(mut below: Vec<f64>) -> Self {
        // What lies outside the cells, and what is rarer than anything that is ever drawn, goes to the ends.
        for share in &mut below {
            *share = if *share < 1e-12 {
                0.0
            } else if *share > 1.0 - 1e-12 {
                1.0
            } else {
                *share
            };
        }
        below[0] = 0.0;
        below[CELLS] = 1.0;
        let from = below.iter().position(|share| *share > 0.0).unwrap_or(1) - 1;
        let to = below.iter().position(|share| *share >= 1.0).unwrap_or(CELLS);
        let mut cell = from;
        let guides = (0..GUIDES)
            .map(|guide| {
                while below[cell + 1] <= guide as f64 / GUIDES as f64 {
                    cell += 1;
                }
                cell as u32
            })
            .collect();
        Self { below, guides, from, to }
    }

    /// The share below each cell is `of` its lower edge in milliseconds.
    fn by(of: impl Fn(f64) -> f64) -> Self {
        Self::of((0..=CELLS).map(|cell| of(edge_us(cell) / 1e3)).collect())
    }

    /// Log-normal around a median in milliseconds.
    pub(crate) fn lognormal(median_ms: f64, sigma: f64) -> Self {
        Self::by(|ms| normal_below((ms / median_ms).ln() / sigma))
    }

    /// Hits of a cache and misses.
    pub(crate) fn bimodal() -> Self {
        Self::mix(&[(0.8, &Self::lognormal(8.0, 0.3)), (0.2, &Self::lognormal(120.0, 0.35))])
    }

    /// A body, and one in twenty with a tail that falls with the power 1.5.
    pub(crate) fn heavy() -> Self {
        let tail = Self::by(|ms| if ms <= 80.0 { 0.0 } else { 1.0 - (80.0 / ms).powf(1.5) });
        Self::mix(&[(0.95, &Self::lognormal(40.0, 0.5)), (0.05, &tail)])
    }

    /// A weighted mixture.
    pub(crate) fn mix(parts: &[(f64, &Self)]) -> Self {
        let at = |cell: usize| parts.iter().map(|(weight, part)| weight * part.below[cell]).sum();
        Self::of((0..=CELLS).map(at).collect())
    }

    /// All latencies multiplied.
    pub(crate) fn times(&self, factor: f64) -> Self {
        let by = cells(factor);
        Self::of((0..=CELLS as i64).map(|cell| self.below_cell(cell - by)).collect())
    }

    /// The slowest tenth stretched, so that the 99th percentile is `factor` times as long; the others as they are.
    pub(crate) fn tail_times(&self, factor: f64) -> Self {
        let (knee, p99) = (self.cell_of(0.9) as f64, self.cell_of(0.99) as f64);
        let stretch = 1.0 + factor.log2() * CELLS_PER_OCTAVE / (p99 - knee);
        let below = |cell: usize| {
            let past = (cell as f64 - knee).max(0.0);
            let from = if past > 0.0 { knee + past / stretch } else { cell as f64 };
            self.below_between(from)
        };
        Self::of((0..=CELLS).map(below).collect())
    }

    /// The share below a place between two edges.
    fn below_between(&self, place: f64) -> f64 {
        let (low, part) = (self.below_cell(place as i64), place.fract());
        low + part * (self.below_cell(place as i64 + 1) - low)
    }

    /// One request in each `1/share` takes so much longer.
    pub(crate) fn delayed(&self, share: f64, by_ms: f64) -> Self {
        let late = Self::by(|ms| if ms <= by_ms { 0.0 } else { self.below_ms(ms - by_ms) });
        Self::mix(&[(1.0 - share, self), (share, &late)])
    }

    fn below_ms(&self, ms: f64) -> f64 {
        self.below_cell(((ms * 1e3).max(1.0).log2() * CELLS_PER_OCTAVE) as i64)
    }

    fn below_cell(&self, cell: i64) -> f64 {
        self.below[cell.clamp(0, CELLS as i64) as usize]
    }

    fn cell_of(&self, quantile: f64) -> usize {
        let mut cell = self.guides[(quantile * GUIDES as f64) as usize] as usize;
        while self.below[cell + 1] <= quantile {
            cell += 1;
        }
        cell
    }

    /// A latency in milliseconds.
    pub(crate) fn one_ms(&self, rng: &mut Rng, moved: i64) -> f64 {
        edge_us((self.cell_of(rng.uniform()) as i64 + moved).clamp(0, CELLS as i64) as usize) / 1e3
    }

    /// Draws `n` latencies, each moved by so many cells, into `into`.
    pub(crate) fn draw(&self, rng: &mut Rng, n: u64, moved: i64, into: &mut Histogram) {
        if n < BY_BUCKET_FROM {
            for _ in 0..n {
                let cell = self.cell_of(rng.uniform()) as i64 + moved;
                into.add(bucket(cell), 1);
            }
            return;
        }
        let (mut left, mut share_left) = (n, 1.0);
        for at in bucket(self.from as i64 + moved)..=bucket(self.to as i64 + moved) {
            let first = at as i64 * CELLS_PER_BUCKET as i64 - moved;
            let last = if at + 1 == BUCKETS { CELLS as i64 } else { first + CELLS_PER_BUCKET as i64 };
            let first = if at == 0 { 0 } else { first };
            let share = self.below_cell(last) - self.below_cell(first);
            let drawn = rng.binomial(left, share / share_left);
            into.add(at, drawn as u32);
            left -= drawn;
            share_left -= share;
            if left == 0 || share_left <= 0.0 {
                break;
            }
        }
        // Rounding may leave a request over: it belongs to the very end.
        into.add(bucket(self.to as i64 - 1 + moved), left as u32);
    }
}

fn bucket(cell: i64) -> usize {
    (cell.max(0) as usize / CELLS_PER_BUCKET).min(BUCKETS - 1)
}

/// Counts of each bucket, used again and again.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u32>,
    from: usize,
    to: usize,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], from: BUCKETS, to: 0 }
    }
}

impl Histogram {
    fn add(&mut self, bucket: usize, n: u32) {
        if n > 0 {
            self.counts[bucket] += n;
            self.from = self.from.min(bucket);
            self.to = self.to.max(bucket + 1);
        }
    }

    pub(crate) fn add_ms(&mut self, ms: f64) {
        self.add(bucket(((ms * 1e3).max(1.0).log2() * CELLS_PER_OCTAVE) as i64), 1);
    }

    /// The counts as the judge takes them; the histogram is empty again.
    pub(crate) fn take(&mut self) -> LatencyCounts {
        let mut counts = Vec::with_capacity(64);
        for bucket in self.from..self.to {
            let n = std::mem::take(&mut self.counts[bucket]);
            if n > 0 {
                counts.push((bucket as u16, n));
            }
        }
        (self.from, self.to) = (BUCKETS, 0);
        LatencyCounts(counts)
    }
}

/// The share of a normal distribution below `z`: an error of less than 1e-7 (Abramowitz and Stegun 26.2.17), far below
/// what an hour of any traffic could tell, and the same for both arms.
fn normal_below(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let above = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * poly;
    if z > 0.0 { 1.0 - above } else { above }
}

/// The shapes that traffic comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    LogNormal,
    Bimodal,
    Heavy,
    Fast,
}

impl Kind {
    pub(crate) fn shape(self) -> Arc<Shape> {
        Arc::new(match self {
            Self::LogNormal => Shape::lognormal(50.0, 0.5),
            Self::Bimodal => Shape::bimodal(),
            Self::Heavy => Shape::heavy(),
            Self::Fast => Shape::lognormal(2.0, 0.4),
        })
    }
}

fn drawn(shape: &Shape, n: u64, moved: i64) -> LatencyCounts {
    let (mut rng, mut into) = (Rng::new(3, n), Histogram::default());
    shape.draw(&mut rng, n, moved, &mut into);
    into.take()
}

#[test]
fn a_draw_loses_nobody_and_has_the_quantiles_of_its_shape() {
    for n in [1, 7, BY_BUCKET_FROM - 1, BY_BUCKET_FROM, 100_000] {
        assert_eq!(drawn(&Shape::heavy(), n, 0).total(), n);
    }
    let lognormal = Shape::lognormal(60.0, 0.5);
    for (moved, factor) in [(0, 1.0), (cells(2.0), 2.0), (cells(0.1), 0.1)] {
        let counts = drawn(&lognormal, 1_000_000, moved);
        // Standard normal quantiles: 0 and 2.3263; a bucket is 2.2 % wide.
        for (q, z) in [(0.5, 0.0_f64), (0.99, 2.3263)] {
            let (ours, exact) = (counts.quantile(q).unwrap() / 1e3, 60.0 * factor * (0.5 * z).exp());
            assert!((ours / exact).ln().abs() < 0.03, "{q}: {ours} ms, not {exact}");
        }
    }
}

#[test]
fn few_and_many_requests_come_from_the_same_shape() {
    let shape = Shape::bimodal();
    let (mut rng, mut singly) = (Rng::new(4, 0), Histogram::default());
    (0..200).for_each(|_| shape.draw(&mut rng, 1000, 5, &mut singly));
    let (singly, at_once) = (singly.take(), drawn(&shape, 200_000, 5));
    for q in [0.01, 0.1, 0.5, 0.79, 0.81, 0.9, 0.99, 0.999] {
        let (a, b) = (singly.quantile(q).unwrap(), at_once.quantile(q).unwrap());
        assert!((a / b).ln().abs() < 0.05, "{q}: {a} and {b}");
    }
}

#[test]
fn shapes_are_bent_where_it_was_asked() {
    let base = Shape::lognormal(60.0, 0.5);
    let at = |shape: &Shape, q| edge_us(shape.cell_of(q)) / 1e3;
    let tail = base.tail_times(1.5);
    assert!((at(&tail, 0.5) / at(&base, 0.5) - 1.0).abs() < 0.01);
    assert!((at(&tail, 0.9) / at(&base, 0.9) - 1.0).abs() < 0.01);
    assert!((at(&tail, 0.99) / at(&base, 0.99) - 1.5).abs() < 0.01);
    assert!(at(&tail, 0.999) / at(&base, 0.999) > 1.7, "and longer tails are longer still");
    assert!((at(&base.times(1.1), 0.3) / at(&base, 0.3) - 1.1).abs() < 0.01);
    let late = base.delayed(0.01, 500.0);
    assert!(at(&late, 0.98) < 300.0 && at(&late, 0.9925) > 500.0);
}
