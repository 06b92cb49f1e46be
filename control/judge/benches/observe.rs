//! The cost of one second of evidence: it must stay below ten microseconds, so that thousands of services fit one core.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use serin_config::{
    RouteName, Weight,
    policy::{ErrorComparison, Guards, OnTimeout, RolloutPolicy, Step},
    wire::LatencyCounts,
};
use serin_judge::{Arm, Evidence, Pairing, Window};

fn policy(limits: bool) -> RolloutPolicy {
    let ppm = |ppm| Weight::from_ppm(ppm).unwrap_or(Weight::ZERO);
    RolloutPolicy {
        steps: Vec::new(),
        on_timeout: OnTimeout::Hold,
        guards: Guards {
            errors: Some(ErrorComparison {
                ratio: 1.2,
                margin: ppm(50),
                pass_ratio: 1.5,
                pass_margin: ppm(500),
            }),
            max_error_rate: limits.then(|| ppm(20_000)),
            max_p99: limits.then_some(Duration::from_millis(500)),
            latency: None,
            events: vec![],
        },
        false_alarm: 1e-4,
        false_pass: 0.05,
        ..RolloutPolicy::default()
    }
}

/// Latencies from 3 ms to a second in `buckets` neighbouring buckets: two hundred is a busy service.
fn arm(judged: u64, failed: u64, buckets: u16) -> Arm {
    Arm::counted(judged, failed)
        .with_headers(LatencyCounts((370..370 + buckets).map(|bucket| (bucket, 5)).collect()))
}

fn observe(c: &mut Criterion) {
    let pairing = Pairing { canary: arm(100, 1, 60), stable: arm(900, 4, 200) };
    let Ok(route) = RouteName::try_new("all") else { return };
    let window = Window::of(&route, pairing);
    for (name, limits) in [("observe: errors", false), ("observe: errors and both limits", true)] {
        let mut evidence = Evidence::new(&policy(limits));
        c.bench_function(name, |b| b.iter(|| evidence.observe(black_box(&window))));
    }
    let mut evidence = Evidence::new(&policy(true));
    (0..60).for_each(|_| evidence.observe(&window));
    let step = Step {
        weight: Weight::ZERO,
        min_requests: 1,
        min_duration: Duration::ZERO,
        max_duration: Duration::from_secs(60),
        pass: None,
    };
    c.bench_function("verdict", |b| b.iter(|| evidence.verdict(black_box(&step), Duration::ZERO)));
}

criterion_group!(benches, observe);
criterion_main!(benches);
