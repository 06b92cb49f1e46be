//! A service with two versions, second by second: counts as the data plane would report them.
//!
//! Three fleets serve: the canary's processes, as many of the stable version's that serve as the negative control,
//! and the rest of the stable version's. Arrivals are one Poisson stream with a daily wave (in an hour), a wandering
//! rate, and a random version for each request. Everything that is nobody's fault happens to single processes, or
//! to both versions at once.

use std::sync::Arc;

use serin_config::{RouteName, Weight, wire::LatencyCounts};
use serin_judge::{Arm, Pair, Pairing, Trials, Window};

use crate::{
    draw::Rng,
    fleet::{Fleet, ROUTES, harm},
    setting::{Fault, Mix, Setting, Sticky},
    shape::{Histogram, Shape, cells},
};

/// Processes of the canary; the stable version's are as many as its share asks for, within bounds.
const CANARY_PODS: u64 = 3;
const STABLE_PODS_MAX: u64 = 57;
/// Requests a second that a probe lets through, and its seconds.
const PROBE: (u64, u64) = (20, 10);
/// The fleet that serves as the negative control; the canary's comes before it, the rest of the stable one after.
const CONTROL: usize = 1;
/// Beats in a second.
pub(crate) const BEATS: usize = 4;

/// A second as it was counted.
pub(crate) struct Second {
    pub(crate) window: Window,
    /// The same in quarters: requests and failures only.
    pub(crate) beats: [Pair; BEATS],
    /// The canary's requests that the fault hit, by quarter.
    pub(crate) harmed: [u64; BEATS],
    pub(crate) probing: bool,
}

/// Counts of a fleet on a route.
#[derive(Default)]
struct Counted {
    requests: u64,
    failed: u64,
    clients: u64,
    latencies: LatencyCounts,
    harmed: u64,
}

pub(crate) struct World {
    rng: Rng,
    mix: Mix,
    setting: Setting,
    probe: bool,
    names: Vec<RouteName>,
    fleets: Vec<Fleet>,
    second: u64,
    phase: f64,
    rate_wander: f64,
    latency_wander: f64,
    spike_left: f64,
    outage_left: f64,
    /// Whether the poisoned client landed on the canary, and whether it has been counted.
    poisoned: Option<(bool, bool)>,
    histogram: Histogram,
}

impl World {
    pub(crate) fn new(mut rng: Rng, mix: Mix, setting: Setting) -> Self {
        let routes = if setting.routes { &ROUTES[..] } else { &[(1.0, 1.0, 1.0)] };
        let base: Vec<Arc<Shape>> = {
            let shape = setting.kind.shape();
            let of = |slow: f64| if slow == 1.0 { shape.clone() } else { Arc::new(shape.times(slow)) };
            routes.iter().map(|(_, slow, _)| of(*slow)).collect()
        };
        let stable_pods =
            ((CANARY_PODS as f64 * (1.0 - mix.weight) / mix.weight) as u64).min(STABLE_PODS_MAX);
        let control_pods = CANARY_PODS.min(stable_pods / 2).max(1);
        let stable = 1.0 - mix.weight;
        let control = stable * control_pods as f64 / stable_pods as f64;
        let mut fleet =
            |share, pods, is_canary| Fleet::new(&mut rng, &setting, &base, share, pods, is_canary);
        let fleets = vec![
            fleet(mix.weight, CANARY_PODS, true),
            fleet(control, control_pods, false),
            fleet(stable - control, stable_pods - control_pods, false),
        ];
        let poisoned = (setting.sticky == Some(Sticky::Poisoned)).then(|| (rng.happens(mix.weight), false));
        let phase = rng.uniform();
        let name = |at: usize| RouteName::try_new(&format!("r{at}")).unwrap();
        Self {
            rng,
            mix,
            setting,
            probe: false,
            names: (0..routes.len()).map(name).collect(),
            fleets,
            second: 0,
            phase,
            rate_wander: 0.0,
            latency_wander: 0.0,
            spike_left: 0.0,
            outage_left: 0.0,
            poisoned,
            histogram: Histogram::default(),
        }
    }

