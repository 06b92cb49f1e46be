//! What a stream tells, and in which order.

use std::{collections::HashMap, sync::Arc};

use serin_config::{fleet::message::Down, limits::WINDOWS_QUEUED_MAX};

use super::*;
use crate::{
    command::{Action, Actor, Command, Request},
    fixtures::{catalogue, name, shop},
    planner::{self, Stored},
    state::State,
};

const SOON: Duration = Duration::from_secs(30);

/// What is decided about one service, before its rollout and when it has begun.
fn decided() -> [State; 2] {
    let catalogue = Arc::new(catalogue(vec![shop()]).as_ref().clone().with_source("text".into()));
    let before = planner::start_up(&Stored::default(), &catalogue, 0).unwrap().state;
    let command = Command::Rollout { service: name("shop"), action: Action::Start, if_generation: None };
    let started = planner::decide(&before, &Request::new(command, Actor::Api, ""), 0).unwrap().unwrap();
    [before, started.state]
}

struct Told(mpsc::Receiver<Outgoing>);

impl Told {
    async fn next(&mut self) -> Downward {
        let told = timeout(SOON, self.0.recv()).await.expect("it says something").unwrap().unwrap();
        Down::decode(told).unwrap().said.unwrap()
    }
}

#[tokio::test]
async fn beats_are_asked_for_before_the_plan_that_begins_a_rollout_and_not_before_nor_after_it() {
    let [before, started] = decided();
    assert!(!before.is_rolling() && started.is_rolling());
    let (reports, _inlet) = mpsc::channel(WINDOWS_QUEUED_MAX);
    let seat = Seat::new(before.plan.clone(), HashMap::new(), reports, 0);
    let (down, told) = mpsc::channel(FLEET_DOWN_QUEUED_MAX);
    let hello = Hello { proxy: "edge-1".into(), epoch: 1, ..Hello::default() };
    let acknowledged = AtomicU64::new(0);
    let clock = Clock::not_before(0);
    let session = Session { seat: seat.clone(), stream: 1, hello, acknowledged, down, clock };
    let tells = tokio::spawn(async move {
        session.tell("1.0.0").await;
    });
    let mut told = Told(told);
    assert!(matches!(told.next().await, Downward::Welcome(_)));
    assert_eq!(told.next().await, Downward::Wish(Wish { no_beats: true }), "nothing is rolled out");
    assert!(matches!(told.next().await, Downward::Plan(_)));
    assert!(!seat.takes_beat(0), "one that comes all the same is of no use");

    seat.ask_for_beats(true);
    seat.publish(started.plan.clone(), &[], 0);
    assert_eq!(told.next().await, Downward::Wish(Wish { no_beats: false }));
    let Downward::Plan(plan) = told.next().await else { panic!("the plan comes after it") };
    assert_eq!(plan.generation, started.plan.generation().0);
    assert!(seat.takes_beat(0));
    // What is asked for already is not asked for again.
    seat.ask_for_beats(true);
    seat.ask_others();
    seat.ask_for_beats(false);
    assert_eq!(told.next().await, Downward::Wish(Wish { no_beats: true }));
    tells.abort();
}
