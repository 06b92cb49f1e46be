//! Which windows count for what, and which clock a step runs on.

use serin_config::{
    Generation,
    policy::{OnFail, OnTimeout, Strategy},
    wire::{TripCause, WindowReport},
};

use super::*;
use crate::{
    fixtures::{policy, report, shop, weight},
    rollout::{HeldFor, RolledBackFor},
    samples::begun,
};

const START: Generation = Generation(10);

fn rollout(state: State, step_generation: u64) -> Rollout {
    let generation = Generation(step_generation);
    Rollout { state, step_generation: generation, share_generation: generation, ..begun() }
}

fn running() -> Rollout {
    rollout(State::Running { step: 0 }, 10)
}

/// A window arrives at the end of the second that its number says.
fn observe(watch: &mut Watch, rollout: &Rollout, report: &WindowReport) {
    let second = Second::of(report.ended_ms / 1_000, vec![report.clone()]);
    watch.observe(rollout, &shop(), &second, report.ended_ms);
}

fn look(watch: &mut Watch, rollout: &Rollout, now_ms: u64) -> (Verdict, Option<Event>) {
    let look = watch.look(rollout, &shop(), now_ms).unwrap();
    (look.verdict, look.event.map(|(event, _)| event))
}

#[test]
fn windows_from_before_the_rollout_are_not_its_evidence() {
    let rollout = running();
    let mut watch = Watch::begin(&rollout, &shop(), &[], 0);
    observe(&mut watch, &rollout, &report(1, Generation(9), (100, 100), (900, 0)));
    let (verdict, event) = look(&mut watch, &rollout, 1_000);
    assert_eq!((verdict.canary.requests, event), (0, None));
}

#[test]
fn windows_of_the_step_before_are_evidence_but_do_not_count_for_the_step() {
    let before = running();
    let mut watch = Watch::begin(&before, &shop(), &[], 0);
    observe(&mut watch, &before, &report(1, START, (100, 0), (900, 0)));
    let after = rollout(State::Running { step: 1 }, 11);
    watch.follow(&before, &after, 1_000);
    observe(&mut watch, &after, &report(2, START, (100, 0), (900, 0)));
    let (verdict, _) = look(&mut watch, &after, 2_000);
    assert_eq!(verdict.canary.requests, 200);
    assert!(!watch.checkpoint().counting);
    observe(&mut watch, &after, &report(3, Generation(11), (7, 0), (7, 0)));
    let (verdict, _) = look(&mut watch, &after, 3_000);
    assert_eq!((verdict.canary.requests, verdict.step.failures.canary.requests), (207, 7));
}

#[test]
fn a_step_does_not_pass_on_what_was_counted_before_it() {
    let before = running();
    let mut watch = Watch::begin(&before, &shop(), &[], 0);
    for second in 1..=30 {
        observe(&mut watch, &before, &report(second, START, (1_000, 0), (9_000, 0)));
    }
    assert_eq!(look(&mut watch, &before, 30_000).1, Some(Event::Pass));
    let after = rollout(State::Running { step: 1 }, 11);
    watch.follow(&before, &after, 30_000);
    assert_eq!(look(&mut watch, &after, 45_000).1, None);
}

#[test]
fn a_failing_canary_is_taken_out_while_paused_and_held() {
    for state in [
        State::Running { step: 0 },
        State::Paused { step: 0 },
        State::Held { step: 0, why: HeldFor::Evidence },
        State::Held { step: 0, why: HeldFor::Traffic },
    ] {
        let rollout = rollout(state, 10);
        let mut watch = Watch::begin(&rollout, &shop(), &[], 0);
        let failed = (1..=60).any(|second| {
            observe(&mut watch, &rollout, &report(second, START, (100, 100), (900, 0)));
            look(&mut watch, &rollout, second * 1_000).1 == Some(Event::Fail)
        });
        assert!(failed, "{state}");
    }
}

