//! What strata add up to: what the blocks of one window are worth together, and what both arms did so far.

use serde::{Deserialize, Serialize};

use crate::{
    error_rate::Counts,
    exact,
    stratum::{Closed, Worth},
};

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct SoFar {
    #[serde(with = "exact")]
    pub(super) canary: f64,
    #[serde(with = "exact")]
    canary_bad: f64,
    #[serde(with = "exact")]
    stable: f64,
    #[serde(with = "exact")]
    stable_bad: f64,
}

/// What the blocks of one window are worth together.
#[derive(Default)]
pub(super) struct Sum {
    closed: bool,
    worth: Worth,
    canary: f64,
    canary_bad: f64,
}

impl Sum {
    pub(super) fn add(&mut self, closed: &Closed) {
        self.closed = true;
        self.canary += closed.counts.canary;
        self.canary_bad += closed.counts.canary_bad;
        add_to(&mut self.worth.errors, &closed.worth.errors);
        add_to(&mut self.worth.tight, &closed.worth.tight);
        add_to(&mut self.worth.loose, &closed.worth.loose);
    }

    pub(super) fn worth(mut self) -> Option<Worth> {
        self.worth.majority = self.canary_bad >= 0.5 * self.canary;
        self.closed.then_some(self.worth)
    }
}

fn add_to<const N: usize>(sum: &mut Option<[f64; N]>, part: &Option<[f64; N]>) {
    match (sum, part) {
        (Some(sum), Some(part)) => sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
        (sum @ None, Some(part)) => *sum = Some(*part),
        (_, None) => {}
    }
}

impl SoFar {
    pub(super) fn add(&mut self, block: &Counts) {
        self.canary += block.canary;
        self.canary_bad += block.canary_bad;
        self.stable += block.stable;
        self.stable_bad += block.stable_bad;
    }
}

impl From<SoFar> for Counts {
    fn from(so_far: SoFar) -> Self {
        let SoFar { canary, canary_bad, stable, stable_bad } = so_far;
        Self { canary, canary_bad, stable, stable_bad }
    }
}
