use super::*;

/// A service of so many requests a second, whose answers take the longer the fuller it is (M/M/1).
fn measure(next: Next, capacity: f64, used: &Used) -> Level {
    let quiet = Level {
        asked: 0.0,
        throughput: 0.0,
        due: 0,
        ended: 0,
        failed: 0,
        no_connection: 0,
        refused: 0,
        p50_us: Some(400),
        p99_us: Some(1_000),
        used: used.clone(),
    };
    match next {
        Next::Connections(connections) => {
            let curve = Curve { lambda: 1_000.0, sigma: 0.0, kappa: 0.0, r_squared: 1.0 };
            let throughput = curve.at(connections as f64).min(capacity);
            let ended = throughput as u64;
            Level { asked: connections as f64, throughput, due: ended, ended, ..quiet }
        }
        Next::Rate(rate) => {
            let throughput = rate.min(capacity);
            let load = (rate / capacity).min(0.999);
            let p99_us = Some((1_000.0 / (1.0 - load)) as u64);
            Level { asked: rate, throughput, due: rate as u64, ended: throughput as u64, p99_us, ..quiet }
        }
    }
}

fn sweep(measure: impl Fn(Next) -> Level) -> (Findings, usize) {
    let mut sweep = Sweep::new(256);
    let mut levels = 0;
    while let Some(next) = sweep.next() {
        sweep.push(measure(next), next);
        levels += 1;
        assert!(levels < 40, "it has no end");
    }
    (sweep.findings(), levels)
}

#[test]
fn the_knee_is_found_where_answers_begin_to_queue() {
    let (found, levels) = sweep(|next| measure(next, 10_000.0, &Used::default()));
    assert_eq!(found.most, 10_000.0);
    // At a tenth of the most p99 is 1.11 ms; five times that is reached at four fifths.
    let knee = found.knee.unwrap();
    assert!((7_500.0..=8_250.0).contains(&knee), "{knee}");
    assert!(levels <= 20, "{levels}");
    assert!(found.open.is_sorted_by(|a, b| a.asked < b.asked));
    assert!(found.curve.is_some());
}

#[test]
fn the_resource_that_ran_out_is_named() {
    let used = |components: Vec<(String, f64, f64)>, generator, machine| Used {
        components,
        generator,
        machine,
        bandwidth: None,
    };
    let limit = |used: Used| sweep(|next| measure(next, 10_000.0, &used)).0.limit;
    let proxy = ("proxy".to_owned(), 1.0, 0.97);
    assert!(
        matches!(limit(used(vec![proxy.clone()], 0.5, 0.99)), Limit::ComponentCpu { name, .. } if name == "proxy")
    );
    assert_eq!(limit(used(Vec::new(), 0.99, 0.6)), Limit::Generator);
    assert_eq!(limit(used(Vec::new(), 0.4, 0.97)), Limit::MachineCpu);
    assert_eq!(limit(used(Vec::new(), 0.4, 0.4)), Limit::Unknown);
    assert_eq!(limit(Used { bandwidth: Some(0.95), ..Used::default() }), Limit::Bandwidth);
}

#[test]
fn a_service_that_refuses_what_is_too_much_breaks_at_its_limit_and_says_so() {
    let refusing = |next: Next| {
        let level = measure(next, 1e9, &Used::default());
        let Next::Rate(rate) = next else {
            return Level { throughput: level.throughput.min(10_000.0), ..level };
        };
        let failed = (rate - 6_000.0).max(0.0) as u64;
        Level { failed, refused: failed, ended: level.due - failed, p99_us: Some(900), ..level }
    };
    let (found, _) = sweep(refusing);
    assert_eq!(found.limit, Limit::InFlight);
    let knee = found.knee.unwrap();
    assert!((5_500.0..=6_050.0).contains(&knee), "{knee}");
    let (found, _) = sweep(|next| {
        let level = refusing(next);
        Level { no_connection: level.refused, refused: 0, ..level }
    });
    assert_eq!(found.limit, Limit::Connections);
}

#[test]
fn nobody_who_answers_nothing_is_swept_for_long() {
    let (found, levels) = sweep(|next| Level {
        throughput: 0.0,
        ended: 0,
        p50_us: None,
        p99_us: None,
        ..measure(next, 1.0, &Used::default())
    });
    assert_eq!((found.knee, found.most), (None, 0.0));
    assert!(levels <= 9, "{levels}");
}