#[test]
fn a_step_without_traffic_is_held_whatever_the_policy_says() {
    let mut service = shop();
    service.rollout.on_timeout = OnTimeout::Rollback;
    let rollout = running();
    let mut watch = Watch::begin(&rollout, &service, &[], 0);
    observe(&mut watch, &rollout, &report(1, START, (0, 0), (900, 0)));
    let event =
        |watch: &mut Watch, now_ms| watch.look(&rollout, &service, now_ms).unwrap().event.map(|one| one.0);
    assert_eq!(event(&mut watch, 59_999), None);
    assert_eq!(event(&mut watch, 60_000), Some(Event::TimedOutWithoutTraffic));
    observe(&mut watch, &rollout, &report(61, START, (1, 0), (900, 0)));
    assert_eq!(event(&mut watch, 61_000), Some(Event::TimedOut(OnTimeout::Rollback)));
}

#[test]
fn a_timeout_does_not_promote_a_canary_that_is_over_its_limit() {
    let mut service = shop();
    service.rollout.on_timeout = OnTimeout::Promote;
    service.rollout.guards.max_error_rate = Some(weight("1%"));
    let rollout = running();
    let mut watch = Watch::begin(&rollout, &service, &[], 0);
    observe(&mut watch, &rollout, &report(60, START, (50, 1), (50, 1)));
    let look = watch.look(&rollout, &service, 60_000).unwrap();
    assert!(look.event.is_none(), "{look:?}");
    observe(&mut watch, &rollout, &report(61, START, (500, 0), (500, 0)));
    let event = watch.look(&rollout, &service, 61_000).unwrap().event.map(|one| one.0);
    assert_eq!(event, Some(Event::TimedOut(OnTimeout::Promote)));
}

#[test]
fn neither_a_pause_nor_a_restart_runs_a_step_out_of_its_time() {
    let running = running();
    let paused = rollout(State::Paused { step: 0 }, 10);
    let mut watch = Watch::begin(&running, &shop(), &[], 0);
    observe(&mut watch, &running, &report(1, START, (1, 0), (1, 0)));
    watch.follow(&running, &paused, 30_000);
    assert_eq!(look(&mut watch, &paused, 500_000).1, None);
    watch.follow(&paused, &running, 500_000);
    assert_eq!(look(&mut watch, &running, 510_000).0.step.elapsed_ms, 40_000);

    let mut again = Watch::resume(&running, &shop(), Some(watch.checkpoint().clone()), 0, 9_000_000);
    let (verdict, event) = look(&mut again, &running, 9_001_000);
    assert_eq!((verdict.step.elapsed_ms, verdict.canary.requests, event), (41_000, 1, None));
}

#[test]
fn a_held_step_that_is_resumed_gets_its_time_again() {
    let held = rollout(State::Held { step: 0, why: HeldFor::Evidence }, 10);
    let mut watch = Watch::begin(&held, &shop(), &[], 0);
    assert_eq!(look(&mut watch, &held, 100_000).1, None);
    watch.follow(&held, &running(), 100_000);
    assert_eq!(look(&mut watch, &running(), 101_000).0.step.elapsed_ms, 1_000);
}

#[test]
fn evidence_of_another_rollout_is_not_resumed() {
    let mut watch = Watch::begin(&running(), &shop(), &[], 0);
    observe(&mut watch, &running(), &report(1, START, (100, 100), (100, 0)));
    let other = Rollout { id: 2, ..running() };
    let fresh = Watch::resume(&other, &shop(), Some(watch.checkpoint().clone()), 0, 0);
    assert_eq!(fresh.checkpoint().evidence, Evidence::new(&policy()));
    assert_eq!(fresh.rollout(), 2);
}

#[test]
fn an_ended_rollout_is_not_looked_at() {
    let mut watch = Watch::begin(&running(), &shop(), &[], 0);
    let ended = rollout(State::RolledBack { why: RolledBackFor::Evidence }, 11);
    assert!(watch.look(&ended, &shop(), 1_000).is_none());
}

