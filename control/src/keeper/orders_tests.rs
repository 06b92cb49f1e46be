//! What is asked for by hand: tokens, keys of changes, and the audit log of it, while the store fails and works.

use super::*;
use crate::{
    audit::{AuditEntry, Fate},
    command::Caller,
    repeat::{RepeatKey, Repeats},
    tokens::{TokenText, Wanted},
};

impl World {
    fn order(&mut self, command: Command, key: Option<&str>) -> Result<Answer, CommandError> {
        let request = Request::new(command, Actor::Api, "because").by(Caller::new("ci", "10.0.0.7"));
        let request = match key {
            Some(key) => request.once(RepeatKey { key: key.into(), change: "the same".into() }),
            None => request,
        };
        let (reply, mut answer) = oneshot::channel();
        self.keeper.handle(Event::Order(Order { request, reply }), self.now_ms);
        answer.try_recv().unwrap()
    }

    fn give(&mut self, name: &str) -> (TokenText, Result<Answer, CommandError>) {
        let text = TokenText::random().unwrap();
        let wanted = Box::new(Wanted {
            id: text.id().clone(),
            name: name.into(),
            role: serin_config::Role::Viewer,
            services: None,
            digest: text.digest(),
            life_ms: 3_600_000,
        });
        let answer = self.order(Command::GiveToken { wanted, if_generation: None }, None);
        (text, answer)
    }

    /// What a crash right now would leave of the audit log: what, and its fate.
    fn audited(&self) -> Vec<(String, Fate)> {
        let of = |entry: &Arc<AuditEntry>| (entry.what.clone(), entry.fate);
        AuditLog::from_facts(&self.stored().facts, Audit::default()).reader().all().iter().map(of).collect()
    }
}

fn start() -> Command {
    Command::Rollout { service: name("shop"), action: Action::Start, if_generation: None }
}

fn told(what: &str, fate: Fate) -> (String, Fate) {
    (what.into(), fate)
}

#[test]
fn a_token_is_a_decision_that_moves_no_plan() {
    let mut world = World::new();
    let (text, given) = world.give("ci");
    assert!(given.unwrap().stored);
    assert!(world.pushed.lock().unwrap().is_empty(), "there is no new plan to push");
    assert_eq!(world.keeper.plan().generation(), Generation(1));
    let kept = Tokens::from_facts(&world.stored().facts);
    assert_eq!(kept.get(text.id()).unwrap().created_by, Some(Caller::new("ci", "10.0.0.7")));
    assert_eq!(*world.status().tokens, kept);
    let id = text.id().clone();
    world.order(Command::TakeBackToken { id, if_generation: None }, None).unwrap();
    assert_eq!(Tokens::from_facts(&world.stored().facts), Tokens::default());
    assert_eq!(world.audited(), [told("create_token", Fate::Done), told("delete_token", Fate::Done)]);
    assert!(world.stored().entries.iter().all(|entry| entry.who.is_none()), "the journal is of plans");
}

#[test]
fn what_can_not_be_stored_is_not_given_and_told_as_refused_when_the_store_works_again() {
    let mut world = World::new();
    world.disk.be_full(true);
    let (text, refused) = world.give("ci");
    assert!(matches!(refused, Err(CommandError::Store(StoreError::Full(_)))), "{refused:?}");
    assert!(world.status().tokens.get(text.id()).is_none());
    assert_eq!(world.audited(), []);
    world.disk.be_full(false);
    world.until_stored();
    world.second((0, 0), (0, 0));
    assert_eq!(world.audited(), [told("create_token", Fate::Refused)]);
    assert_eq!(
        Tokens::from_facts(&world.stored().facts),
        Tokens::default(),
        "a failed write leaves no token"
    );
    assert!(world.give("ci").1.is_ok());
}

#[test]
fn an_abort_does_not_wait_for_the_store_and_is_told_with_it_later() {
    let mut world = World::new();
    world.order(start(), None).unwrap();
    world.disk.be_full(true);
    let abort = Command::Rollout { service: name("shop"), action: Action::Abort, if_generation: None };
    assert!(!world.order(abort, Some("key")).unwrap().stored);
    assert_eq!(canary_share(&world.last_pushed()), Weight::ZERO);
    assert_eq!(world.audited(), [told("start", Fate::Done)]);
    world.disk.be_full(false);
    world.until_stored();
    world.second((0, 0), (0, 0));
    assert_eq!(world.audited(), [told("start", Fate::Done), told("abort", Fate::Done)]);
    let key = RepeatKey { key: "key".into(), change: "the same".into() };
    let kept = Repeats::from_facts(&world.stored().facts);
    assert_eq!(kept.find(&key, world.now_ms).unwrap().unwrap().generation, world.keeper.plan().generation());
}

#[test]
fn a_change_with_a_key_is_remembered_over_a_crash_and_one_that_failed_is_not() {
    let mut world = World::new();
    world.disk.be_full(true);
    assert!(world.order(start(), Some("key")).is_err());
    world.disk.be_full(false);
    world.until_stored();
    let done = world.order(start(), Some("key")).unwrap();
    assert_eq!((done.repeats, done.plan.generation()), (None, Generation(2)));
    world.set("v1 100%").unwrap();
    let now_ms = world.now_ms;
    let mut again = World::on(world.disk.after_a_crash());
    again.now_ms = now_ms;
    assert_eq!(again.order(start(), Some("key")).unwrap().repeats, Some(Generation(2)));
    assert!(again.status().services["shop"].rollout.as_ref().is_some_and(|rollout| !rollout.live));
}

#[test]
fn what_is_refused_is_stored_within_a_second_and_open_sums_at_the_end() {
    let mut world = World::new();
    for _ in 0..3 {
        assert!(
            world
                .order(
                    Command::Rollout { service: name("shop"), action: Action::Pause, if_generation: None },
                    None
                )
                .is_err()
        );
    }
    assert_eq!(world.audited(), []);
    world.second((0, 0), (0, 0));
    assert_eq!(world.audited(), [told("pause", Fate::Refused)]);
    world.keeper.handle(Event::Stop, world.now_ms);
    let all = AuditLog::from_facts(&world.stored().facts, Audit::default()).reader().all();
    assert_eq!(all.iter().map(|entry| entry.times).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(all[0].problem.as_deref(), Some("no-rollout"));
}
