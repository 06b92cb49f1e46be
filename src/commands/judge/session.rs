//! One run: its evidence, and the clock that its windows make.
//!
//! The judge takes seconds. Windows that are shorter are added up to seconds, and each goes to the fast lane as it
//! comes; after one that is longer the judge is given as many empty seconds as it lasted. What counts is how many
//! windows came, not what they say of their time: that only has to rise.
//!
//! A run whose first window is of copies is judged by them first, as the rollout was that they come from, also by a policy that
//! has no such step.

use std::time::Duration;

use serin_config::{
    Weight,
    limits::SCHEME_BUCKETS_MAX,
    policy::{RolloutPolicy, Step},
};
use serin_judge::{
    Arm, Evidence, Pair, Scheme, State, Trials, Verdict, Window,
    lines::{Contradiction, Moment, Run},
};

/// The longest window, in seconds.
const WINDOW_MAX: f64 = 60.0;
/// What sums of parts of a second may be off by.
const ROUNDING: f64 = 1e-9;

/// What the answer to a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::commands) enum Decision {
    /// Neither is proven.
    Continue,
    /// The canary must go.
    Rollback,
    /// The canary is proven to be good enough, and the soak is over.
    Promote,
}

/// Why a run can't be judged.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(in crate::commands) enum NoRun {
    #[error("window_s is {0}; it must be above 0 and at most 60")]
    Window(f64),
    #[error("weight is {0}; it must be from 0 to 1")]
    Weight(f64),
    #[error("buckets: v0_ms must be above 0, per_octave from 1, count from 1 to {SCHEME_BUCKETS_MAX}")]
    Buckets,
}

/// Why a window is no evidence.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(in crate::commands) enum Refused {
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    #[error("t is {t}, and the window before it has t {last}: windows come in order, each once")]
    Order { t: f64, last: f64 },
    #[error("the past comes before the first window")]
    LatePast,
}

/// A run in progress.
#[derive(Debug)]
pub(in crate::commands) struct Session {
    run: Run,
    share: Option<Weight>,
    soak: Duration,
    step: Step,
    evidence: Evidence,
    /// The same, should the run begin with copies though the policy does not; until its first window.
    with_copies: Option<Box<Evidence>>,
    /// Windows of the second that is not full yet.
    second: Window,
    /// How much of it there is.
    filled: f64,
    judging: bool,
    last: Option<f64>,
    verdict: Verdict,
    decision: Decision,
    /// The verdict that the decision rests on.
    decided_by: Option<Verdict>,
}

impl Session {
    /// Before the first window of a run that is judged by this policy.
    pub(in crate::commands) fn new(run: Run, policy: &RolloutPolicy) -> Result<Self, NoRun> {
        let scheme = scheme(&run).ok_or(NoRun::Buckets)?;
        if !(run.window_s > 0.0 && run.window_s <= WINDOW_MAX) {
            return Err(NoRun::Window(run.window_s));
        }
        let share = run.weight.map(weight).transpose()?;
        let step = Step {
            min_requests: 0,
            min_duration: Duration::ZERO,
            max_duration: Duration::MAX,
            ..Step::at(share.unwrap_or(Weight::ZERO))
        };
        let evidence = Evidence::with_scheme(policy, scheme);
        let with_copies = (!policy.copies_first()).then(|| Box::new(Evidence::with_copies(policy, scheme)));
        let verdict = evidence.verdict(&step, Duration::ZERO);
        Ok(Self {
            run,
            share,
            soak: policy.soak,
            step,
            evidence,
            with_copies,
            second: Window::default(),
            filled: 0.0,
            judging: false,
            last: None,
            verdict,
            decision: Decision::Continue,
            decided_by: None,
        })
    }

    /// Sets no capital aside for what begins after an hour.
    pub(in crate::commands) fn without_late_starts(self) -> Self {
        let with_copies = self.with_copies.map(|evidence| Box::new(evidence.without_late_starts()));
        Self { evidence: self.evidence.without_late_starts(), with_copies, ..self }
    }

    pub(in crate::commands) fn run(&self) -> u64 {
        self.run.run
    }