#[test]
fn without_any_window_nothing_moves_and_the_step_is_held() {
    for on_timeout in [OnTimeout::Promote, OnTimeout::Rollback, OnTimeout::Hold] {
        let mut service = shop();
        service.rollout.on_timeout = on_timeout;
        service.rollout.steps[0].min_duration = Duration::from_secs(50);
        let rollout = running();
        let mut watch = Watch::begin(&rollout, &service, &[], 0);
        for second in 1..=30 {
            observe(&mut watch, &rollout, &report(second, START, (1_000, 0), (9_000, 0)));
        }
        let event = |watch: &mut Watch, state, now_ms| {
            let look = watch.look(&Rollout { state, ..running() }, &service, now_ms).unwrap();
            look.event.map(|(event, _)| event)
        };
        let state = State::Running { step: 0 };
        assert_eq!(event(&mut watch, state, 50_000), None, "a pass on what was seen 20 s ago");
        assert_eq!(event(&mut watch, state, 60_000), Some(Event::TimedOutWithoutTraffic), "{on_timeout:?}");
        let held = State::Held { step: 0, why: HeldFor::Traffic };
        assert_eq!(event(&mut watch, held, 61_000), None, "held while nobody reports");
        observe(&mut watch, &rollout, &report(62, START, (1_000, 0), (9_000, 0)));
        assert_eq!(event(&mut watch, held, 62_000), Some(Event::Pass), "with windows it goes on");
    }
}

#[test]
fn the_share_is_known_only_of_seconds_that_every_proxy_spent_under_it() {
    let rollout = Rollout { share_generation: Generation(12), halvings: 1, ..begun() };
    let told = |generation: u64, began: u64, probing: bool| {
        Sheet::from(WindowReport {
            began_under: Generation(began),
            probing: if probing { vec![rollout.service.clone()] } else { vec![] },
            ..report(1, Generation(generation), (1, 0), (9, 0))
        })
    };
    let (settled, changed, probed) = (told(12, 12, false), told(12, 11, false), told(13, 13, true));
    assert_eq!(share(&rollout, &shop(), &[&settled, &settled]), Some(weight("5%")));
    assert_eq!(share(&rollout, &shop(), &[&settled, &changed]), None);
    assert_eq!(share(&rollout, &shop(), &[&settled, &probed]), None);
    let sticky = Service { sticky: Sticky::Cookie("id".into()), ..shop() };
    assert_eq!(share(&rollout, &sticky, &[&settled]), None);
}

#[test]
fn a_dead_canary_is_lost_before_its_second_is_over() {
    let rollout = running();
    let mut watch = Watch::begin(&rollout, &shop(), &[], 0);
    let counts = {
        let count = |text: &str, judged, failed| BeatCount {
            service: rollout.service.clone(),
            version: crate::fixtures::version(text),
            judged,
            failed,
        };
        vec![count("v2", 25, 25), count("v1", 225, 0), count("v0", 9, 9)]
    };
    (0..8).for_each(|_| watch.beat(&rollout, Generation(9), &counts));
    assert!(!watch.pulse());
    assert!(!watch.is_lost(&rollout, &shop()), "what was counted before the rollout is not its evidence");
    let lost = (1..=8).find(|_| {
        watch.beat(&rollout, Generation(10), &counts);
        assert!(watch.pulse());
        watch.is_lost(&rollout, &shop())
    });
    assert!(lost.is_some_and(|beats| beats <= 2), "{lost:?}");
    assert_eq!(look(&mut watch, &rollout, 500).1, Some(Event::Fail));
}

#[test]
fn a_step_counts_from_the_first_second_that_every_proxy_spent_in_it() {
    let rollout = rollout(State::Running { step: 1 }, 11);
    let mut watch = Watch::begin(&rollout, &shop(), &[], 0);
    let second = |at: u64, generations: [u64; 2]| {
        Second::of(at, generations.map(|number| report(at, Generation(number), (10, 0), (90, 0))).to_vec())
    };
    watch.observe(&rollout, &shop(), &second(1, [11, 10]), 1_000);
    watch.observe(&rollout, &shop(), &second(2, [9, 11]), 2_000);
    let (verdict, _) = look(&mut watch, &rollout, 2_000);
    assert_eq!(verdict.canary.requests, 30, "one window was from before the rollout");
    assert_eq!(verdict.step.failures.canary.requests, 10, "the other proxy's second is the step's first");
    assert_eq!(watch.unstored().len(), 1);
}

