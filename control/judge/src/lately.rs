//! Latencies of the last half to whole minute, for people.
//!
//! A rollback for slowness comes within a minute of its cause. After an hour of good traffic the quantiles of the
//! whole rollout still look alike then, so the ones that are told are these. Two generations take turns, which is
//! all the memory that it needs.

use serde::{Deserialize, Serialize};

use crate::{scheme::Scheme, totals::Totals, verdict::LatelyReport, window::Window};

/// Windows of one generation.
const GENERATION: u64 = 30;

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lately {
    current: Totals,
    previous: Totals,
    /// Windows in both.
    windows: u64,
}

impl Lately {
    pub(crate) fn new(scheme: Scheme) -> Self {
        Self { current: Totals::new(scheme), previous: Totals::new(scheme), windows: 0 }
    }

    /// Takes window number `number`.
    pub(crate) fn observe(&mut self, number: u64, window: &Window) {
        if number > 0 && number.is_multiple_of(GENERATION) {
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
            self.windows = self.windows.min(GENERATION);
        }
        window.routes.values().for_each(|route| self.current.add(route));
        self.windows = self.windows.saturating_add(1);
    }

    pub(crate) fn report(&self) -> LatelyReport {
        let mut sum = self.current.clone();
        sum.merge(&self.previous);
        LatelyReport { seconds: self.windows, canary: sum.canary(), stable: sum.stable() }
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{RouteName, wire::LatencyCounts};

    use super::*;
    use crate::window::{Arm, Pairing};

    fn window(bucket: u16) -> Window {
        let arm = || Arm::counted(10, 0).with_headers(LatencyCounts(vec![(bucket, 10)]));
        Window::of(&RouteName::try_new("all").unwrap(), Pairing { canary: arm(), stable: arm() })
    }

    #[test]
    fn half_a_minute_to_a_minute_is_remembered_and_no_more() {
        let mut lately = Lately::new(Scheme::PRODUCTION);
        for number in 0..200 {
            lately.observe(number, &window(300));
            let expected = if number < 60 { number + 1 } else { 31 + number % 30 };
            assert_eq!((lately.report().seconds, lately.report().canary.requests), (expected, 10 * expected));
        }
        (200..260).for_each(|number| lately.observe(number, &window(600)));
        let report = lately.report();
        assert_eq!(report.canary.p50_ms, Some(Scheme::PRODUCTION.edge(601) / 1e3));
        assert_eq!(report.canary.p50_ms, report.stable.p99_ms);
    }
}
