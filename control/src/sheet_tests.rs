//! Sums of windows say what the windows say.

use proptest::{collection::vec, option, prelude::*};
use serin_config::{Outcome, policy::ErrorWeights};
use serin_judge::Window;

use super::*;
use crate::fixtures::{name, version};

fn any_slice() -> impl Strategy<Value = Slice> {
    let outcomes = vec((0_usize..Outcome::COUNT, 0_u64..1_000), 0..4).prop_map(|counts| {
        let mut outcomes = OutcomeCounts::default();
        counts.into_iter().for_each(|(i, n)| outcomes.add_times(Outcome::ALL[i], n));
        outcomes
    });
    let headers = vec((0_u16..832, 1_u32..1_000), 0..12).prop_map(|mut counts| {
        counts.sort_unstable();
        counts.dedup_by_key(|(bucket, _)| *bucket);
        LatencyCounts(counts)
    });
    (outcomes, headers).prop_map(|(outcomes, headers)| Slice { outcomes, headers })
}

fn any_cell() -> impl Strategy<Value = WindowCell> {
    let events = vec((0_usize..2, 0_u64..9), 0..3).prop_map(|events| {
        let event = |i: usize| EventName::try_new(["paid", "left"][i]).unwrap();
        events.into_iter().map(|(i, n)| (event(i), n)).collect()
    });
    let of = (0_usize..2, 0_usize..3, 0_usize..3);
    let parts = (of, any_slice(), option::of(any_slice()), option::of(0_u64..9), events);
    parts.prop_map(|((service, of, route), rest, control, clients, events)| {
        let (mut outcomes, mut headers) = (rest.outcomes, rest.headers);
        // The control is a part of what was counted.
        if let Some(slice) = &control {
            outcomes.merge(&slice.outcomes);
            headers.merge(&slice.headers);
        }
        WindowCell {
            service: name(["shop", "blog"][service]),
            version: version(["v1", "v2", "v0"][of]),
            route: RouteName::try_new(["a", "b", "c"][route]).unwrap(),
            outcomes,
            headers,
            clients,
            control: control.map(Box::new),
            events,
        }
    })
}

fn any_window() -> impl Strategy<Value = Sheet> {
    (1_u64..3, 1_u64..3, any::<bool>(), vec(any_cell(), 0..8)).prop_map(|(ended, began, probes, cells)| {
        Sheet {
            generation: Generation(ended),
            began_under: Generation(began),
            probing: if probes { vec![name("shop")] } else { vec![] },
            copies: cells.iter().rev().cloned().collect(),
            cells,
        }
    })
}

/// What is gathered of users, and of copies.
fn gathered<'a>(sheets: impl Iterator<Item = &'a Sheet>, service: &str) -> [Window; 2] {
    let sheets: Vec<&Sheet> = sheets.collect();
    let cells = || sheets.iter().flat_map(|sheet| &sheet.cells);
    let copies = sheets.iter().flat_map(|sheet| &sheet.copies);
    let (service, canary, stable) = (name(service), version("v2"), version("v1"));
    let weights = ErrorWeights::default();
    let users = Window::gather(cells(), &service, &canary, &stable, &weights);
    let mut windows = [users, Window::gather_copies(copies, cells(), &service, &canary, &stable, &weights)];
    for route in windows.iter_mut().flat_map(|window| window.routes.values_mut()) {
        route.canary.events.sort();
        route.stable.events.sort();
    }
    windows
}

proptest! {
    /// Whatever a rollout picks windows by, it gets the same from the sums as from the windows.
    #[test]
    fn the_sums_of_windows_are_judged_like_the_windows(windows in vec(any_window(), 0..12)) {
        let mut sheets = Sheets::default();
        windows.iter().cloned().for_each(|window| drop(sheets.add(window)));
        let sheets = sheets.into_sheets();
        prop_assert!(sheets.len() <= 8, "one for each way in which windows differ");
        for (ended, began, probes) in [(1, 1, true), (1, 2, false), (2, 1, false), (2, 2, true)] {
            let picked = |sheet: &&Sheet| {
                sheet.generation >= Generation(ended)
                    && sheet.began_under >= Generation(began)
                    && (probes || sheet.probing.is_empty())
            };
            for service in ["shop", "blog"] {
                let (one, all) = (sheets.iter().filter(picked), windows.iter().filter(picked));
                prop_assert_eq!(gathered(one, service), gathered(all, service));
            }
        }
    }
}

#[test]
fn a_lone_window_stays_as_it_came() {
    let cell = crate::fixtures::report(1, Generation(1), (5, 1), (50, 0)).cells;
    let window = Sheet {
        generation: Generation(2),
        began_under: Generation(1),
        probing: vec![],
        cells: cell,
        copies: vec![],
    };
    let mut sheets = Sheets::default();
    sheets.add(window.clone());
    assert_eq!(sheets.into_sheets(), [window]);
}
