//! What keeps a step from passing, in words, with what would help.

use crate::{
    explain::Words,
    phrase::{duration, grouped, odds, percent, significant},
    verdict::Lacking,
};

impl Words<'_> {
    pub(crate) fn lack(&self, lack: &Lacking) -> String {
        let (canary, stable) = (self.canary, self.stable);
        match lack {
            Lacking::NoCanaryTraffic { seconds } if self.verdict.step.mirror.is_some() => {
                format!(
                    "{canary} had no copy to judge in the last {seconds} s: does {stable} get requests that are copied, and is {canary} \
                     ready?"
                )
            }
            Lacking::NoCanaryTraffic { seconds } => {
                format!("{canary} had no request to judge in the last {seconds} s: is traffic reaching it?")
            }
            Lacking::NoStableTraffic { seconds } => {
                format!(
                    "{stable} had no request in the last {seconds} s: there is nothing to compare {canary} with."
                )
            }
            Lacking::MinRequests { have, need, seconds } => {
                let (have, need, left) = (grouped(*have), grouped(*need), self.left(*seconds));
                format!("This step needs {need} requests of {canary} and had {have}{left}.")
            }
            Lacking::MinDuration { elapsed_ms, need_ms } => {
                let left = self.to_go(need_ms.saturating_sub(*elapsed_ms).div_ceil(1_000));
                format!("This step lasts at least {}{left}.", duration(need_ms.div_ceil(1_000)))
            }
            Lacking::NonInferiority { proof, requests, seconds } => {
                let (have, need) = (odds(proof.ln_e), odds(Some(proof.ln_threshold)));
                let left = match requests {
                    Some(requests) => format!(
                        ": about {} more requests of {canary} are needed{}",
                        significant(*requests as f64),
                        self.left(*seconds)
                    ),
                    // Without traffic there is nothing to foresee it from; that is said elsewhere.
                    None if self.verdict.canary.requests == 0 || self.verdict.stable.requests == 0 => {
                        String::new()
                    }
                    None if !self.watched => String::new(),
                    None => ": at the present error rates it will not come".into(),
                };
                format!(
                    "The proof that {canary} fails no more than is accepted is {have}, {need} is asked for{left}."
                )
            }
            Lacking::NoSlower { proof, requests, seconds } => {
                let (have, need) = (odds(proof.ln_e), odds(Some(proof.ln_threshold)));
                let left = requests.map_or(String::new(), |requests| {
                    let (requests, rate) = (significant(requests as f64), self.left(*seconds));
                    format!(": about {requests} more requests of {canary} are needed{rate}")
                });
                format!(
                    "The proof that {canary} is no slower than is accepted is {have}, {need} is asked for{left}."
                )
            }
            Lacking::Soak { have, need } => {
                let left = self.to_go(need.saturating_sub(*have));
                format!(
                    "A rollout is watched for at least {} before everything goes to {canary}{left}.",
                    duration(*need)
                )
            }
            Lacking::Score { score } => format!(
                "{canary} has {} points of 100; it may go on from {}, and is taken out below {}.",
                significant(score.points),
                score.pass_from,
                score.fail_below
            ),
            Lacking::ShareOff { share } => format!(
                "Held, please look: {canary} had {} of {} requests in the last minute, where {} was set. So something between the split and the requests is not as it should be, and who is compared with whom is not left to chance alone.",
                percent(share.seen),
                grouped(share.requests),
                percent(share.set)
            ),
            Lacking::Suspect { guard, ln_e } => {
                let reason = self.report(Some(*guard)).map_or_else(|| self.compared(), |r| self.reason(r));
                // One guard's own evidence is not what the threshold is for: its part of the sum is.
                let against = &self.verdict.against;
                let (own, all, need) =
                    (odds(Some(*ln_e)), odds(against.ln_e), odds(Some(against.ln_threshold)));
                format!(
                    "{canary} is suspect ({guard} by itself {own}; all guards together {all}, the threshold is {need}), so there is no step forward: {reason}."
                )
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
}
