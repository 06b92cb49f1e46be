//! The course of an experiment: a second of counts in, what to do next out.
//!
//! Seconds are those of the load. A fault begins and ends between two of them, so that each second belongs to one part
//! of the course. What is asked of the window (to abort, to have recovered, the score of a second) is asked of the last
//! seconds since the last change: what was before says nothing of what is now.

use std::mem;

use super::{
    file::Experiment,
    limit::Sum,
    outcome::{Moment, Outcome, Phase, Verdict, mean},
};
use crate::report::Second;

/// What to do after a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Go,
    /// Inject the fault of this number.
    Inject(usize),
    /// Undo it.
    Undo(usize),
    /// It is over: undo what there is.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Steady,
    Fault(usize),
    Recovery(usize),
    Over,
}

/// An experiment under way.
#[derive(Debug)]
pub struct Course<'a> {
    of: &'a Experiment,
    part: Part,
    /// The last second before this part.
    since: u64,
    /// The seconds of this part.
    seen: Vec<Second>,
    phases: Vec<Phase>,
    moments: Vec<Moment>,
    /// Scores of the seconds of this fault and its recovery.
    scores: Vec<f64>,
    ended: Option<(Verdict, String)>,
}

impl<'a> Course<'a> {
    /// Before the first second.
    pub fn new(of: &'a Experiment) -> Self {
        Self {
            of,
            part: Part::Steady,
            since: 0,
            seen: Vec::new(),
            phases: Vec::new(),
            moments: Vec::new(),
            scores: Vec::new(),
            ended: None,
        }
    }

    /// Takes the next second.
    pub fn second(&mut self, second: &Second) -> Step {
        if self.part == Part::Over {
            return Step::End;
        }
        self.seen.push(second.clone());
        let (at, of) = (second.second, self.of);
        let passed = at.saturating_sub(self.since);
        let window = Sum::of(self.seen.iter().filter(|second| second.second + of.window > at));
        let score = of.hypothesis.health(&of.abort, &window);
        let under = match self.part {
            Part::Fault(number) => of.faults.get(number).map(|fault| fault.name.clone()),
            _ => None,
        };
        self.moments.push(Moment { second: at, score, under });
        if matches!(self.part, Part::Fault(_) | Part::Recovery(_)) {
            self.scores.push(score);
        }
        match self.part {
            Part::Steady if passed >= of.steady => self.steady_is_over(at),
            Part::Fault(number) => self.under(number, &window, passed, at),
            Part::Recovery(number) => self.recovering(number, &window, passed, at),
            Part::Steady | Part::Over => Step::Go,
        }
    }

    fn steady_is_over(&mut self, at: u64) -> Step {
        let sum = Sum::of(&self.seen);
        let phase = Phase::of("steady", "no fault", (self.since, at), &sum, &self.of.hypothesis);
        let broken = phase.broken.join("; ");
        self.phases.push(phase);
        if !broken.is_empty() {
            let why = format!("the hypothesis does not hold without any fault: {broken}");
            return self.end(Verdict::Failed, why);
        }
        self.next(Part::Fault(0), at);
        Step::Inject(0)
    }

    fn under(&mut self, number: usize, window: &Sum, passed: u64, at: u64) -> Step {
        let beyond = self.of.abort.passed(window);
        if !beyond.is_empty() {
            self.close(number, at);
            return self.end(Verdict::Aborted, format!("beyond what may be: {}", beyond.join("; ")));
        }
        if self.of.faults.get(number).is_some_and(|fault| passed < fault.lasts) {
            return Step::Go;
        }
        self.close(number, at);
        self.next(Part::Recovery(number), at);
        Step::Undo(number)
    }

    fn recovering(&mut self, number: usize, window: &Sum, passed: u64, at: u64) -> Step {
        // The seconds of the window come after those that it took to recover.
        let Some(took) = passed.checked_sub(self.of.window) else { return Step::Go };
        let holds = self.of.hypothesis.passed(window).is_empty();
        let (name, within) =
            self.of.faults.get(number).map_or(("", 0), |fault| (fault.name.as_str(), fault.recovers_within));
        if !holds && took < within {
            return Step::Go;
        }
        let score = mean(&mem::take(&mut self.scores));
        if let Some(phase) = self.phases.last_mut() {
            phase.score = score;
            phase.recovery_seconds = holds.then_some(took);
        }
        if !holds {
            let beyond = self.of.hypothesis.passed(window).join("; ");
            let why = format!("{within} s after the end of \"{name}\" the hypothesis did not hold: {beyond}");
            return self.end(Verdict::Broken, why);
        }
        if number + 1 < self.of.faults.len() {
            self.next(Part::Fault(number + 1), at);
            return Step::Inject(number + 1);
        }
        let broken: Vec<&str> = self
            .phases
            .iter()
            .filter(|phase| !phase.broken.is_empty())
            .map(|phase| phase.name.as_str())
            .collect();
        let (verdict, why) = if broken.is_empty() {
            (Verdict::Held, "the hypothesis held under every fault".to_owned())
        } else {
            let why =
                format!("the hypothesis did not hold under {}, and held again in time", broken.join(", "));
            (Verdict::Degraded, why)
        };
        self.end(verdict, why)
    }

    /// The figures of a fault that is over.
    fn close(&mut self, number: usize, at: u64) {
        let sum = Sum::of(&self.seen);
        let Some(fault) = self.of.faults.get(number) else { return };
        let mut phase = Phase::of(&fault.name, &fault.words(), (self.since, at), &sum, &self.of.hypothesis);
        phase.score = mean(&self.scores);
        self.phases.push(phase);
    }

    fn next(&mut self, part: Part, at: u64) {
        (self.part, self.since) = (part, at);
        self.seen.clear();
    }

    fn end(&mut self, verdict: Verdict, why: String) -> Step {
        self.part = Part::Over;
        // What went wrong first is what it was.
        self.ended.get_or_insert((verdict, why));
        Step::End
    }

    /// Ends it before its time, since it was interrupted or can't go on.
    pub fn stop(&mut self, verdict: Verdict, why: &str) {
        if let Part::Fault(number) = self.part
            && let Some(last) = self.seen.last().map(|second| second.second)
        {
            self.close(number, last);
        }
        self.end(verdict, why.into());
    }

    /// Whether nothing more is to come.
    pub fn is_over(&self) -> bool {
        self.part == Part::Over
    }

    /// What follows from it.
    pub fn outcome(mut self) -> Outcome {
        if self.part != Part::Over {
            self.stop(Verdict::Failed, "the load ended before the experiment did");
        }
        let (result, why) = self.ended.unwrap_or((Verdict::Failed, String::new()));
        Outcome::new(result, why, self.phases, self.moments)
    }
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