#[test]
fn a_spent_blast_radius_takes_the_canary_out_without_any_evidence_and_says_so() {
    let mut service = shop();
    service.rollout.blast_radius.failed_requests = Some(5);
    let rollout = running();
    let mut watch = Watch::begin(&rollout, &service, &[], 0);
    for at in 1..=6 {
        let second = Second::of(at, vec![report(at, START, (100, 1), (100, 1))]);
        watch.observe(&rollout, &service, &second, at * 1_000);
        let event = watch.look(&rollout, &service, at * 1_000).unwrap().event;
        match event {
            Some((event, reason)) => {
                assert_eq!((at, event), (5, Event::Trip(TripCause::FailedRequests)));
                assert!(reason.contains("bound on failed requests"), "{reason}");
                return;
            }
            None => assert!(at < 5),
        }
    }
}

#[test]
fn events_that_others_counted_are_judged_with_the_next_second_and_once() {
    use serin_config::{
        EventName,
        policy::{CountedBy, Direction, EventGuard},
        wire::{EventCount, EventReport},
    };
    let event = EventName::try_new("refund").unwrap();
    let mut service = shop();
    service.rollout.guards.events = vec![EventGuard {
        event: event.clone(),
        bad: Direction::More,
        ratio: 1.2,
        counted_by: CountedBy::Push,
    }];
    let rollout = running();
    let mut watch = Watch::begin(&rollout, &service, &[], 0);
    let count =
        |version: &VersionName, requests, count| EventCount { version: version.clone(), requests, count };
    let versions = vec![count(&rollout.canary, 50, 4), count(&rollout.stable, 900, 9)];
    watch.tell(&rollout, &EventReport { service: service.name.clone(), event, versions });
    for at in 1..=2 {
        let report = report(at, START, (10, 0), (90, 0));
        let second = Second::of(at, vec![report]);
        watch.observe(&rollout, &service, &second, at * 1_000);
    }
    let verdict = watch.look(&rollout, &service, 2_000).unwrap().verdict;
    let told = verdict.guards.iter().find_map(|guard| guard.event.as_ref()).unwrap();
    assert_eq!((told.recent.canary.bad, told.recent.canary.requests), (4, 50));
    assert_eq!((told.recent.stable.bad, told.recent.stable.requests), (9, 900));
}

/// What a service's policy makes of seconds like this one, until there is an event.
fn first_event(
    service: &Service,
    state: State,
    (canary, stable): ((u64, u64), (u64, u64)),
    seconds: u64,
) -> Option<(u64, Event, String)> {
    let rollout = rollout(state, 10);
    let mut watch = Watch::begin(&rollout, service, &[], 0);
    (1..=seconds).find_map(|second| {
        let report = report(second, START, canary, stable);
        let taken = Second::of(second, vec![report]);
        watch.observe(&rollout, service, &taken, second * 1_000);
        let (event, why) = watch.look(&rollout, service, second * 1_000)?.event?;
        Some((second, event, why))
    })
}

const RUNNING: State = State::Running { step: 0 };
const GOOD: ((u64, u64), (u64, u64)) = ((1_000, 0), (9_000, 0));
const BAD: ((u64, u64), (u64, u64)) = ((100, 50), (900, 0));

#[test]
fn a_step_that_wants_an_approval_asks_for_it_once() {
    let mut service = shop();
    service.rollout.steps[0].approval = true;
    let (_, event, why) = first_event(&service, RUNNING, GOOD, 30).unwrap();
    assert_eq!(event, Event::AwaitApproval);
    assert!(why.contains("waits for an approval"), "{why}");
    let waits = State::Held { step: 0, why: HeldFor::Approval };
    assert_eq!(first_event(&service, waits, GOOD, 30), None);
    assert_eq!(first_event(&service, waits, BAD, 30).unwrap().1, Event::Fail);
}

