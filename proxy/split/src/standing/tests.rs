use std::time::Duration;

use proptest::prelude::*;
use serin_config::{HealthCheck, OutlierPolicy, Weight, endpoint::Probe};

use super::*;

fn address(number: u16) -> Address {
    Address::Tcp(([127, 0, 0, 1], 9_000 + number).into())
}

fn addresses(numbers: impl IntoIterator<Item = u16>) -> Vec<Address> {
    numbers.into_iter().map(address).collect()
}

fn checked() -> EndpointPolicy {
    EndpointPolicy { health: Some(HealthCheck::new(Probe::Tcp)), ..EndpointPolicy::default() }
}

fn standings(policy: EndpointPolicy, count: u16) -> (Standings, Instant) {
    let now = crate::test_start();
    let mut standings = Standings::new(policy);
    assert!(standings.set_addresses(&addresses(0..count), now));
    (standings, now)
}

/// Who is ready, as a text: `+` for ready, `-` for not.
fn ready(standings: &Standings) -> String {
    standings.members().iter().map(|member| if member.ready { '+' } else { '-' }).collect()
}

fn failed() -> Result<(), String> {
    Err("connection refused".into())
}

#[test]
fn without_checks_all_are_ready() {
    let (standings, _) = standings(EndpointPolicy::default(), 3);
    assert_eq!(ready(&standings), "+++");
}

#[test]
fn a_start_does_not_wait_for_checks_but_a_newcomer_does() {
    let (mut standings, now) = standings(checked(), 3);
    assert_eq!(ready(&standings), "+++");
    assert!(standings.checked(&address(1), Ok(()), now));
    assert_eq!(ready(&standings), "-+-");
    standings.checked(&address(0), Ok(()), now);
    standings.checked(&address(2), failed(), now);
    assert_eq!(ready(&standings), "++-");
    assert_eq!(standings.members()[2].complaint, "connection refused");
    standings.set_addresses(&addresses(0..4), now);
    assert_eq!(ready(&standings), "++--");
    standings.checked(&address(3), Ok(()), now);
    assert_eq!(ready(&standings), "++-+");
}

#[test]
fn if_all_are_down_none_is_ready() {
    let (mut standings, now) = standings(checked(), 2);
    for number in 0..2 {
        standings.checked(&address(number), failed(), now);
    }
    assert_eq!(ready(&standings), "--");
}

#[test]
fn what_stays_keeps_its_standing_when_others_come_and_go() {
    let (mut standings, now) = standings(checked(), 3);
    for number in 0..3 {
        standings.checked(&address(number), if number == 1 { failed() } else { Ok(()) }, now);
    }
    let later = now + Duration::from_secs(1);
    assert!(standings.set_addresses(&addresses([2, 1, 0]), later));
    assert_eq!(ready(&standings), "+-+");
    assert!(standings.members().iter().all(|member| member.since == now));
    assert!(!standings.set_addresses(&addresses([2, 1, 0]), later));
    assert!(standings.set_addresses(&[], later));
    assert_eq!(ready(&standings), "");
}

#[test]
fn what_fails_in_a_row_is_out_for_a_while_and_comes_back() {
    let (mut standings, now) = standings(EndpointPolicy::default(), 4);
    assert!(standings.failing(&address(2), now));
    assert_eq!(ready(&standings), "++-+");
    assert!(!standings.failing(&address(2), now), "it is out already");
    assert_eq!(standings.next_expiry(), Some(now + Duration::from_secs(30)));
    assert!(standings.expire(now + Duration::from_secs(29)).is_empty());
    assert_eq!(standings.expire(now + Duration::from_secs(30)), [2]);
    assert_eq!((ready(&standings).as_str(), standings.next_expiry()), ("++++", None));
    assert_eq!(standings.members()[2].since, now + Duration::from_secs(30));
}

#[test]
fn the_last_one_that_is_ready_is_never_ejected() {
    let outlier = OutlierPolicy { max_ejected: Weight::WHOLE, ..OutlierPolicy::default() };
    let (mut standings, now) = standings(EndpointPolicy { outlier: Some(outlier), ..checked() }, 3);
    standings.checked(&address(0), Ok(()), now);
    standings.checked(&address(1), Ok(()), now);
    standings.checked(&address(2), failed(), now);
    assert!(standings.failing(&address(0), now));
    assert!(!standings.failing(&address(1), now));
    assert_eq!(ready(&standings), "-+-");
}

