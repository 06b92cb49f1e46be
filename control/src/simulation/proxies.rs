//! The proxies of a schedule: each serves by the newest plan that reached it, counts each second, keeps what it could not
//! send, and sends it again when it can. That is what the real ones promise; here it is a few fields.

use std::{collections::VecDeque, sync::Arc};

use serin_config::{Generation, Plan, wire::WindowReport};

use super::schedule::Schedule;
use crate::fixtures::{canary_share, report};

/// Requests a second to each proxy.
const REQUESTS: u64 = 200;
/// Windows that a proxy keeps for a control plane that is away.
const KEPT: usize = 60;

pub(super) struct Proxy {
    name: String,
    epoch: u64,
    sequence: u64,
    pub(super) plan: Arc<Plan>,
    began_under: Generation,
    pub(super) cut: bool,
    unsent: VecDeque<WindowReport>,
}

impl Proxy {
    pub(super) fn new(number: usize, plan: Arc<Plan>, now_ms: u64) -> Self {
        let began_under = plan.generation();
        Self {
            name: format!("edge-{number}"),
            epoch: now_ms,
            sequence: 0,
            plan,
            began_under,
            cut: false,
            unsent: VecDeque::new(),
        }
    }

    /// A new life; the plan that it served by is what it finds on its disk.
    pub(super) fn restart(&mut self, now_ms: u64) {
        (self.epoch, self.sequence) = (now_ms, 0);
        self.unsent.clear();
    }

    /// Takes a plan that is newer than its own; says whether it did.
    pub(super) fn take(&mut self, plan: &Arc<Plan>) -> bool {
        let newer = plan.generation() > self.plan.generation();
        if newer {
            self.plan = plan.clone();
        }
        newer
    }

    /// A second is over: what it counted, and what it had not sent before.
    pub(super) fn second(
        &mut self,
        schedule: &mut Schedule,
        failing: [u64; 2],
        now_ms: u64,
    ) -> Vec<WindowReport> {
        self.sequence += 1;
        let share = u64::from(canary_share(&self.plan).ppm());
        let canary = (0..REQUESTS).filter(|_| schedule.below(1_000_000) < share).count() as u64;
        let mut failed = |requests: u64, permille: u64| {
            (0..requests).filter(|_| schedule.below(1_000) < permille).count() as u64
        };
        let (canary_failed, stable) = (failed(canary, failing[0]), REQUESTS - canary);
        let stable_failed = failed(stable, failing[1]);
        let mut window =
            report(self.sequence, self.plan.generation(), (canary, canary_failed), (stable, stable_failed));
        window.proxy = self.name.clone();
        window.epoch = self.epoch;
        window.ended_ms = now_ms;
        window.began_under = self.began_under;
        self.began_under = self.plan.generation();
        self.unsent.push_back(window);
        while self.unsent.len() > KEPT {
            self.unsent.pop_front();
        }
        if self.cut { Vec::new() } else { self.unsent.drain(..).collect() }
    }
}
