//! A verdict in words and numbers, for whoever is paged at night.
//!
//! What happened stands first, then why it was decided so, then what it rests on. Counts of the last minute come
//! before those of the whole rollout: they are what changed.

use crate::{
    block::{Pair, Trials},
    budget::Guard,
    phrase::{duration, grouped, millis, odds, percent, share, significant},
    verdict::{ArmReport, GuardReport, Lacking, State, Verdict},
};

/// Short lines of plain English, the most important first. The names are those of the versions.
pub fn explain(verdict: &Verdict, canary: &str, stable: &str) -> Vec<String> {
    let words = Words { verdict, canary, stable };
    let mut lines = match verdict.state {
        State::Fail => words.failed(),
        State::Pass => words.passed(),
        State::Insufficient => words.undecided(),
    };
    lines.extend(words.totals());
    lines
}

struct Words<'a> {
    verdict: &'a Verdict,
    canary: &'a str,
    stable: &'a str,
}

impl Words<'_> {
    fn failed(&self) -> Vec<String> {
        let (canary, against) = (self.canary, &self.verdict.against);
        let reason = self.report(self.verdict.culprit).map_or_else(|| self.compared(), |r| self.reason(r));
        let claim = match self.verdict.culprit {
            Some(Guard::MaxErrorRate | Guard::MaxP99) => format!("{canary} breaks this limit"),
            Some(Guard::Errors) | None => format!("{canary} is worse"),
        };
        let (have, need) = (odds(against.ln_e), odds(Some(against.ln_threshold)));
        vec![
            format!("Rolled back: {reason}."),
            format!("The evidence that {claim} is {have}; the threshold is {need}."),
        ]
    }

    fn passed(&self) -> Vec<String> {
        let step = &self.verdict.step;
        let (weight, failures) = (step.weight, self.pair(step.failures));
        let seconds = duration(step.elapsed_ms / 1_000);
        let mut lines = vec![format!("Passed at {weight} after {seconds}: {failures} in this step.")];
        if let Some(proof) = self.verdict.non_inferiority {
            let (have, need) = (odds(proof.ln_e), odds(Some(proof.ln_threshold)));
            let canary = self.canary;
            lines.push(format!(
                "The proof that {canary} fails no more than is accepted is {have}; {need} was asked for."
            ));
        }
        lines
    }

    fn undecided(&self) -> Vec<String> {
        let step = &self.verdict.step;
        let (weight, failures) = (step.weight, self.pair(step.failures));
        let mut lines = vec![format!("Not decided at {weight}: {failures} in this step.")];
        lines.extend(self.verdict.lacking.iter().map(|lack| self.lack(lack)));
        lines
    }

    fn lack(&self, lack: &Lacking) -> String {
        let (canary, stable) = (self.canary, self.stable);
        match lack {
            Lacking::NoCanaryTraffic { seconds } => {
                format!("{canary} had no request to judge in the last {seconds} s: is traffic reaching it?")
            }
            Lacking::NoStableTraffic { seconds } => {
                format!(
                    "{stable} had no request in the last {seconds} s: there is nothing to compare {canary} with."
                )
            }
            Lacking::MinRequests { have, need, seconds } => {
                let (have, need, left) = (grouped(*have), grouped(*need), at_this_rate(*seconds));
                format!("This step needs {need} requests of {canary} and had {have}{left}.")
            }
            Lacking::MinDuration { elapsed_ms, need_ms } => {
                let left = duration(need_ms.saturating_sub(*elapsed_ms).div_ceil(1_000));
                format!("This step lasts at least {}: {left} to go.", duration(need_ms.div_ceil(1_000)))
            }
            Lacking::NonInferiority { proof, requests, seconds } => {
                let (have, need) = (odds(proof.ln_e), odds(Some(proof.ln_threshold)));
                let left = match requests {
                    Some(requests) => format!(
                        "about {} more requests of {canary} are needed{}",
                        significant(*requests as f64),
                        at_this_rate(*seconds)
                    ),
                    None => "at the present error rates it will not come".into(),
                };
                format!(
                    "The proof that {canary} fails no more than is accepted is {have}, {need} is asked for: {left}."
                )
            }
            Lacking::Suspect { guard, ln_e } => {
                let reason = self.report(Some(*guard)).map_or_else(|| self.compared(), |r| self.reason(r));
                let odds = odds(Some(*ln_e));
                format!("{canary} is suspect ({guard}, {odds}), so there is no step forward: {reason}.")
            }
            Lacking::OverLimit { guard } => match self.report(Some(*guard)) {
                Some(report) => {
                    format!("{canary} is over its limit in this step: {}.", self.over_limit(report))
                }
                None => format!("{canary} is over its limit {guard} in this step."),
            },
            Lacking::BothVersionsBreach { guard } => {
                let reason = self.report(Some(*guard)).map_or_else(|| self.compared(), |r| self.reason(r));
                format!(
                    "Held, please look: {reason}. {canary} is not shown to do worse than {stable} in the same seconds, so the cause is likely one that they share, and a rollback would not help."
                )
            }
        }
    }

    fn totals(&self) -> Vec<String> {
        let verdict = self.verdict;
        let mut lines = Vec::new();
        if verdict.seconds > verdict.recent_seconds {
            let since = duration(verdict.seconds);
            let whole =
                self.pair(Pair { canary: failures(&verdict.canary), stable: failures(&verdict.stable) });
            lines.push(format!("Since the rollout began {since} ago: {whole}."));
        }
        if let Some(estimate) = verdict.ratio.estimate.filter(|_| verdict.canary.failed > 0) {
            let lower = significant(verdict.ratio.lower);
            let upper = verdict.ratio.upper.map_or("no upper end".into(), significant);
            lines.push(format!(
                "{} fails {} times as often as {} (95 % interval: {lower} to {upper}).",
                self.canary,
                significant(estimate),
                self.stable
            ));
        }
        if let (Some(canary), Some(stable)) = (latency(&verdict.canary), latency(&verdict.stable)) {
            lines.push(format!(
                "Time to response headers: {} {canary}; {} {stable}.",
                self.canary, self.stable
            ));
        }
        lines
    }

    fn report(&self, guard: Option<Guard>) -> Option<&GuardReport> {
        self.verdict.guards.iter().find(|report| Some(report.guard) == guard)
    }

    fn reason(&self, report: &GuardReport) -> String {
        match &report.limit {
            None => self.compared(),
            Some(limit) => {
                let seconds = self.verdict.recent_seconds;
                let breach = self.breach(report, limit.recent);
                format!("{breach} in the last {seconds} seconds; the limit is {}", percent(limit.allowed))
            }
        }
    }

    fn over_limit(&self, report: &GuardReport) -> String {
        let Some(limit) = &report.limit else { return self.compared() };
        format!("{}; the limit is {}", self.breach(report, limit.step), percent(limit.allowed))
    }

    /// What broke a limit; which requests are bad depends on the limit.
    fn breach(&self, report: &GuardReport, pair: Pair) -> String {
        match report.limit.as_ref().and_then(|limit| limit.limit_ms) {
            None => self.pair(pair),
            Some(limit_ms) => format!(
                "{} was slower than {} in {} while {} was in {}",
                self.canary,
                millis(limit_ms),
                share(pair.canary, " requests"),
                self.stable,
                share(pair.stable, "")
            ),
        }
    }

    fn compared(&self) -> String {
        format!("{} in the same {} seconds", self.pair(self.verdict.recent), self.verdict.recent_seconds)
    }

    fn pair(&self, pair: Pair) -> String {
        let (canary, stable) = (share(pair.canary, " requests"), share(pair.stable, ""));
        format!("{} failed {canary} while {} failed {stable}", self.canary, self.stable)
    }
}

fn failures(arm: &ArmReport) -> Trials {
    Trials { requests: arm.requests, bad: arm.failed }
}

fn latency(arm: &ArmReport) -> Option<String> {
    Some(format!("p50 {}, p99 {}", millis(arm.p50_ms?), millis(arm.p99_ms?)))
}

fn at_this_rate(seconds: Option<u64>) -> String {
    seconds.map_or(String::new(), |seconds| format!(", {} at the present rate", duration(seconds)))
}
