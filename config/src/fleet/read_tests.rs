//! The short way and the long way come to the same end.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::wire::{TripCause, Unready};

fn any_slice() -> impl Strategy<Value = Slice> {
    let outcomes =
        vec(prop_oneof![Just(0_u64), 0..300_u64, any::<u32>().prop_map(u64::from)], 0..Outcome::COUNT);
    let headers = vec((0..BUCKETS, prop_oneof![1_u32..200, any::<u32>().prop_map(|n| n.max(1))]), 0..40);
    (outcomes, headers).prop_map(|(counted, mut buckets)| {
        let mut outcomes = OutcomeCounts::default();
        let counted = counted.into_iter().map(|n| n.min(WINDOW_COUNT_MAX));
        Outcome::ALL.into_iter().zip(counted).for_each(|(outcome, n)| outcomes.add_times(outcome, n));
        buckets.sort_unstable();
        buckets.dedup_by_key(|(bucket, _)| *bucket);
        let headers = buckets.into_iter().map(|(bucket, n)| (u16::try_from(bucket).unwrap(), n)).collect();
        Slice { outcomes, headers: LatencyCounts(headers) }
    })
}

fn any_cell() -> impl Strategy<Value = WindowCell> {
    let names = (0_usize..2, 0_usize..2, 0_usize..3);
    (names, any_slice(), option::of(any_slice()), option::of(0_u64..999), vec(0_u64..9, 0..3)).prop_map(
        |((service, version, route), Slice { outcomes, headers }, control, clients, events)| WindowCell {
            service: ServiceName::try_new(["shop", "blog"][service]).unwrap(),
            version: VersionName::try_new(["v1", "v2"][version]).unwrap(),
            route: RouteName::try_new(["a", "b", "c"][route]).unwrap(),
            outcomes,
            headers,
            clients,
            control: control.map(Box::new),
            events: events.into_iter().map(|n| (EventName::try_new("paid").unwrap(), n)).collect(),
        },
    )
}

fn any_window() -> impl Strategy<Value = WindowReport> {
    (any::<[u32; 5]>(), vec(any_cell(), 0..6), any::<bool>()).prop_map(|(numbers, cells, more)| {
        let [epoch, sequence, ended_ms, generation, began_under] = numbers.map(u64::from);
        let (shop, v2) = (ServiceName::try_new("shop").unwrap(), VersionName::try_new("v2").unwrap());
        let trip = crate::wire::Trip {
            service: shop.clone(),
            version: v2.clone(),
            cause: TripCause::FailedRequests,
            reason: "it failed".into(),
            generation: Generation(generation),
            at_ms: ended_ms,
        };
        WindowReport {
            proxy: "edge-1".into(),
            epoch,
            sequence,
            ended_ms,
            age_ms: 0,
            generation: Generation(generation),
            began_under: Generation(began_under),
            cells,
            probing: if more { vec![shop.clone()] } else { vec![] },
            trips: if more { vec![trip] } else { vec![] },
            copies: vec![],
            unready: if more { vec![Unready { service: shop, version: v2 }] } else { vec![] },
        }
    })
}

fn the_long_way(bytes: &[u8]) -> Option<WindowReport> {
    window::from_message("edge-1", Window::decode(bytes).ok()?).ok()
}

proptest! {
    #[test]
    fn what_is_sent_is_read_the_short_way_whatever_came_before(windows in vec(any_window(), 1..6)) {
        let mut reader = Reader::default();
        for report in windows {
            let bytes = window::to_message(&report, report.age_ms).encode_to_vec();
            prop_assert_eq!(reader.short("edge-1", &bytes), Some(report));
        }
    }

    #[test]
    fn nothing_is_left_of_a_window_whose_cells_are_filled_anew(windows in vec(any_window(), 2..6)) {
        let mut reader = Reader::default();
        for report in &windows {
            let bytes = window::to_message(report, report.age_ms).encode_to_vec();
            let read = reader.short("edge-1", &bytes);
            prop_assert_eq!(read.as_ref(), Some(report));
            reader.reuse(read.map_or_else(Vec::new, |read| read.cells));
        }
    }

    #[test]
    fn damaged_bytes_mean_the_same_either_way(
        report in any_window(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in option::of(any::<prop::sample::Index>()),
    ) {
        let mut reader = Reader::default();
        let good = window::to_message(&report, 0).encode_to_vec();
        reader.window("edge-1", &good).unwrap();
        let mut bytes = good;
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        if let Some(short) = reader.short("edge-1", &bytes) {
            prop_assert_eq!(Some(short), the_long_way(&bytes));
        }
        prop_assert_eq!(reader.window("edge-1", &bytes).ok(), the_long_way(&bytes));
    }
}

#[test]
fn another_encoders_form_is_read_the_long_way() {
    // Outcomes one by one, not as a list: field 1 of the counts, three times.
    let counts = [0x08, 5, 0x08, 0, 0x08, 1];
    let mut cell = Vec::new();
    for (field, name) in [(1_u8, "shop"), (2, "v1"), (3, "all")] {
        cell.extend([(field << 3) | 2, u8::try_from(name.len()).unwrap()]);
        cell.extend(name.as_bytes());
    }
    cell.extend([(4 << 3) | 2, 6]);
    cell.extend(counts);
    let mut bytes = vec![(8 << 3) | 2, u8::try_from(cell.len()).unwrap()];
    bytes.extend(cell);
    let mut reader = Reader::default();
    assert_eq!(reader.short("edge-1", &bytes), None);
    let report = reader.window("edge-1", &bytes).unwrap();
    assert_eq!((report.cells[0].outcomes.total(), report.cells[0].outcomes.failed()), (6, 1));
    assert_eq!(report.cells[0].route.as_str(), "all");
    let refused = reader.window("edge-1", &[0xff]).unwrap_err();
    assert!(refused.to_string().starts_with("it is no window: "), "{refused}");
}
