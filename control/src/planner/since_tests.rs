//! Since when a canary has had its weight: a control plane that starts anew forgives nothing that proxies hold against it.

use super::*;
use crate::fixtures::{canary_share, catalogue, name, no_connection, shop, version, weight};

const NOW: u64 = 1_000_000;

fn start(stored: &Stored) -> State {
    start_up(stored, &catalogue(vec![shop()]), NOW).unwrap().state
}

fn set(state: &State, share: &str) -> State {
    let canary = weight(share);
    let rest = Weight::from_ppm(Weight::WHOLE.ppm() - canary.ppm()).unwrap();
    let split = Split::try_new(vec![(version("v1"), rest), (version("v2"), canary)]).unwrap();
    let command =
        Command::SetWeights { service: name("shop"), split, if_generation: state.plan.generation() };
    decide(state, &Request::new(command, Actor::Api, ""), NOW).unwrap().unwrap().state
}

#[test]
fn what_a_proxy_took_out_while_no_control_plane_was_there_stays_out() {
    let by_hand = set(&set(&start(&Stored::default()), "0%"), "10%");
    let (given, changed) = (by_hand.plan.generation(), set(&by_hand, "20%"));
    let again = start(&Stored::from(&start(&Stored::from(&changed))));
    assert!(again.plan.generation() > changed.plan.generation());
    assert_eq!((canary_share(&again.plan), again.plan.canary_since("shop")), (weight("20%"), given));
    assert_eq!(
        present(&Stored::from(&changed), Generation::NONE, &catalogue(vec![shop()]))
            .plan
            .canary_since("shop"),
        given
    );
    let trip = no_connection(changed.plan.generation());
    let out = super::trip(&again, &trip, None, NOW).expect("it is out everywhere").state;
    assert_eq!(canary_share(&out.plan), Weight::ZERO);
    assert_eq!(
        set(&start(&Stored::from(&out)), "10%").services["shop"]
            .since
            .as_ref()
            .map(|since| since.generation > given),
        Some(true)
    );
}

#[test]
fn another_canary_in_the_file_begins_anew() {
    let by_hand = set(&set(&start(&Stored::default()), "0%"), "10%");
    let mut other = shop();
    other.canary = Some(version("v0"));
    other.split =
        Split::try_new(vec![(version("v1"), weight("90%")), (version("v0"), weight("10%"))]).unwrap();
    let now = start_up(&Stored::from(&by_hand), &catalogue(vec![other]), NOW).unwrap().state;
    assert_eq!(now.plan.canary_since("shop"), now.plan.generation());
}
