//! The last seconds of a record, summed on demand: what a query over a range sees.

use std::collections::VecDeque;

use crate::window::Pairing;

/// As many seconds as a rule looks back.
#[derive(Debug)]
pub(super) struct Span {
    seconds: VecDeque<Pairing>,
    length: usize,
}

impl Span {
    /// Looks back `length` seconds.
    pub(super) fn new(length: usize) -> Self {
        Self { seconds: VecDeque::with_capacity(length), length }
    }

    pub(super) fn push(&mut self, second: Pairing) {
        if self.seconds.len() >= self.length {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
    }

    pub(super) fn sum(&self) -> Pairing {
        let mut sum = Pairing::default();
        self.seconds.iter().for_each(|second| sum.merge(second));
        sum
    }

    /// The sum, and an empty span again.
    pub(super) fn take(&mut self) -> Pairing {
        let sum = self.sum();
        self.seconds.clear();
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Arm;

    #[test]
    fn only_the_last_seconds_count() {
        let mut span = Span::new(3);
        for failed in 1..=5 {
            span.push(Pairing { canary: Arm::counted(10, failed), stable: Arm::default() });
        }
        assert_eq!((span.sum().canary.judged, span.sum().canary.failed), (30, 12));
        assert_eq!(span.take().canary.failed, 12);
        assert_eq!(span.sum(), Pairing::default());
    }
}
