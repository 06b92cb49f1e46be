//! A canary that is judged by copies, before it has a user.
//!
//! Of some of the stable version's requests the canary gets copies; windows have how the copies fared beside how the very
//! requests fared that were copied. Both arms then hold the same requests, in the same seconds and on the same routes, so the
//! comparison of errors needs nothing new: each block is one of two samples of the same size. That they are pairs, and a
//! request that can't succeed fails in both, makes the difference vary less than that of independent samples does, which
//! can only lower the chance of a false alarm.
//!
//! Of copies nothing but errors is judged, and what they cost is nobody's harm:
//! - not how long they take. The request that was copied has warmed the caches and taken the locks that its copy meets a moment
//!   later; so a copy may be faster than the canary will ever be for users, or slower through the copying alone. Times are
//!   counted, and shown. A copy that gets no answer in its time has failed.
//! - not business events, nor what the canary costs: nobody got these answers.
//! - no beats: nobody is harmed while the second is waited for.
//!
//! What copies have proven, they have proven of methods that are copied. So the evidence for the canary's users begins
//! anew, on both sides, when its first users come; all that is taken along is how long the stable version takes and which
//! routes are busy. There are then two judgements in one rollout, and each has half of the promise: a healthy canary is rolled back
//! by one of them with a chance of at most `false_alarm` in all.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serin_config::policy::{BlastRadius, Guards, Mounting, RolloutPolicy};

use crate::{block::Pair, evidence::Evidence, scheme::Scheme, window::Window};

/// What copies came to, once the canary has users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiesReport {
    /// Seconds in which they were judged.
    pub seconds: u64,
    /// Failed copies, and failed requests among those that were copied.
    pub failures: Pair,
}

/// What one of the two judgements may do of what the policy says of both.
fn half(policy: &RolloutPolicy) -> RolloutPolicy {
    RolloutPolicy { false_alarm: policy.false_alarm / 2.0, ..policy.clone() }
}

/// By what copies are judged.
fn of_copies(policy: &RolloutPolicy) -> RolloutPolicy {
    let guards = Guards { latency: None, max_p99: None, events: Vec::new(), ..policy.guards.clone() };
    let mut copies = half(policy);
    copies.actions.mounting = Mounting::Hold;
    RolloutPolicy { guards, blast_radius: BlastRadius::default(), soak: Duration::ZERO, ..copies }
}

impl Evidence {
    /// Before the first window of a rollout whose canary was judged by copies first, whether or not this policy has steps with
    /// some: that is how its windows are judged by another policy. Of that policy's promise copies and users then have half each.
    pub fn with_copies(policy: &RolloutPolicy, scheme: Scheme) -> Self {
        let users = Box::new(Self::of_users(&half(policy), scheme));
        Self { users: Some(users), ..Self::of_users(&of_copies(policy), scheme) }
    }

    /// The evidence of copies, with that of users for later; none where the policy has no copies.
    pub(crate) fn of_copies_first(policy: &RolloutPolicy, scheme: Scheme) -> Option<Self> {
        policy.copies_first().then(|| Self::with_copies(policy, scheme))
    }

    /// Whether what is judged are copies: the canary has had no user yet.
    pub fn is_of_copies(&self) -> bool {
        self.users.is_some()
    }

    /// Whether a window is evidence here. The first one of users is the beginning of their evidence; copies that come after
    /// it, or under a policy that has none, are not judged.
    pub(crate) fn takes(&mut self, window: &Window) -> bool {
        match &mut self.users {
            Some(users) if window.copies => users.pre(window),
            Some(_) => self.begin_users(),
            None => return !window.copies,
        }
        true
    }

    /// The canary has its first users.
    pub(crate) fn begin_users(&mut self) {
        let Some(users) = self.users.take() else { return };
        let copies = CopiesReport { seconds: self.windows, failures: self.rollout.failures() };
        *self = Self { copies: Some(copies), ..*users };
    }
}

#[cfg(test)]
mod tests {
    use serin_config::{
        RouteName, Weight,
        policy::{Step, Until},
    };

    use super::*;
    use crate::{
        explain,
        foresee::Dice,
        verdict::State,
        window::{Arm, Pairing},
    };

    fn weight(text: &str) -> Weight {
        text.parse().unwrap()
    }

    fn step(mirror: Option<&str>, at: &str) -> Step {
        let mirror = mirror.map(weight);
        Step { mirror, min_requests: 100, min_duration: Duration::ZERO, ..Step::at(weight(at)) }
    }

    fn policy() -> RolloutPolicy {
        let steps = vec![step(Some("10%"), "0%"), step(None, "50%"), step(None, "100%")];
        RolloutPolicy { steps, ..RolloutPolicy::default() }
    }

    fn window(copies: bool, canary: (u64, u64), stable: (u64, u64)) -> Window {
        let arm = |(judged, failed)| Arm::counted(judged, failed);
        let pairing = Pairing { canary: arm(canary), stable: arm(stable) };
        Window { copies, ..Window::of(&RouteName::try_new("all").unwrap(), pairing) }
    }

    fn after(evidence: &mut Evidence, seconds: u64, window: &Window) {
        (0..seconds).for_each(|_| evidence.observe(window));
    }

    #[test]
    fn a_canary_that_fails_its_copies_is_convicted_by_them_and_the_words_say_that_nobody_saw_it() {
        let policy = policy();
        let mut evidence = Evidence::new(&policy);
        let seconds = (1..=30).find(|_| {
            evidence.observe(&window(true, (20, 20), (20, 0)));
            evidence.judge(&policy.steps[0], Duration::ZERO).state == State::Fail
        });
        assert!(seconds.is_some_and(|seconds| seconds <= 8), "{seconds:?}");
        let verdict = evidence.verdict(&policy.steps[0], Duration::ZERO);
        let words = explain(&verdict, "v2", "v1").join("\n");
        assert!(words.contains("No user got an answer of v2."), "{words}");
        assert!(words.contains("copies"), "{words}");
    }