#[test]
fn a_timeout_that_promotes_asks_for_the_approval_too() {
    let mut service = shop();
    service.rollout.on_timeout = OnTimeout::Promote;
    service.rollout.steps[0].approval = true;
    service.rollout.steps[0].max_duration = Duration::from_secs(3);
    let few = ((1, 0), (9, 0));
    assert_eq!(first_event(&service, RUNNING, few, 30).unwrap().1, Event::AwaitApproval);
}

#[test]
fn a_step_on_the_clock_passes_without_traffic_and_is_guarded_all_the_while() {
    let mut service = shop();
    let step = &mut service.rollout.steps[0];
    (step.until, step.min_duration, step.max_duration) =
        (serin_config::policy::Until::Time, Duration::from_secs(7), Duration::from_secs(3_600));
    let (second, event, why) = first_event(&service, RUNNING, ((0, 0), (0, 0)), 30).unwrap();
    assert_eq!((second, event), (7, Event::ClockOver { traffic: false }));
    assert!(why.contains("the canary had no request in it, so nothing was judged"), "{why}");
    let (_, event, why) = first_event(&service, RUNNING, ((10, 0), (90, 0)), 30).unwrap();
    assert_eq!(event, Event::ClockOver { traffic: true });
    assert!(why.contains("none of its guards failed over the canary's requests in it ("), "{why}");
    assert_eq!(first_event(&service, RUNNING, BAD, 30).unwrap().1, Event::Fail);
}

#[test]
fn a_failing_guard_whose_rollback_is_unsafe_holds_and_says_why_once() {
    let mut service = shop();
    service.rollout.on_fail = OnFail::Hold { reason: "v1 can't read the new orders".into() };
    service.rollout.actions.mounting = serin_config::policy::Mounting::Hold;
    let (_, event, why) = first_event(&service, RUNNING, BAD, 30).unwrap();
    assert_eq!(event, Event::FailUnsafe);
    assert!(why.contains("guard") && why.contains("v1 can't read the new orders"), "{why}");
    assert_eq!(first_event(&service, State::Held { step: 0, why: HeldFor::Unsafe }, BAD, 30), None);
}

#[test]
fn evidence_ends_no_a_b_test_before_its_time_and_a_spent_blast_radius_does() {
    let mut service = shop();
    let policy = &mut service.rollout;
    policy.strategy = Strategy::Ab;
    policy.actions.mounting = serin_config::policy::Mounting::Hold;
    let step = &mut policy.steps[0];
    (step.until, step.approval) = (serin_config::policy::Until::Time, true);
    (step.min_duration, step.max_duration) = (Duration::from_secs(40), Duration::from_secs(3_600));
    let (second, event, _) = first_event(&service, RUNNING, BAD, 60).unwrap();
    assert_eq!((second, event), (40, Event::Fail));
    let (second, event, _) = first_event(&service, RUNNING, GOOD, 60).unwrap();
    assert_eq!((second, event), (40, Event::AwaitApproval));
    service.rollout.blast_radius.failed_requests = Some(120);
    let (second, event, _) = first_event(&service, RUNNING, BAD, 60).unwrap();
    assert_eq!(event, Event::Trip(TripCause::FailedRequests));
    assert!(second < 10, "{second}");
}

#[test]
fn a_bake_is_judged_by_limits_alone_and_ends_on_its_clock() {
    let mut service = shop();
    service.rollout.guards.max_error_rate = Some(weight("5%"));
    service.rollout.actions.mounting = serin_config::policy::Mounting::Hold;
    let bake = serin_config::policy::Step {
        until: serin_config::policy::Until::Time,
        min_duration: Duration::from_secs(9),
        ..serin_config::policy::Step::at(Weight::WHOLE)
    };
    service.rollout.steps = vec![bake, serin_config::policy::Step::at(Weight::WHOLE)];
    let (second, event, _) = first_event(&service, RUNNING, ((500, 1), (0, 0)), 30).unwrap();
    assert_eq!((second, event), (9, Event::ClockOver { traffic: true }));
    let (second, event, _) = first_event(&service, RUNNING, ((500, 100), (0, 0)), 30).unwrap();
    assert_eq!(event, Event::Fail);
    assert!(second < 9, "{second}");
}
