//! Windows and beats come back as they were, and what can't be is refused.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::wire::bucket_of;

fn latencies(values: &[u64]) -> LatencyCounts {
    let mut all = LatencyCounts::default();
    for value in values {
        all.merge(&LatencyCounts(vec![(bucket_of(*value), 1)]));
    }
    all
}

fn outcomes(counts: &[u64]) -> OutcomeCounts {
    let mut all = OutcomeCounts::default();
    Outcome::ALL.into_iter().zip(counts).for_each(|(outcome, count)| all.add_times(outcome, *count));
    all
}

fn names() -> (ServiceName, VersionName, RouteName) {
    let (service, version) = (ServiceName::try_new("shop").unwrap(), VersionName::try_new("v2").unwrap());
    (service, version, RouteName::try_new("pages").unwrap())
}

fn copies() -> Vec<WindowCell> {
    let (service, version, route) = names();
    let (outcomes, headers) = (outcomes(&[5, 0, 2]), latencies(&[900, 9_000]));
    vec![WindowCell {
        service,
        version,
        route,
        outcomes,
        headers,
        clients: None,
        control: None,
        events: vec![],
    }]
}

fn window(counted: &[u64], micros: &[u64], clients: Option<u64>) -> WindowReport {
    let (service, version, route) = names();
    WindowReport {
        proxy: "edge-1".into(),
        epoch: 3,
        sequence: 7,
        ended_ms: 9_000,
        age_ms: 0,
        generation: Generation(5),
        began_under: Generation(4),
        probing: vec![service.clone()],
        cells: vec![WindowCell {
            service: service.clone(),
            version: version.clone(),
            route,
            outcomes: outcomes(counted),
            headers: latencies(micros),
            clients,
            control: clients.map(|_| Box::new(Slice { outcomes: outcomes(&[1]), headers: latencies(&[8]) })),
            events: vec![(EventName::try_new("order").unwrap(), 2)],
        }],
        trips: vec![Trip {
            service: service.clone(),
            version: version.clone(),
            cause: TripCause::AddedLatency,
            reason: "too slow".into(),
            generation: Generation(5),
            at_ms: 8_500,
        }],
        unready: vec![Unready { service, version }],
        copies: copies(),
    }
}

proptest! {
    #[test]
    fn a_window_comes_back_as_it_was(
        counted in proptest::collection::vec(0_u64..1_000_000, 0..Outcome::COUNT),
        micros in proptest::collection::vec(1_u64..70_000_000, 0..60),
        clients in proptest::option::of(0_u64..1_000),
    ) {
        let before = window(&counted, &micros, clients);
        let bytes = to_message(&before, 250).encode_to_vec();
        let after = from_message("edge-1", message::Window::decode(bytes.as_slice()).unwrap()).unwrap();
        prop_assert_eq!(after, WindowReport { age_ms: 250, ..before });
    }

    #[test]
    fn bytes_that_mean_nothing_are_refused_and_break_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(window) = message::Window::decode(bytes.as_slice())
            && let Ok(report) = from_message("edge-1", window)
        {
            let _ = report.cells.iter().map(|cell| cell.outcomes.total() + cell.headers.total()).sum::<u64>();
        }
    }
}

#[test]
fn a_beat_comes_back_as_it_was_and_never_has_more_failures_than_attempts() {
    let (service, version, _) = names();
    let beat = |failed| Beat {
        proxy: "edge-1".into(),
        ended_ms: 250,
        generation: Generation(2),
        counts: vec![BeatCount { service: service.clone(), version: version.clone(), judged: 9, failed }],
    };
    assert_eq!(beat_from_message("edge-1", &beat_to_message(&beat(3))), Ok(beat(3)));
    let refused = beat_from_message("edge-1", &beat_to_message(&beat(10))).unwrap_err();
    assert_eq!(refused.to_string(), "a beat counts 10 failures among 9 attempts");
}

#[test]
fn what_no_proxy_counts_is_refused() {
    let good = to_message(&window(&[5, 1], &[100, 200], None), 0);
    let with = |change: fn(&mut Counts)| {
        let mut window = good.clone();
        change(window.cells[0].counts.as_mut().unwrap());
        from_message("edge-1", window)
    };
    assert!(with(|_| {}).is_ok());
    for change in [
        (|counts: &mut Counts| counts.outcomes[0] = WINDOW_COUNT_MAX + 1) as fn(&mut Counts),
        |counts| counts.outcomes = vec![0; Outcome::COUNT + 1],
        |counts| counts.counts.push(1),
        |counts| counts.counts[0] = 0,
        |counts| counts.buckets[1] = 0,
        |counts| counts.buckets[0] = u32::MAX,
        |counts| counts.buckets[0] = BUCKETS as u32,
    ] {
        assert!(with(change).is_err());
    }
    let mut window = good.clone();
    window.cells[0].service = "no name".into();
    assert!(from_message("edge-1", window).unwrap_err().to_string().contains("is not a name"));
}
