//! One rollout under the judge's eyes: windows and beats go in as in production, and each is looked at.

use std::time::Duration;

use serin_config::{
    Weight,
    policy::{RolloutPolicy, Step},
};
use serin_judge::{Evidence, Guard, SelfTest, State};

use crate::{
    draw::Rng,
    setting::{Mix, Setting},
    world::{BEATS, World},
};

/// Seconds of the stable version alone, before the canary gets its share.
pub(crate) const PAST: u64 = 60;
/// The longest that any rollout is watched.
pub(crate) const HOUR: u64 = 3600;

/// How a rollout went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// Seconds from the fault's beginning to the rollback.
    pub(crate) found: Option<f64>,
    /// What found it.
    pub(crate) culprit: Option<Guard>,
    /// Requests that the fault hit until then, or until the end.
    pub(crate) harmed: u64,
    /// The highest evidence against the canary.
    pub(crate) highest: f64,
    /// Seconds from the beginning to the first pass.
    pub(crate) passed: Option<u64>,
    /// How the stable version did against itself.
    pub(crate) self_test: SelfTest,
    /// Quarters of a second that passed.
    beats: u64,
}

/// When to look no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Fail,
    Pass,
}

/// A run to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) policy: &'a RolloutPolicy,
    pub(crate) mix: Mix,
    pub(crate) setting: Setting,
    pub(crate) probe: bool,
    pub(crate) seconds: u64,
    pub(crate) until: Until,
}

impl<'a> Run<'a> {
    /// An hour under `policy`, until the canary is taken out.
    pub(crate) fn of(policy: &'a RolloutPolicy, mix: Mix, setting: Setting) -> Self {
        Self { policy, mix, setting, probe: false, seconds: HOUR, until: Until::Fail }
    }

    /// Makes it; each pair of numbers is a different draw.
    pub(crate) fn watch(&self, seed: u64, stream: u64) -> Course {
        let world = World::new(Rng::new(seed, stream), self.mix, self.setting);
        let mut world = if self.probe { world.with_probe() } else { world };
        let mut evidence = Evidence::new(self.policy);
        world.past(PAST).iter().for_each(|window| evidence.pre(window));
        let step = Step::at(Weight::from_ppm((self.mix.weight * 1e6).round() as u32).unwrap());
        evidence.begin_step();
        let mut course = Course {
            found: None,
            culprit: None,
            harmed: 0,
            highest: f64::NEG_INFINITY,
            passed: None,
            self_test: SelfTest::default(),
            beats: 0,
        };
        for _ in 0..self.seconds {
            let second = world.next();
            for (beat, hit) in second.beats.iter().zip(second.harmed) {
                evidence.beat(*beat, second.probing);
                course.harmed += hit;
                course.beats += 1;
                if self.is_over(&evidence, &step, &mut course) {
                    return course;
                }
            }
            evidence.observe(&second.window);
            if self.is_over(&evidence, &step, &mut course) {
                return course;
            }
        }
        course
    }

    /// Looks, and notes what there is to see.
    fn is_over(&self, evidence: &Evidence, step: &Step, course: &mut Course) -> bool {
        let judgement = evidence.judge(step, Duration::from_secs(course.beats / BEATS as u64));
        course.highest = course.highest.max(judgement.ln_e);
        course.self_test = evidence.self_test();
        match judgement.state {
            State::Fail => {
                course.culprit = judgement.culprit;
                course.found = Some(course.beats as f64 / BEATS as f64 - self.setting.begins() as f64);
            }
            State::Pass if self.until == Until::Pass => {
                course.passed = Some(course.beats.div_ceil(BEATS as u64));
            }
            State::Pass | State::Insufficient => return false,
        }
        true
    }
}

/// The middle of what was found, counting what was not as later than all else; none if most was not.
pub(crate) fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut values: Vec<f64> = values.map(|value| value.unwrap_or(f64::INFINITY)).collect();
    values.sort_by(f64::total_cmp);
    let middle = values[values.len() / 2];
    middle.is_finite().then_some(middle)
}
