//! The canary's share while evidence against it mounts, as the control plane has it: halved at once, again only while
//! the evidence goes on rising, and doubled when nothing was suspect for a while.

use serin_config::{
    Weight,
    limits::{CALM_SECONDS, HALVINGS_MAX, LOWER_EVERY_SECONDS, LOWER_RISE_NATS},
};

use crate::{
    decide::is_suspect,
    judgement::{Advice, Judgement},
};

/// How often the share is halved at present, and since when.
#[derive(Debug, Clone, Default)]
pub(super) struct Mounting {
    halvings: u8,
    /// The second of the last halving, and the evidence then.
    lowered: (u64, f64),
    /// The last second in which anything was suspect, or the share was doubled.
    stirred: u64,
}

impl Mounting {
    /// Takes the answer of second `second`.
    pub(super) fn note(&mut self, judged: &Judgement, second: u64) {
        let mounts = judged.advice == Advice::Lower;
        if mounts || is_suspect(judged.ln_e) {
            self.stirred = second;
        }
        let (at, nats) = self.lowered;
        let rises = second >= at + LOWER_EVERY_SECONDS && judged.ln_e >= nats + LOWER_RISE_NATS as f64;
        if mounts && self.halvings < HALVINGS_MAX && (self.halvings == 0 || rises) {
            self.halvings += 1;
            self.lowered = (second, judged.ln_e);
        } else if self.halvings > 0 && second >= self.stirred + CALM_SECONDS {
            self.halvings -= 1;
            self.stirred = second;
        }
    }

    /// What is left of a step's share.
    pub(super) fn left_of(&self, weight: Weight) -> Weight {
        Weight::from_ppm(weight.ppm() >> self.halvings).unwrap_or(weight)
    }

    /// Whether it is lowered, so that no step is passed.
    pub(super) fn lowers(&self) -> bool {
        self.halvings > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::State;

    fn judged(ln_e: f64) -> Judgement {
        let advice = if ln_e >= 4.6 { Advice::Lower } else { Advice::Continue };
        Judgement { state: State::Insufficient, advice, ln_e, ln_threshold: 9.2, culprit: None }
    }

    #[test]
    fn the_share_is_halved_while_evidence_rises_and_comes_back_when_it_has_gone() {
        let weight: Weight = "8%".parse().unwrap();
        let mut mounting = Mounting::default();
        let mut after = |second, ln_e| {
            mounting.note(&judged(ln_e), second);
            mounting.left_of(weight).to_string()
        };
        assert_eq!(after(1, 2.0), "8%");
        assert_eq!(after(2, 4.7), "4%");
        assert_eq!(after(5, 8.0), "4%", "not so soon");
        assert_eq!(after(20, 5.0), "4%", "it does not rise");
        assert_eq!(after(21, 6.0), "2%");
        assert_eq!(after(40, 9.0), "1%");
        assert_eq!(after(60, 9.1), "1%", "an eighth is the least");
        assert_eq!(after(89, 0.0), "1%");
        assert_eq!(after(90, 0.0), "2%");
        assert_eq!(after(119, 0.0), "2%");
        assert_eq!(after(120, 0.0), "4%");
        assert_eq!(after(150, 0.0), "8%");
        assert!(!mounting.lowers());
    }
}
