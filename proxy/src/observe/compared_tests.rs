use std::{sync::Arc, time::Duration};

use serin_config::{
    Catalogue, Generation, Outcome, RouteName, Version, VersionName,
    limits::{HANG_LEAST, Limits},
    outcome::OutcomeCounts,
    wire::LatencyCounts,
};
use serin_split::{Tally, tally::Timing};

use super::*;
use crate::clock;

fn name(text: &str) -> VersionName {
    VersionName::try_new(text).unwrap()
}

/// `shop` with so many endpoints of v1 and of v2, at 10 %, in a plan that everybody knows of.
fn world(sticky: Sticky, endpoints: [u16; 2]) -> (Plan, Shared) {
    let shop = ServiceName::try_new("shop").unwrap();
    let versions =
        [("v1", 1_000, endpoints[0]), ("v2", 2_000, endpoints[1])].map(|(version, first, count)| {
            let address = |port| serin_config::Address::Tcp(([127, 0, 0, 1], port).into());
            Version::new(name(version), (first..first + count).map(address).collect())
        });
    let service = Service {
        canary: Some(name("v2")),
        sticky,
        ..Service::new(shop.clone(), versions.to_vec(), name("v1"))
    };
    let shared = Shared::new(1, &Limits::default(), Arc::default(), Generation(1));
    for version in &service.versions {
        let state = shared.version(&shop, &version.name);
        state.endpoints.configure(Generation(1), version, clock::now());
    }
    let catalogue = Arc::new(Catalogue::try_new(vec![], vec![service]).unwrap());
    let plan = Plan::new(catalogue, Generation(1), Generation(0));
    (plan.with_split("shop", at(10)).unwrap(), shared)
}

fn at(percent: u32) -> Split {
    Split::canary_and_stable(name("v2"), Weight::from_ppm(percent * 10_000).unwrap(), name("v1"))
}

fn cell(version: &str, fill: impl FnOnce(&mut Tally)) -> Cell {
    let mut tally = Tally::default();
    tally.record(Outcome::Ok, timing(20));
    fill(&mut tally);
    Cell {
        service: ServiceName::try_new("shop").unwrap(),
        version: name(version),
        route: RouteName::try_new("r").unwrap(),
        drained: tally.drain().unwrap(),
    }
}

fn timing(ms: u64) -> Timing {
    Timing { headers: Some(ms * 1_000), total: ms * 1_000, own: None }
}

fn control(shared: &Shared, version: &str) -> Control {
    shared.existing("shop", version).unwrap().terms.control()
}

#[test]
fn a_hang_is_looked_for_while_both_versions_have_weight_and_the_control_always_runs() {
    let (plan, shared) = world(Sticky::Random, [6, 2]);
    let mut compared = Compared::default();
    compared.look(&plan, &shared, &cell("v1", |tally| tally.record(Outcome::Ok, timing(30_000))));
    compared.set_terms(&plan, &shared);
    assert_eq!((control(&shared, "v1"), control(&shared, "v2")), (Control::Endpoints(2), Control::Off));
    let hang = |version| shared.existing("shop", version).unwrap().terms.hang_after();
    assert!(hang("v1") > Some(Duration::from_secs(100)) && hang("v1") == hang("v2"), "{:?}", hang("v1"));
    compared.set_terms(&plan.with_split("shop", at(0)).unwrap(), &shared);
    assert_eq!((control(&shared, "v1"), hang("v1"), hang("v2")), (Control::Endpoints(2), None, None));
    compared.set_terms(&plan, &shared);
    assert_eq!(hang("v2"), Some(HANG_LEAST), "what was slow before has nothing to do with it");
}

#[test]
fn the_control_is_a_part_of_the_stable_versions_counts_and_of_no_others() {
    let (plan, shared) = world(Sticky::Random, [1, 1]);
    let mut compared = Compared::default();
    compared.set_terms(&plan, &shared);
    assert_eq!(control(&shared, "v1"), Control::Share);
    let with_control = |tally: &mut Tally| {
        tally.record(Outcome::Http5xx, timing(3));
        tally.note_control(Outcome::Http5xx, timing(3));
        tally.note_control(Outcome::Ok, timing(20));
    };
    let slice = compared.look(&plan, &shared, &cell("v1", with_control)).control.unwrap();
    assert_eq!((slice.outcomes.judged(), slice.outcomes.failed(), slice.headers.total()), (2, 1, 1));
    let empty = compared.look(&plan, &shared, &cell("v1", |_| {})).control.unwrap();
    assert_eq!(empty.outcomes, OutcomeCounts::default(), "there is a control, and nothing in it");
    assert!(compared.look(&plan, &shared, &cell("v2", |_| {})).control.is_none());
}

#[test]
fn clients_are_counted_where_the_split_is_sticky_even_if_none_failed() {
    let (plan, shared) = world(Sticky::ClientAddress, [1, 1]);
    let mut compared = Compared::default();
    let failing = |keys: &'static [u64]| {
        move |tally: &mut Tally| keys.iter().for_each(|key| tally.note_erring(Some(*key)))
    };
    let mut count = |plan: &Plan, cell: &Cell| compared.look(plan, &shared, cell).clients;
    assert_eq!(count(&plan, &cell("v2", failing(&[1, 2, 1]))), Some(2));
    assert_eq!(count(&plan, &cell("v2", failing(&[2, 3]))), Some(1));
    assert_eq!(count(&plan, &cell("v1", |_| {})), Some(0));
    let raised = plan.with_split("shop", at(20)).unwrap();
    assert_eq!(count(&raised, &cell("v2", failing(&[2, 3]))), Some(2));
    let whole = plan.with_split("shop", at(100)).unwrap();
    assert_eq!(count(&whole, &cell("v2", failing(&[9]))), None);
    let (plan, shared) = world(Sticky::Random, [1, 1]);
    assert_eq!(Compared::default().look(&plan, &shared, &cell("v2", |_| {})).clients, None);
}

#[test]
fn what_several_workers_add_to_a_cell_adds_up() {
    let order = EventName::try_new("order").unwrap();
    let mut window = WindowCell {
        service: ServiceName::try_new("shop").unwrap(),
        version: name("v1"),
        route: RouteName::try_new("r").unwrap(),
        outcomes: OutcomeCounts::default(),
        headers: LatencyCounts::default(),
        clients: None,
        control: None,
        events: Vec::new(),
    };
    Besides::default().add_to(&mut window);
    assert_eq!((window.clients, &window.control, window.events.len()), (None, &None, 0));
    for _ in 0..3 {
        let mut outcomes = OutcomeCounts::default();
        outcomes.add(Outcome::Ok);
        let slice = Slice { outcomes, headers: LatencyCounts(vec![(7, 1)]) };
        let events = vec![(order.clone(), 2)];
        Besides { clients: Some(4), control: Some(Box::new(slice)), events }.add_to(&mut window);
    }
    let control = window.control.unwrap();
    assert_eq!((window.clients, control.outcomes.judged(), control.headers.total()), (Some(12), 3, 3));
    assert_eq!(window.events, [(order, 6)]);
}
