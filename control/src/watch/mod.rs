//! One rollout, watched: its evidence, and the clock of its present step.
//!
//! Three things here are easy to get wrong. A window counted under an older plan than the step's still holds
//! both versions over the same seconds, so it is evidence; but it must not count for the step's own number of
//! requests. Hence a step's totals begin with the first second that the step's plan was in force for. And the
//! clock of a step runs only while somebody watches: neither a pause nor the time during which the control
//! plane was down may run a step out of its time. Last, what share the canary should have had is known only for
//! a second that every proxy spent under one and the same share, and not while any of them limits it to a probe.
//!
//! At a step that copies requests it is copies that are judged, beside the requests that were copied; users of the canary there
//! are none. What the two have shown is kept apart by the evidence itself.
//!
//! And evidence grows old. Where no window comes at all, because the proxies hang or can't be reached, what was
//! seen before must not carry a rollout on: neither a pass nor a timeout moves a weight then, the step is held.

pub mod course;
mod event;
mod mounting;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use serin_config::{
    EventName, Generation, Service, VersionName, Weight,
    policy::Step,
    service::Sticky,
    wire::{BeatCount, EventReport},
};
use serin_judge::{Evidence, Pair, SelfTest, State as Judged, Trials, Verdict, Window};

use crate::{
    align::Second,
    history::{Chunk, History},
    rollout::{Event, HeldFor, Rollout, State},
    sheet::Sheet,
};
use course::Course;
use mounting::Mounting;

/// What is stored of a watch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The rollout that it belongs to.
    pub rollout: u64,
    /// The step that its clock and totals belong to.
    pub step: usize,
    /// Whether the step's totals have begun.
    pub counting: bool,
    /// How long the step was watched, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether a proxy still limits the canary to a probe's rate.
    #[serde(default)]
    pub probing: bool,
    /// The evidence of the whole rollout.
    pub evidence: Evidence,
    /// What its steps took.
    #[serde(default)]
    pub course: Course,
    /// What was done about evidence that is not yet a verdict.
    #[serde(default)]
    pub mounting: Mounting,
}

/// The running evidence of one rollout.
#[derive(Debug, Clone)]
pub struct Watch {
    kept: Checkpoint,
    history: History,
    /// Business events that others counted, for the next window.
    told: BTreeMap<EventName, Pair>,
    /// What beats of proxies counted in the quarter of a second that is not over.
    beats: Pair,
    seen_ms: u64,
    /// When the last window came, or when the watch began.
    heard_ms: u64,
}

/// What the judge says at one moment, and what it means for the rollout.
#[derive(Debug)]
pub struct Look {
    /// The verdict.
    pub verdict: Verdict,
    /// What it makes happen, with the reason in words.
    pub event: Option<(Event, String)>,
}

impl Watch {
    /// Begins to watch a rollout that has just begun; `past` is what the stable version did before, the oldest
    /// second first.
    pub fn begin(rollout: &Rollout, service: &Service, past: &[Window], now_ms: u64) -> Self {
        let mut watch = Self::resume(rollout, service, None, 0, now_ms);
        let seconds = i64::try_from(past.len()).unwrap_or(i64::MAX);
        for (second, window) in (-seconds..).zip(past) {
            watch.kept.evidence.pre(window);
            watch.history.push(second, window);
        }
        watch
    }

    /// Goes on from what was stored of this very rollout and step; `chunk` is the next of its history.
    pub fn resume(
        rollout: &Rollout,
        service: &Service,
        stored: Option<Checkpoint>,
        chunk: u32,
        now_ms: u64,
    ) -> Self {
        let fresh = || Checkpoint {
            rollout: rollout.id,
            step: 0,
            counting: false,
            elapsed_ms: 0,
            probing: service.rollout.probe.is_some(),
            evidence: Evidence::new(&service.rollout),
            course: Course::default(),
            mounting: Mounting::default(),
        };
        let kept = stored.filter(|stored| stored.rollout == rollout.id).unwrap_or_else(fresh);
        let mut watch = Self {
            kept,
            history: History::from(chunk),
            told: BTreeMap::new(),
            beats: Pair::default(),
            seen_ms: now_ms,
            heard_ms: now_ms,
        };
        watch.follow(rollout, rollout, now_ms);
        watch
    }

