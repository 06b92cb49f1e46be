//! A verdict in words and numbers, for whoever is paged at night.
//!
//! What happened stands first, then why it was decided so, then what it rests on. Counts of the last minute come
//! before those of the whole rollout: they are what changed.

use serin_config::{RouteName, Weight, policy::share_text};

use crate::{
    block::{Pair, Trials},
    guard::Guard,
    harm::Spent,
    judgement::Advice,
    phrase::{duration, grouped, millis, odds, percent, seconds, share, significant},
    verdict::{ArmReport, GuardReport, Lacking, Proof, State, Verdict},
};

/// Short lines of plain English, the most important first. The names are those of the versions.
pub fn explain(verdict: &Verdict, canary: &str, stable: &str) -> Vec<String> {
    in_words(&Words { verdict, canary, stable, goes_on: false, watched: true })
}

/// The same of a rollout that still goes on: a guard may have failed without the canary being out, since going back
/// is held as unsafe, or since it is compared to the end of a fixed time.
pub fn explain_so_far(verdict: &Verdict, canary: &str, stable: &str) -> Vec<String> {
    in_words(&Words { verdict, canary, stable, goes_on: true, watched: true })
}

/// The same where nobody watches it, by the evidence that was kept last: what happens just now is not said, nor how long
/// anything will take.
pub fn explain_as_kept(verdict: &Verdict, canary: &str, stable: &str) -> Vec<String> {
    in_words(&Words { verdict, canary, stable, goes_on: true, watched: false })
}

fn in_words(words: &Words<'_>) -> Vec<String> {
    let verdict = words.verdict;
    let mut lines = match verdict.state {
        State::Fail => words.failed(),
        State::Pass => words.passed(),
        State::Insufficient => words.undecided(),
    };
    lines.extend(words.totals());
    lines
}

pub(crate) struct Words<'a> {
    pub(crate) verdict: &'a Verdict,
    pub(crate) canary: &'a str,
    pub(crate) stable: &'a str,
    /// Whether the rollout is not over.
    pub(crate) goes_on: bool,
    /// Whether what happens just now is known.
    pub(crate) watched: bool,
}