    /// The canary first gets a few requests a second.
    pub(crate) fn with_probe(self) -> Self {
        Self { probe: true, ..self }
    }

    /// The stable version's past.
    pub(crate) fn past(&mut self, seconds: u64) -> Vec<Window> {
        (0..seconds)
            .map(|_| {
                let mut window = self.count(0).window;
                window.routes.values_mut().for_each(|pairing| pairing.canary = Arm::default());
                window.share = None;
                window
            })
            .collect()
    }

    /// The next second.
    pub(crate) fn next(&mut self) -> Second {
        let second = self.count(self.second);
        self.second += 1;
        second
    }

    fn count(&mut self, at: u64) -> Second {
        let load = self.drift();
        let rate = self.arrivals(at);
        let outage = self.outage_left > 0.0;
        let probing = self.probe && at < PROBE.1;
        let mut counted: Vec<Vec<Counted>> = Vec::with_capacity(3);
        let mut shares = vec![1.0];
        for fleet in 0..self.fleets.len() {
            // Processes of one version share its mix of routes.
            if fleet <= CONTROL {
                shares = self.fleets[fleet].route_shares(&mut self.rng, self.setting.mix_wanders);
            }
            self.fleets[fleet].episodes(&mut self.rng, &self.setting);
            let pauses = self.fleets[fleet].pauses(&mut self.rng, &self.setting);
            let mut of_fleet = Vec::with_capacity(self.names.len());
            for (route, share) in shares.iter().enumerate() {
                of_fleet.push(self.route(fleet, route, rate * share, at, load, outage, &pauses, probing));
            }
            counted.push(of_fleet);
        }
        self.poison(&mut counted);
        self.assemble(&counted, probing)
    }

    /// Moves what wanders, and gives the cells by which all latencies are moved.
    fn drift(&mut self) -> i64 {
        const RATE: f64 = 0.9;
        self.rate_wander = RATE * self.rate_wander + 0.1 * (1.0_f64 - RATE * RATE).sqrt() * self.rng.normal();
        if self.setting.bursts {
            self.outage_left -= 1.0;
            if self.outage_left <= 0.0 && self.rng.happens(1.0 / 600.0) {
                self.outage_left = self.rng.between(5.0, 60.0);
            }
        }
        if !self.setting.load {
            return 0;
        }
        const LATENCY: f64 = 119.0 / 120.0;
        self.latency_wander =
            LATENCY * self.latency_wander + 0.25 * (1.0_f64 - LATENCY * LATENCY).sqrt() * self.rng.normal();
        self.spike_left -= 1.0;
        if self.spike_left <= 0.0 && self.rng.happens(1.0 / 900.0) {
            self.spike_left = self.rng.between(10.0, 30.0);
        }
        let spike = if self.spike_left > 0.0 { 3.0 } else { 1.0 };
        cells(self.latency_wander.exp() * spike)
    }

    /// Arrivals a second, expected.
    fn arrivals(&self, at: u64) -> f64 {
        let wave = 1.0 + 0.3 * (std::f64::consts::TAU * (at as f64 / 3600.0 + self.phase)).sin();
        self.mix.rps * wave * self.rate_wander.exp()
    }

