//! The cost of one second of evidence: of one window with one route, with a hundred and with a thousand.
//!
//! Each route has traffic in both versions in every second, latencies spread over 12 (canary) and 40 (stable version)
//! buckets, and one route in ten an error: heavier than most services, so that the bounds hold with room.
//! They are 50 µs for a hundred routes and 500 µs for a thousand, of which half and a quarter are evaluated at a time.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serin_config::{
    RouteName, Weight,
    policy::{Guards, RolloutPolicy, Step},
    wire::LatencyCounts,
};
use serin_judge::{Arm, Evidence, Pairing, Window};

/// Latencies in every other bucket from 10 ms on, with a tail.
fn arm(judged: u64, failed: u64, buckets: u16, shift: u16) -> Arm {
    let counts = (0..buckets).map(|i| (420 + shift + 2 * i, u32::from(buckets - i).div_ceil(4)));
    Arm::counted(judged, failed).with_headers(LatencyCounts(counts.collect()))
}

/// Windows that differ a little, so that no two in a row are the same.
fn windows(routes: u16) -> Vec<Window> {
    let window = |second: u16| {
        let mut window = Window::default();
        for route in 0..routes {
            let failed = u64::from(route % 10 == second % 10);
            let pairing = Pairing {
                canary: arm(20 + u64::from((route + second) % 5), 0, 12, (route + second) % 3),
                stable: arm(400 + u64::from((route * 7 + second) % 90), failed, 40, (route + second) % 2),
            };
            window.merge(
                &RouteName::try_new(&format!("route-{route}"))
                    .map_or_else(|_| Window::default(), |name| Window::of(&name, pairing)),
            );
        }
        window
    };
    (0..3).map(window).collect()
}

fn observe(c: &mut Criterion) {
    let step = Step::at(Weight::from_ppm(50_000).unwrap_or(Weight::ZERO));
    let mut group = c.benchmark_group("a window and its judgement");
    for routes in [1, 100, 1_000] {
        let windows = windows(routes);
        let policy = RolloutPolicy { strata: usize::from(routes), ..RolloutPolicy::default() };
        let mut evidence = Evidence::new(&policy);
        windows.iter().for_each(|window| evidence.pre(window));
        let mut second = 0;
        group.bench_function(BenchmarkId::new("routes", routes), |b| {
            b.iter(|| {
                second += 1;
                evidence.observe(black_box(&windows[second % windows.len()]));
                evidence.judge(&step, Duration::from_secs(60))
            });
        });
    }
    group.finish();
}

fn verdict(c: &mut Criterion) {
    let guards = Guards {
        max_error_rate: Weight::from_ppm(20_000),
        max_p99: Some(Duration::from_millis(500)),
        ..Guards::default()
    };
    let mut evidence = Evidence::new(&RolloutPolicy { guards, ..RolloutPolicy::default() });
    windows(1).iter().cycle().take(60).for_each(|window| evidence.observe(window));
    let step = Step::at(Weight::from_ppm(50_000).unwrap_or(Weight::ZERO));
    c.bench_function("verdict", |b| b.iter(|| evidence.verdict(black_box(&step), Duration::ZERO)));
}

criterion_group!(benches, observe, verdict);
criterion_main!(benches);
