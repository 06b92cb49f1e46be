//! The probe of one version: begun by the first worker that meets its new weight, kept by all.
//!
//! A probe is for a version that this process has seen without weight. One that had it in the first plan already may
//! have had it for a week: the process was merely started again, and the stable version could not carry the canary's
//! whole share for the time of a probe.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serin_config::{Generation, policy::Probe};
use serin_split::probe::Probation;

use crate::clock;

/// Keeps the probe of a version, whatever plan is in force.
#[derive(Debug)]
pub(crate) struct OnProbation {
    /// What times are counted from.
    beginning: Instant,
    /// Since which plan the version has had the weight that it was last armed for.
    since: Mutex<Generation>,
    gate: Probation,
}

impl Default for OnProbation {
    fn default() -> Self {
        Self { beginning: clock::now(), since: Mutex::new(Generation::NONE), gate: Probation::default() }
    }
}

impl OnProbation {
    /// A worker is about to serve a plan whose canary has had its weight since `since`, in a process that began with
    /// the plan `first`. Once this returns, the gate is as this plan, or a later one, wants it.
    pub(crate) fn arm(&self, since: Generation, first: Generation, probe: Option<Probe>, now: Instant) {
        let mut known = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if since > *known {
            *known = since;
            match probe.filter(|_| since > first) {
                Some(probe) => self.gate.begin(probe, self.at(now)),
                None => self.gate.end(),
            }
        } else if since == *known && probe.is_none() {
            self.gate.end();
        }
    }

    /// Whether a request that came at `now` may go to the version.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        self.gate.admits(self.at(now))
    }

    /// Whether requests are held back, or were at any time since `then`.
    pub(crate) fn is_on(&self, then: Instant) -> bool {
        self.gate.is_on(self.at(then))
    }

    fn at(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.beginning).as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PROBE: Option<Probe> = Some(Probe { rate: 10, duration: Duration::from_secs(5) });
    const FIRST: Generation = Generation(1);

    /// How many of a hundred requests at once are let in.
    fn let_in(probation: &OnProbation, now: Instant) -> usize {
        (0..100).filter(|_| probation.admits(now)).count()
    }

    #[test]
    fn a_version_that_gets_weight_is_probed_once_however_many_workers_and_plans_follow() {
        let (probation, now) = (OnProbation::default(), clock::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        for _ in 0..3 {
            probation.arm(Generation(4), FIRST, PROBE, now);
        }
        assert_eq!(let_in(&probation, later(1)), 1);
        probation.arm(Generation(4), FIRST, PROBE, later(4));
        assert!(probation.is_on(later(4)) && !probation.is_on(later(5)));
        assert_eq!(let_in(&probation, later(5)), 100);
        probation.arm(Generation(9), FIRST, PROBE, later(6));
        assert_eq!(let_in(&probation, later(7)), 1, "it was given weight anew");
    }

    #[test]
    fn a_version_that_the_process_began_with_is_not_probed() {
        let (probation, now) = (OnProbation::default(), clock::now());
        probation.arm(Generation(7), Generation(7), PROBE, now);
        assert_eq!(let_in(&probation, now), 100);
    }

    #[test]
    fn a_worker_that_is_behind_changes_nothing() {
        let (probation, now) = (OnProbation::default(), clock::now());
        probation.arm(Generation(4), FIRST, PROBE, now);
        probation.arm(Generation(3), FIRST, None, now);
        assert_eq!(let_in(&probation, now), 1);
    }

    #[test]
    fn a_policy_without_a_probe_ends_the_one_that_is_on() {
        let (probation, now) = (OnProbation::default(), clock::now());
        probation.arm(Generation(4), FIRST, PROBE, now);
        probation.arm(Generation(4), FIRST, None, now);
        assert_eq!(let_in(&probation, now), 100);
    }
}
