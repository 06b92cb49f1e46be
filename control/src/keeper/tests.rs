//! The order in which things happen: what is stored before it is pushed, and what is not made to wait.
//!
//! Events are handed in one by one, and time with them; channels and the thread are covered by the tests over
//! a real socket.

use std::sync::Mutex;

use serin_config::{Service, Weight, limits::STORE_WAIT, policy::OnNewCanary, wire::Unready};
use tokio::sync::oneshot;

use super::*;
use crate::{
    access::{Answer, CommandError},
    command::{Action, Actor, Command, Request},
    fixtures::{canary_share, catalogue, name, report, shop, split, weight},
    rollout::{AbortedBy, HeldFor, RolledBackFor, State as S, WasUndone},
    store::{StoreError, fault::Disk},
};

struct World {
    disk: Disk,
    keeper: Keeper,
    pushed: Arc<Mutex<Vec<Arc<Plan>>>>,
    now_ms: u64,
    sequence: u64,
}

impl World {
    fn on(disk: Disk) -> Self {
        let mut keeper = Keeper::begin(Box::new(disk.store()), &catalogue(vec![shop()]), 1_000).unwrap();
        let pushed: Arc<Mutex<Vec<Arc<Plan>>>> = Arc::default();
        let sink = pushed.clone();
        keeper.push_to(Box::new(move |plan| sink.lock().unwrap().push(plan)));
        Self { disk, keeper, pushed, now_ms: 1_000, sequence: 0 }
    }

    fn new() -> Self {
        Self::on(Disk::default())
    }

    fn ask(&mut self, command: Command) -> Result<Answer, CommandError> {
        let (reply, mut answer) = oneshot::channel();
        let request = Request::new(command, Actor::Api, "because");
        self.keeper.handle(Event::Order(Order { request, reply }), self.now_ms);
        answer.try_recv().unwrap()
    }

    fn steer(&mut self, action: Action) -> Result<Answer, CommandError> {
        self.ask(Command::Rollout { service: name("shop"), action, if_generation: None })
    }

    fn set(&mut self, text: &str) -> Result<Answer, CommandError> {
        let if_generation = self.keeper.plan().generation();
        self.ask(Command::SetWeights { service: name("shop"), split: split(text), if_generation })
    }

    /// A second passes with these requests and failures of canary and stable version.
    fn second(&mut self, canary: (u64, u64), stable: (u64, u64)) {
        self.now_ms += 1_000;
        self.sequence += 1;
        let generation = self.keeper.plan().generation();
        let window = report(self.sequence, generation, canary, stable);
        self.keeper.handle(Event::Window(window), self.now_ms);
        self.keeper.handle(Event::Tick, self.now_ms);
    }

    fn fail_until_rolled_back(&mut self) {
        for _ in 0..60 {
            self.second((100, 100), (900, 0));
            if canary_share(self.keeper.plan()) == Weight::ZERO {
                return;
            }
        }
        panic!("a dead canary was left in");
    }

    /// Seconds pass until the store is what is in force.
    fn until_stored(&mut self) {
        let deadline = std::time::Instant::now() + 10 * STORE_WAIT;
        while self.keeper.failing {
            assert!(std::time::Instant::now() < deadline, "never stored");
            self.second((0, 0), (0, 0));
        }
    }

    fn last_pushed(&self) -> Arc<Plan> {
        self.pushed.lock().unwrap().last().unwrap().clone()
    }

    fn status(&self) -> Arc<Status> {
        self.keeper.status().borrow().clone()
    }

    /// What would be found after a crash right now.
    fn stored(&self) -> Loaded {
        self.disk.after_a_crash().store().load().unwrap()
    }
}

