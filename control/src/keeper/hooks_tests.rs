//! Webhooks around steps, with a store that fails and a control plane that is started again.

use serin_config::{
    terms::Terms,
    webhook::{OnFailure, When},
};

use super::*;
use crate::hook::{Said, Stands, tests::webhook};

fn terms(on: When) -> Arc<Terms> {
    Arc::new(Terms { webhooks: vec![webhook(&[on], OnFailure::Wait)], ..Terms::default() })
}

fn asked(on: When) -> World {
    let mut world = World::new();
    world.keeper.set_terms(terms(on));
    world.steer(Action::Start).unwrap();
    world
}

fn say(world: &mut World, said: Said) {
    let (question, _) =
        world.status().hooks.0.first_key_value().map(|(q, a)| (q.clone(), a.clone())).unwrap();
    world.ask(Command::Heard { question: Box::new(question), said }).unwrap();
}

fn held(world: &World) -> Option<HeldFor> {
    match world.status().services["shop"].rollout.as_ref()?.state {
        S::Held { why, .. } => Some(why),
        _ => None,
    }
}

#[test]
fn a_rollout_goes_from_step_to_step_as_its_webhook_allows() {
    let mut world = asked(When::BeforeStep);
    assert_eq!(canary_share(world.keeper.plan()), Weight::ZERO);
    for share in ["10%", "50%", "100%"] {
        for _ in 0..60 {
            if matches!(held(&world), Some(HeldFor::Webhook | HeldFor::Start)) {
                break;
            }
            world.second((1_000, 0), (9_000, 0));
        }
        assert_eq!(world.status().hooks.0.len(), 1, "before {share}");
        say(&mut world, Said::Allow);
        world.second((1_000, 0), (9_000, 0));
        assert_eq!(canary_share(&world.last_pushed()), weight(share));
    }
    assert!(world.status().hooks.0.is_empty());
}

#[test]
fn what_a_canary_counted_before_it_was_let_in_is_no_evidence() {
    let mut world = asked(When::BeforeStep);
    for _ in 0..5 {
        world.second((0, 0), (1_000, 0));
    }
    assert_eq!(world.keeper.verdicts["shop"].seconds, 0);
    say(&mut world, Said::Allow);
    world.second((10, 0), (1_000, 0));
    assert_eq!(world.keeper.verdicts["shop"].seconds, 1);
}

#[test]
fn a_denial_takes_the_canary_out_though_the_disk_is_full() {
    let mut world = asked(When::AtStep);
    assert_eq!(canary_share(world.keeper.plan()), weight("10%"));
    world.disk.be_full(true);
    say(&mut world, Said::Deny("no".into()));
    assert_eq!(canary_share(&world.last_pushed()), Weight::ZERO);
    world.disk.be_full(false);
    world.second((0, 0), (100, 0));
    assert_eq!(world.stored().entries.last().unwrap().actor, Actor::Webhook);
}

#[test]
fn leave_to_begin_waits_for_the_store_and_is_not_forgotten() {
    let mut world = asked(When::BeforeStep);
    world.disk.be_full(true);
    say(&mut world, Said::Allow);
    assert_eq!(canary_share(world.keeper.plan()), Weight::ZERO);
    world.disk.be_full(false);
    world.second((0, 0), (100, 0));
    assert_eq!(canary_share(&world.last_pushed()), weight("10%"));
}

#[test]
fn after_a_crash_the_same_is_asked_again() {
    let mut world = asked(When::BeforeStep);
    say(&mut world, Said::Wait("tests run".into()));
    let before = world.status().hooks.clone();
    let mut again = World::on(world.disk.after_a_crash());
    again.keeper.set_terms(terms(When::BeforeStep));
    again.second((0, 0), (100, 0));
    let after = again.status().hooks.clone();
    assert!(before.0.keys().eq(after.0.keys()));
    assert!(after.0.values().all(|asked| asked.tries == 0 && asked.stands == Stands::Waits));
    say(&mut again, Said::Allow);
    assert_eq!(canary_share(&again.last_pushed()), weight("10%"));
}
