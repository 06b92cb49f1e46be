//! Beats: a few times a second, how many requests each version had, and how many of them failed.
//!
//! A window waits for its second and for every worker. A canary that is dead is known sooner, by two plain counters
//! for each worker ([`Pulse`](crate::shared::pulse::Pulse)) that housekeeping reads without asking anybody. What is
//! told is the difference since the last beat.

use std::collections::HashMap;

use serin_config::{Plan, Weight, wire::BeatCount};

use crate::shared::{Shared, VersionKey, pulse::Counted};

/// What was read at the last beat, of each version that may be in one.
#[derive(Debug, Default)]
pub(crate) struct Beats(HashMap<VersionKey, Counted>);

impl Beats {
    /// What was counted since the last call. Only services whose canary and stable version both have weight are
    /// told of; what others count meanwhile is forgotten.
    pub(crate) fn take(&mut self, plan: &Plan, shared: &Shared) -> Vec<BeatCount> {
        let before = std::mem::take(&mut self.0);
        let mut counts = Vec::new();
        for (service, split) in plan.services() {
            let Some(canary) = &service.canary else { continue };
            let versions = [canary, &service.stable];
            let told = versions.iter().all(|version| split.of(version) > Weight::ZERO);
            for version in versions {
                let Some(state) = shared.known(&service.name, version) else { continue };
                let (key, now) = ((service.name.clone(), version.clone()), state.pulse.counted());
                let last = before.get(&key).copied().unwrap_or_default();
                self.0.insert(key, now);
                let (judged, failed) = now.since(last);
                if told && judged > 0 {
                    let (service, version) = (service.name.clone(), version.clone());
                    counts.push(BeatCount { service, version, judged, failed });
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serin_config::{
        Catalogue, Generation, Service, ServiceName, Split, Version, VersionName, limits::Limits,
    };

    use super::*;

    fn name(text: &str) -> VersionName {
        VersionName::try_new(text).unwrap()
    }

    fn at(percent: u32) -> Split {
        Split::canary_and_stable(name("v2"), Weight::from_ppm(percent * 10_000).unwrap(), name("v1"))
    }

    fn world() -> (Plan, Shared) {
        let shop = ServiceName::try_new("shop").unwrap();
        let versions =
            ["v1", "v2"].map(|text| Version::new(name(text), vec!["127.0.0.1:1".parse().unwrap()]));
        let service =
            Service { canary: Some(name("v2")), ..Service::new(shop.clone(), versions.to_vec(), name("v1")) };
        let catalogue = Arc::new(Catalogue::try_new(vec![], vec![service]).unwrap());
        let shared = Shared::new(2, &Limits::default(), Arc::default(), Generation(1));
        for version in ["v1", "v2"] {
            drop(shared.version(&shop, &name(version)));
        }
        (Plan::new(catalogue, Generation(1), Generation(0)), shared)
    }

    fn count(shared: &Shared, version: &str, worker: usize, judged: u32, failed: u32) {
        let state = shared.existing("shop", version).unwrap();
        (0..judged).for_each(|i| state.pulse.count(worker, i < failed));
    }

    fn taken(beats: &mut Beats, plan: &Plan, shared: &Shared) -> Vec<(String, u64, u64)> {
        let counts = beats.take(plan, shared).into_iter();
        counts.map(|count| (count.version.to_string(), count.judged, count.failed)).collect()
    }

    #[test]
    fn a_beat_has_what_all_workers_counted_since_the_last_one() {
        let (plan, shared) = world();
        let (plan, mut beats) = (plan.with_split("shop", at(5)).unwrap(), Beats::default());
        count(&shared, "v1", 0, 7, 1);
        count(&shared, "v1", 1, 4, 0);
        count(&shared, "v2", 1, 2, 2);
        assert_eq!(taken(&mut beats, &plan, &shared), [("v2".into(), 2, 2), ("v1".into(), 11, 1)]);
        count(&shared, "v1", 0, 3, 0);
        assert_eq!(taken(&mut beats, &plan, &shared), [("v1".into(), 3, 0)]);
        assert_eq!(taken(&mut beats, &plan, &shared), []);
    }

    #[test]
    fn nothing_is_told_while_one_version_has_everything_and_nothing_of_it_is_made_up_for() {
        let (plan, shared) = world();
        let mut beats = Beats::default();
        count(&shared, "v1", 0, 9, 9);
        assert_eq!(taken(&mut beats, &plan, &shared), []);
        let five = plan.with_split("shop", at(5)).unwrap();
        count(&shared, "v1", 0, 2, 0);
        assert_eq!(taken(&mut beats, &five, &shared), [("v1".into(), 2, 0)]);
    }

    #[test]
    fn a_version_that_counts_from_nothing_again_is_no_negative_number() {
        let (now, last) = (Counted { judged: 3, failed: 1 }, Counted { judged: 50, failed: 0 });
        assert_eq!(now.since(last), (3, 1));
    }
}
