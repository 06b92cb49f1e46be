//! Rollouts, as they are written. What a preset gives is told as cautious / balanced / fast where they differ.

use std::time::Duration;

use super::{
    choice::ModeName,
    decode::{List, Named, Switch},
    record::record,
    route::Method,
    size::ByteSize,
};
use crate::{
    name::EventName,
    outcome::Outcome,
    policy::{BothWorse, CountedBy, Direction, Mounting, OnNewCanary, OnTimeout, Preset, Strategy, Until},
    weight::Weight,
};

record! {
    /// The way of a canary from its first share to all of the traffic.
    pub struct Rollout {
        /// The defaults of all other fields here: cautious, balanced or fast. Where a default differs, all three are
        /// given in this order. Default: balanced.
        @ preset: Preset,
        /// The steps in order, weights rising. A step at 100% is added if the last is lower. Steps with mirror in place of
        /// weight come first. Default:
        /// 1%, 2%, 5%, 10%, 25%, 50%, 100% / 1%, 5%, 10%, 25%, 50%, 100% / 5%, 25%, 50%, 100%.
        @ steps: List<Step>,
        /// How requests are copied, in steps with mirror.
        @ mirror: Copying,
        /// What is done when a step has lasted its max_duration without a verdict: hold stays at the weight,
        /// promote goes on, rollback takes the canary out. Default: hold.
        @ on_timeout: OnTimeout,
        /// The conditions on the canary.
        @ guards: Guards,
        /// The promised bound on the chance that a healthy canary is ever rolled back, from 0.000001 to 0.05.
        /// Default: 0.00001 / 0.0001 / 0.001.
        @ false_alarm: f64,
        /// The accepted chance that a canary outside the promotion margin is passed, from 0.0001 to 0.5.
        /// Default: 0.01 / 0.05 / 0.1.
        @ false_pass: f64,
        /// The whole rollout is watched at least this long before the canary gets 100%. Default: 10m / 5m / 1m.
        @ soak: Duration,
        /// For so long a fresh canary may be slower than guards.latency allows: caches are cold, code is not
        /// compiled yet. Errors are judged from the first request on. Up to 1h. Default: 0s.
        @ warm_up: Duration,
        /// How many routes are compared each for itself, the busiest ones; the others are pooled. From 1 to 1000.
        /// Default: 20.
        @ strata: u64,
        /// How few requests the canary gets at first, whatever its weight; off gives it its share at once. On by
        /// default.
        @ probe: Switch<Probe>,
        /// What is done on evidence that is not yet a verdict.
        @ actions: Actions,
        /// What the canary may cost at most, whatever the statistics say; when it is spent, the canary is out.
        /// Default: no bound.
        @ blast_radius: BlastRadius,
        /// How the evidence of the guards becomes one verdict: evidence (all of it together, and false_alarm holds for
        /// the whole), any (one guard is enough), all (every guard must prove it) or score (points, as in score).
        /// Default: evidence.
        @ mode: ModeName,
        /// The points of mode score.
        @ score: Score,
        /// What each kind of failure counts, from 0 (nothing) to 1 (a whole failure), in thousandths: such as
        /// { http_4xx: 0.1, idle_timeout: 0.5 }. Default: 1 for each failure, 0 for http_4xx.
        @ error_weights: Named<Outcome, f64>,
        /// How the canary gets its traffic: canary (step by step), blue_green (all at once, in one plan, and back in one)
        /// or ab (one step, by a sticky cookie or header, that lasts its min_duration whatever the evidence says, and then
        /// waits for an approval). Default: canary.
        @ strategy: Strategy,
        /// For so long the canary is watched, against its limits, once it has 100%; then it is promoted. The stable
        /// version stays ready, and has everything again in one plan. Up to 720h. Default: 0s; with blue_green 10m.
        @ bake: Duration,
        /// What is done when a guard fails, if not to take the canary out.
        @ rollback: Rollback,
        /// What a changed file means that names another canary while a rollout is in progress: refuse (the file is not
        /// taken) or supersede (the rollout ends, and the new canary's begins by itself). Default: refuse.
        @ on_new_canary: OnNewCanary,
    }

    /// For changes that can't be taken back. The file must then leave out all that takes a canary out by itself:
    /// tripwire, blast_radius, and on_timeout: rollback.
    pub struct Rollback {
        /// Why going back would do more harm, such as "orders of v42 can't be read by v41". A failing guard then holds
        /// the rollout at its share and calls somebody.
        required @ hold: String,
    }

    /// One weight, and what must be seen at it before the next.
    pub struct Step {
        /// The canary's share during the step.
        @ weight: Weight,
        /// In place of a weight: of this share of the stable version's requests the canary gets copies, and nobody gets its
        /// answers. It is judged by how many of its answers are errors where the stable version's to the same requests are
        /// not.
        @ mirror: Weight,
        /// Requests of the canary, or copies, that must have been judged in this step. Default: 1000 / 500 / 200.
        @ min_requests: u64,
        /// The step lasts at least this long. Default: 30s / 10s / 5s.
        @ min_duration: Duration,
        /// After this, on_timeout says what is done. Default: 1h.
        @ max_duration: Duration,
        /// What must be proven of the canary's error rate in this step. Default: pass_ratio and pass_margin of
        /// guards.errors; but where the file doesn't give those, before a step at 5% or less 2 × stable's + 1%, and
        /// before one at 10% or less 2 × stable's + 0.2%. A step that accepts more errors than guards.errors does asks for
        /// no proof that the canary is no slower, only that nothing is suspect.
        @ pass: Margin,
        /// What ends it: pass (the evidence) or time (min_duration, whatever the traffic; guards are watched as ever, and
        /// while one is suspicious the step lasts on). Default: pass.
        @ until: Until,
        /// true: when the step is over, somebody must approve before the next. Default: false.
        @ approval: bool,
    }