    #[test]
    fn a_good_canary_passes_by_its_copies_without_a_proof_that_it_is_no_slower() {
        let policy = policy();
        let mut evidence = Evidence::new(&policy);
        after(&mut evidence, 200, &window(true, (100, 0), (100, 0)));
        let verdict = evidence.verdict(&policy.steps[0], Duration::from_secs(200));
        assert_eq!((verdict.state, verdict.no_slower), (State::Pass, None), "{:?}", verdict.lacking);
        assert!(verdict.spent.is_empty() && verdict.is_of_copies);
    }

    #[test]
    fn what_copies_have_proven_is_no_proof_for_users() {
        let policy = policy();
        let mut evidence = Evidence::new(&policy);
        after(&mut evidence, 200, &window(true, (100, 0), (100, 0)));
        evidence.begin_step();
        after(&mut evidence, 1, &window(false, (100, 0), (100, 0)));
        let verdict = evidence.verdict(&policy.steps[1], Duration::from_secs(30));
        assert_eq!(verdict.state, State::Insufficient);
        assert_eq!((verdict.canary.requests, verdict.seconds, evidence.windows()), (100, 1, 201));
        let copies = verdict.copies.unwrap();
        assert_eq!(
            (copies.seconds, copies.failures.canary.requests, verdict.is_of_copies),
            (200, 20_000, false)
        );
        // One that comes late is no user.
        after(&mut evidence, 1, &window(true, (100, 100), (100, 0)));
        assert_eq!(evidence.verdict(&policy.steps[1], Duration::ZERO).canary.requests, 100);
    }

    #[test]
    fn copies_cost_nothing_and_a_slow_canary_is_not_convicted_by_them() {
        let mut policy = policy();
        policy.blast_radius.failed_requests = Some(5);
        policy.guards.max_p99 = Some(Duration::from_millis(1));
        let slow = |bucket| {
            let arm = |bucket| {
                Arm::counted(100, 0).with_headers(serin_config::wire::LatencyCounts(vec![(bucket, 100)]))
            };
            let pairing = Pairing { canary: arm(bucket), stable: arm(400) };
            Window { copies: true, ..Window::of(&RouteName::try_new("all").unwrap(), pairing) }
        };
        let mut evidence = Evidence::new(&policy);
        after(&mut evidence, 60, &slow(700));
        after(&mut evidence, 9, &window(true, (100, 1), (100, 1)));
        let verdict = evidence.verdict(&policy.steps[0], Duration::from_secs(69));
        assert_ne!(verdict.state, State::Fail);
        assert!(verdict.canary.p50_ms > verdict.stable.p50_ms, "how long they took is shown all the same");
    }

    #[test]
    fn a_policy_without_copies_judges_none() {
        let mut evidence = Evidence::new(&RolloutPolicy::default());
        after(&mut evidence, 60, &window(true, (100, 100), (100, 0)));
        assert_eq!((evidence.windows(), evidence.is_of_copies()), (0, false));
    }

    #[test]
    fn a_policy_without_copies_can_judge_those_of_another_as_that_one_would() {
        let (own, mut other) = (policy(), policy());
        other.steps.remove(0);
        let scheme = Scheme::PRODUCTION;
        let (mut live, mut again) = (Evidence::new(&own), Evidence::with_copies(&other, scheme));
        let failed = |evidence: &Evidence| evidence.judge(&own.steps[0], Duration::ZERO).state == State::Fail;
        for (copies, canary) in [(true, 0), (true, 1), (false, 1), (false, 20)] {
            for _ in 0..9 {
                let second = window(copies, (20, canary), (20, 0));
                live.observe(&second);
                again.observe(&second);
                assert_eq!(failed(&live), failed(&again));
            }
        }
        assert!(failed(&again) && !again.is_of_copies());
    }

    #[test]
    fn what_is_stored_in_the_middle_of_copies_goes_on_with_the_same_bits() {
        let policy = policy();
        let mut evidence = Evidence::new(&policy);
        after(&mut evidence, 5, &window(true, (100, 3), (100, 1)));
        let mut again: Evidence = serde_json::from_str(&serde_json::to_string(&evidence).unwrap()).unwrap();
        assert_eq!(again, evidence);
        for evidence in [&mut evidence, &mut again] {
            after(evidence, 5, &window(true, (100, 2), (100, 2)));
            after(evidence, 5, &window(false, (100, 2), (900, 9)));
        }
        assert_eq!(again, evidence);
    }

    /// Requests that can't succeed fail in both versions, further ones in one of them, in clumps.
    #[test]
    fn healthy_canaries_whose_copies_fail_with_their_requests_are_let_through() {
        let policy = policy();
        let on_the_clock = Step { until: Until::Time, ..policy.steps[0].clone() };
        for seed in 0..200 {
            let (mut dice, mut evidence) = (Dice::new(seed), Evidence::new(&policy));
            for _ in 0..600 {
                let requests = dice.poisson(15.0);
                let shared = dice.binomial(requests, 0.05);
                let mut own = || shared + dice.binomial(requests - shared, 0.01);
                let (canary, stable) = (own(), own());
                evidence.observe(&window(true, (requests, canary), (requests, stable)));
                let judged = evidence.judge(&on_the_clock, Duration::from_secs(600));
                assert_ne!(judged.state, State::Fail, "seed {seed}");
            }
        }
    }
}
