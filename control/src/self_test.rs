//! The judge's self-test on every service, all the time, whether or not a rollout runs.
//!
//! Proxies count a slice of each stable version apart. Here it is judged against the rest of that version as if it were a
//! canary, second by second; whatever is found is a false alarm, and a metric says how many there were. Where users
//! stay with a version only latencies are compared: which clients of the slice failed is not known, and one broken
//! client would look like a difference.

use std::collections::BTreeMap;

use serin_config::{Plan, ServiceName, Sticky, limits::SELF_TESTS_MAX};
use serin_judge::{SelfTest, StandingTest, Window};

use crate::align::Second;

/// The self-tests of all services; of the first [`SELF_TESTS_MAX`] by name where there are more.
#[derive(Debug, Default)]
pub struct SelfTests {
    tests: BTreeMap<ServiceName, StandingTest>,
}

impl SelfTests {
    /// Takes a second of all proxies' counts.
    pub fn take(&mut self, second: &Second, plan: &Plan) {
        let services = plan.catalogue().services();
        self.tests.retain(|name, _| plan.catalogue().service(name.as_str()).is_some());
        for service in services.iter().take(SELF_TESTS_MAX) {
            let cells = second.sheets.iter().flat_map(|sheet| &sheet.cells);
            let (stable, weights) = (&service.stable, &service.rollout.error_weights);
            let mut slice = Window::gather(cells, &service.name, stable, stable, weights).control;
            if slice.canary.judged == 0 && slice.stable.judged == 0 {
                continue;
            }
            if service.sticky != Sticky::Random {
                (slice.canary.clients, slice.stable.clients) = (Some(0), Some(0));
            }
            let test = self.tests.entry(service.name.clone());
            let test = test.or_insert_with(|| StandingTest::new(&service.rollout));
            test.follow(&service.rollout);
            test.observe(&slice);
        }
    }

    /// What a service's test has counted since this process began.
    pub fn of(&self, service: &ServiceName) -> SelfTest {
        self.tests.get(service).map(StandingTest::counted).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{
        Generation, Outcome, Service,
        outcome::OutcomeCounts,
        wire::{LatencyCounts, Slice},
    };

    use super::*;
    use crate::fixtures::{catalogue, name, report, shop};

    fn plan(sticky: Sticky) -> Plan {
        let service = Service { sticky, canary: None, ..shop() };
        Plan::new(catalogue(vec![service]), Generation(1), Generation(0))
    }

    /// 1,000 requests of the stable version, 100 of them in the slice, of which so many failed.
    fn second(at: u64, failed: u64) -> Second {
        let mut report = report(at, Generation(1), (0, 0), (1_000, failed));
        let mut outcomes = OutcomeCounts::default();
        (0..100).for_each(|i| outcomes.add(if i < failed { Outcome::Http5xx } else { Outcome::Ok }));
        for cell in &mut report.cells {
            let slice = Slice { outcomes, headers: LatencyCounts::default() };
            cell.control = (cell.version.as_str() == "v1").then(|| Box::new(slice));
        }
        Second::of(at, vec![report])
    }

    #[test]
    fn a_service_without_a_rollout_or_a_canary_is_tested_each_second() {
        let mut tests = SelfTests::default();
        (1..=60).for_each(|at| tests.take(&second(at, 0), &plan(Sticky::Random)));
        let quiet = tests.of(&name("shop"));
        assert_eq!((quiet.seconds, quiet.alarms), (60, 0));
        (61..=120).for_each(|at| tests.take(&second(at, 50), &plan(Sticky::Random)));
        assert!(tests.of(&name("shop")).alarms > 0, "all failures in the slice are a difference");
    }

    #[test]
    fn failures_of_the_slice_are_no_matter_where_users_stick() {
        let mut tests = SelfTests::default();
        (1..=60).for_each(|at| tests.take(&second(at, 50), &plan(Sticky::ClientAddress)));
        let counted = tests.of(&name("shop"));
        assert_eq!((counted.seconds, counted.alarms), (60, 0));
    }

    #[test]
    fn a_service_that_is_gone_is_forgotten() {
        let mut tests = SelfTests::default();
        tests.take(&second(1, 0), &plan(Sticky::Random));
        tests.take(&second(2, 0), &Plan::new(catalogue(vec![]), Generation(2), Generation(1)));
        assert_eq!(tests.of(&name("shop")), SelfTest::default());
    }
}