#[test]
fn a_good_canary_is_promoted_and_every_plan_is_pushed_in_order() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    for _ in 0..60 {
        world.second((1_000, 0), (9_000, 0));
    }
    assert_eq!(canary_share(&world.last_pushed()), Weight::WHOLE);
    let pushed = world.pushed.lock().unwrap();
    assert!(pushed.windows(2).all(|pair| pair[1].parent() == pair[0].generation()));
    let shares: Vec<Weight> = pushed.iter().map(|plan| canary_share(plan)).collect();
    assert_eq!(shares, ["10%", "50%", "100%"].map(weight));
    drop(pushed);
    let ended = &world.stored().ended[&name("shop")];
    assert_eq!(ended.len(), 1);
    assert!(world.stored().evidence.is_empty(), "evidence of an ended rollout is not kept apart");
}

#[test]
fn a_failing_canary_is_rolled_back_with_its_evidence_in_the_journal() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.fail_until_rolled_back();
    let stored = world.stored();
    let entry = stored.entries.last().unwrap();
    assert_eq!((entry.actor, entry.action), (Actor::Judge, crate::journal::Action::RollBack));
    assert!(entry.verdict.as_ref().unwrap().against.reached());
    assert_eq!(
        world.status().services["shop"].rollout.as_ref().unwrap().state,
        S::RolledBack { why: RolledBackFor::Evidence }
    );
    for _ in 0..30 {
        world.second((0, 0), (1_000, 0));
    }
    assert_eq!(canary_share(world.keeper.plan()), Weight::ZERO, "and stays out");
}

#[test]
fn a_window_that_comes_twice_counts_once() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    let window = report(1, world.keeper.plan().generation(), (50, 0), (500, 0));
    for _ in 0..5 {
        world.keeper.handle(Event::Window(window.clone()), 2_000);
    }
    assert_eq!(world.keeper.verdicts["shop"].canary.requests, 50);
}

#[test]
fn a_full_disk_refuses_weights_by_hand_and_pushes_nothing() {
    let mut world = World::new();
    world.disk.be_full(true);
    let before = world.keeper.plan().clone();
    let refused = world.set("v2 5% v1 95%").unwrap_err();
    assert!(matches!(refused, CommandError::Store(StoreError::Full(_))), "{refused}");
    assert!(matches!(world.steer(Action::Start), Err(CommandError::Store(_))));
    assert!(world.pushed.lock().unwrap().is_empty());
    assert_eq!(*world.keeper.plan(), before);
    assert_eq!(world.status().services["shop"].generation, before.generation(), "reads go on");
    world.disk.be_full(false);
    world.set("v2 5% v1 95%").unwrap();
    assert_eq!(canary_share(&world.last_pushed()), weight("5%"));
}

#[test]
fn a_pass_that_can_not_be_stored_does_not_raise_the_weight() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.disk.be_full(true);
    for _ in 0..60 {
        world.second((1_000, 0), (9_000, 0));
    }
    assert_eq!(canary_share(&world.last_pushed()), weight("10%"));
    world.disk.be_full(false);
    world.second((1_000, 0), (9_000, 0));
    assert_eq!(canary_share(&world.last_pushed()), weight("50%"));
}

#[test]
fn a_failing_canary_is_taken_out_though_the_disk_is_full_and_stored_later() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.disk.be_full(true);
    world.fail_until_rolled_back();
    assert_eq!(canary_share(&world.last_pushed()), Weight::ZERO);
    assert!(!world.status().stored);
    assert_eq!(
        world.stored().stored.services["shop"].split.of(&crate::fixtures::version("v2")),
        weight("10%")
    );
    assert!(matches!(world.set("v2 50% v1 50%"), Err(CommandError::Store(_))), "nothing else comes first");

    world.disk.be_full(false);
    world.second((0, 0), (100, 0));
    assert!(world.status().stored);
    let stored = world.stored();
    assert_eq!(stored.stored.generation, world.keeper.plan().generation());
    assert_eq!(stored.entries.last().unwrap().action, crate::journal::Action::RollBack);
    assert!(stored.evidence.is_empty());
}

