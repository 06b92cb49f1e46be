//! A ring on which each endpoint has many points, and a key belongs to the first point after it.
//!
//! When an endpoint goes, its keys go to the next points, which are spread over all the others; every other
//! key stays. The points depend on the endpoint's address alone, so every worker and every proxy has the same
//! ring, and an endpoint that comes back gets its keys back. Adding one moves about one key in n.
//!
//! The ring holds the endpoints that are not ready too: a key of theirs walks on to the next that is.

use serin_config::limits::RING_POINTS;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The points of all endpoints of a version, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// Where a point lies, and the position of its endpoint.
    points: Vec<(u64, u32)>,
}

impl Ring {
    /// The ring of endpoints with these addresses, in this order.
    pub fn new(addresses: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut points = Vec::new();
        for (at, address) in (0_u32..).zip(addresses) {
            let seed = xxh3_64(address.as_ref());
            let numbers = 0..RING_POINTS as u64;
            points.extend(numbers.map(|number| (xxh3_64_with_seed(&number.to_le_bytes(), seed), at)));
        }
        points.sort_unstable();
        Self { points }
    }

    /// The position of the endpoint that owns a key: that of the first point from the key on whose endpoint
    /// is `fit`; none if none is.
    pub fn owner(&self, key: u64, fit: impl Fn(u32) -> bool) -> Option<u32> {
        let from = self.points.partition_point(|(place, _)| *place < key);
        let (before, after) = self.points.split_at(from);
        after.iter().chain(before).map(|(_, at)| *at).find(|at| fit(*at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::draw::mixed, *};

    fn names(count: u32) -> Vec<String> {
        (0..count).map(|host| format!("10.0.0.{host}:80")).collect()
    }

    fn owner<'n>(names: &'n [String], ring: &Ring, key: u64) -> &'n str {
        &names[ring.owner(key, |_| true).unwrap() as usize]
    }

    #[test]
    fn each_endpoint_owns_about_its_share_of_the_keys() {
        let names = names(10);
        let ring = Ring::new(&names);
        let mut owned = [0_u32; 10];
        for key in 0..100_000 {
            owned[ring.owner(mixed(key), |_| true).unwrap() as usize] += 1;
        }
        assert!(owned.iter().all(|keys| (6_500..14_000).contains(keys)), "{owned:?}");
    }

    #[test]
    fn one_endpoint_less_moves_its_own_keys_and_no_others() {
        let all = names(10);
        let ring = Ring::new(&all);
        for gone in 0..10 {
            let mut left = all.clone();
            left.remove(gone);
            let smaller = Ring::new(&left);
            let mut moved = 0;
            for key in (0..10_000).map(mixed) {
                let (before, after) = (owner(&all, &ring, key), owner(&left, &smaller, key));
                assert!(before == after || before == all[gone]);
                moved += u32::from(before != after);
            }
            assert!((600..1_450).contains(&moved), "{moved}");
        }
    }

    #[test]
    fn a_ring_without_endpoints_owns_nothing() {
        assert_eq!(Ring::new(Vec::<String>::new()).owner(1, |_| true), None);
    }

    proptest! {
        #[test]
        fn an_endpoint_that_is_not_ready_is_walked_past_as_if_it_were_gone(
            count in 2_u32..20, unready in 0_u32..20, key: u64
        ) {
            let unready = unready % count;
            let all = names(count);
            let mut left = all.clone();
            left.remove(unready as usize);
            let walked = Ring::new(&all).owner(key, |at| at != unready).unwrap();
            prop_assert_eq!(&all[walked as usize], owner(&left, &Ring::new(&left), key));
        }

        #[test]
        fn the_order_of_the_endpoints_does_not_matter(count in 1_u32..20, turn in 0_usize..20, key: u64) {
            let all = names(count);
            let mut turned = all.clone();
            turned.rotate_left(turn % count as usize);
            prop_assert_eq!(owner(&all, &Ring::new(&all), key), owner(&turned, &Ring::new(&turned), key));
        }
    }
}
