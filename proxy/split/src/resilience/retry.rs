//! Whether a failed attempt is made again, and after how long.
//!
//! A request that an endpoint may have begun to work on is sent again only if its method is idempotent, which
//! promises that twice is the same as once (RFC 9110, 9.2.2). One that no endpoint can have seen is sent again
//! whatever it is. Either way all of it must still be there: the head as it was, and the body if it was kept.
//!
//! Retries multiply load when there is least to spare, so three things bound them: the number of attempts, a
//! budget that is a share of what is in flight anyway, and a wait with full jitter, which spreads those that
//! failed together over the whole interval.

use std::time::Duration;

use http::{HeaderMap, header::RETRY_AFTER};
use serin_config::{
    Outcome, Weight,
    percent::WHOLE_PPM,
    resilience::{Retries, RetryOn, RetrySet},
};

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// Without an answer.
    Without(Outcome),
    /// The connection ended before a byte of the request was written to it.
    Unsent,
    /// The endpoint said that it did not take the request.
    Refused,
    /// With an answer of this status.
    Status(u16),
    /// With a gRPC answer of this status that has no message.
    Grpc(u8),
}

impl Failed {
    /// Under which of the conditions of the file this falls.
    fn conditions(self) -> RetrySet {
        use RetryOn as On;
        let server_error = |on| RetrySet::of([On::Http5xx].into_iter().chain(on));
        match self {
            Self::Without(Outcome::ConnectFail) => RetrySet::of([On::ConnectFail]),
            Self::Without(Outcome::ConnectTimeout) => RetrySet::of([On::ConnectTimeout]),
            Self::Without(Outcome::TlsFail) => RetrySet::of([On::TlsFail]),
            Self::Without(Outcome::ResetBeforeHeaders) => RetrySet::of([On::ResetBeforeHeaders]),
            Self::Without(Outcome::HeaderTimeout) => RetrySet::of([On::HeaderTimeout]),
            Self::Unsent => RetrySet::of([On::Unsent]),
            Self::Refused => RetrySet::of([On::RefusedStream]),
            Self::Status(429) => RetrySet::of([On::Http429]),
            Self::Status(502) => server_error(Some(On::Http502)),
            Self::Status(503) => server_error(Some(On::Http503)),
            Self::Status(504) => server_error(Some(On::Http504)),
            Self::Status(500..) => server_error(None),
            Self::Grpc(14) => RetrySet::of([On::GrpcUnavailable]),
            Self::Grpc(8) => RetrySet::of([On::GrpcResourceExhausted]),
            Self::Without(_) | Self::Status(_) | Self::Grpc(_) => RetrySet::default(),
        }
    }

    /// Whether no endpoint can have begun to work on the request.
    fn is_unprocessed(self) -> bool {
        match self {
            Self::Unsent | Self::Refused => true,
            Self::Without(outcome) => matches!(
                outcome,
                Outcome::ConnectFail
                    | Outcome::ConnectTimeout
                    | Outcome::TlsFail
                    | Outcome::OverloadLocal
                    | Outcome::NoEndpoint
            ),
            Self::Status(_) | Self::Grpc(_) => false,
        }
    }

    /// Whether the stable version may rescue such a request of the canary: whatever the canary can be charged
    /// with, and what it had no room for.
    pub fn is_rescuable(self) -> bool {
        match self {
            Self::Unsent | Self::Refused => true,
            Self::Without(outcome) => {
                (outcome.is_failure() && outcome != Outcome::TotalTimeout)
                    || outcome == Outcome::OverloadLocal
            }
            Self::Status(status) => status >= 500,
            Self::Grpc(code) => matches!(code, 2 | 4 | 8 | 12 | 13 | 14 | 15),
        }
    }
}

/// What is left of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// Its method is idempotent.
    pub idempotent: bool,
    /// Head and body are there to be sent once more, from their beginning.
    pub whole: bool,
}

impl Remains {
    /// Whether it may be sent once more after such a failure.
    pub fn may_go_again(self, failed: Failed) -> bool {
        self.whole && (self.idempotent || failed.is_unprocessed())
    }
}

/// How long the endpoint asks to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It does not say.
    Nothing,
    /// So long.
    Wait(Duration),
    /// For ever, or in a way that is longer than any retry waits.
    Never,
}

