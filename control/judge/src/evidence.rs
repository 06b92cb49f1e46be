//! The running state of one rollout's evidence.
//!
//! One value holds everything that a verdict needs, so it can be written beside the rollout and read back: what
//! is resumed goes on with the same bits. Each second it takes one [`Window`], also one without traffic, because
//! the count of windows is its clock. A step resets its own totals and nothing else; evidence belongs to the rollout.

use serde::{Deserialize, Serialize};
use serin_config::{
    Weight,
    limits::EVENT_GUARDS_MAX,
    policy::{BothWorse, Mounting, RolloutPolicy},
};

use crate::{
    block::Pair,
    comparison::Comparison,
    event::EventRate,
    exact,
    harm::Harm,
    lane::Lane,
    limit_guard::LimitGuard,
    mode::Rule,
    negative_control::{NegativeControl, SelfTest},
    recent::Recent,
    scheme::Scheme,
    share::Share,
    window::{Pairing, Window},
};

/// What the policy says of answers, as opposed to questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rules {
    #[serde(with = "exact")]
    pub(crate) false_alarm: f64,
    #[serde(with = "exact")]
    pub(crate) false_pass: f64,
    pub(crate) mode: Rule,
    /// Whether the weight is lowered while evidence mounts.
    pub(crate) lowers: bool,
    /// Whether the canary goes although the stable version breaks the limit as well.
    pub(crate) blames_alone: bool,
    /// Seconds that a rollout is watched before the canary gets everything.
    pub(crate) soak: u64,
    /// The last step at which the canary has not got everything yet.
    pub(crate) soaks_at: Option<Weight>,
}

impl Rules {
    fn new(policy: &RolloutPolicy) -> Self {
        let soaks_at = match policy.steps[..] {
            [.., ref last, ref whole] if whole.weight == Weight::WHOLE => Some(last.weight),
            _ => None,
        };
        Self {
            false_alarm: policy.false_alarm,
            false_pass: policy.false_pass,
            mode: policy.mode.into(),
            lowers: policy.actions.mounting == Mounting::Lower,
            blames_alone: policy.actions.both_worse == BothWorse::Rollback,
            soak: policy.soak.as_secs(),
            soaks_at,
        }
    }
}

/// The evidence of one rollout, from its first window to its last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub(crate) rules: Rules,
    pub(crate) windows: u64,
    pub(crate) rollout: Pairing,
    pub(crate) step: Pairing,
    pub(crate) recent: Recent,
    scheme: Scheme,
    pub(crate) comparison: Comparison,
    pub(crate) lane: Option<Lane>,
    pub(crate) limits: Vec<LimitGuard>,
    pub(crate) events: Vec<EventRate>,
    pub(crate) control: Option<NegativeControl>,
    pub(crate) share: Share,
    pub(crate) harm: Harm,
}

impl Evidence {
    /// Before the first window of a rollout with these guards.
    pub fn new(policy: &RolloutPolicy) -> Self {
        Self::with_scheme(policy, Scheme::PRODUCTION)
    }

    /// The same for windows whose latencies were counted on another scale than the proxies' own.
    pub fn with_scheme(policy: &RolloutPolicy, scheme: Scheme) -> Self {
        let guards = &policy.guards;
        let max_error_rate = guards.max_error_rate.map(|share| LimitGuard::error_rate(share.fraction()));
        let max_p99 = guards.max_p99.map(LimitGuard::p99);
        let errors = guards.errors.as_ref();
        Self {
            rules: Rules::new(policy),
            windows: 0,
            rollout: Pairing::default(),
            step: Pairing::default(),
            recent: Recent::new(),
            scheme,
            comparison: Comparison::new(policy, scheme),
            lane: errors.map(|errors| Lane::new(errors, &policy.error_weights)),
            limits: max_error_rate.into_iter().chain(max_p99).collect(),
            events: guards.events.iter().take(EVENT_GUARDS_MAX).map(EventRate::new).collect(),
            control: errors.map(|errors| NegativeControl::new(errors, policy.false_alarm)),
            share: Share::new(),
            harm: Harm::new(&policy.blast_radius),
        }
    }

    /// Takes a second from before the rollout, oldest first: how long the stable version takes and which routes are
    /// busy is then known from the first window on. Later it changes nothing.
    pub fn pre(&mut self, window: &Window) {
        self.comparison.pre(window);
    }

    /// Takes the next second. Ask for the verdict after each: the promise covers every look.
    pub fn observe(&mut self, window: &Window) {
        let number = self.windows;
        self.windows = self.windows.saturating_add(1);
        let total = window.total();
        self.rollout.merge(&total);
        self.step.merge(&total);
        let failures: Pair = total.failures();
        self.recent.push(failures);
        self.comparison.observe(number, window, self.clump());
        for limit in &mut self.limits {
            limit.observe(number, &total);
        }
        for event in &mut self.events {
            event.observe(number, window);
        }
        let (canary, stable) = (failures.canary.requests, failures.stable.requests);
        self.share.observe(number, canary, canary.saturating_add(stable), window.share);
        let scheme = self.scheme;
        let middle = |bucket: u16| (scheme.edge(bucket) * scheme.edge(bucket.saturating_add(1))).sqrt();
        self.harm.observe(window, middle);
        if self.control.as_mut().is_some_and(|control| control.observe(number, &window.control)) {
            self.begin_anew();
        }
    }

    /// Takes a quarter of a second's counts of all routes together, between windows. They are counted in
    /// the next window as well: the fast lane and the guards each see all of the traffic.
    pub fn beat(&mut self, counts: Pair, probing: bool) {
        if self.lane.as_ref().is_some_and(|lane| !lane.has_begun()) {
            let others = self.ln_e_of_all();
            self.lane.iter_mut().for_each(|lane| lane.begin(others));
        }
        let (second, clump) = (self.windows, self.clump());
        if let Some(lane) = &mut self.lane {
            lane.observe(second, counts, probing, clump);
        }
    }

    /// What was gathered with a smaller m is worth nothing.
    fn begin_anew(&mut self) {
        self.comparison.restart();
        self.lane.iter_mut().for_each(Lane::restart);
    }

    pub(crate) fn clumped_requests(&self) -> u32 {
        self.control.as_ref().map_or(1, NegativeControl::clumped_requests)
    }

    pub(crate) fn clump(&self) -> f64 {
        self.control.as_ref().map_or(1.0, NegativeControl::clump)
    }

    /// Begins a step: its totals are counted anew, all evidence stays.
    pub fn begin_step(&mut self) {
        self.step = Pairing::default();
    }

    /// Windows taken so far, which is seconds.
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// How the comparison did on a slice of the stable version, where there is nothing to find.
    pub fn self_test(&self) -> SelfTest {
        self.control.as_ref().map(NegativeControl::self_test).unwrap_or_default()
    }
}