#[test]
fn if_the_others_go_down_an_ejection_is_set_aside() {
    let (mut standings, now) = standings(checked(), 2);
    standings.checked(&address(0), Ok(()), now);
    standings.checked(&address(1), Ok(()), now);
    assert!(standings.failing(&address(0), now));
    assert_eq!(ready(&standings), "-+");
    for _ in 0..3 {
        standings.checked(&address(1), failed(), now);
    }
    assert_eq!(ready(&standings), "+-");
}

#[test]
fn what_fails_much_more_often_than_its_fellows_is_ejected() {
    let (mut standings, now) = standings(EndpointPolicy::default(), 6);
    let mut intervals = vec![Interval { attempts: 500, failures: 3 }; 6];
    assert!(standings.interval(&intervals, now).is_empty());
    intervals[4].failures = 200;
    assert_eq!(standings.interval(&intervals, now), [4]);
    assert_eq!(ready(&standings), "++++-+");
    let reason = standings.members()[4].ejection.until.map(|(_, reason)| reason);
    assert_eq!(reason, Some(Reason::SuccessRate));
}

#[test]
fn another_policy_forgets_what_it_does_not_ask_for() {
    let (mut standings, now) = standings(checked(), 2);
    standings.checked(&address(0), Ok(()), now);
    standings.checked(&address(1), failed(), now);
    standings.set_policy(&EndpointPolicy { outlier: None, ..EndpointPolicy::default() }, now);
    assert_eq!(ready(&standings), "++");
    assert!(!standings.failing(&address(0), now));
}

#[derive(Debug, Clone)]
enum Event {
    Set(Vec<u16>),
    Checked(u16, bool),
    Failing(u16),
    Interval(Vec<u64>),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => prop::collection::btree_set(0_u16..8, 0..8).prop_map(|set| Event::Set(set.into_iter().collect())),
        6 => (0_u16..8, any::<bool>()).prop_map(|(number, passed)| Event::Checked(number, passed)),
        6 => (0_u16..8).prop_map(Event::Failing),
        2 => prop::collection::vec(0_u64..1_000, 8).prop_map(Event::Interval),
        4 => (0_u64..60).prop_map(Event::Wait),
    ]
}

proptest! {
    /// Whatever happens: somebody is ready as long as anybody may be well, nobody who is down is, and no
    /// more than the share is ejected by anything that happens while the endpoints stay the same.
    #[test]
    fn whatever_happens_the_rules_hold(events in prop::collection::vec(event(), 0..120), checks: bool) {
        let policy = if checks { checked() } else { EndpointPolicy::default() };
        let (mut standings, mut now) = standings(policy, 5);
        for event in events {
            let ejected = |standings: &Standings| {
                standings.members().iter().filter(|member| member.ejection.is_ejected()).count()
            };
            let before = ejected(&standings);
            match event {
                Event::Set(numbers) => { standings.set_addresses(&addresses(numbers), now); }
                Event::Checked(number, passed) => {
                    standings.checked(&address(number), if passed { Ok(()) } else { failed() }, now);
                }
                Event::Failing(number) => { standings.failing(&address(number), now); }
                Event::Interval(failures) => {
                    let interval = |failures: &u64| Interval { attempts: 1_000, failures: *failures };
                    let intervals: Vec<_> =
                        failures.iter().map(interval).take(standings.members().len()).collect();
                    standings.interval(&intervals, now);
                }
                Event::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    standings.expire(now);
                }
            }
            let members = standings.members();
            let up = members.iter().any(|member| member.health.is_up());
            let down = |member: &Standing| matches!(member.health, Health::Down { .. });
            prop_assert!(members.iter().all(|member| !(member.ready && down(member))));
            if members.iter().any(|member| !down(member)) {
                prop_assert!(members.iter().any(|member| member.ready), "{members:#?}");
            }
            if checks && up {
                prop_assert!(members.iter().all(|m| !m.ready || m.health.is_up()));
            }
            let after = ejected(&standings);
            prop_assert!(after <= before || after <= members.len() / 2, "{before} {after}");
        }
    }
}
