//! What is known of a rollout at its end, whatever ended it.

use serin_config::terms::Group;
use serin_judge::State as Judged;

use super::*;

fn rollout_of(world: &World, service: &str) -> Rollout {
    world.keeper.state.services[&name(service)].rollout.clone().unwrap()
}

#[test]
fn an_ended_rollout_keeps_the_verdict_of_its_last_step_not_that_of_the_one_before() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    while canary_share(world.keeper.plan()) == weight("10%") {
        world.second((100, 0), (900, 0));
    }
    world.second((3, 0), (3, 0));
    world.steer(Action::Abort).unwrap();
    let verdict = rollout_of(&world, "shop").verdict.unwrap();
    assert_eq!((verdict.step.weight, verdict.step.failures.canary.requests), (weight("50%"), 3));
    assert_eq!((verdict.state, verdict.ended), (Judged::Insufficient, true));
    let entry = world.stored().entries.pop().unwrap();
    assert_eq!(entry.action, crate::journal::Action::Abort);
    assert_eq!(entry.verdict.map(|told| (told.step, told.ended)), Some((verdict.step, true)));
}

#[test]
fn a_rollout_that_ends_before_its_first_window_says_that_nothing_was_counted() {
    let mut yields = shop();
    yields.rollout.on_new_canary = OnNewCanary::Supersede;
    let newer = Service { canary: Some(crate::fixtures::version("v0")), ..yields.clone() };
    let mut world = World::new();
    world.ask(Command::Reload(catalogue(vec![yields]))).unwrap();
    world.steer(Action::Start).unwrap();
    world.ask(Command::Reload(catalogue(vec![newer]))).unwrap();
    let ended = rollout_of(&world, "shop");
    assert_eq!(ended.state, S::Aborted { why: AbortedBy::Superseded });
    let verdict = ended.verdict.unwrap();
    assert_eq!((verdict.state, verdict.ended, verdict.canary.requests), (Judged::Insufficient, true, 0));
    let words = serin_judge::explain(&verdict, "v2", "v1").join("\n");
    assert!(words.contains("ended at 10% without a verdict of the judge: no request was counted"), "{words}");
}

#[test]
fn what_ends_with_its_group_keeps_what_was_known_of_itself() {
    let blog = Service { name: name("blog"), ..shop() };
    let mut world = World::new();
    world.ask(Command::Reload(catalogue(vec![shop(), blog]))).unwrap();
    let group = Group {
        name: serin_config::GroupName::try_new("site").unwrap(),
        services: vec![name("blog"), name("shop")],
    };
    let terms = Terms { groups: vec![group], ..Terms::default() };
    world.ask(Command::Terms(Arc::new(terms))).unwrap();
    world.steer(Action::Start).unwrap();
    world.fail_until_rolled_back();
    let (leader, other) = (rollout_of(&world, "shop"), rollout_of(&world, "blog"));
    assert_eq!(leader.verdict.unwrap().state, Judged::Fail);
    assert_eq!(other.state, S::RolledBack { why: RolledBackFor::Group });
    assert_eq!(
        other.verdict.map(|verdict| (verdict.state, verdict.ended)),
        Some((Judged::Insufficient, true))
    );
}

#[test]
fn a_rollout_that_the_file_ends_at_a_start_keeps_what_was_counted_until_then() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    (0..3).for_each(|_| world.second((20, 1), (180, 0)));
    world.keeper.handle(Event::Stop, world.now_ms);
    let moved = Service { split: split("v2 1% v1 99%"), ..shop() };
    let keeper = Keeper::begin(Box::new(world.disk.store()), &catalogue(vec![moved]), 9_000).unwrap();
    let ended = keeper.state.services[&name("shop")].rollout.clone().unwrap();
    assert_eq!(ended.state, S::Aborted { why: AbortedBy::File });
    let verdict = ended.verdict.unwrap();
    assert_eq!((verdict.canary.requests, verdict.canary.failed, verdict.ended), (60, 3, true));
    assert_eq!(verdict.step.weight, weight("10%"));
    let entries = keeper.journal().newest(Some("shop"), None, 1);
    assert_eq!(entries[0].verdict.as_ref(), Some(&verdict));
}

#[test]
fn a_canary_that_only_waits_is_called_off_in_a_freeze_and_stays_so_after_a_crash() {
    let mut yields = shop();
    yields.rollout.on_new_canary = OnNewCanary::Supersede;
    let newer = Service { canary: Some(crate::fixtures::version("v0")), ..yields.clone() };
    let mut world = World::new();
    world.ask(Command::Reload(catalogue(vec![yields]))).unwrap();
    world.steer(Action::Start).unwrap();
    world.ask(Command::Freeze { services: vec![], until_ms: None }).unwrap();
    world.ask(Command::Reload(catalogue(vec![newer.clone()]))).unwrap();
    (0..2).for_each(|_| world.second((0, 0), (100, 0)));
    let shown = |world: &World| world.status().services["shop"].rollout.clone().unwrap();
    assert_eq!(shown(&world).waiting.unwrap().kind, "frozen");
    let plan = world.keeper.plan().clone();
    let answer = world.steer(Action::Abort).unwrap();
    assert_eq!((&answer.plan, answer.stored), (&plan, true), "no plan is made, and it is stored");
    assert_eq!(shown(&world).waiting, None);
    assert!(shown(&world).summary.ends_with("v0, which waited to take its place, was called off"));
    let stored = world.stored();
    assert_eq!(stored.entries.last().unwrap().action, crate::journal::Action::CallOff);
    // Neither the end of the freeze nor another life of the control plane brings it back.
    let disk = world.disk.after_a_crash();
    let keeper = Keeper::begin(Box::new(disk.store()), &catalogue(vec![newer]), 9_000).unwrap();
    let mut again = World { keeper, disk, now_ms: 9_000, ..world };
    let number = *again.keeper.state.freezes.0.keys().next().unwrap();
    again.ask(Command::Thaw { freeze: number }).unwrap();
    (0..3).for_each(|_| again.second((0, 0), (100, 0)));
    assert!(again.keeper.state.live("shop").is_none());
}
