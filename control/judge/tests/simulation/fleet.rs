//! The processes of one arm: what each contributes of its own to how they fail and how slow they are.

use std::sync::Arc;

use crate::{
    draw::Rng,
    setting::{Fault, Setting},
    shape::{Shape, cells},
};

/// Each route: its share of the traffic, how slow it is, how often it fails; the last is the one that faults hit.
pub(crate) const ROUTES: [(f64, f64, f64); 4] =
    [(0.5, 1.0, 1.0), (0.25, 0.5, 0.5), (0.15, 3.0, 2.0), (0.1, 1.5, 1.0)];
/// The processes of one arm.
pub(crate) struct Fleet {
    /// Its share of the arrivals.
    pub(crate) share: f64,
    pub(crate) pods: u64,
    pub(crate) is_canary: bool,
    error_factor: f64,
    /// For each route.
    pub(crate) shapes: Vec<Arc<Shape>>,
    /// Seconds that each failing process goes on to fail.
    pub(crate) failing: Vec<f64>,
    /// How its mix of routes is off, in logarithms.
    lean: Vec<f64>,
}

impl Fleet {
    pub(crate) fn new(
        rng: &mut Rng,
        setting: &Setting,
        base: &[Arc<Shape>],
        share: f64,
        pods: u64,
        is_canary: bool,
    ) -> Self {
        let mut error_factor = 1.0;
        let mut shapes = base.to_vec();
        if is_canary {
            let bent = |shape: &Arc<Shape>| match setting.fault {
                Fault::Tail(factor) => Arc::new(shape.tail_times(factor)),
                Fault::Delay => Arc::new(shape.delayed(0.01, 500.0)),
                _ => shape.clone(),
            };
            shapes = shapes.iter().map(bent).collect();
        }
        if setting.pod_noise {
            let factors: Vec<f64> = (0..pods).map(|_| (0.03 * rng.normal()).exp()).collect();
            error_factor = (0..pods).map(|_| (0.1 * rng.normal()).exp()).sum::<f64>() / pods as f64;
            let mixed = |shape: &Arc<Shape>| {
                let parts: Vec<Shape> = factors.iter().map(|factor| shape.times(*factor)).collect();
                let parts: Vec<(f64, &Shape)> = parts.iter().map(|part| (1.0 / pods as f64, part)).collect();
                Arc::new(Shape::mix(&parts))
            };
            shapes = shapes.iter().map(mixed).collect();
        }
        let lean = vec![0.0; shapes.len()];
        Self { share, pods, is_canary, error_factor, shapes, failing: Vec::new(), lean }
    }

    /// The shares of its routes in this second.
    pub(crate) fn route_shares(&mut self, rng: &mut Rng, wanders: bool) -> Vec<f64> {
        const STAYS: f64 = 59.0 / 60.0;
        if self.shapes.len() == 1 {
            return vec![1.0];
        }
        if wanders {
            for lean in &mut self.lean {
                *lean = STAYS * *lean + 0.5 * (1.0_f64 - STAYS * STAYS).sqrt() * rng.normal();
            }
        }
        let weights: Vec<f64> =
            ROUTES.iter().zip(&self.lean).map(|(route, lean)| route.0 * lean.exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }

    /// Processes begin to fail and recover.
    pub(crate) fn episodes(&mut self, rng: &mut Rng, setting: &Setting) {
        if !setting.pod_errors {
            return;
        }
        self.failing.iter_mut().for_each(|left| *left -= 1.0);
        self.failing.retain(|left| *left > 0.0);
        for _ in 0..rng.poisson(self.pods as f64 / 600.0) {
            self.failing.push(rng.between(0.5, 1.5));
        }
    }

    /// The lengths of this second's pauses, in seconds.
    pub(crate) fn pauses(&self, rng: &mut Rng, setting: &Setting) -> Vec<f64> {
        let pauses = if setting.pauses { rng.poisson(self.pods as f64 / 300.0) } else { 0 };
        (0..pauses).map(|_| rng.between(0.05, 0.5)).collect()
    }

    pub(crate) fn error_share(&self, setting: &Setting, route: usize, at: u64) -> f64 {
        let often = if setting.routes { ROUTES[route].2 } else { 1.0 };
        let healthy = setting.errors * often * self.error_factor;
        if !self.is_canary {
            return healthy;
        }
        match setting.fault {
            Fault::Errors { share, from } if at >= from => share,
            Fault::Ramp => setting.errors + (0.05 - setting.errors) * (at as f64 / 1800.0).min(1.0),
            Fault::RouteErrors(share) if route + 1 == self.shapes.len() => share,
            Fault::Edge { ratio, margin } => ratio * healthy + margin,
            _ => healthy,
        }
    }

    /// The cells by which its latencies are moved.
    pub(crate) fn moved(&self, setting: &Setting, route: usize, at: u64) -> i64 {
        if !self.is_canary {
            return 0;
        }
        let cold = if setting.cold { 1.0 + (-(at as f64) / 30.0).exp() } else { 1.0 };
        let slow = match setting.fault {
            Fault::Slower(factor) => factor,
            Fault::RouteSlower(factor) if route + 1 == self.shapes.len() => factor,
            Fault::Leak => 1.0 + 2.0 * at as f64 / 3600.0,
            _ => 1.0,
        };
        cells(cold * slow)
    }
}

/// How many requests the fault hit.
pub(crate) fn harm(rng: &mut Rng, setting: &Setting, route: usize, requests: u64, failed: u64) -> u64 {
    match setting.fault {
        Fault::None | Fault::Edge { .. } => 0,
        Fault::Errors { .. } | Fault::Ramp | Fault::RouteErrors(_) => failed,
        Fault::Tail(_) => rng.binomial(requests, 0.1),
        Fault::Delay => rng.binomial(requests, 0.01),
        Fault::Slower(_) | Fault::Leak => requests,
        Fault::RouteSlower(_) => {
            if route + 1 == ROUTES.len() {
                requests
            } else {
                0
            }
        }
    }
}
