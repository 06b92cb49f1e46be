//! Which version a request goes to, and why.

use std::net::IpAddr;

use http::HeaderMap;
use serin_config::{Sticky, service::Service, steer::OverrideKey};

use crate::{
    bucket::{Bucket, Salt},
    cookie,
    table::Table,
};

/// A version, and what chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// The position in `service.versions`.
    pub version: usize,
    /// What chose it.
    pub reason: Reason,
    /// The hash of the user's key, where that chose.
    pub key: Option<u64>,
}

/// What chose a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// All traffic goes there.
    Whole,
    /// The user's key.
    Key,
    /// The random number: the service is not sticky, or the request has no key.
    Random,
    /// The request itself, by an override: it has no part in the split, and none in the comparison of versions.
    Pinned,
}

/// Picks what an override says; else by the service's sticky key, or by `random` (uniform over all 64 bits) where
/// there is none.
pub fn pick(
    service: &Service,
    table: &Table,
    salt: Salt,
    headers: &HeaderMap,
    client: IpAddr,
    random: u64,
) -> Pick {
    if let Some(version) = pinned(service, headers) {
        return Pick { version, reason: Reason::Pinned, key: None };
    }
    if let Some(version) = table.single() {
        return Pick { version, reason: Reason::Whole, key: None };
    }
    let key = match &service.sticky {
        Sticky::Random => None,
        Sticky::Cookie(name) => cookie::value(headers, name).map(|value| salt.hash(value)),
        Sticky::Header(name) => headers.get(name).map(|value| salt.hash(value.as_bytes())),
        Sticky::ClientAddress => Some(client_hash(client, salt)),
    };
    let reason = if key.is_some() { Reason::Key } else { Reason::Random };
    Pick { version: table.version(Bucket::of_random(key.unwrap_or(random))), reason, key }
}

/// The version that the first override that fits pins to. One whose value names no version does not fit.
fn pinned(service: &Service, headers: &HeaderMap) -> Option<usize> {
    service.overrides.iter().find_map(|pin| {
        let given = match &pin.key {
            OverrideKey::Header(name) => headers.get(name)?.as_bytes(),
            OverrideKey::Cookie(name) => cookie::value(headers, name)?,
        };
        if pin.value.as_ref().is_some_and(|wanted| wanted.as_bytes() != given) {
            return None;
        }
        let wanted = pin.version.as_ref().map_or(given, |version| version.as_str().as_bytes());
        service.versions.iter().position(|version| version.name.as_str().as_bytes() == wanted)
    })
}

fn client_hash(client: IpAddr, salt: Salt) -> u64 {
    of_client(client, |bytes| salt.hash(bytes))
}

