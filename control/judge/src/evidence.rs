//! The running state of one rollout's evidence.
//!
//! One value holds everything that a verdict needs, so it can be written beside the rollout and read back: what
//! is resumed goes on with the same bits. Each second it takes one [`Window`], also one without traffic, because
//! the count of windows is its clock. A step resets its own totals and nothing else; evidence belongs to the rollout.

use serde::{Deserialize, Serialize};
use serin_config::{
    Weight,
    limits::EVENTS_MAX,
    policy::{BothWorse, Mounting, RolloutPolicy},
};

use crate::{
    block::{Pair, Trials},
    comparison::Comparison,
    copies::CopiesReport,
    event::EventRate,
    exact,
    harm::Harm,
    lane::Lane,
    lately::Lately,
    limit_guard::LimitGuard,
    mode::Rule,
    negative_control::{NegativeControl, SelfTest},
    recent::Recent,
    scheme::Scheme,
    share::Share,
    stratum_block::bad,
    totals::Totals,
    window::{Arm, Pairing, Window},
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
        // A bake comes after the soak: by then the canary has everything.
        let whole = policy.steps.last().is_some_and(|last| last.weight == Weight::WHOLE);
        let partial =
            policy.steps.iter().rev().map(|step| step.weight).find(|weight| *weight < Weight::WHOLE);
        let soaks_at = partial.filter(|_| whole);
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
    pub(crate) scheme: Scheme,
    pub(crate) windows: u64,
    pub(crate) rollout: Totals,
    pub(crate) lately: Lately,
    pub(crate) step: Pair,
    pub(crate) recent: Recent,
    /// The same as the comparison counts failures, in thousandths.
    #[serde(default)]
    pub(crate) counted: Recent,
    pub(crate) comparison: Comparison,
    pub(crate) lane: Option<Lane>,
    pub(crate) limits: Vec<LimitGuard>,
    pub(crate) events: Vec<EventRate>,
    pub(crate) control: NegativeControl,
    pub(crate) share: Share,
    pub(crate) harm: Harm,
    /// The evidence of users' requests, while copies are judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<Box<Self>>,
    /// What copies came to, before these were users' requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) copies: Option<CopiesReport>,
}

impl Evidence {
    /// Before the first window of a rollout with these guards.
    pub fn new(policy: &RolloutPolicy) -> Self {
        Self::with_scheme(policy, Scheme::PRODUCTION)
    }

    /// The same for windows whose latencies were counted on another scale than the proxies' own.
    pub fn with_scheme(policy: &RolloutPolicy, scheme: Scheme) -> Self {
        Self::of_copies_first(policy, scheme).unwrap_or_else(|| Self::of_users(policy, scheme))
    }

    /// Before the first window with users.
    pub(crate) fn of_users(policy: &RolloutPolicy, scheme: Scheme) -> Self {
        let guards = &policy.guards;
        let max_error_rate = guards.max_error_rate.map(|share| LimitGuard::error_rate(share.fraction()));
        let max_p99 = guards.max_p99.map(|limit| LimitGuard::p99(limit, scheme));
        Self {
            rules: Rules::new(policy),
            scheme,
            windows: 0,
            rollout: Totals::new(scheme),
            lately: Lately::new(scheme),
            step: Pair::default(),
            recent: Recent::new(),
            counted: Recent::new(),
            comparison: Comparison::new(policy, scheme),
            lane: guards.errors.as_ref().map(|errors| Lane::new(errors, &policy.error_weights)),
            limits: max_error_rate.into_iter().chain(max_p99).collect(),
            events: guards.events.iter().take(EVENTS_MAX).map(EventRate::new).collect(),
            control: NegativeControl::new(policy, scheme),
            share: Share::new(),
            harm: Harm::new(&policy.blast_radius),
            users: None,
            copies: None,
        }
    }

    /// Sets no capital aside for regressions that begin after the first hour. Within the hour the comparison's evidence is
    /// then a tenth of a nat higher, which is how others compute it; after the hour it is slower.
    #[must_use]
    pub fn without_late_starts(mut self) -> Self {
        self.comparison.drop_late_starts();
        self.users = self.users.map(|users| Box::new(users.without_late_starts()));
        self
    }

    /// Takes a second from before the rollout, oldest first: how long the stable version takes and which routes are
    /// busy is then known from the first window on. Later it changes nothing.
    pub fn pre(&mut self, window: &Window) {
        self.rest_lane_where_users_stick(window);
        self.comparison.pre(window);
        if let Some(users) = &mut self.users {
            users.pre(window);
        }
    }