    /// Copies of the stable version's requests, in steps with mirror. They never delay a request, and nobody gets an answer of the
    /// canary.
    pub struct Copying {
        /// The methods that are copied. A request that changes something is then done twice: name others only where that
        /// is no matter. Default: [GET, HEAD, OPTIONS].
        @ methods: List<Method>,
        /// Copies under way at once in each proxy; beyond it requests are not copied. Default: 64.
        @ max_in_flight: u64,
        /// A request with a longer body is not copied. Default: 64KiB.
        @ max_body: ByteSize,
        /// For a copy and its whole answer; one that takes longer has failed. Default: 15s.
        @ timeout: Duration,
    }

    /// Promotion needs proof that the canary's error rate is below ratio × the stable version's + margin.
    pub struct Margin {
        /// From 1 to 1000. Default: pass_ratio of guards.errors.
        @ ratio: f64,
        /// A share of the requests. Default: pass_margin of guards.errors.
        @ margin: Weight,
    }

    /// Conditions on the canary; each is watched all the time.
    pub struct Guards {
        /// The canary must not fail more than the stable version in the same seconds. On by default; off
        /// switches it off.
        @ errors: Switch<ErrorComparison>,
        /// The canary must not be slower than the stable version in the same seconds. On by default; off switches
        /// it off.
        @ latency: Switch<LatencyComparison>,
        /// The canary's error rate must stay below this share of its requests. Default: no limit.
        @ max_error_rate: Weight,
        /// 99 of 100 requests of the canary must have response headers within this time, from 1ms to 60s.
        /// Default: no limit.
        @ max_p99: Duration,
        /// Business events, by name, that must not come more, or less, often than with the stable version.
        /// Default: none.
        @ events: Named<EventName, EventGuard>,
    }

    /// The tolerances of the comparison of error rates.
    pub struct ErrorComparison {
        /// Harmless: the canary's error rate up to ratio × the stable version's + margin. From 1 to 1000.
        /// Default: 1.2.
        @ ratio: f64,
        /// See ratio. Default: 0.005%.
        @ margin: Weight,
        /// Promotion needs proof that the canary's error rate is below pass_ratio × stable's + pass_margin, in each
        /// step that doesn't say otherwise. From 1 to 1000. Default: 1.5 / 1.5 / 2.
        @ pass_ratio: f64,
        /// See pass_ratio. Default: 0.05% / 0.05% / 0.2%.
        @ pass_margin: Weight,
    }

    /// The tolerances of the comparison of latencies, to response headers.
    pub struct LatencyComparison {
        /// Harmless: so much slower than the stable version up to the 95th percentile, twice as much at the 99th,
        /// three times at the 99.9th. In steps of 2.2%, up to 100%. Default: 4.4%.
        @ tolerance: Weight,
        /// Harmless everywhere: a difference below this. Up to 60s. Default: 1ms.
        @ min_difference: Duration,
        /// true: promotion needs proof that the canary is not slower. Default: true.
        @ proof: bool,
    }

    /// A condition on a business event.
    pub struct EventGuard {
        /// Which direction is bad: more (cancelled orders, say) or fewer (orders).
        required @ bad: Direction,
        /// Harmless: up to this ratio between the versions, in the bad direction. From 1 to 1000. Default: 1.2.
        @ ratio: f64,
        /// Who counts it: proxy (responses name it, see the service's events) or push (counts are sent to the control
        /// plane's API by whoever has them). Default: proxy.
        @ counted_by: CountedBy,
    }

    /// How few requests a canary gets at first. One that is dead costs no more than these.
    pub struct Probe {
        /// Requests a second, evenly spaced; what is more goes to the stable version. From 1 to 10000.
        /// Default: 10 / 20 / 20.
        @ rate: u64,
        /// For so long after the canary first got weight. From 1s to 10m. Default: 20s / 10s / 5s.
        @ duration: Duration,
    }

    /// What is done on evidence that is not yet a verdict.
    pub struct Actions {
        /// While there is serious evidence against the canary, short of the threshold: hold (its weight does not
        /// rise) or lower (it is halved, and comes back when the evidence has gone). Default: lower / lower / hold.
        @ mounting: Mounting,
        /// Where both versions breach a limit, so that the cause lies elsewhere: hold (and tell somebody) or
        /// rollback. Default: hold.
        @ both_worse: BothWorse,
    }

    /// What a canary may cost at most in one rollout. The proxy enforces it by itself.
    pub struct BlastRadius {
        /// Requests of the canary that may fail. Default: no bound.
        @ failed_requests: u64,
        /// Latency that the canary may add beyond the stable version's mean, over all its requests in sum.
        /// Default: no bound.
        @ added_latency: Duration,
    }

    /// Points from 0 (a guard's evidence is at the threshold) to 100 (none), averaged over the guards.
    pub struct Score {
        /// Below this the canary fails. From 1 to 100. Default: 50.
        @ fail_below: u64,
        /// From this on it may pass. From fail_below to 100. Default: 75.
        @ pass_from: u64,
    }
}
