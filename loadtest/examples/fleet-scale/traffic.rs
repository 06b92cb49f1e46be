//! What proxies count: windows and beats of many services, dealt once for each plan and drawn from by all proxies.
//!
//! To draw every request of thousands of windows in a second would cost more than to take them. So a stack of seconds is
//! made and encoded for each plan, and each proxy draws from it every second, for every service anew: proxies that told
//! the same seconds in turn would be one proxy, told many times over. What differs from second to second (numbers and times) is
//! put before them.
//!
//! The versions of a service are equally good, and that has to hold of the stack as a whole. Were its requests drawn one
//! by one, the canary's few hundred would differ from the others by chance, and to tell them thousands of times makes of
//! chance a difference that is there: a judge that is told of a million requests finds it, and takes the canary out as it
//! should. So requests are dealt like cards. One deck ([`deck`]) is repeated so often that the canary, the negative control
//! and the rest of the stable version get whole decks, all the same; then each of the three is shuffled by itself and
//! spread over the seconds. What is left to chance is what comes in which second, and which second is drawn.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use prost::{Message, bytes::Bytes};
use rand::{Rng, SeedableRng, rngs::SmallRng, seq::SliceRandom};
use serin_config::{
    Generation, Outcome, RouteName, ServiceName, VersionName,
    fleet::{
        message::{self, ServiceSplit},
        window,
    },
    outcome::OutcomeCounts,
    wire::{Beat, BeatCount, LatencyCounts, Slice, WindowCell, WindowReport, bucket_of},
};

/// How many different seconds of each service there are for one plan.
const SECONDS: usize = 800;
/// How many decks their requests are. The canary gets as many as come nearest to its share.
const DECKS: usize = 80;
/// One of so many decks of the stable version is its negative control.
const CONTROL_PART: usize = 9;
/// Of every so many services one has three routes; the others have one.
const WIDE_EVERY: usize = 5;

/// A second of one proxy, encoded, and what it counts.
pub(crate) struct Second {
    /// The cells of the window.
    pub(crate) cells: Vec<u8>,
    /// How many requests the window has, by service and version in the order of [`Traffic::keys`].
    pub(crate) requests: Vec<u64>,
}

/// A second of one service.
struct Part {
    /// The cells of a window, encoded.
    cells: Bytes,
    /// The counts of a beat, a quarter of the second; empty while its canary has no weight.
    beat: Bytes,
    /// How many requests each version has.
    requests: [u64; 2],
}

/// What the seconds under one plan are drawn from: for each service, parts.
pub(crate) struct Stack(Vec<Vec<Part>>);

impl Stack {
    /// A second, drawn.
    pub(crate) fn second(&self, random: &mut SmallRng) -> Second {
        let (mut cells, mut requests) = (Vec::new(), Vec::with_capacity(2 * self.0.len()));
        for parts in &self.0 {
            let part = &parts[random.random_range(0..parts.len())];
            cells.extend_from_slice(&part.cells);
            requests.extend(part.requests);
        }
        Second { cells, requests }
    }

    /// The counts of a beat, drawn; none while no canary has weight.
    pub(crate) fn beat(&self, random: &mut SmallRng) -> Option<Vec<u8>> {
        let mut counts = Vec::new();
        for parts in &self.0 {
            counts.extend_from_slice(&parts[random.random_range(0..parts.len())].beat);
        }
        (!counts.is_empty()).then_some(counts)
    }
}

/// The traffic of all proxies.
pub(crate) struct Traffic {
    services: usize,
    /// Requests to one service in a second, at one proxy.
    rate: usize,
    /// For the newest plan that a proxy was told.
    stack: Mutex<Option<(u64, Arc<Stack>)>>,
}

/// The name of a service.
fn service(number: usize) -> ServiceName {
    ServiceName::try_new(&format!("service-{number:02}")).unwrap()
}

/// The names of the routes to a service: those in the file that `loadtest/compare/fleet-scale` writes.
fn routes(number: usize) -> Vec<RouteName> {
    let names = if number.is_multiple_of(WIDE_EVERY) { &["browse", "cart", "pay"][..] } else { &["all"] };
    names.iter().map(|name| RouteName::try_new(&format!("{name}-{number:02}")).unwrap()).collect()
}

impl Traffic {
    /// So many requests a second to each of so many services.
    pub(crate) fn new(services: usize, rate: usize) -> Self {
        Self { services, rate, stack: Mutex::default() }
    }

    /// Service and version of each place in [`Second::requests`].
    pub(crate) fn keys(&self) -> impl Iterator<Item = (ServiceName, &'static str)> {
        (0..self.services).flat_map(|number| ["v1", "v2"].map(|version| (service(number), version)))
    }

    /// What the seconds under a plan are drawn from.
    pub(crate) fn under(&self, plan: &message::Plan) -> Arc<Stack> {
        let mut stack = self.stack.lock().unwrap();
        if let Some((generation, stack)) = &*stack
            && *generation == plan.generation
        {
            return stack.clone();
        }
        let shares: HashMap<&str, u32> =
            plan.splits.iter().map(|split| (split.service.as_str(), share_of_v2(split))).collect();
        let share = |number| f64::from(shares.get(service(number).as_str()).copied().unwrap_or(0)) / 1e6;
        let parts = (0..self.services).map(|number| parts(number, self.rate, share(number)));
        let made = Arc::new(Stack(parts.collect()));
        *stack = Some((plan.generation, made.clone()));
        made
    }
}

