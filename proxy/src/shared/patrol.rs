//! Housekeeping's round over all versions, ten times a second: canaries that hang or cost too much time, limits that
//! follow latency; and once a second memory, and faults that have ended.
//!
//! It runs beside the workers, so that it costs a request nothing; what it finds is an atomic that the next
//! request reads.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use serin_config::{
    Plan, Service, VersionName, Weight,
    limits::{Limits, RESILIENCE_TICK},
};
use serin_split::resilience::{
    added::Added,
    gradient::{Gradient, Window},
    tripwire::{Reason, Reference, Silence},
};
use tokio::time::MissedTickBehavior;

use super::{Shared, VersionKey, VersionShared, pulse::Reading, shed::Meter};
use crate::{clock, observe::metrics, plan::PlanCell};

/// Rounds between two looks at memory.
const ROUNDS_PER_LOOK: u64 = 10;
/// Rounds in half of the time over which the stable version's slowest answer is remembered: 15 s.
const ROUNDS_PER_HALF: u64 = 150;

/// Goes round until the runtime ends.
pub(crate) async fn run(shared: Arc<Shared>, plans: Arc<PlanCell>, limits: Limits) {
    let meter = Meter::new(limits.max_memory);
    let mut patrol = Patrol::default();
    let mut ticks = tokio::time::interval(RESILIENCE_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0.. {
        ticks.tick().await;
        patrol.round(&shared, &plans.load(), clock::now());
        if round % ROUNDS_PER_LOOK == 0 {
            shared.shedding.look(&meter);
            shared.faults.sweep(clock::now());
        }
    }
}

/// What a round remembers of the last ones.
#[derive(Debug, Default)]
struct Patrol {
    rounds: u64,
    silences: HashMap<VersionKey, Silence>,
    references: HashMap<VersionKey, Memory>,
    gradients: HashMap<VersionKey, (Gradient, Reading)>,
    /// What each canary has added, in which life of its trip-wire.
    added: HashMap<VersionKey, (u64, Added)>,
}

/// A stable version's answers, in two halves of time.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    at_start: [u64; 2],
    slowest: [Duration; 2],
}

impl Patrol {
    fn round(&mut self, shared: &Shared, plan: &Plan, now: Instant) {
        let mut seen = HashSet::new();
        for (service, split) in plan.services() {
            self.look_for_hang(shared, service, now, &mut seen);
            self.add_up(shared, (service, split.of(&service.stable)), &mut seen);
            for version in &service.versions {
                self.adapt(shared, service, &version.name, &mut seen);
            }
        }
        self.rounds += 1;
        self.silences.retain(|key, _| seen.contains(key));
        self.references.retain(|key, _| seen.contains(key));
        self.gradients.retain(|key, _| seen.contains(key));
        self.added.retain(|key, _| seen.contains(key));
    }

    fn look_for_hang(
        &mut self,
        shared: &Shared,
        service: &Service,
        now: Instant,
        seen: &mut HashSet<VersionKey>,
    ) {
        let hang = service.resilience.tripwire.as_ref().and_then(|wire| wire.hang);
        let (Some(hang), Some(canary)) = (hang, &service.canary) else { return };
        let (Some(theirs), Some(ours)) = (
            shared.existing(service.name.as_str(), canary.as_str()),
            shared.existing(service.name.as_str(), service.stable.as_str()),
        ) else {
            return;
        };
        let stable_key = (service.name.clone(), service.stable.clone());
        let reference = self.reference(&stable_key, &ours);
        let canary_key = (service.name.clone(), canary.clone());
        let reading = theirs.pulse.read();
        let silence = self.silences.entry(canary_key.clone()).or_default();
        let found = silence.look(&hang, now, (reading.waiting, reading.answers), reference);
        if let Some(reason) = found
            && theirs.trip.trip(reason)
        {
            metrics::tripped(&canary_key, &reason);
        }
        seen.extend([stable_key, canary_key]);
    }