/// What is made of the part of a client's address that stays with it.
pub(crate) fn of_client<T>(client: IpAddr, make: impl FnOnce(&[u8]) -> T) -> T {
    match client.to_canonical() {
        IpAddr::V4(v4) => make(&v4.octets()),
        // A household or host owns a /64 and moves within it (RFC 8981).
        IpAddr::V6(v6) => make(&v6.octets()[..8]),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use serin_config::{ServiceName, Split, Version, VersionName, Weight};

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn service(sticky: Sticky) -> Service {
        let name = |name: &str| VersionName::try_new(name).unwrap();
        let version = |text: &str| Version::new(name(text), vec!["127.0.0.1:1".parse().unwrap()]);
        let versions = vec![version("stable"), version("canary")];
        Service {
            canary: Some(name("canary")),
            sticky,
            ..Service::new(ServiceName::try_new("shop").unwrap(), versions, name("stable"))
        }
    }

    fn table(service: &Service, canary_ppm: u32) -> Table {
        let canary = service.canary.clone().unwrap();
        let weight = Weight::from_ppm(canary_ppm).unwrap();
        Table::new(service, &Split::canary_and_stable(canary, weight, service.stable.clone()))
    }

    /// A seeded generator of test keys (SplitMix64).
    fn mix(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn raising_the_weight_keeps_everybody_who_was_on_the_canary() {
        let service = service(Sticky::Header("x-user".into()));
        let (five, ten) = (table(&service, 50_000), table(&service, 100_000));
        let salt = Salt::of_service("shop");
        let (mut at_five, mut at_ten) = (0_u32, 0_u32);
        for user in 0..1_000_000_u32 {
            let bucket = Bucket::of_key(&user.to_be_bytes(), salt);
            let (before, after) = (five.version(bucket), ten.version(bucket));
            assert!(before == 0 || after == 1, "user {user} left the canary");
            at_five += u32::from(before == 1);
            at_ten += u32::from(after == 1);
        }
        // Standard deviations 218 and 300.
        assert!(at_five.abs_diff(50_000) < 900 && at_ten.abs_diff(100_000) < 1_200, "{at_five} {at_ten}");
    }

    #[test]
    fn random_picks_follow_the_weights() {
        let service = service(Sticky::Random);
        let table = table(&service, 100_000);
        let mut state = 42;
        let on_canary = (0..1_000_000)
            .filter(|_| {
                let random = mix(&mut state);
                pick(&service, &table, Salt::of_service("shop"), &HeaderMap::new(), CLIENT, random).version
                    == 1
            })
            .count();
        assert!(on_canary.abs_diff(100_000) < 1_200, "{on_canary}");
    }

    #[test]
    fn a_user_is_known_by_one_hash_wherever_the_split_stands() {
        let service = service(Sticky::Cookie("uid".into()));
        let salt = Salt::of_service("shop");
        let of = |user: &str, ppm| {
            let headers = HeaderMap::from_iter([(http::header::COOKIE, user.parse().unwrap())]);
            pick(&service, &table(&service, ppm), salt, &headers, CLIENT, 7)
        };
        let ann = of("uid=ann", 10_000);
        assert_eq!((ann.reason, ann.key), (Reason::Key, of("uid=ann", 500_000).key));
        assert_ne!(ann.key, of("uid=bob", 10_000).key);
        assert_eq!(ann.version, table(&service, 10_000).version(Bucket::of_key(b"ann", salt)));
    }

    #[test]
    fn a_request_without_its_key_is_split_at_random() {
        let service = service(Sticky::Cookie("uid".into()));
        let table = table(&service, 500_000);
        let at = |random| pick(&service, &table, Salt::of_service("shop"), &HeaderMap::new(), CLIENT, random);
        assert_eq!(at(0), Pick { version: 1, reason: Reason::Random, key: None });
        assert_eq!(at(u64::MAX), Pick { version: 0, reason: Reason::Random, key: None });
    }

    #[test]
    fn weight_zero_gets_nothing_and_the_whole_gets_everything() {
        let service = service(Sticky::Random);
        for (ppm, version) in [(0, 0), (1_000_000, 1)] {
            let table = table(&service, ppm);
            assert_eq!(table.single(), Some(version));
            assert_eq!(table.version(Bucket::of_random(0)), version);
            assert_eq!(table.version(Bucket::of_random(u64::MAX)), version);
        }
    }

    #[test]
    fn an_ipv6_client_keeps_its_version_within_its_network() {
        let salt = Salt::of_service("shop");
        let host = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, last));
        assert_eq!(client_hash(host(1), salt), client_hash(host(2), salt));
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
        assert_eq!(client_hash(mapped, salt), client_hash(CLIENT, salt));
    }

    #[test]
    fn an_override_goes_before_the_split_and_one_that_names_no_version_does_nothing() {
        use serin_config::steer::Override;
        let mut service = service(Sticky::Random);
        let canary = service.canary.clone();
        service.overrides = vec![
            Override { key: OverrideKey::Header("x-version".into()), value: None, version: None },
            Override { key: OverrideKey::Cookie("beta".into()), value: Some("1".into()), version: canary },
        ];
        let table = table(&service, 0);
        let pick = |headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            pick(&service, &table, Salt::of_service("shop"), &headers.collect(), CLIENT, 0)
        };
        let pinned = |version| Pick { version, reason: Reason::Pinned, key: None };
        assert_eq!(pick(&[("x-version", "canary")]), pinned(1));
        assert_eq!(pick(&[("x-version", "stable")]), pinned(0));
        assert_eq!(pick(&[("cookie", "a=1; beta=1")]), pinned(1));
        assert_eq!(pick(&[("x-version", "v9"), ("cookie", "beta=1")]), pinned(1));
        for headers in [&[][..], &[("x-version", "v9")], &[("cookie", "beta=0")]] {
            assert_eq!(pick(headers), Pick { version: 0, reason: Reason::Whole, key: None });
        }
    }
}