    /// What stands after the last window that was taken.
    pub(in crate::commands) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What the decision rests on, which may be of an earlier window: what was decided stands.
    pub(in crate::commands) fn decided_by(&self) -> &Verdict {
        self.decided_by.as_ref().unwrap_or(&self.verdict)
    }

    pub(in crate::commands) fn decision(&self) -> Decision {
        self.decision
    }

    /// Takes counts of the stable version from before the run.
    pub(in crate::commands) fn pre(&mut self, moment: Moment) -> Result<(), Refused> {
        if self.judging {
            return Err(Refused::LatePast);
        }
        let window = self.read(moment)?;
        self.second.merge(&window);
        self.filled += self.run.window_s;
        while self.filled >= 1.0 - ROUNDING {
            self.filled -= 1.0;
            let second = std::mem::take(&mut self.second);
            self.evidence.pre(&second);
            self.with_copies.iter_mut().for_each(|evidence| evidence.pre(&second));
        }
        Ok(())
    }

    /// Takes the next window.
    pub(in crate::commands) fn window(&mut self, moment: Moment) -> Result<(), Refused> {
        let mut window = self.read(moment)?;
        if !std::mem::replace(&mut self.judging, true) {
            (self.second, self.filled) = (Window::default(), 0.0);
            if let Some(evidence) = self.with_copies.take().filter(|_| window.copies) {
                self.evidence = *evidence;
            }
        }
        if self.filled > ROUNDING && self.second.copies != window.copies {
            // No second is of both.
            self.evidence.observe(&std::mem::take(&mut self.second));
            self.filled = 0.0;
        }
        window.share = window.share.or(self.share);
        if self.run.window_s < 1.0 - ROUNDING && !window.copies {
            let total = window.total();
            let trials = |arm: &Arm| Trials { requests: arm.judged, bad: arm.failed };
            self.evidence.beat(Pair { canary: trials(&total.canary), stable: trials(&total.stable) }, false);
        }
        if self.filled <= ROUNDING {
            self.second = window;
        } else {
            self.second.merge(&window);
        }
        self.filled += self.run.window_s;
        while self.filled >= 1.0 - ROUNDING {
            self.filled -= 1.0;
            let second = std::mem::take(&mut self.second);
            self.evidence.observe(&second);
        }
        self.decide();
        Ok(())
    }

    fn read(&mut self, moment: Moment) -> Result<Window, Refused> {
        let t = moment.t;
        if let Some(last) = self.last.filter(|last| t <= *last) {
            return Err(Refused::Order { t, last });
        }
        let window = moment.window(&self.run)?;
        self.last = Some(t);
        Ok(window)
    }

    /// A rollback stands. A promotion does too, unless a rollback follows: a canary that was promoted is watched on.
    fn decide(&mut self) {
        let elapsed = Duration::from_secs(self.evidence.windows());
        self.verdict = self.evidence.verdict(&self.step, elapsed);
        let (before, of_copies) = (self.decision, self.evidence.is_of_copies());
        self.decision = match (self.decision, self.verdict.state) {
            (Decision::Rollback, _) | (_, State::Fail) => Decision::Rollback,
            // What copies have proven lets a canary have users, and not everything.
            (_, State::Pass) if Duration::from_secs(self.verdict.seconds) >= self.soak && !of_copies => {
                Decision::Promote
            }
            (before, _) => before,
        };
        if self.decision != before {
            self.decided_by = Some(self.verdict.clone());
        }
    }
}

fn scheme(run: &Run) -> Option<Scheme> {
    let buckets = &run.buckets;
    let (per_octave, count) = (buckets.per_octave.try_into().ok()?, buckets.count.try_into().ok()?);
    Scheme::new(buckets.v0_ms * 1e3, per_octave, count)
}

fn weight(share: f64) -> Result<Weight, NoRun> {
    let ppm = (share * 1e6).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let weight = if (0.0..=1e6).contains(&ppm) { Weight::from_ppm(ppm as u32) } else { None };
    weight.ok_or(NoRun::Weight(share))
}
