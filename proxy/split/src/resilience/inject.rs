//! Which requests an injected fault hits, and what it does to them.
//!
//! A fault stands in for the version: to the user, to the counts and to the judge it is the version that is
//! slow or wrong, since that is what a game day wants to see caught. It is set by hand, always ends by itself,
//! and hits a share of the requests that look as it says.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use serin_config::{RouteName, ServiceName, VersionName, Weight, percent::WHOLE_PPM};

/// A fault in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its number.
    pub id: u64,
    /// Whom it hits.
    pub target: Target,
    /// The share of those that it hits.
    pub share: Weight,
    /// What happens to them.
    pub effect: Effect,
    /// When it ends.
    pub ends: Instant,
}

/// Whom a fault hits: requests that are all of this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Target {
    /// To this service.
    pub service: Option<ServiceName>,
    /// To this version.
    pub version: Option<VersionName>,
    /// By this route.
    pub route: Option<RouteName>,
    /// With this header, and this value where one is given.
    pub header: Option<(HeaderName, Option<String>)>,
}

/// What happens to a request; each that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effect {
    /// It waits so long before it goes on.
    pub delay: Option<Duration>,
    /// It is answered with this status by Serin.
    pub abort: Option<u16>,
    /// Its answer's body comes at so many bytes a second.
    pub throttle: Option<u32>,
    /// No connection to an endpoint can be had, as if all that it may go to were down.
    pub down: bool,
}

impl Effect {
    /// Both together: the longer delay, the first abort, the slower throttle; down where one of them is.
    fn and(self, other: Self) -> Self {
        let throttle = match (self.throttle, other.throttle) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let (delay, abort) = (self.delay.max(other.delay), self.abort.or(other.abort));
        Self { delay, abort, throttle, down: self.down || other.down }
    }
}

/// A request, as faults see it.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The service that it goes to.
    pub service: &'a ServiceName,
    /// The version that was picked.
    pub version: &'a VersionName,
    /// The route that it came by.
    pub route: &'a RouteName,
    /// Its header.
    pub headers: &'a HeaderMap,
}

impl Target {
    fn takes(&self, seen: &Seen<'_>) -> bool {
        self.service.as_ref().is_none_or(|service| service == seen.service)
            && self.version.as_ref().is_none_or(|version| version == seen.version)
            && self.route.as_ref().is_none_or(|route| route == seen.route)
            && self.header.as_ref().is_none_or(|(name, value)| {
                let mut all = seen.headers.get_all(name).iter();
                all.any(|own| value.as_ref().is_none_or(|value| value.as_bytes() == own.as_bytes()))
            })
    }
}

/// What is to happen to a request at `now`; none for most. Each fault that takes it throws its own dice:
/// `random` is uniform over all 64 bits.
pub fn hit<'f>(
    faults: impl IntoIterator<Item = &'f Fault>,
    seen: &Seen<'_>,
    now: Instant,
    mut random: impl FnMut() -> u64,
) -> Option<Effect> {
    let mut effect = None::<Effect>;
    for fault in faults {
        if now < fault.ends && fault.target.takes(seen) && falls(fault.share, random()) {
            effect = Some(effect.unwrap_or_default().and(fault.effect));
        }
    }
    effect
}

fn falls(share: Weight, random: u64) -> bool {
    (u128::from(random) * u128::from(WHOLE_PPM)) >> 64 < u128::from(share.ppm())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(target: Target, share: &str, effect: Effect, ends: Instant) -> Fault {
        Fault { id: 1, target, share: share.parse().unwrap(), effect, ends }
    }

    fn seen(headers: &HeaderMap, test: impl FnOnce(&Seen<'_>)) {
        let (service, version) = (ServiceName::try_new("shop"), VersionName::try_new("v2"));
        let route = RouteName::try_new("api");
        test(&Seen {
            service: &service.unwrap(),
            version: &version.unwrap(),
            route: &route.unwrap(),
            headers,
        });
    }

    const ABORT: Effect = Effect { delay: None, abort: Some(503), throttle: None, down: false };

    #[test]
    fn a_fault_hits_what_is_all_that_it_says_and_nothing_else() {
        let headers = HeaderMap::from_iter([("x-test".parse().unwrap(), "yes".parse().unwrap())]);
        let (now, header) = (crate::test_start(), |value: Option<&str>| {
            Some((HeaderName::from_static("x-test"), value.map(str::to_owned)))
        });
        let ends = now + Duration::from_secs(1);
        seen(&headers, |seen| {
            let version = |name| VersionName::try_new(name).ok();
            for (target, hits) in [
                (Target::default(), true),
                (Target { version: version("v2"), ..Target::default() }, true),
                (Target { version: version("v1"), ..Target::default() }, false),
                (Target { route: RouteName::try_new("web").ok(), ..Target::default() }, false),
                (Target { service: ServiceName::try_new("shop").ok(), ..Target::default() }, true),
                (Target { header: header(None), ..Target::default() }, true),
                (Target { header: header(Some("yes")), ..Target::default() }, true),
                (Target { header: header(Some("no")), version: version("v2"), ..Target::default() }, false),
            ] {
                let fault = fault(target.clone(), "100%", ABORT, ends);
                assert_eq!(hit([&fault], seen, now, || 0).is_some(), hits, "{target:?}");
            }
        });
    }

    #[test]
    fn a_fault_that_has_ended_hits_nothing() {
        let now = crate::test_start();
        let fault = fault(Target::default(), "100%", ABORT, now);
        seen(&HeaderMap::new(), |seen| assert_eq!(hit([&fault], seen, now, || 0), None));
    }

    #[test]
    fn a_share_is_a_share() {
        let now = crate::test_start();
        let fault = fault(Target::default(), "25%", ABORT, now + Duration::from_secs(1));
        seen(&HeaderMap::new(), |seen| {
            let hits =
                (0..1_000_u64).filter(|i| hit([&fault], seen, now, || i * (u64::MAX / 1_000)).is_some());
            assert!(hits.count().abs_diff(250) <= 1);
        });
    }

    #[test]
    fn several_faults_add_up() {
        let now = crate::test_start();
        let ends = now + Duration::from_secs(1);
        let effect = |seconds, abort, throttle, down| Effect {
            delay: Some(Duration::from_secs(seconds)),
            abort,
            throttle: Some(throttle),
            down,
        };
        let (slow, slower) = (effect(1, None, 100, true), effect(2, Some(500), 10, false));
        let faults = [slow, slower].map(|effect| fault(Target::default(), "100%", effect, ends));
        seen(&HeaderMap::new(), |seen| {
            let expected = effect(2, Some(500), 10, true);
            assert_eq!(hit(&faults, seen, now, || 0), Some(expected));
        });
    }
}