/// Reads `grpc-retry-pushback-ms` and `retry-after`. A pushback that is negative or no number forbids a retry
/// (gRPC proposal A6). A date counts whole seconds, which is longer than a retry waits, so it forbids too.
pub fn asked(headers: &HeaderMap) -> Asked {
    if let Some(value) = headers.get("grpc-retry-pushback-ms") {
        let milliseconds = value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
        return milliseconds.map_or(Asked::Never, |ms| Asked::Wait(Duration::from_millis(ms)));
    }
    let Some(value) = headers.get(RETRY_AFTER) else { return Asked::Nothing };
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<u32>().ok());
    seconds.map_or(Asked::Never, |seconds| Asked::Wait(Duration::from_secs(seconds.into())))
}

/// How long to wait before the attempt after `made` of them; none if there shall be no further one. `left` is
/// what the request's deadline leaves, `random` is uniform over all 64 bits. The budget is asked apart:
/// [`within_budget`].
pub fn next(
    policy: &Retries,
    made: u32,
    failed: Failed,
    remains: Remains,
    asked: Asked,
    left: Option<Duration>,
    random: u64,
) -> Option<Duration> {
    let wanted = failed.conditions();
    let listed = RetryOn::ALL.iter().any(|(_, on)| wanted.has(*on) && policy.on.has(*on));
    if made > policy.attempts || !listed || !remains.may_go_again(failed) {
        return None;
    }
    let own = backoff(policy, made, random);
    let wait = match asked {
        Asked::Nothing => own,
        Asked::Wait(asked) if asked <= policy.max_backoff => own.max(asked),
        Asked::Wait(_) | Asked::Never => return None,
    };
    left.is_none_or(|left| wait < left).then_some(wait)
}

/// Full jitter: uniform between nothing and a bound that doubles with each attempt, up to the longest.
fn backoff(policy: &Retries, made: u32, random: u64) -> Duration {
    let doubled =
        policy.backoff.saturating_mul(1_u32.checked_shl(made.saturating_sub(1)).unwrap_or(u32::MAX));
    let bound = u64::try_from(doubled.min(policy.max_backoff).as_micros()).unwrap_or(u64::MAX);
    let scaled = (u128::from(random) * (u128::from(bound) + 1)) >> 64;
    Duration::from_micros(u64::try_from(scaled).unwrap_or(bound))
}