    /// Follows the rollout from one state to the next: a new step begins its totals and its clock anew, and a
    /// step that is resumed after it ran out of time gets its time again.
    pub fn follow(&mut self, before: &Rollout, after: &Rollout, now_ms: u64) {
        self.run_clock(before.state, now_ms);
        let again = matches!((before.state, after.state), (State::Held { .. }, State::Running { .. }));
        let begins = is_to_begin(before) && !is_to_begin(after);
        if let Some(step) = after.state.step().filter(|step| *step != self.kept.step || begins) {
            (self.kept.step, self.kept.counting, self.kept.elapsed_ms) = (step, false, 0);
        } else if again {
            self.kept.elapsed_ms = 0;
        }
        self.kept.mounting.follow(before.halvings, after.halvings);
        let changed = after.state != before.state;
        self.kept.course.follow(after, changed, self.kept.evidence.windows());
    }

    /// Takes one second of all proxies' counts; what was counted before the rollout is not its evidence.
    pub fn observe(&mut self, rollout: &Rollout, service: &Service, second: &Second, now_ms: u64) {
        self.heard_ms = self.heard_ms.max(now_ms);
        // What is counted before the canary has anything is no evidence, and no time that it was watched.
        if is_to_begin(rollout) {
            return;
        }
        let own = |sheet: &&Sheet| sheet.generation >= rollout.start_generation;
        let sheets: Vec<&Sheet> = second.sheets.iter().filter(own).collect();
        if sheets.is_empty() {
            return;
        }
        if !self.kept.counting && sheets.iter().all(|sheet| sheet.generation >= rollout.step_generation) {
            self.kept.counting = true;
            self.kept.evidence.begin_step();
        }
        let mut window = window(rollout, service, &sheets);
        self.kept.probing = sheets.iter().any(|sheet| sheet.probing.contains(&rollout.service));
        window.share = share(rollout, service, &sheets);
        window.told = std::mem::take(&mut self.told);
        self.kept.evidence.observe(&window);
        let since = second.at.saturating_sub(rollout.started_ms / 1_000);
        self.history.push(i64::try_from(since).unwrap_or(i64::MAX), &window);
    }

    /// Takes a quarter of a second of one proxy's counts of this service, for what can't wait for the second to be
    /// over.
    pub fn beat(&mut self, rollout: &Rollout, generation: Generation, counts: &[BeatCount]) {
        let has_users = !is_to_begin(rollout) && rollout.mirror() == Weight::ZERO;
        if generation < rollout.start_generation || !has_users {
            return;
        }
        let of = |version: &VersionName| {
            let own = |count: &&BeatCount| count.service == rollout.service && count.version == *version;
            let sum = |mut sum: Trials, count: &BeatCount| {
                sum.requests = sum.requests.saturating_add(count.judged);
                sum.bad = sum.bad.saturating_add(count.failed.min(count.judged));
                sum
            };
            counts.iter().filter(own).fold(Trials::default(), sum)
        };
        self.beats.add(Pair { canary: of(&rollout.canary), stable: of(&rollout.stable) });
    }

    /// The beats that were taken are of one quarter of a second, and are judged together. Gives whether there was
    /// anything in them.
    pub fn pulse(&mut self) -> bool {
        let beats = std::mem::take(&mut self.beats);
        let any = beats != Pair::default();
        if any {
            self.kept.evidence.beat(beats, self.kept.probing);
        }
        any
    }

    /// Takes counts of a business event by somebody else, to be judged with the next window.
    pub fn tell(&mut self, rollout: &Rollout, report: &EventReport) {
        let of = |version: &VersionName| {
            let own = report.versions.iter().filter(|count| count.version == *version);
            own.fold(Trials::default(), |sum, count| Trials {
                requests: sum.requests.saturating_add(count.requests),
                bad: sum.bad.saturating_add(count.count.min(count.requests)),
            })
        };
        let (canary, stable) = (of(&rollout.canary), of(&rollout.stable));
        self.told.entry(report.event.clone()).or_default().add(Pair { canary, stable });
    }

