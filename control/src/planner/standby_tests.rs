//! A canary that has everything though its rollout is not over: the plan says that the stable version stands by, so that a
//! proxy may go back by itself; and no plan says so any longer than that.

use serin_config::policy::{OnNewCanary, OnTimeout, Step};
use serin_judge::Evidence;

use super::*;
use crate::{
    command::Action as By,
    fixtures::{canary_share, catalogue, name, no_connection, shop, version, weight},
    rollout::{PromotedBy, State as S},
};

const NOW: u64 = 1_000_000;

/// Half at first, then everything for a while; `blog` has no rollout.
fn services() -> Vec<Service> {
    let mut baked = shop();
    baked.rollout.steps = ["50%", "100%", "100%"].map(|share| Step::at(weight(share))).to_vec();
    baked.rollout.on_new_canary = OnNewCanary::Supersede;
    vec![Service { name: name("blog"), ..shop() }, baked]
}

fn ask(state: &State, command: Command) -> State {
    decide(state, &Request::new(command, Actor::Api, ""), NOW).unwrap().unwrap().state
}

fn steered(state: &State, action: By) -> State {
    ask(state, Command::Rollout { service: name("shop"), action, if_generation: None })
}

fn judged(state: &State, event: Event) -> State {
    let policy = services()[1].rollout.clone();
    let verdict = Evidence::new(&policy).verdict(&policy.steps[0], std::time::Duration::ZERO);
    judge(state, &name("shop"), event, &verdict, "", NOW).unwrap().state
}

fn half() -> State {
    let state = start_up(&Stored::default(), &catalogue(services()), NOW).unwrap().state;
    steered(&state, By::Start)
}

fn baking() -> State {
    judged(&half(), Event::Pass)
}

fn stands_by(state: &State) -> bool {
    assert!(!state.plan.stands_by("blog"));
    state.plan.stands_by("shop")
}

#[test]
fn the_stable_version_stands_by_while_the_canary_has_everything_and_at_no_other_step() {
    assert!(!stands_by(&half()), "it has half itself");
    let state = baking();
    assert_eq!((canary_share(&state.plan), stands_by(&state)), (Weight::WHOLE, true));
    let paused = steered(&state, By::Pause);
    assert!(stands_by(&paused) && stands_by(&steered(&paused, By::Resume)));
    let halved = judged(&state, Event::Mounting);
    assert_eq!((canary_share(&halved.plan), stands_by(&halved)), (weight("50%"), false));
    assert!(stands_by(&judged(&halved, Event::Subsided)));
}

#[test]
fn however_a_rollout_ends_the_plan_that_ends_it_says_that_nobody_stands_by() {
    let state = baking();
    let trip = no_connection(state.plan.generation());
    let mut newer = services();
    newer[1].canary = Some(version("v0"));
    let promoted = steered(&state, By::Promote { full: true });
    let undo = Command::Undo { service: name("shop"), if_generation: None, unready: vec![] };
    let ends = [
        steered(&state, By::Abort),
        judged(&state, Event::Pass),
        judged(&state, Event::ClockOver { traffic: true }),
        judged(&state, Event::TimedOut(OnTimeout::Promote)),
        judged(&state, Event::TimedOut(OnTimeout::Rollback)),
        judged(&state, Event::Fail),
        super::trip(&state, &trip, None, NOW).unwrap().state,
        reload(&state, &catalogue(newer), NOW).unwrap().unwrap().state,
        ask(&promoted, undo),
        promoted,
    ];
    for end in ends {
        let rollout = end.services["shop"].rollout.as_ref().unwrap();
        assert!(!rollout.state.is_live() && !stands_by(&end), "{}", rollout.summary());
        assert!(end.plan.generation() > state.plan.generation(), "proxies are told: {}", rollout.summary());
    }
    let by_evidence = judged(&state, Event::Pass).services["shop"].rollout.clone().unwrap().state;
    assert_eq!(by_evidence, S::Promoted { why: PromotedBy::Evidence });
}

#[test]
fn it_is_so_after_a_restart_and_for_whoever_only_looks() {
    let state = baking();
    let restarted = start_up(&Stored::from(&state), &catalogue(services()), NOW).unwrap().state;
    assert!(
        stands_by(&restarted)
            && stands_by(&present(
                &Stored::from(&state),
                serin_config::Generation::NONE,
                &catalogue(services())
            ))
    );
    let mut other = services();
    other[1].rollout.soak = std::time::Duration::from_secs(9);
    let ended = start_up(&Stored::from(&state), &catalogue(other), NOW).unwrap().state;
    assert!(!stands_by(&ended) && canary_share(&ended.plan) == Weight::ZERO, "the file has ended it");
    let elsewhere = go_beyond(&state, Generation(90_000), "edge-1", NOW).unwrap().state;
    assert!(stands_by(&elsewhere));
}

#[test]
fn weights_that_were_set_by_hand_have_nobody_who_stands_by() {
    let state = steered(&baking(), By::Promote { full: true });
    let split = Split::whole(version("v2"));
    let if_generation = state.plan.generation();
    assert!(!stands_by(&ask(&state, Command::SetWeights { service: name("shop"), split, if_generation })));
}