    #[expect(clippy::too_many_arguments, reason = "one place where all that happens in a second meets")]
    fn route(
        &mut self,
        fleet: usize,
        route: usize,
        rate: f64,
        at: u64,
        load: i64,
        outage: bool,
        pauses: &[f64],
        probing: bool,
    ) -> Counted {
        let (rng, setting, fleet) = (&mut self.rng, &self.setting, &self.fleets[fleet]);
        let mut requests = rng.poisson(rate * fleet.share);
        if fleet.is_canary && probing {
            requests = requests.min(PROBE.0);
        }
        let share = fleet.error_share(setting, route, at);
        let share = if outage { share + 0.5 * (1.0 - share) } else { share };
        let (mut failed, mut clients) = match setting.sticky {
            Some(Sticky::Clumps) => {
                const SIZE: f64 = 4.0;
                let clients = rng.binomial(requests, share / SIZE);
                (((0..clients).map(|_| rng.geometric(SIZE)).sum::<u64>()).min(requests), clients)
            }
            _ => {
                let failed = rng.binomial(requests, share);
                (failed, failed)
            }
        };
        for left in &fleet.failing {
            let hit = rng.binomial(requests, left.min(1.0) / fleet.pods as f64);
            let more = rng.binomial(hit, 0.1).min(requests - failed);
            failed += more;
            clients += more;
        }
        let moved = load + fleet.moved(setting, route, at);
        let shape = &fleet.shapes[route];
        let mut good = requests - failed;
        for pause in pauses {
            let waiting = rng.binomial(good, pause / fleet.pods as f64);
            for _ in 0..waiting {
                let ms = shape.one_ms(rng, moved) + rng.between(0.0, pause * 1e3);
                self.histogram.add_ms(ms);
            }
            good -= waiting;
        }
        shape.draw(rng, good, moved, &mut self.histogram);
        let harmed = if fleet.is_canary { harm(rng, setting, route, requests, failed) } else { 0 };
        Counted { requests, failed, clients, latencies: self.histogram.take(), harmed }
    }

    fn poison(&mut self, counted: &mut [Vec<Counted>]) {
        let Some((on_canary, known)) = &mut self.poisoned else { return };
        let failed = self.rng.poisson(2.0);
        let cell = &mut counted[if *on_canary { 0 } else { 2 }][0];
        cell.requests += failed;
        cell.failed += failed;
        if failed > 0 && !*known {
            cell.clients += 1;
            *known = true;
        }
    }

    fn assemble(&mut self, counted: &[Vec<Counted>], probing: bool) -> Second {
        let sticky = self.setting.sticky.is_some();
        let arm = |cell: &Counted| Arm {
            clients: sticky.then_some(cell.clients),
            ..Arm::counted(cell.requests, cell.failed).with_headers(cell.latencies.clone())
        };
        let mut window = Window::default();
        let mut harmed = 0;
        for (route, name) in self.names.iter().enumerate() {
            let [canary, control, rest] = [0, 1, 2].map(|fleet| &counted[fleet][route]);
            let (slice, mut stable) = (arm(control), arm(rest));
            // Which clients failed is not known of a slice: where users stick, its failures don't count.
            let of_slice = |arm: &Arm| Arm { clients: sticky.then_some(0), ..arm.clone() };
            window.control.merge(&Pairing { canary: of_slice(&slice), stable: of_slice(&stable) });
            stable.merge(&slice);
            window.routes.insert(name.clone(), Pairing { canary: arm(canary), stable });
            harmed += canary.harmed;
        }
        let share = Weight::from_ppm((self.mix.weight * 1e6).round() as u32);
        window.share = share.filter(|_| !sticky && !probing);
        let total = window.total();
        let (canary, stable) = (self.quarters(&total.canary), self.quarters(&total.stable));
        let trials = |(requests, bad)| Trials { requests, bad };
        let beats =
            std::array::from_fn(|beat| Pair { canary: trials(canary[beat]), stable: trials(stable[beat]) });
        let harmed = match self.setting.fault {
            // Who fails is harmed, when it fails.
            Fault::Errors { .. } | Fault::Ramp | Fault::RouteErrors(_) => canary.map(|(_, failed)| failed),
            _ => self.spread(harmed),
        };
        Second { window, beats, harmed, probing }
    }

    fn quarters(&mut self, arm: &Arm) -> [(u64, u64); BEATS] {
        let (good, failed) = (self.spread(arm.judged - arm.failed), self.spread(arm.failed));
        std::array::from_fn(|beat| (good[beat] + failed[beat], failed[beat]))
    }

    fn spread(&mut self, n: u64) -> [u64; BEATS] {
        let mut left = n;
        std::array::from_fn(|beat| {
            let drawn = self.rng.binomial(left, 1.0 / (BEATS - beat) as f64);
            left -= drawn;
            drawn
        })
    }
}
