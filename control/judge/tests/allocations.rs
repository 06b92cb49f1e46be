//! A window costs no allocation, nor does a beat: a rollout is watched for days, and the judge shares its memory with the proxy.

#![allow(
    unsafe_code,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "counting what this thread allocates needs an allocator and a place, and a test fails by panicking"
)]

mod world;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    time::Duration,
};

use serin_config::{
    EventName, RouteName,
    policy::{BlastRadius, CountedBy, Direction, EventGuard, Guards, Margin, RolloutPolicy},
};
use serin_judge::{Evidence, Pair, Pairing, Trials, Window};
use world::{Rng, arm, ppm, step, timed};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is handed to the system's allocator as it came; the count is a plain number of this thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(of: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    of();
    ALLOCATIONS.with(Cell::get) - before
}

fn order() -> EventName {
    EventName::try_new("order").unwrap()
}

fn routes(number: u32, rng: &mut Rng) -> Window {
    let mut window = Window::default();
    for route in 0..number {
        let name = RouteName::try_new(&format!("route-{route}")).unwrap();
        let mut pairing =
            Pairing { canary: arm(20, rng.binomial(20, 0.02)), stable: arm(200, rng.binomial(200, 0.02)) };
        pairing.canary.events.push((order(), 2));
        pairing.stable.events.push((order(), 20));
        pairing.canary.headers = timed(15, 3).headers;
        pairing.stable.headers = timed(170, 20 + (route % 3)).headers;
        window.routes.insert(name, pairing);
    }
    window.control = Pairing { canary: arm(20, 0), stable: timed(100, 1) };
    window.share = Some(ppm(100_000));
    window
}

#[test]
fn neither_a_window_nor_a_beat_nor_a_judgement_allocates_whatever_happens_in_it() {
    let mut policy =
        RolloutPolicy { strata: 30, warm_up: Duration::from_secs(20), ..RolloutPolicy::default() };
    policy.guards = Guards {
        max_error_rate: Some(ppm(20_000)),
        max_p99: Some(Duration::from_millis(500)),
        events: vec![EventGuard {
            event: order(),
            bad: Direction::Fewer,
            ratio: 1.2,
            counted_by: CountedBy::Proxy,
        }],
        ..Guards::default()
    };
    policy.blast_radius =
        BlastRadius { failed_requests: Some(u64::MAX), added_latency: Some(Duration::from_secs(1 << 40)) };
    policy.steps = vec![step()];
    policy.steps[0].pass = Some(Margin { ratio: 2.0, margin: ppm(10_000) });
    let mut rng = Rng::new(7);
    let windows: Vec<Window> = (0..40).map(|_| routes(50, &mut rng)).collect();
    let mut evidence = Evidence::new(&policy);
    windows.iter().for_each(|window| evidence.pre(window));
    // The first windows find the strata and fill what remembers the last minute.
    windows.iter().cycle().take(70).for_each(|window| evidence.observe(window));
    let trials = |requests, bad| Trials { requests, bad };
    let beat = Pair { canary: trials(25, 13), stable: trials(250, 3) };
    let count = allocations(|| {
        // Long enough for cuts to be renewed, generations to end and capital to be set out.
        for window in windows.iter().cycle().take(300) {
            (0..4).for_each(|_| evidence.beat(beat, false));
            evidence.observe(window);
            evidence.judge(&policy.steps[0], Duration::from_secs(60));
        }
    });
    assert_eq!(count, 0);
    assert!(
        allocations(|| drop(evidence.verdict(&policy.steps[0], Duration::from_secs(60)))) > 0,
        "it does count"
    );
}
