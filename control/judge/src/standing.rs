//! The self-test that never ends: a slice of the stable version against the rest of it, with or without a rollout.
//!
//! The negative control of a rollout (see `negative_control`) lives as long as the rollout, and acts on what it sees. This one
//! only counts. It is the same comparison by the same policy, looked at each second for as long as there is traffic, so how
//! often it would have convicted the stable version is the rate of false alarms as measured on this very service: known
//! before the first rollout begins, over weeks and not minutes.

use serin_config::policy::RolloutPolicy;

use crate::{
    comparison::Comparison, negative_control::SelfTest, numerics::ln_threshold, scheme::Scheme,
    window::Pairing,
};

/// One service's self-test.
#[derive(Debug, Clone)]
pub struct StandingTest {
    policy: RolloutPolicy,
    ln_alarm: f64,
    comparison: Comparison,
    windows: u64,
    counted: SelfTest,
}

impl StandingTest {
    /// Before the first second, by this policy.
    pub fn new(policy: &RolloutPolicy) -> Self {
        Self {
            policy: policy.clone(),
            ln_alarm: ln_threshold(policy.false_alarm),
            comparison: Comparison::new(policy, Scheme::PRODUCTION),
            windows: 0,
            counted: SelfTest::default(),
        }
    }

    /// Goes on by another policy; what was counted stays. The same policy changes nothing.
    pub fn follow(&mut self, policy: &RolloutPolicy) {
        if self.policy != *policy {
            *self = Self { counted: self.counted, ..Self::new(policy) };
        }
    }

    /// Takes a second: the slice as `canary`, the rest as `stable`. One without traffic in both is no second of the test.
    pub fn observe(&mut self, slice: &Pairing) {
        if slice.canary.judged == 0 && slice.stable.judged == 0 {
            return;
        }
        self.counted.seconds = self.counted.seconds.saturating_add(1);
        self.comparison.observe_alone(self.windows, slice, 1.0);
        self.windows = self.windows.saturating_add(1);
        if self.comparison.ln_e() >= self.ln_alarm {
            self.counted.alarms = self.counted.alarms.saturating_add(1);
            self.comparison.restart();
        }
    }

    /// What was counted since the test began. It suspects nothing, so it has no suspicions.
    pub fn counted(&self) -> SelfTest {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Arm;

    fn slice(failed: u64) -> Pairing {
        Pairing { canary: Arm::counted(100, failed), stable: Arm::counted(900, 1) }
    }

    #[test]
    fn a_slice_like_the_rest_is_never_found_guilty_and_a_worse_one_is_each_time_anew() {
        let mut test = StandingTest::new(&RolloutPolicy::default());
        (0..3_600).for_each(|_| test.observe(&slice(0)));
        assert_eq!((test.counted().seconds, test.counted().alarms), (3_600, 0));
        (0..600).for_each(|_| test.observe(&slice(20)));
        assert!(test.counted().alarms > 20, "{:?}", test.counted());
    }

    #[test]
    fn another_policy_keeps_what_was_counted_and_seconds_without_traffic_do_not_count() {
        let mut test = StandingTest::new(&RolloutPolicy::default());
        (0..10).for_each(|_| test.observe(&slice(0)));
        test.follow(&RolloutPolicy { false_alarm: 1e-3, ..RolloutPolicy::default() });
        test.observe(&Pairing::default());
        test.observe(&slice(0));
        assert_eq!(test.counted().seconds, 11);
    }
}
