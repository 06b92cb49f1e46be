//! The key by which a ring keeps a request's endpoint.

use std::net::IpAddr;

use http::HeaderMap;
use serin_config::{Balance, Sticky};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{cookie, pick};

/// Another seed than that of buckets: with the same one, the users of a canary, who lie side by side among
/// the buckets, would lie side by side on the ring and all meet the same few endpoints.
const SEED: u64 = 0x7269_6e67;

/// Where on a ring a request belongs: by the header that the balance names, or else by what keeps its user on
/// a version. None if it carries no key, or the balance looks at none.
pub fn key(balance: &Balance, sticky: &Sticky, headers: &HeaderMap, client: IpAddr) -> Option<u64> {
    let Balance::RingHash { header } = balance else { return None };
    let hash = |key: &[u8]| xxh3_64_with_seed(key, SEED);
    if let Some(name) = header {
        return headers.get(name).map(|value| hash(value.as_bytes()));
    }
    match sticky {
        Sticky::Random => None,
        Sticky::Cookie(name) => cookie::value(headers, name).map(hash),
        Sticky::Header(name) => headers.get(name).map(|value| hash(value.as_bytes())),
        Sticky::ClientAddress => Some(pick::of_client(client, |bytes| hash(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn headers() -> HeaderMap {
        let pairs = [("cookie", "a=1; user=anna"), ("x-user", "anna")];
        HeaderMap::from_iter(pairs.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())))
    }

    #[test]
    fn the_key_is_the_named_header_or_what_the_service_is_sticky_by() {
        let ring = |header: Option<&str>| Balance::RingHash { header: header.map(Into::into) };
        let cookie = Sticky::Cookie("user".into());
        let by_header = key(&ring(Some("x-user")), &Sticky::Random, &headers(), CLIENT);
        assert!(by_header.is_some());
        assert_eq!(key(&ring(None), &cookie, &headers(), CLIENT), by_header);
        assert_eq!(key(&ring(Some("x-other")), &cookie, &headers(), CLIENT), None);
        assert!(key(&ring(None), &Sticky::ClientAddress, &headers(), CLIENT).is_some());
        assert_eq!(key(&ring(None), &Sticky::Random, &headers(), CLIENT), None);
        assert_eq!(key(&Balance::P2c, &cookie, &headers(), CLIENT), None);
    }
}