    /// Takes a canary out that has added as much latency as its rollout allows. Where the stable version has no share there is
    /// nothing that it could be compared with.
    fn add_up(
        &mut self,
        shared: &Shared,
        (service, stable): (&Service, Weight),
        seen: &mut HashSet<VersionKey>,
    ) {
        let bound = service.rollout.blast_radius.added_latency;
        let (Some(bound), Some(canary)) = (bound, &service.canary) else { return };
        let known = |version| shared.known(&service.name, version);
        let (Some(theirs), Some(ours)) = (known(canary), known(&service.stable)) else { return };
        let (life, spent) = (theirs.trip.life(), (theirs.pulse.spent(), ours.pulse.spent()));
        let fresh = || (life, Added::from(spent.0, spent.1));
        let key = (service.name.clone(), canary.clone());
        let kept = self.added.entry(key.clone()).or_insert_with(fresh);
        if kept.0 != life {
            *kept = fresh();
        }
        if stable == Weight::ZERO {
            kept.1.pass_over(spent.0, spent.1);
            seen.insert(key);
            return;
        }
        let added = kept.1.look(spent.0, spent.1);
        let reason = Reason::Slow(added);
        if added >= bound && theirs.trip.trip(reason) {
            metrics::tripped(&key, &reason);
        }
        seen.insert(key);
    }

    fn reference(&mut self, key: &VersionKey, version: &VersionShared) -> Reference {
        let answers = version.pulse.read().answers;
        let memory = self
            .references
            .entry(key.clone())
            .or_insert(Memory { at_start: [answers; 2], ..Memory::default() });
        if self.rounds.is_multiple_of(ROUNDS_PER_HALF) {
            memory.at_start = [memory.at_start[1], answers];
            memory.slowest = [memory.slowest[1], Duration::ZERO];
        }
        memory.slowest[1] = memory.slowest[1].max(version.pulse.take_slowest());
        Reference {
            answers: answers.wrapping_sub(memory.at_start[0]),
            slowest: memory.slowest[0].max(memory.slowest[1]),
        }
    }

