//! How old a connection may get. Connections that began together, after a restart say, must not all end
//! together, so each gets an age of its own.

use std::time::Duration;

/// Parts of the age by which it is shortened or lengthened at most: 10 %.
const SPREAD: u128 = 10;

/// The age for one connection, uniform between 90 % and 110 % of `age`. `random` is uniform over all its values.
pub fn jittered(age: Duration, random: u64) -> Duration {
    let spread = age.as_nanos() / SPREAD;
    let offset = (2 * spread * u128::from(random)) >> 64;
    let nanos = age.as_nanos() - spread + offset;
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_age_is_spread_by_a_tenth_to_either_side() {
        let hour = Duration::from_secs(3600);
        assert_eq!(jittered(hour, 0), Duration::from_secs(3240));
        assert_eq!(jittered(hour, 1 << 63), hour);
        assert_eq!(jittered(hour, u64::MAX).as_secs(), 3959);
    }

    proptest! {
        #[test]
        fn no_number_leads_outside_of_the_spread(seconds in 1_u64..86_401, random: u64) {
            let age = Duration::from_secs(seconds);
            let own = jittered(age, random);
            prop_assert!(own >= age - age / 10 && own <= age + age / 10, "{:?}", own);
        }
    }
}