impl Words<'_> {
    fn failed(&self) -> Vec<String> {
        let culprit = self.verdict.culprit;
        if let Some(spent) = self.verdict.spent.iter().find(|spent| Some(spent.guard) == culprit) {
            return self.spent(spent);
        }
        let (canary, against) = (self.canary, &self.verdict.against);
        let reason = self.report(culprit).map_or_else(|| self.compared(), |report| self.reason(report));
        let claim = match culprit {
            Some(Guard::MaxErrorRate | Guard::MaxP99) => format!("{canary} breaks this limit"),
            Some(Guard::Latency) => format!("{canary} is slower"),
            Some(Guard::FastLane) => format!("{canary} fails outright"),
            _ => format!("{canary} is worse"),
        };
        let route = self.route().filter(|_| matches!(culprit, Some(Guard::Errors | Guard::Latency)));
        let route = route.map_or(String::new(), |(route, _)| format!(" on route {route}"));
        let mut lines = vec![format!("{}: {reason}.", self.what_failed())];
        lines.extend(self.nobody_saw());
        if let Some(score) = &self.verdict.score {
            let (points, fail_below) = (significant(score.points), score.fail_below);
            lines.push(format!("{canary} has {points} points of 100; below {fail_below} it is taken out."));
        } else {
            let (have, need) = (odds(against.ln_e), odds(Some(against.ln_threshold)));
            lines.push(format!("The evidence that {claim}{route} is {have}; the threshold is {need}."));
        }
        lines.extend(self.counted().filter(|_| culprit != Some(Guard::Latency)));
        lines.extend(self.clumped());
        lines
    }

    /// What a failing verdict came to: nothing, where something else ended the rollout.
    fn what_failed(&self) -> &'static str {
        match (self.verdict.ended, self.goes_on) {
            (true, _) => "A guard had failed when it ended",
            (false, true) => "A guard has failed",
            (false, false) => "Rolled back",
        }
    }

    /// What copies mean for users.
    fn nobody_saw(&self) -> Option<String> {
        let canary = self.canary;
        self.verdict.is_of_copies.then(|| {
            format!("These were copies of requests in the mirror step. No user got an answer of {canary}.")
        })
    }

    /// How long something takes yet; nothing where the present rate is not known.
    pub(crate) fn left(&self, seconds: Option<u64>) -> String {
        at_this_rate(seconds.filter(|_| self.watched))
    }

    /// The same of a time that passes by itself.
    pub(crate) fn to_go(&self, seconds: u64) -> String {
        if self.watched { format!(": {} to go", duration(seconds)) } else { String::new() }
    }

    /// How far the step is that was judged, for people: its share, or of what share there are copies.
    fn at(&self) -> String {
        let step = &self.verdict.step;
        share_text(step.weight, step.mirror.unwrap_or(Weight::ZERO))
    }

    /// What the comparison of errors has counted, where that is not failed requests.
    fn counted(&self) -> Option<String> {
        let counted = self.verdict.counted?;
        let of = |trials: Trials| {
            let bad = significant(trials.bad as f64 / 1e3);
            format!("{bad} in {} requests", grouped(trials.requests))
        };
        Some(format!(
            "Failures are counted by their weights, and each failing client once where users stay with a version: that is {} of {} and {} of {} \
             in the last {}.",
            of(counted.canary),
            self.canary,
            of(counted.stable),
            self.stable,
            seconds(self.verdict.recent_seconds)
        ))
    }

    /// A bound on the cost needs no evidence.
    fn spent(&self, spent: &Spent) -> Vec<String> {
        let (canary, stable) = (self.canary, self.stable);
        let (cost, bound) = match spent.guard {
            Guard::AddedLatency => (
                format!(
                    "{canary} made its users wait {} longer in sum than {stable} would have",
                    millis(spent.spent as f64)
                ),
                millis(spent.bound as f64),
            ),
            _ => (format!("{canary} failed {} requests", grouped(spent.spent)), grouped(spent.bound)),
        };
        let counted = if spent.at_one_proxy { " at one proxy, which took it out" } else { "" };
        vec![
            format!("{}: {cost}{}; this rollout may cost at most {bound}.", self.what_failed(), counted),
            "That bound holds whatever the evidence says.".into(),
        ]
    }

    /// The route that shows it while others don't, with its failures of about the last minute.
    fn route(&self) -> Option<(&RouteName, Pair)> {
        let route = self.verdict.route.as_ref()?;
        let stratum = self.verdict.strata.iter().find(|stratum| stratum.route.as_ref() == Some(route))?;
        Some((route, stratum.recent))
    }

    fn clumped(&self) -> Option<String> {
        let (clump, stable) = (self.verdict.clump, self.stable);
        (clump > 1).then(|| {
            format!(
                "A slice of {stable} looked worse than the rest of it, so {clump} requests were taken for one proof: this traffic comes in clumps."
            )
        })
    }

    fn passed(&self) -> Vec<String> {
        let step = &self.verdict.step;
        let (weight, failures) = (self.at(), self.pair(step.failures));
        let seconds = duration(step.elapsed_ms / 1_000);
        // Only a step on the clock passes without a request, or without a proof that a policy could ask for.
        if step.failures.canary.requests == 0 {
            let canary = self.canary;
            return vec![format!(
                "The time at {weight} was over after {seconds}: {canary} had no request in this step, so nothing was judged."
            )];
        }
        let mut lines = vec![format!("Passed at {weight} after {seconds}: {failures} in this step.")];
        let asked = |proof: &Proof| proof.reached();
        if let Some(proof) = self.verdict.no_slower.filter(asked) {
            let (have, need) = (odds(proof.ln_e), odds(Some(proof.ln_threshold)));
            let canary = self.canary;
            lines.push(format!(
                "The proof that {canary} is no slower than is accepted is {have}; {need} was asked for."
            ));
        }
        if let Some(proof) = self.verdict.non_inferiority.filter(asked) {
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
        let (weight, failures) = (self.at(), self.pair(step.failures));
        let counted = step.failures.canary.requests > 0 || step.failures.stable.requests > 0;
        let counts =
            if counted { failures + " in this step" } else { "no request was counted in this step".into() };
        let mut lines = vec![if self.verdict.ended {
            format!("It ended at {weight} without a verdict of the judge: {counts}.")
        } else {
            format!("Not decided at {weight}: {counts}.")
        }];
        let of_now = |lack: &&Lacking| {
            matches!(lack, Lacking::NoCanaryTraffic { .. } | Lacking::NoStableTraffic { .. })
        };
        let lacking = self.verdict.lacking.iter().filter(|lack| self.watched || !of_now(lack));
        lines.extend(lacking.map(|lack| self.lack(lack)));
        lines.extend(self.advice());
        lines.extend(self.counted().filter(|_| !self.verdict.ended));
        lines.extend(self.clumped());
        lines
    }

    fn advice(&self) -> Option<String> {
        let canary = self.canary;
        match self.verdict.advice {
            Advice::Lower => Some(format!(
                "The evidence against {canary} mounts: its weight is halved until that is settled."
            )),
            Advice::Hold { .. } => Some("The weight does not rise until that is settled.".into()),
            Advice::Rollback | Advice::Continue | Advice::Promote => None,
        }
    }

    fn totals(&self) -> Vec<String> {
        let verdict = self.verdict;
        let mut lines = Vec::new();
        if verdict.seconds > verdict.recent_seconds {
            let since = duration(verdict.seconds);
            let whole =
                self.pair(Pair { canary: failures(&verdict.canary), stable: failures(&verdict.stable) });
            let began = if verdict.copies.is_some() { "its first users came" } else { "the rollout began" };
            lines.push(format!("Since {began} {since} ago: {whole}."));
        }
        if let Some(copies) = verdict.copies {
            let (copied, seconds) = (self.copied(copies.failures), duration(copies.seconds));
            lines.push(format!("Before it had a user, in {seconds} of copies: {copied}."));
        }
        if let Some(estimate) = verdict.ratio.estimate.filter(|_| verdict.canary.failed > 0) {
            let lower = significant(verdict.ratio.lower);
            let upper = verdict.ratio.upper.map_or("no upper end".into(), significant);
            lines.push(format!(
                "Over {} {} failed {} times as often as {} (95 % interval: {lower} to {upper}).",
                if verdict.is_of_copies { "all copies" } else { "the whole rollout" },
                self.canary,
                significant(estimate),
                self.stable
            ));
        }
        if let (Some(canary), Some(stable)) = (latency(&verdict.canary), latency(&verdict.stable)) {
            let over = match (verdict.is_of_copies, verdict.copies.is_some()) {
                (true, _) => "of copies and their requests, which is not judged",
                (_, true) => "since its first users came",
                _ => "over the whole rollout",
            };
            lines.push(format!(
                "Time to response headers {over}: {} {canary}; {} {stable}.",
                self.canary, self.stable
            ));
        }
        lines
    }

    pub(crate) fn report(&self, guard: Option<Guard>) -> Option<&GuardReport> {
        self.verdict.guards.iter().find(|report| Some(report.guard) == guard)
    }

    pub(crate) fn reason(&self, report: &GuardReport) -> String {
        let (canary, stable, seconds) = (self.canary, self.stable, seconds(self.verdict.recent_seconds));
        if let Some(limit) = &report.limit {
            let breach = self.breach(report, limit.recent);
            return format!("{breach} in the last {seconds}; the limit is {}", percent(limit.allowed));
        }
        if let Some(event) = &report.event {
            let (name, had, and) =
                (&event.event, share(event.recent.canary, " requests"), share(event.recent.stable, ""));
            return format!(
                "\"{name}\" came with {had} of {canary} and {and} of {stable} in the same {seconds}"
            );
        }
        if let Some(outage) = report.outage {
            return format!("{} just now", self.pair(outage));
        }
        match report.guard {
            Guard::Latency => self.slower(),
            _ => self.compared(),
        }
    }

    fn slower(&self) -> String {
        let (canary, stable) = (self.canary, self.stable);
        let lately = self.verdict.lately.as_ref();
        let lately = lately.and_then(|lately| {
            Some((seconds(lately.seconds), latency(&lately.canary)?, latency(&lately.stable)?))
        });
        match (self.route(), lately) {
            (None, Some((seconds, own, other))) => {
                format!("{canary} is slower ({own}) than {stable} ({other}) in the last {seconds}")
            }
            (Some((route, _)), Some((seconds, own, other))) => format!(
                "{canary} is slower than {stable} on route {route}; on all routes together it took {own} and {stable} {other} in the last {seconds}"
            ),
            (None, None) => format!("{canary} is slower than {stable}"),
            (Some((route, _)), None) => format!("{canary} is slower than {stable} on route {route}"),
        }
    }

    pub(crate) fn over_limit(&self, report: &GuardReport) -> String {
        let Some(limit) = &report.limit else { return self.compared() };
        let breach = self.breach(report, limit.step);
        format!("{breach}; the limit is {}, and its last minute must be within it", percent(limit.allowed))
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

    pub(crate) fn compared(&self) -> String {
        let (all, seconds) = (self.verdict.recent, seconds(self.verdict.recent_seconds));
        match self.route() {
            None => format!("{} in the same {seconds}", self.pair(all)),
            Some((route, own)) => format!(
                "on route {route}, {} in the same {seconds}; on all routes together it was {} and {}",
                self.pair(own),
                share(all.canary, ""),
                share(all.stable, "")
            ),
        }
    }

    /// Failed copies, and failed requests among those that were copied.
    fn copied(&self, pair: Pair) -> String {
        let (canary, stable) = (share(pair.canary, " copies"), share(pair.stable, ""));
        format!("{} failed {canary} while {} failed {stable} of the same requests", self.canary, self.stable)
    }

    pub(crate) fn pair(&self, pair: Pair) -> String {
        if self.verdict.is_of_copies {
            return self.copied(pair);
        }
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