    /// Whether the canary must go, by what is known right now. Where that would not take it out, it can wait for the
    /// second to be over.
    pub fn is_lost(&self, rollout: &Rollout, service: &Service) -> bool {
        let step = rollout.state.step().and_then(|step| service.rollout.steps.get(step));
        let elapsed = Duration::from_millis(self.kept.elapsed_ms);
        step.is_some_and(|step| self.kept.evidence.judge(step, elapsed).state == Judged::Fail)
    }

    /// How the comparison did on a slice of the stable version.
    pub fn self_test(&self) -> SelfTest {
        self.kept.evidence.self_test()
    }

    /// Looks at the evidence. `service` has the policy by which the rollout runs.
    pub fn look(&mut self, rollout: &Rollout, service: &Service, now_ms: u64) -> Option<Look> {
        self.run_clock(rollout.state, now_ms);
        let step = rollout.state.step().and_then(|step| service.rollout.steps.get(step))?;
        let verdict = self.kept.evidence.verdict(step, Duration::from_millis(self.kept.elapsed_ms));
        let seconds = self.kept.evidence.windows();
        self.kept.mounting.note(&verdict, seconds);
        let event = (!is_to_begin(rollout)).then(|| self.event(rollout, service, step, &verdict)).flatten();
        self.kept.course.note(rollout, &verdict, seconds);
        Some(Look { verdict, event })
    }

    /// What is known at a step that something else than this evidence ends now. Where nothing was counted in the step yet,
    /// that is said; counts of the step before are not its own.
    pub fn known(&self, rollout: &Rollout, step: &Step, now_ms: u64) -> Verdict {
        let elapsed = Duration::from_millis(self.elapsed_ms(rollout.state, now_ms));
        self.kept.evidence.at_the_end(step, elapsed, self.kept.counting)
    }

    fn run_clock(&mut self, state: State, now_ms: u64) {
        self.kept.elapsed_ms = self.elapsed_ms(state, now_ms);
        self.seen_ms = self.seen_ms.max(now_ms);
    }

    fn elapsed_ms(&self, state: State, now_ms: u64) -> u64 {
        match state {
            State::Running { .. } | State::Held { .. } => {
                self.kept.elapsed_ms + now_ms.saturating_sub(self.seen_ms)
            }
            _ => self.kept.elapsed_ms,
        }
    }

    /// The rollout that is watched.
    pub fn rollout(&self) -> u64 {
        self.kept.rollout
    }

    /// What to store of it.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.kept
    }

    /// Windows that are not stored yet.
    pub fn unstored(&self) -> Vec<Chunk> {
        self.history.unstored()
    }

    /// These are stored now.
    pub fn stored(&mut self, chunks: &[Chunk]) {
        self.history.stored(chunks);
    }
}

/// What all proxies counted of a rollout: of its users, or of copies at a step that has some.
fn window(rollout: &Rollout, service: &Service, sheets: &[&Sheet]) -> Window {
    let Rollout { service: name, canary, stable, .. } = rollout;
    let weights = &service.rollout.error_weights;
    let cells = sheets.iter().flat_map(|sheet| &sheet.cells);
    if rollout.mirror() == Weight::ZERO {
        return Window::gather(cells, name, canary, stable, weights);
    }
    let copies = sheets.iter().flat_map(|sheet| &sheet.copies);
    Window::gather_copies(copies, cells, name, canary, stable, weights)
}

/// Whether it waits before its first step.
fn is_to_begin(rollout: &Rollout) -> bool {
    matches!(rollout.state, State::Held { why: HeldFor::Start, .. })
}

/// The share of the requests that the canary should have had in all of these windows. Where clients stay with a version
/// it is they that are shared out, not requests.
fn share(rollout: &Rollout, service: &Service, sheets: &[&Sheet]) -> Option<Weight> {
    let settled = sheets.iter().all(|sheet| {
        sheet.began_under >= rollout.share_generation && !sheet.probing.contains(&rollout.service)
    });
    (settled && service.sticky == Sticky::Random).then(|| rollout.canary_weight())
}

#[cfg(test)]
mod tests;