/// Whether one more retry may be in flight, beside `retrying` others and among `active` requests.
pub fn within_budget(budget: Weight, floor: u32, active: usize, retrying: usize) -> bool {
    let share = active as u128 * u128::from(budget.ppm()) / u128::from(WHOLE_PPM);
    (retrying as u128) < share.max(floor.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> Retries {
        Retries { attempts: 3, on: RetrySet::of(RetryOn::ALL.map(|(_, on)| on)), ..Retries::default() }
    }

    const GET: Remains = Remains { idempotent: true, whole: true };
    const POST: Remains = Remains { idempotent: false, whole: true };
    const STREAMED: Remains = Remains { idempotent: true, whole: false };

    const EVERY: [Failed; 12] = [
        Failed::Without(Outcome::ConnectFail),
        Failed::Without(Outcome::ConnectTimeout),
        Failed::Without(Outcome::TlsFail),
        Failed::Without(Outcome::ResetBeforeHeaders),
        Failed::Without(Outcome::HeaderTimeout),
        Failed::Without(Outcome::ProtocolError),
        Failed::Unsent,
        Failed::Refused,
        Failed::Status(429),
        Failed::Status(500),
        Failed::Status(503),
        Failed::Grpc(14),
    ];

    fn goes(policy: &Retries, failed: Failed, remains: Remains) -> bool {
        next(policy, 1, failed, remains, Asked::Nothing, None, 7).is_some()
    }

    #[test]
    fn by_default_only_what_no_endpoint_saw_is_tried_again_and_that_for_every_method() {
        for failed in EVERY {
            let unseen = matches!(
                failed,
                Failed::Without(Outcome::ConnectFail | Outcome::ConnectTimeout)
                    | Failed::Unsent
                    | Failed::Refused
            );
            assert_eq!(goes(&Retries::default(), failed, GET), unseen, "{failed:?}");
            assert_eq!(goes(&Retries::default(), failed, POST), unseen, "{failed:?}");
        }
    }

    #[test]
    fn whatever_the_file_says_a_request_that_was_seen_and_is_not_idempotent_never_goes_again() {
        for failed in EVERY {
            assert_eq!(goes(&all(), failed, POST), failed.is_unprocessed(), "{failed:?}");
            assert!(!goes(&all(), failed, STREAMED), "{failed:?}");
            let expected = failed != Failed::Without(Outcome::ProtocolError);
            assert_eq!(goes(&all(), failed, GET), expected, "{failed:?}");
        }
        assert!(!goes(&all(), Failed::Status(404), GET) && !goes(&all(), Failed::Grpc(5), GET));
    }

    #[test]
    fn a_listed_status_is_tried_again_and_others_are_not() {
        let policy = Retries { on: RetrySet::of([RetryOn::Http503]), ..all() };
        assert!(goes(&policy, Failed::Status(503), GET));
        assert!(!goes(&policy, Failed::Status(500), GET) && !goes(&policy, Failed::Status(502), GET));
    }

    #[test]
    fn attempts_end() {
        let at = |made| next(&all(), made, Failed::Unsent, GET, Asked::Nothing, None, 0).is_some();
        assert!(at(1) && at(3) && !at(4));
    }

    #[test]
    fn an_endpoint_that_asks_for_patience_is_obeyed() {
        let wait = |asked| next(&all(), 1, Failed::Status(503), GET, asked, None, 0);
        assert_eq!(wait(Asked::Wait(Duration::from_millis(200))), Some(Duration::from_millis(200)));
        assert_eq!(wait(Asked::Wait(Duration::from_secs(1))), None);
        assert_eq!(wait(Asked::Never), None);
    }

    #[test]
    fn patience_is_read_in_both_forms() {
        let with = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
        };
        assert_eq!(asked(&HeaderMap::new()), Asked::Nothing);
        assert_eq!(asked(&with("retry-after", "0")), Asked::Wait(Duration::ZERO));
        assert_eq!(asked(&with("retry-after", "Fri, 31 Dec 2027 23:59:59 GMT")), Asked::Never);
        let pushback = |value| asked(&with("grpc-retry-pushback-ms", value));
        assert_eq!(pushback("150"), Asked::Wait(Duration::from_millis(150)));
        assert_eq!(pushback("-1"), Asked::Never);
    }

    #[test]
    fn what_would_come_too_late_is_not_tried() {
        let wait = |left| next(&all(), 1, Failed::Unsent, GET, Asked::Nothing, Some(left), u64::MAX);
        assert_eq!(wait(Duration::from_millis(25)), None);
        assert_eq!(wait(Duration::from_millis(26)), Some(Duration::from_millis(25)));
    }

    #[test]
    fn the_budget_is_a_share_with_a_floor() {
        let fifth = Weight::from_ppm(200_000).unwrap();
        assert!(within_budget(fifth, 3, 0, 2) && !within_budget(fifth, 3, 0, 3));
        assert!(within_budget(fifth, 3, 100, 19) && !within_budget(fifth, 3, 100, 20));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_bound(made in 1_u32..40, random: u64) {
            let policy = Retries::default();
            let bound = Duration::from_millis((25_u64 << (made - 1).min(8)).min(250));
            prop_assert!(backoff(&policy, made, random) <= bound);
            prop_assert_eq!(backoff(&policy, made, u64::MAX), bound);
            prop_assert_eq!(backoff(&policy, made, 0), Duration::ZERO);
        }

        #[test]
        fn the_budget_never_lets_retries_outgrow_their_share(active in 0_usize..100_000, ppm in 0_u32..=1_000_000, floor in 0_u32..100) {
            let budget = Weight::from_ppm(ppm).unwrap();
            let mut retrying = 0;
            while within_budget(budget, floor, active, retrying) {
                retrying += 1;
            }
            let share = (active as u64 * u64::from(ppm) / 1_000_000).max(floor.into());
            prop_assert_eq!(retrying as u64, share);
        }
    }
}