#[test]
fn an_abort_by_hand_does_not_wait_for_the_disk_and_says_that_it_is_not_stored() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.disk.be_full(true);
    let answer = world.steer(Action::Abort).unwrap();
    assert!(!answer.stored && canary_share(&answer.plan) == Weight::ZERO);
    assert_eq!(canary_share(&world.last_pushed()), Weight::ZERO);
}

#[test]
fn a_promotion_is_undone_though_the_disk_is_full_and_is_told_of_as_undone() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.steer(Action::Promote { full: true }).unwrap();
    world.disk.be_full(true);
    let undo = Command::Undo { service: name("shop"), if_generation: None, unready: vec![] };
    let answer = world.ask(undo).unwrap();
    assert!(!answer.stored && canary_share(&world.last_pushed()) == Weight::ZERO);
    world.disk.be_full(false);
    world.second((0, 0), (100, 0));
    let undone = S::Undone { was: WasUndone::Promoted };
    let ended = &world.stored().ended[&name("shop")];
    assert_eq!(ended.iter().map(|rollout| (rollout.id, rollout.state)).collect::<Vec<_>>(), [(1, undone)]);
    world.steer(Action::Retry).unwrap();
    let status = world.status();
    let earlier = &status.services["shop"].earlier;
    assert_eq!(earlier.iter().map(|rollout| (rollout.id, rollout.state)).collect::<Vec<_>>(), [(1, undone)]);
}

#[test]
fn nothing_goes_back_to_a_version_that_no_proxy_can_reach() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.steer(Action::Promote { full: true }).unwrap();
    let undo = || Command::Undo { service: name("shop"), if_generation: None, unready: vec![] };
    let tell = |world: &mut World, unready: Vec<Unready>| {
        world.sequence += 1;
        let window = report(world.sequence, world.keeper.plan().generation(), (9, 0), (0, 0));
        world.keeper.handle(Event::Window(WindowReport { unready, ..window }), world.now_ms);
    };
    let version = crate::fixtures::version("v1");
    tell(&mut world, vec![Unready { service: name("shop"), version }]);
    let refused = world.ask(undo()).unwrap_err();
    assert!(refused.to_string().contains("no proxy has an endpoint"), "{refused}");
    tell(&mut world, vec![]);
    world.ask(undo()).unwrap();
    assert_eq!(canary_share(&world.last_pushed()), Weight::ZERO);
}

#[test]
fn a_crash_loses_seconds_of_evidence_and_no_decision() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    for _ in 0..11 {
        world.second((20, 0), (180, 0));
    }
    let plan = world.keeper.plan().clone();
    let mut again = World::on(world.disk.after_a_crash());
    assert_eq!(canary_share(again.keeper.plan()), canary_share(&plan));
    assert!(again.keeper.plan().generation() > plan.generation());
    again.second((0, 0), (0, 0));
    let seconds = again.keeper.verdicts["shop"].seconds;
    let lost = 11 + 1 - seconds;
    let kept_every = EVIDENCE_CHECKPOINT.as_secs();
    assert!(lost <= kept_every, "{lost} s of evidence lost");
    assert!(seconds > 1, "evidence was resumed");
}

#[test]
fn stopping_keeps_all_evidence() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    for _ in 0..3 {
        world.second((20, 0), (180, 0));
    }
    world.keeper.handle(Event::Stop, world.now_ms);
    assert_eq!(world.stored().evidence[&name("shop")].evidence.windows(), 3);
}

#[test]
fn a_reload_that_is_refused_changes_nothing() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    let before = world.keeper.plan().clone();
    let mut changed = shop();
    changed.split = split("v2 1% v1 99%");
    let refused = world.ask(Command::Reload(catalogue(vec![changed]))).unwrap_err();
    assert!(matches!(refused, CommandError::Refused(_)), "{refused}");
    assert_eq!(*world.keeper.plan(), before);
    let same = world.ask(Command::Reload(catalogue(vec![shop()]))).unwrap();
    assert_eq!(same.plan, before, "a file that changes nothing makes no plan");
}