    /// Takes the next second. Ask for the judgement after each: the promise covers every look.
    pub fn observe(&mut self, window: &Window) {
        if !self.takes(window) {
            return;
        }
        let number = self.windows;
        self.windows = self.windows.saturating_add(1);
        let (mut failures, mut counted) = (Pair::default(), Pair::default());
        self.rest_lane_where_users_stick(window);
        for route in window.routes.values() {
            let failed = route.failures();
            failures.add(failed);
            if counts_by_requests(route) {
                add_thousandths(&mut counted, failed);
            } else {
                let (canary, stable) = bad(route);
                counted.canary.add(Trials { requests: route.canary.judged, bad: canary });
                counted.stable.add(Trials { requests: route.stable.judged, bad: stable });
            }
            self.rollout.add(route);
        }
        self.lately.observe(number, window);
        self.step.add(failures);
        self.recent.push(failures);
        self.counted.push(counted);
        self.comparison.observe(number, window, self.control.clump());
        self.limits.iter_mut().for_each(|limit| limit.observe(number, window));
        self.events.iter_mut().for_each(|event| event.observe(number, window));
        let (canary, stable) = (failures.canary.requests, failures.stable.requests);
        self.share.observe(number, canary, canary.saturating_add(stable), window.share);
        let scheme = self.scheme;
        self.harm.observe(window, |bucket| middle(scheme, bucket));
        if self.control.observe(number, &window.control) {
            self.begin_anew();
        }
    }

    /// Takes a quarter of a second's counts of all routes together, between windows. They are counted in
    /// the next window as well: the fast lane and the guards each see all of the traffic. Where the split is sticky, leave
    /// beats out: they can't tell one broken client from many.
    pub fn beat(&mut self, counts: Pair, probing: bool) {
        // Of copies there are none.
        self.begin_users();
        if self.lane.as_ref().is_some_and(|lane| !lane.has_begun()) {
            let others = self.ln_e_of_all();
            self.lane.iter_mut().for_each(|lane| lane.begin(others));
        }
        let (second, clump) = (self.windows, self.control.clump());
        if let Some(lane) = &mut self.lane {
            lane.observe(second, counts, probing, clump);
        }
    }

    fn rest_lane_where_users_stick(&mut self, window: &Window) {
        let by_client = |route: &Pairing| route.canary.clients.or(route.stable.clients).is_some();
        if window.routes.values().any(by_client) {
            self.lane.iter_mut().for_each(Lane::rest);
        }
    }

    /// What was gathered with a smaller m is worth nothing.
    fn begin_anew(&mut self) {
        let clump = self.control.clump();
        self.comparison.restart();
        self.lane.iter_mut().for_each(Lane::restart);
        self.limits.iter_mut().for_each(|limit| limit.restart(clump));
        self.events.iter_mut().for_each(|event| event.restart(clump));
    }

    /// Begins a step: its totals are counted anew, all evidence stays.
    pub fn begin_step(&mut self) {
        self.step = Pair::default();
        self.limits.iter_mut().for_each(LimitGuard::begin_step);
    }

    /// Windows taken so far, which is seconds; those of copies are among them.
    pub fn windows(&self) -> u64 {
        self.windows.saturating_add(self.copies.map_or(0, |copies| copies.seconds))
    }

    /// How the comparison did on a slice of the stable version, where there is nothing to find.
    pub fn self_test(&self) -> SelfTest {
        self.control.self_test()
    }
}

/// Whether each failed request of a route counts one, as it mostly does.
fn counts_by_requests(route: &Pairing) -> bool {
    let plain = |arm: &Arm| arm.clients.is_none() && arm.charged == arm.failed.saturating_mul(1000);
    plain(&route.canary) && plain(&route.stable)
}

fn add_thousandths(sum: &mut Pair, failed: Pair) {
    let thousandths = |trials: Trials| Trials { bad: trials.bad.saturating_mul(1000), ..trials };
    sum.add(Pair { canary: thousandths(failed.canary), stable: thousandths(failed.stable) });
}

/// The latency in microseconds that a bucket stands for: its middle, in ratios; of the last one, which has no
/// end, its beginning.
fn middle(scheme: Scheme, bucket: u16) -> f64 {
    let last = scheme.count().saturating_sub(1);
    let begin = scheme.edge(bucket.min(last));
    if bucket < last { (begin * scheme.edge(bucket + 1)).sqrt() } else { begin }
}
