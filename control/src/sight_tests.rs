use serin_config::{Generation, Role, Weight, terms::Group};

use super::*;
use crate::{command::Actor, fixtures::name, waiting::Waiting};

fn of_shop() -> Grant {
    Grant { role: Role::Viewer, services: Some([name("shop")].into()) }
}

fn terms() -> Terms {
    let savanna = GroupName::try_new("savanna").unwrap();
    let services = ["shop", "zebra"].map(name).to_vec();
    Terms { groups: vec![Group { name: savanna, services }], ..Terms::default() }
}

fn entry(action: Action, reason: &str) -> Entry {
    Entry {
        sequence: 1,
        at_ms: 0,
        actor: Actor::Proxy,
        who: None,
        service: None,
        services: Vec::new(),
        group: None,
        action,
        from: None,
        to: None,
        mirror: Weight::ZERO,
        generation: Generation(1),
        reason: reason.into(),
        with: None,
        rollout: None,
        state: None,
        verdict: None,
    }
}

#[test]
fn what_concerns_the_fleet_is_told_to_those_who_may_see_the_fleet() {
    let (grant, terms) = (of_shop(), terms());
    let sight = Sight::new(&grant, &terms);
    for action in [Action::Duplicate, Action::Renumber] {
        assert!(sight.entry(&entry(action, "proxy giraffe")).is_none());
        assert!(Sight::new(&Grant::EVERYTHING, &terms).entry(&entry(action, "proxy giraffe")).is_some());
    }
    let mine =
        Entry { service: Some(name("shop")), ..entry(Action::Unacknowledged, "no answer from giraffe") };
    let told = sight.entry(&mine).unwrap();
    assert!(told.reason.contains("some proxies have not put it in force"), "{}", told.reason);
    assert!(!told.reason.contains("giraffe"));
    let theirs = Entry { service: Some(name("zebra")), ..mine };
    assert!(sight.entry(&theirs).is_none());
    assert!(sight.entry(&entry(Action::Load, "start")).is_some(), "a file is everybody's");
}

#[test]
fn what_waits_says_what_for_without_the_names_of_others() {
    let (grant, terms) = (of_shop(), terms());
    let sight = Sight::new(&grant, &terms);
    let running = vec![name("shop"), name("quagga")].into();
    let many = Refusal::TooManyRollouts { most: 2, running, begins: vec![name("shop")].into() };
    let text = sight.refusal(many.clone()).to_string();
    assert!(text.contains("2 rollouts are in progress (\"shop\" and 1 that you may not see)"), "{text}");
    assert_eq!(Sight::new(&Grant::EVERYTHING, &terms).refusal(many.clone()), many);

    let frozen = |service: &str| Refusal::Frozen { service: name(service), freeze: "freeze 7".into() };
    assert_eq!(sight.refusal(frozen("shop")), frozen("shop"));
    let other = sight.refusal(frozen("zebra"));
    assert_eq!(other.kind(), "frozen");
    assert!(!other.to_string().contains("zebra"), "{other}");
    assert!(Waiting::new(crate::fixtures::version("v3"), 0, frozen("zebra")).why.contains("zebra"));
}

#[test]
fn a_group_is_for_those_who_have_all_of_it() {
    let terms = terms();
    let (savanna, gone) = (terms.groups[0].name.clone(), GroupName::try_new("gone").unwrap());
    let both = Grant { services: Some(["shop", "zebra"].map(name).into()), ..of_shop() };
    for (grant, sees) in [(of_shop(), false), (both, true), (Grant::EVERYTHING, true)] {
        assert_eq!(Sight::new(&grant, &terms).group(&savanna), sees, "{grant}");
        assert_eq!(Sight::new(&grant, &terms).group(&gone), !grant.is_limited(), "{grant}");
    }
}