#[test]
fn a_canary_that_takes_the_place_of_another_is_started_and_the_one_before_is_kept_as_ended() {
    let mut yields = shop();
    yields.rollout.on_new_canary = OnNewCanary::Supersede;
    let newer = Service { canary: Some(crate::fixtures::version("v0")), ..yields.clone() };
    for told_of_terms in [false, true] {
        let mut world = World::new();
        world.ask(Command::Reload(catalogue(vec![yields.clone()]))).unwrap();
        world.steer(Action::Start).unwrap();
        world.second((20, 0), (180, 0));
        world.ask(Command::Reload(catalogue(vec![newer.clone()]))).unwrap();
        assert!(world.keeper.state.live("shop").is_none());
        if told_of_terms {
            let terms = Terms { max_parallel_rollouts: Some(3), ..Terms::default() };
            world.ask(Command::Terms(Arc::new(terms))).unwrap();
        } else {
            // What else the file says may come any moment.
            world.second((0, 0), (200, 0));
            assert!(world.keeper.state.live("shop").is_none());
            world.second((0, 0), (200, 0));
        }
        assert_eq!(*world.last_pushed().split("shop").unwrap(), split("v0 10% v1 90%"));
        let status = &world.status().services["shop"];
        assert_eq!(status.rollout.as_ref().map(|rollout| (rollout.id, rollout.live)), Some((2, true)));
        assert_eq!(status.earlier[0].state, S::Aborted { why: AbortedBy::Superseded });
        assert!(
            !world.stored().ended[&name("shop")][0].course.steps.is_empty(),
            "what its steps took is kept"
        );
    }
}

#[test]
fn a_write_that_breaks_off_anywhere_is_taken_back_before_anything_else_is_decided() {
    for operations in 0.. {
        let mut world = World::new();
        world.disk.break_after(operations);
        let answer = world.steer(Action::Start);
        world.disk.work_again();
        if answer.is_ok() {
            assert!(operations > 2, "a write is more than one operation of the disk");
            return;
        }
        let now_ms = world.now_ms + 1_000;
        world.keeper.handle(Event::Tick, now_ms);
        let stored = world.stored();
        let context = format!("broken after {operations} operations");
        assert_eq!(stored.stored.services, world.keeper.state.services, "{context}");
        assert_eq!(stored.entries.len(), world.keeper.journal.newest(None, None, 99).len(), "{context}");
        assert!(stored.ended.is_empty() && stored.evidence.is_empty(), "{context}");

        let answer = world.set("v2 5% v1 95%").unwrap_or_else(|error| panic!("{context}: {error}"));
        let stored = world.stored();
        assert_eq!(stored.stored.generation, answer.plan.generation(), "{context}");
        let sequences: Vec<u64> = stored.entries.iter().map(|entry| entry.sequence).collect();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{context}: {sequences:?}");
    }
}

#[test]
fn a_rollback_whose_write_breaks_off_anywhere_is_stored_in_the_end() {
    for operations in 0.. {
        let mut world = World::new();
        world.steer(Action::Start).unwrap();
        world.disk.break_after(operations);
        let answer = world.steer(Action::Abort).unwrap();
        assert_eq!(canary_share(&world.last_pushed()), Weight::ZERO);
        world.disk.work_again();
        if answer.stored {
            return;
        }
        world.second((0, 0), (0, 0));
        world.second((0, 0), (0, 0));
        assert!(world.status().stored, "broken after {operations} operations");
        assert_eq!(world.stored().stored.generation, answer.plan.generation());
        world.steer(Action::Start).unwrap_or_else(|error| panic!("after {operations}: {error}"));
    }
}

