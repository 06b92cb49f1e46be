//! What the stable version did in the last minute, whether or not a rollout runs.
//!
//! A rollout that begins needs it at once: where the tails of the latency lie must be known from seconds before those that
//! are judged, and without a past it would have to wait for one while users are on the canary. So the newest
//! minute of every service that has a canary is kept here. The bound is on what takes memory, occupied
//! buckets of all services together; the oldest seconds go first.

use std::collections::VecDeque;

use serin_config::{
    Plan, ServiceName, VersionName,
    limits::{PAST_BUCKETS_MAX, PAST_SECONDS_MAX},
    policy::ErrorWeights,
    wire::WindowCell,
};
use serin_judge::{Pairing, Window};

use crate::align::Second;

/// The newest seconds of all services that have a canary.
#[derive(Debug, Default)]
pub struct Past {
    seconds: VecDeque<Vec<WindowCell>>,
    /// Occupied buckets in all of them.
    buckets: usize,
}

impl Past {
    /// Takes a second.
    pub fn take(&mut self, second: &Second, plan: &Plan) {
        let cells = second.sheets.iter().flat_map(|sheet| &sheet.cells);
        let wanted = |cell: &&WindowCell| {
            let service = plan.catalogue().service(cell.service.as_str());
            service.is_some_and(|service| service.canary.is_some() && service.stable == cell.version)
        };
        let cells: Vec<WindowCell> = cells.filter(wanted).cloned().collect();
        self.buckets += buckets(&cells);
        self.seconds.push_back(cells);
        while self.seconds.len() > PAST_SECONDS_MAX || self.buckets > PAST_BUCKETS_MAX {
            let Some(oldest) = self.seconds.pop_front() else { break };
            self.buckets -= buckets(&oldest);
        }
    }

    /// The windows of a service's stable version, the oldest first; from the first second in which it had traffic.
    pub fn of(&self, service: &ServiceName, stable: &VersionName, weights: &ErrorWeights) -> Vec<Window> {
        let windows =
            self.seconds.iter().map(|cells| Window::gather(cells, service, stable, stable, weights));
        windows.skip_while(|window| window.total() == Pairing::default()).collect()
    }
}

/// A cell without latencies takes memory too.
fn buckets(cells: &[WindowCell]) -> usize {
    cells.iter().map(|cell| cell.headers.0.len() + 16).sum()
}

#[cfg(test)]
mod tests {
    use serin_config::{Generation, policy::ErrorWeights, wire::LatencyCounts};

    use super::*;
    use crate::fixtures::{catalogue, name, report, shop, version};

    fn plan() -> Plan {
        Plan::new(catalogue(vec![shop()]), Generation(1), Generation(0))
    }

    fn second(at: u64, stable: (u64, u64)) -> Second {
        Second::of(at, vec![report(at, Generation(1), (5, 5), stable)])
    }

    #[test]
    fn a_minute_of_the_stable_version_alone_is_kept() {
        let mut past = Past::default();
        for at in 1..=100 {
            past.take(&second(at, (at, 1)), &plan());
        }
        let windows = past.of(&name("shop"), &version("v1"), &ErrorWeights::default());
        assert_eq!(windows.len(), PAST_SECONDS_MAX);
        let first = windows[0].total();
        assert_eq!((first.stable.judged, first.stable.failed, first.canary.judged), (41, 1, 0));
        assert!(past.of(&name("other"), &version("v1"), &ErrorWeights::default()).is_empty());
    }

    #[test]
    fn seconds_before_the_first_traffic_are_no_past() {
        let mut past = Past::default();
        past.take(&second(1, (0, 0)), &plan());
        past.take(&second(2, (3, 0)), &plan());
        past.take(&second(3, (0, 0)), &plan());
        assert_eq!(past.of(&name("shop"), &version("v1"), &ErrorWeights::default()).len(), 2);
    }

    #[test]
    fn it_is_bounded_by_what_it_holds() {
        let mut past = Past::default();
        for at in 1..=60 {
            let mut second = second(at, (10, 0));
            let wide = LatencyCounts((0..800).map(|bucket| (bucket, 1)).collect());
            let mut cell = second.sheets[0].cells.pop().unwrap();
            cell.headers = wide;
            second.sheets[0].cells = vec![cell; 200];
            past.take(&second, &plan());
        }
        assert!(past.buckets <= PAST_BUCKETS_MAX && past.seconds.len() < 60, "{}", past.buckets);
        assert_eq!(past.buckets, past.seconds.iter().map(|cells| buckets(cells)).sum::<usize>());
    }
}
