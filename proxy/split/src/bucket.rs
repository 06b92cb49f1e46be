//! A stable key, or a number handed in, becomes a position between 0 and 100 %.
//!
//! The hash is XXH3-64, seeded by the service's name: the same user has independent positions in different
//! services, and the same position for one service on every proxy and after every restart. The position is
//! scaled by multiplication (`hash × whole ÷ 2⁶⁴`), which has none of the bias of a remainder.

use serin_config::percent::WHOLE_PPM;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// A position in parts per million, below 1 000 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u32);

/// Separates the positions of one service from those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt(u64);

impl Salt {
    /// The salt of a service.
    pub fn of_service(name: &str) -> Self {
        Self(xxh3_64(name.as_bytes()))
    }

    /// What a user's key is known by in the service.
    pub fn hash(self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.0)
    }
}

impl Bucket {
    /// The position of a user's key.
    pub fn of_key(key: &[u8], salt: Salt) -> Self {
        Self::of_random(salt.hash(key))
    }

    /// The position of a number that is uniform over all 64 bits.
    #[expect(clippy::cast_possible_truncation, reason = "the product shifted by 64 is below WHOLE_PPM")]
    pub fn of_random(random: u64) -> Self {
        Self(((u128::from(random) * u128::from(WHOLE_PPM)) >> 64) as u32)
    }

    /// The position in parts per million.
    pub fn ppm(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_reach_from_the_first_to_the_last() {
        assert_eq!(Bucket::of_random(0).ppm(), 0);
        assert_eq!(Bucket::of_random(u64::MAX).ppm(), WHOLE_PPM - 1);
        assert_eq!(Bucket::of_random(u64::MAX / 2 + 1).ppm(), WHOLE_PPM / 2);
    }

    #[test]
    fn a_key_keeps_its_position_for_ever() {
        // Written down once: a change of hash would move every user of every running canary.
        let salt = Salt::of_service("shop");
        let known: Vec<u32> = ["user-1", "user-2", "user-3"]
            .iter()
            .map(|key| Bucket::of_key(key.as_bytes(), salt).ppm())
            .collect();
        assert_eq!(known, KNOWN_POSITIONS);
    }

    const KNOWN_POSITIONS: [u32; 3] = [297_008, 352_066, 707_826];

    #[test]
    fn one_user_has_independent_positions_in_two_services() {
        let (a, b) = (Salt::of_service("a"), Salt::of_service("b"));
        let both_low = (0..10_000_u32)
            .filter(|i| {
                let key = i.to_be_bytes();
                Bucket::of_key(&key, a).ppm() < 100_000 && Bucket::of_key(&key, b).ppm() < 100_000
            })
            .count();
        // 1 % of 10 000, standard deviation 10.
        assert!((60..140).contains(&both_low), "{both_low}");
    }
}