    fn adapt(
        &mut self,
        shared: &Shared,
        service: &Service,
        version: &VersionName,
        seen: &mut HashSet<VersionKey>,
    ) {
        let Some(state) = shared.existing(service.name.as_str(), version.as_str()) else { return };
        let Some(policy) = service.resilience.adaptive_concurrency else { return state.set_adaptive(0) };
        let key = (service.name.clone(), version.clone());
        let reading = state.pulse.read();
        let fresh = || (Gradient::new(policy), reading);
        let (gradient, last) = self.gradients.entry(key.clone()).or_insert_with(fresh);
        if *gradient.policy() != policy {
            (*gradient, *last) = fresh();
        }
        let samples = reading.answers.wrapping_sub(last.answers);
        let total_us = reading.total_us.wrapping_sub(last.total_us);
        // Few answers are gathered over several rounds.
        let window = Window {
            samples,
            mean_us: if samples == 0 { 0.0 } else { total_us as f64 / samples as f64 },
            in_flight: state.requests.held(),
        };
        if gradient.observes(&window) {
            gradient.observe(window);
            *last = reading;
        }
        state.set_adaptive(gradient.limit());
        seen.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{Catalogue, Generation, ServiceName, Version, resilience::AdaptiveConcurrency};

    use super::*;

    struct World {
        shared: Shared,
        plan: Plan,
        patrol: Patrol,
        start: Instant,
        rounds: u32,
    }

    fn name(text: &str) -> VersionName {
        VersionName::try_new(text).unwrap()
    }

    impl World {
        fn new(adaptive: Option<AdaptiveConcurrency>) -> Self {
            Self::of(|service| service.resilience.adaptive_concurrency = adaptive)
        }

        fn of(change: impl FnOnce(&mut Service)) -> Self {
            let service_name = ServiceName::try_new("shop").unwrap();
            let versions =
                ["v1", "v2"].map(|text| Version::new(name(text), vec!["127.0.0.1:1".parse().unwrap()]));
            let mut service = Service {
                canary: Some(name("v2")),
                ..Service::new(service_name.clone(), versions.to_vec(), name("v1"))
            };
            change(&mut service);
            let catalogue = Arc::new(Catalogue::try_new(vec![], vec![service]).unwrap());
            let plan = Plan::new(catalogue, Generation(1), Generation(0));
            let shared = Shared::new(1, &Limits::default(), Arc::default(), Generation(1));
            let canary = shared.version(&service_name, &name("v2"));
            drop(shared.version(&service_name, &name("v1")));
            canary.trip.arm(Generation(1), Generation(1), true);
            Self { shared, plan, patrol: Patrol::default(), start: clock::now(), rounds: 0 }
        }

        fn version(&self, text: &str) -> Arc<VersionShared> {
            self.shared.existing("shop", text).unwrap()
        }

        /// A tenth of a second in which the stable version answers twenty times.
        fn round(&mut self) {
            for _ in 0..20 {
                self.version("v1").pulse.begin(0);
                self.version("v1").pulse.end(0, Some(Duration::from_millis(5)));
            }
            self.patrol.round(&self.shared, &self.plan, self.start + self.rounds * RESILIENCE_TICK);
            self.rounds += 1;
        }

        fn is_out(&self) -> bool {
            self.version("v2").trip.is_out(Generation(1))
        }
    }

    #[test]
    fn a_canary_that_hangs_is_found_two_seconds_after_ten_requests_wait() {
        let mut world = World::new(None);
        for _ in 0..10 {
            world.version("v2").pulse.begin(0);
        }
        while !world.is_out() {
            world.round();
            assert!(world.rounds <= 25, "not found");
        }
        assert!(world.rounds >= 20, "found after {} rounds", world.rounds);
    }

    #[test]
    fn a_canary_that_answers_stays() {
        let mut world = World::new(None);
        for _ in 0..30 {
            world.version("v2").pulse.begin(0);
        }
        for round in 0..600 {
            if round % 15 == 0 {
                world.version("v2").pulse.begin(0);
                world.version("v2").pulse.end(0, Some(Duration::from_secs(1)));
            }
            world.round();
        }
        assert!(!world.is_out());
    }

    /// Rounds until the canary is out, in which it answers twice, so many milliseconds later than the stable version.
    fn rounds_until_out(world: &mut World, later_ms: u64) -> u32 {
        let began = world.rounds;
        while !world.is_out() && world.rounds - began < 3_000 {
            let spend = |version: &str, n: u64, ms| {
                (0..n).for_each(|_| world.version(version).pulse.spend(0, Duration::from_millis(ms)));
            };
            spend("v1", 20, 5);
            spend("v2", 2, 5 + later_ms);
            world.round();
        }
        world.rounds - began
    }

    #[test]
    fn a_canary_that_has_added_as_much_latency_as_it_may_is_out_and_counts_anew_when_it_is_forgiven() {
        let bound = |service: &mut Service| {
            service.rollout.blast_radius.added_latency = Some(Duration::from_secs(3));
        };
        let mut world = World::of(bound);
        // The first round is the beginning; 50 ms twice a round are three seconds after thirty more.
        assert_eq!(rounds_until_out(&mut world, 50), 31);
        assert_eq!(
            world.version("v2").trip.tripped().unwrap().reason.to_string(),
            "it added 3s to its users' requests, as much as it may"
        );
        assert!(world.version("v2").trip.reset());
        assert_eq!(rounds_until_out(&mut world, 50), 31);
        assert_eq!(rounds_until_out(&mut World::of(bound), 0), 3_000);
    }

    #[test]
    fn an_adaptive_limit_follows_latency_and_goes_when_it_is_switched_off() {
        let policy = AdaptiveConcurrency { initial: 50, ..AdaptiveConcurrency::default() };
        let mut world = World::new(Some(policy));
        let canary = world.version("v2");
        for _ in 0..50 {
            assert!(canary.requests.try_enter(1_000));
        }
        let answer = |world: &mut World, ms| {
            for _ in 0..20 {
                canary.pulse.begin(0);
                canary.pulse.end(0, Some(Duration::from_millis(ms)));
            }
            world.round();
        };
        (0..20).for_each(|_| answer(&mut world, 10));
        let at_ease = world.version("v2").limit(1_000);
        (0..40).for_each(|_| answer(&mut world, 400));
        let slow = world.version("v2").limit(1_000);
        assert!(slow < at_ease / 2, "{at_ease} -> {slow}");
        assert_eq!(world.version("v2").limit(2), 2, "the bulkhead holds all the same");
        let mut without = World::new(None);
        std::mem::swap(&mut world.plan, &mut without.plan);
        world.round();
        assert_eq!(world.version("v2").limit(1_000), 1_000);
    }
}