/// Whose a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Canary,
    /// The stable version's, in its negative control.
    Control,
    Stable,
}

/// The seconds of a service.
fn parts(number: usize, rate: usize, share: f64) -> Vec<Part> {
    // The same requests under every plan: a version is as good after a change of weights as before.
    let mut random = SmallRng::seed_from_u64(number as u64);
    // Some services are fast, some are slow.
    let median_us = 2_000.0 * (1 + number % 17) as f64;
    let routes = routes(number);
    let rate = (rate / routes.len()).max(1);
    let mut seconds: Vec<Vec<WindowCell>> = vec![Vec::new(); SECONDS];
    for route in &routes {
        let deck = deck(SECONDS * rate / DECKS, median_us, &mut random);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of decks")]
        let canary = (share * DECKS as f64).round() as usize;
        let control = (DECKS - canary) / CONTROL_PART;
        let whose = |place| match place {
            place if place < canary => Whose::Canary,
            place if place < canary + control => Whose::Control,
            _ => Whose::Stable,
        };
        let mut requests: Vec<(Whose, Option<u16>)> =
            (0..DECKS).flat_map(|place| deck.iter().map(move |request| (whose(place), *request))).collect();
        requests.shuffle(&mut random);
        for (cells, requests) in seconds.iter_mut().zip(requests.chunks(rate)) {
            cells.extend(self::cells(number, route, requests));
        }
    }
    seconds.into_iter().map(|cells| part(number, cells)).collect()
}

/// Requests of a version: one of them fails, and the others have the buckets of latencies from a log-normal distribution around
/// the median.
fn deck(requests: usize, median_us: f64, random: &mut SmallRng) -> Vec<Option<u16>> {
    let request = |place| {
        let (a, b): (f64, f64) = (random.random_range(f64::EPSILON..1.0), random.random());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "microseconds, above zero"
        )]
        let us = (median_us * (0.5 * normal).exp()) as u64;
        (place > 0).then(|| bucket_of(us))
    };
    (0..requests).map(request).collect()
}

/// What a proxy counts of these requests to a route, for each version that had any.
fn cells(number: usize, route: &RouteName, requests: &[(Whose, Option<u16>)]) -> Vec<WindowCell> {
    let of = |asked: &[Whose]| {
        let mut outcomes = OutcomeCounts::default();
        let mut buckets = Vec::new();
        for (_, request) in requests.iter().filter(|(whose, _)| asked.contains(whose)) {
            outcomes.add(if request.is_some() { Outcome::Ok } else { Outcome::Http5xx });
            buckets.extend(request);
        }
        buckets.sort_unstable();
        let same = buckets.chunk_by(|a, b| a == b);
        let counts = same.map(|run| (run[0], u32::try_from(run.len()).unwrap()));
        Slice { outcomes, headers: LatencyCounts(counts.collect()) }
    };
    let stable = ("v1", of(&[Whose::Control, Whose::Stable]), Some(Box::new(of(&[Whose::Control]))));
    let versions = [stable, ("v2", of(&[Whose::Canary]), None)].into_iter();
    let counted = versions.filter(|(_, Slice { outcomes, .. }, _)| outcomes.total() > 0);
    let cell = |(version, Slice { outcomes, headers }, control)| WindowCell {
        service: service(number),
        version: VersionName::try_new(version).unwrap(),
        route: route.clone(),
        outcomes,
        headers,
        clients: None,
        control,
        events: vec![],
    };
    counted.map(cell).collect()
}

fn part(number: usize, mut cells: Vec<WindowCell>) -> Part {
    // In the order in which a proxy tells them.
    cells.sort_by(|a, b| (&a.version, &a.route).cmp(&(&b.version, &b.route)));
    let requests = ["v1", "v2"].map(|version| {
        let own = cells.iter().filter(|cell| cell.version.as_str() == version);
        own.map(|cell| cell.outcomes.total()).sum::<u64>()
    });
    let [stable, canary] = requests;
    let count = |(version, n): (&str, u64)| BeatCount {
        service: service(number),
        version: VersionName::try_new(version).unwrap(),
        judged: n / 4,
        failed: 0,
    };
    let counts = if canary > 0 { [("v2", canary), ("v1", stable)].map(count).into() } else { vec![] };
    let beat = Beat { proxy: String::new(), ended_ms: 0, generation: Generation(0), counts };
    let window = WindowReport { cells, ..empty() };
    Part {
        cells: window::to_message(&window, 0).encode_to_vec().into(),
        beat: window::beat_to_message(&beat).encode_to_vec().into(),
        requests,
    }
}

/// A window of nothing: every field is left out on the wire.
pub(crate) fn empty() -> WindowReport {
    WindowReport {
        proxy: String::new(),
        epoch: 0,
        sequence: 0,
        ended_ms: 0,
        age_ms: 0,
        generation: Generation(0),
        began_under: Generation(0),
        probing: vec![],
        cells: vec![],
        trips: vec![],
        unready: vec![],
        copies: vec![],
    }
}

fn share_of_v2(split: &ServiceSplit) -> u32 {
    split.weights.iter().find(|weight| weight.version == "v2").map_or(0, |weight| weight.ppm)
}
