//! A slice of the stable version, judged against the rest of it as if it were a canary.
//!
//! There is nothing to find in it, so what is found is what the comparison gets wrong: a process that pauses,
//! failures that come in clumps because one client repeats them, a machine that is slower than its neighbours. Serin
//! counts as many stable endpoints for the slice as the canary has, so chance treats both alike. Two things follow.
//!
//! - **The clump.** Where the evidence against the slice passes 20 to 1, requests are not as independent as the
//!   comparison takes them for. Then every factor's logarithm is divided by m (1, 2, 4, 8 …), which for any m ≥ 1 leaves
//!   an expectation of at most one, since x^(1/m) is concave. All evidence that was gathered with the smaller m is worth
//!   nothing and begins anew, the slice's included, and so on until it is quiet. m never falls within a rollout.
//!   With r such beginnings the promise of the whole rollout is (r + 1)·α at worst; r is bounded.
//! - **The self-test.** A second comparison of the slice runs with m = 1 and goes on whatever it says. How often it
//!   reaches the height at which a canary is rolled back is counted: that is the rate of false alarms, measured on
//!   this very traffic, without the help of the clump.

use serde::{Deserialize, Serialize};

use serin_config::policy::RolloutPolicy;

use crate::{comparison::Comparison, exact, numerics::ln_threshold, scheme::Scheme, window::Pairing};

/// Evidence against the slice that raises m.
const LOUD: f64 = 20.0;
/// The largest m. A comparison that is 64 times as slow finds an outage, and not much else.
const CLUMP_MAX: u32 = 64;

/// How the self-test did. For a metric: alarms per second watched are the measured rate of false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SelfTest {
    /// Seconds in which a slice of the stable version was judged against the rest of it.
    pub seconds: u64,
    /// How often it was found guilty.
    pub alarms: u64,
    /// How often it looked worse at 20 to 1, which raised m.
    pub suspicions: u64,
}

/// Both comparisons of the slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NegativeControl {
    #[serde(with = "exact")]
    ln_alarm: f64,
    clump: u32,
    steering: Comparison,
    /// The self-test, once it differs from the other.
    test: Option<Comparison>,
    counted: SelfTest,
}

impl NegativeControl {
    pub(crate) fn new(policy: &RolloutPolicy, scheme: Scheme) -> Self {
        Self {
            ln_alarm: ln_threshold(policy.false_alarm),
            clump: 1,
            steering: Comparison::new(policy, scheme),
            test: None,
            counted: SelfTest::default(),
        }
    }

    /// Takes window number `number` of the slice against the rest; says whether m was raised, after which all
    /// evidence of the rollout begins anew.
    pub(crate) fn observe(&mut self, number: u64, slice: &Pairing) -> bool {
        if slice.canary.judged == 0 && slice.stable.judged == 0 {
            return false;
        }
        self.counted.seconds = self.counted.seconds.saturating_add(1);
        self.steering.observe_alone(number, slice, self.clump());
        if let Some(test) = &mut self.test {
            test.observe_alone(number, slice, 1.0);
        }
        let loud = self.steering.ln_e() >= LOUD.ln() && self.clump < CLUMP_MAX;
        let alarm = self.test.as_ref().unwrap_or(&self.steering).ln_e() >= self.ln_alarm;
        if loud || alarm {
            let test = self.test.get_or_insert_with(|| self.steering.clone());
            if alarm {
                self.counted.alarms = self.counted.alarms.saturating_add(1);
                test.restart();
            }
        }
        if loud {
            self.counted.suspicions = self.counted.suspicions.saturating_add(1);
            self.clump *= 2;
            self.steering.restart();
        }
        loud
    }

    /// m: what the logarithm of every factor is divided by.
    pub(crate) fn clump(&self) -> f64 {
        f64::from(self.clump)
    }

    /// The same as a number of requests.
    pub(crate) fn clumped_requests(&self) -> u32 {
        self.clump
    }

    pub(crate) fn self_test(&self) -> SelfTest {
        self.counted
    }
}

#[cfg(test)]
mod tests {
    use serin_config::wire::LatencyCounts;

    use super::*;
    use crate::window::Arm;

    fn control() -> NegativeControl {
        NegativeControl::new(&RolloutPolicy::default(), Scheme::PRODUCTION)
    }

    fn slice(failed: u64, rest_failed: u64) -> Pairing {
        Pairing { canary: Arm::counted(100, failed), stable: Arm::counted(900, rest_failed) }
    }

    #[test]
    fn a_slice_like_the_rest_leaves_everything_as_it_is() {
        let mut control = control();
        assert!((0..3_600).all(|second| !control.observe(second, &slice(1, 9))));
        assert_eq!(control.clump(), 1.0);
        assert_eq!(control.self_test(), SelfTest { seconds: 3_600, alarms: 0, suspicions: 0 });
    }

    #[test]
    fn a_slice_that_looks_worse_raises_the_clump_step_by_step_and_within_bounds() {
        let mut control = control();
        let raised = (0..3_600).filter(|second| control.observe(*second, &slice(20, 0))).count();
        assert_eq!((raised, control.clumped_requests()), (6, CLUMP_MAX));
    }

    #[test]
    fn a_single_burst_in_the_slice_raises_the_clump_once_at_most() {
        let mut control = control();
        for second in 0..3_600 {
            control.observe(second, &slice(if second % 600 == 599 { 30 } else { 0 }, 3));
        }
        assert!(control.clumped_requests() <= 2, "{control:?}");
        assert_eq!(control.self_test().alarms, 0);
    }

    #[test]
    fn the_self_test_counts_each_time_that_a_slice_would_have_been_rolled_back() {
        let mut control = control();
        (0..600).for_each(|second| {
            control.observe(second, &slice(20, 0));
        });
        let counted = control.self_test();
        assert!(counted.alarms > 50 && counted.seconds == 600, "{counted:?}");
    }

    #[test]
    fn a_slice_that_is_slower_raises_the_clump_as_well() {
        let mut control = control();
        let arm = |n, bucket| Arm::counted(u64::from(n), 0).with_headers(LatencyCounts(vec![(bucket, n)]));
        let raised = (0..600)
            .any(|second| control.observe(second, &Pairing { canary: arm(100, 700), stable: arm(900, 650) }));
        assert!(raised && control.self_test().suspicions > 0);
    }

    #[test]
    fn what_is_stored_goes_on_the_same() {
        let mut straight = control();
        (0..100).for_each(|second| {
            straight.observe(second, &slice(10, 3));
        });
        let mut resumed: NegativeControl =
            serde_json::from_str(&serde_json::to_string(&straight).unwrap()).unwrap();
        for second in 100..200 {
            assert_eq!(straight.observe(second, &slice(10, 3)), resumed.observe(second, &slice(10, 3)));
        }
        assert_eq!(straight, resumed);
    }

    #[test]
    fn without_a_slice_there_is_no_test() {
        let mut control = control();
        assert!(!control.observe(0, &Pairing::default()));
        assert_eq!(control.self_test(), SelfTest::default());
    }
}