#[test]
fn a_start_on_a_full_disk_serves_the_stored_split_and_stores_it_later() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    let disk = world.disk.after_a_crash();
    let store = Box::new(disk.store());
    disk.be_full(true);
    let keeper = Keeper::begin(store, &catalogue(vec![shop()]), 2_000).unwrap();
    assert_eq!(canary_share(keeper.plan()), weight("10%"));
    let mut again = World { keeper, disk, ..World::new() };
    assert!(!again.status().stored);
    assert!(matches!(again.steer(Action::Promote { full: false }), Err(CommandError::Store(_))));
    again.disk.be_full(false);
    again.second((1, 0), (9, 0));
    assert!(again.status().stored);
    assert_eq!(again.stored().stored.generation, again.keeper.plan().generation());
}

#[test]
fn a_state_file_that_was_taken_away_is_written_anew() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.disk.be_full(true);
    world.steer(Action::Abort).unwrap();
    world.disk.be_empty();
    world.disk.be_full(false);
    world.second((0, 0), (0, 0));
    world.second((0, 0), (0, 0));
    assert!(world.status().stored);
    assert_eq!(world.stored().stored.services, world.keeper.state.services);
}

#[test]
fn a_failing_canary_is_taken_out_though_the_disk_hangs() {
    let mut world = World::new();
    world.steer(Action::Start).unwrap();
    world.disk.hang(true);
    let begun = std::time::Instant::now();
    world.fail_until_rolled_back();
    let slow = world.set("v2 1% v1 99%").unwrap_err();
    assert!(matches!(slow, CommandError::Store(StoreError::Slow(_))), "{slow}");
    assert!(
        begun.elapsed() < 3 * STORE_WAIT,
        "{:?}: a write or two are waited for, not each",
        begun.elapsed()
    );
    assert_eq!(canary_share(&world.last_pushed()), Weight::ZERO);
    world.disk.hang(false);
    world.until_stored();
    assert_eq!(world.stored().entries.last().unwrap().action, crate::journal::Action::RollBack);
}

#[test]
fn a_decision_that_the_disk_took_too_late_is_taken_back() {
    let mut world = World::new();
    world.disk.hang(true);
    let slow = world.steer(Action::Start).unwrap_err();
    assert!(matches!(slow, CommandError::Store(StoreError::Slow(_))), "{slow}");
    world.disk.hang(false);
    world.until_stored();
    assert_eq!(world.stored().stored.services, world.keeper.state.services);
    assert!(world.pushed.lock().unwrap().is_empty());
    world.steer(Action::Start).unwrap();
}

#[path = "ends_tests.rs"]
mod ends;
#[path = "fleet_tests.rs"]
mod fleet;
#[path = "history_tests.rs"]
mod history;
#[path = "hooks_tests.rs"]
mod hooks;
#[path = "orders_tests.rs"]
mod orders;

#[test]
fn a_freeze_by_hand_is_stored_pushes_nothing_and_holds_after_a_crash() {
    let mut world = World::new();
    world.ask(Command::Freeze { services: vec![], until_ms: None }).unwrap();
    assert!(world.pushed.lock().unwrap().is_empty());
    let mut again = World::on(world.disk.after_a_crash());
    let Err(CommandError::Refused(refused)) = again.steer(Action::Start) else { panic!("started") };
    assert!(refused.to_string().contains("until it is lifted: because"), "{refused}");
    let number = *again.keeper.state.freezes.0.keys().next().unwrap();
    again.ask(Command::Thaw { freeze: number }).unwrap();
    let mut at_last = World::on(again.disk.after_a_crash());
    assert!(at_last.steer(Action::Start).is_ok());
}

#[test]
fn a_freeze_that_can_not_be_stored_is_refused_and_does_not_hold() {
    let mut world = World::new();
    world.disk.be_full(true);
    assert!(matches!(
        world.ask(Command::Freeze { services: vec![], until_ms: None }),
        Err(CommandError::Store(_))
    ));
    assert!(world.keeper.state.freezes.0.is_empty());
}
