//! What the journal has of the fleet: proxies that are refused for their name, each name once.

use super::*;
use crate::{
    clock::Clock,
    fleet::{
        Gates,
        registry::{Arrival, PlanName},
    },
    journal::Action as Noted,
};

fn arrival(epoch: u64) -> Arrival {
    Arrival {
        proxy: "edge-1".into(),
        epoch,
        stored: 0,
        version: "1.0.0".into(),
        address: "10.0.0.9:5".into(),
        plan: PlanName::none(),
    }
}

impl World {
    /// Whoever leads from here on, over what is stored, with two proxies of one name: a quarter of a minute passes.
    fn sees_two_of_one_name(&mut self, earlier: u64) {
        let (reports, _inlet) = tokio::sync::mpsc::channel(1);
        let (gates, _gate) = Gates::new(reports, Clock::not_before(0));
        let seat = gates.seat(&mut self.keeper);
        seat.registry().arrive(arrival(9_000), self.now_ms).unwrap();
        for _ in 0..20 {
            seat.registry().arrive(arrival(earlier), self.now_ms).unwrap_err();
            self.second((0, 0), (0, 0));
        }
    }

    fn noted(&self) -> Vec<String> {
        let entries = self.stored().entries.into_iter();
        entries.filter(|entry| entry.action == Noted::Duplicate).map(|entry| entry.reason).collect()
    }
}

#[test]
fn a_name_that_two_have_is_in_the_journal_once_whoever_leads() {
    let mut world = World::new();
    world.sees_two_of_one_name(8_000);
    let [noted] = &world.noted()[..] else { panic!("{:?}", world.noted()) };
    assert!(noted.starts_with("two proxies are called \"edge-1\": the one at 10.0.0.9:5"), "{noted}");
    assert!(noted.contains("give each proxy a name of its own"), "{noted}");
    // The next leader knows it, and so does this one of the next process that comes with that name.
    let mut next = World::on(world.disk.after_a_crash());
    next.now_ms = world.now_ms;
    next.sees_two_of_one_name(8_500);
    assert_eq!(next.noted().len(), 1);
}

#[test]
fn whose_rollback_was_not_followed_stands_in_the_journal_with_who_has_not_followed() {
    let mut world = World::new();
    let (reports, _inlet) = tokio::sync::mpsc::channel(1);
    let (gates, _gate) = Gates::new(reports, Clock::not_before(0));
    let seat = gates.seat(&mut world.keeper);
    seat.registry().arrive(arrival(9_000), world.now_ms).unwrap();
    world.steer(Action::Start).unwrap();
    world.fail_until_rolled_back();
    let noted = |world: &World| {
        world.stored().entries.into_iter().find(|entry| entry.action == Noted::Unacknowledged)
    };
    for _ in 0..3 {
        world.second((0, 0), (0, 0));
    }
    let entry = noted(&world).unwrap();
    let rollout = world.keeper.state.services[&name("shop")].rollout.as_ref().unwrap();
    assert_eq!((entry.service, entry.rollout), (Some(name("shop")), Some(rollout.id)));
    assert!(entry.reason.contains("no answer from edge-1"), "{}", entry.reason);
}
