//! When a canary must be taken out at once, without waiting for a verdict.
//!
//! A verdict weighs evidence over seconds, and needs a control plane. Some things need neither: a canary that
//! can't be reached, one that gets nothing done in time, and one that has cost as much as anybody was willing to
//! lose, in failed requests or in time. Counting those is the shell's, by [`signal`] and
//! [`Added`](super::added::Added). One more is harder to see: a canary that
//! hangs gives no sign at all until a timeout comes, and while it is waited for it fills its bulkhead. That is
//! what [`Silence`] looks for.
//!
//! A hang must not be mistaken for slow work. The measure is the stable version, which serves requests drawn
//! from the same users by chance: if so many of the canary's have waited longer than *every* recent answer of
//! the stable version took, doubled, chance is no explanation (were both alike, ten of them would be the ten
//! slowest of thirty once in thirty million).

use std::{
    fmt,
    time::{Duration, Instant},
};

use serin_config::{Outcome, duration, resilience::Hang, wire::TripCause};

/// What an ended attempt says of whether its version can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It found no connection.
    Unreachable,
    /// It was not answered in time.
    Late,
    /// An endpoint answered, well or not.
    Answered,
    /// Nothing: the client went away, or the version was not asked.
    Nothing,
}

/// Reads an attempt that ended with `outcome`; `headed` if the answer's head had come.
pub fn signal(outcome: Outcome, headed: bool) -> Signal {
    match outcome {
        Outcome::ConnectFail | Outcome::ConnectTimeout | Outcome::TlsFail | Outcome::NoEndpoint => {
            Signal::Unreachable
        }
        _ if headed => Signal::Answered,
        Outcome::HeaderTimeout | Outcome::TotalTimeout => Signal::Late,
        Outcome::ClientCancel | Outcome::OverloadLocal => Signal::Nothing,
        _ => Signal::Answered,
    }
}

/// Why a canary was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// So many attempts in a row found no connection.
    Unreachable(u32),
    /// So many attempts in a row were not answered in time.
    Late(u32),
    /// So many requests failed.
    Failed(u64),
    /// So many requests wait, and none was answered for so long.
    Silent(u64, Duration),
    /// So much time was added to its users' requests.
    Slow(Duration),
}

impl Reason {
    /// The label in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unreachable(_) => "connect_failures",
            Self::Late(_) => "timeouts",
            Self::Failed(_) => "failed_requests",
            Self::Silent(..) => "hang",
            Self::Slow(_) => "added_latency",
        }
    }

    /// Whether that is a fault, or a bound that is spent.
    pub const fn cause(self) -> TripCause {
        match self {
            Self::Unreachable(_) | Self::Late(_) | Self::Silent(..) => TripCause::Fault,
            Self::Failed(_) => TripCause::FailedRequests,
            Self::Slow(_) => TripCause::AddedLatency,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(n) => write!(f, "{n} attempts in a row found no connection"),
            Self::Late(n) => write!(f, "{n} attempts in a row got no answer in time"),
            Self::Failed(n) => write!(f, "it failed {n} requests, as many as it may"),
            Self::Slow(time) => {
                let whole = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
                write!(f, "it added {} to its users' requests, as much as it may", duration::show(whole))
            }
            Self::Silent(n, time) => {
                write!(f, "{n} requests wait, and none was answered for {}", duration::show(*time))
            }
        }
    }
}

/// The stable version's last half minute, or about that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reference {
    /// Answers that began.
    pub answers: u64,
    /// The longest that one of them took to begin.
    pub slowest: Duration,
}

/// Fewer answers of the stable version are no measure.
const REFERENCE_LEAST: u64 = 20;

/// Watches one canary for a hang.
#[derive(Debug, Clone, Default)]
pub struct Silence {
    answers: u64,
    since: Option<Instant>,
}

impl Silence {
    /// Looks at `now`: `waiting` of the canary's requests have no answer yet, and `answers` have begun since
    /// the start. Called several times a second.
    pub fn look(
        &mut self,
        policy: &Hang,
        now: Instant,
        (waiting, answers): (u64, u64),
        stable: Reference,
    ) -> Option<Reason> {
        if answers != self.answers || waiting < policy.requests {
            self.answers = answers;
            self.since = None;
            return None;
        }
        let silent = now.saturating_duration_since(*self.since.get_or_insert(now));
        let due = policy.silence.max(stable.slowest * 2);
        let hangs = stable.answers >= REFERENCE_LEAST && silent >= due;
        hangs.then_some(Reason::Silent(waiting, silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Hang = Hang { requests: 10, silence: Duration::from_secs(2) };
    const QUICK: Reference = Reference { answers: 500, slowest: Duration::from_millis(80) };

    /// Looks every 100 ms for `seconds` at what `at` shows; when it trips.
    fn watch(
        seconds: u64,
        stable: Reference,
        mut at: impl FnMut(u64) -> (u64, u64),
    ) -> Option<(Duration, Reason)> {
        let (mut silence, start) = (Silence::default(), crate::test_start());
        (0..seconds * 10).find_map(|i| {
            let passed = Duration::from_millis(i * 100);
            silence.look(&POLICY, start + passed, at(i * 100), stable).map(|reason| (passed, reason))
        })
    }

    #[test]
    fn a_canary_that_never_answers_is_taken_out_after_the_silence() {
        // Ten requests a second arrive, and none is answered.
        let (at, reason) = watch(10, QUICK, |ms| (ms / 100, 0)).unwrap();
        assert_eq!(at, Duration::from_secs(3), "ten wait after a second, and two seconds of silence follow");
        assert_eq!(reason, Reason::Silent(30, Duration::from_secs(2)));
        assert_eq!(reason.to_string(), "30 requests wait, and none was answered for 2s");
    }

    #[test]
    fn one_answer_now_and_then_is_no_hang() {
        assert_eq!(watch(60, QUICK, |ms| (100, ms / 1_900)), None);
    }

    #[test]
    fn few_waiting_requests_are_no_hang() {
        assert_eq!(watch(60, QUICK, |_| (9, 3)), None);
    }

    #[test]
    fn a_service_that_is_always_slow_is_not_taken_for_one_that_hangs() {
        let polls = Reference { answers: 500, slowest: Duration::from_secs(30) };
        assert_eq!(watch(59, polls, |_| (50, 0)), None);
        assert!(watch(61, polls, |_| (50, 0)).is_some());
    }

    #[test]
    fn where_the_stable_version_is_silent_too_the_canary_is_not_to_blame() {
        let silent = Reference { answers: 19, slowest: Duration::from_millis(1) };
        assert_eq!(watch(60, silent, |_| (50, 0)), None);
    }

    #[test]
    fn what_ends_without_a_connection_or_in_time_is_told_apart_from_answers() {
        assert_eq!(signal(Outcome::ConnectFail, false), Signal::Unreachable);
        assert_eq!(signal(Outcome::HeaderTimeout, false), Signal::Late);
        assert_eq!(signal(Outcome::TotalTimeout, false), Signal::Late);
        assert_eq!(signal(Outcome::TotalTimeout, true), Signal::Answered);
        assert_eq!(signal(Outcome::ClientCancel, false), Signal::Nothing);
        assert_eq!(signal(Outcome::OverloadLocal, false), Signal::Nothing);
        for outcome in [Outcome::Ok, Outcome::Http5xx, Outcome::ResetMidBody] {
            assert_eq!(signal(outcome, true), Signal::Answered);
        }
        assert_eq!(signal(Outcome::ResetBeforeHeaders, false), Signal::Answered);
    }
}
