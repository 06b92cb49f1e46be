//! The negative control: a part of the stable version that is judged as if it were a canary.
//!
//! It has as many endpoints as the canary has, so it is as noisy as that: what differs between endpoints of one version
//! by nature shows there too, and a judge that would convict the control is not to be believed about the canary. Which
//! endpoints those are depends on their addresses alone, so that it stays the same while others come and go, on every
//! worker and every proxy. Where the stable version has one endpoint, it is a part of its attempts, drawn at random.

use xxhash_rust::xxh3::xxh3_64;

/// One attempt in so many is in the control of a version that has one endpoint.
const SHARE: u64 = 10;

/// Which attempts of the stable version are in the control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// None.
    Off,
    /// Those at the endpoints with the first [`ranks`], so many.
    Endpoints(u32),
    /// One in ten.
    Share,
}

impl Control {
    /// The control of a stable version with so many endpoints, beside a canary with so many: never more than half of
    /// the stable version, since the rest is what it is compared with.
    pub fn beside(stable: usize, canary: usize) -> Self {
        match stable {
            0 | 1 => Self::Share,
            _ => Self::Endpoints(u32::try_from(canary.clamp(1, stable / 2)).unwrap_or(u32::MAX)),
        }
    }

    /// Whether an attempt is in it, at the endpoint with this rank; `random` is uniform over all 64 bits.
    pub fn takes(self, rank: u32, random: u64) -> bool {
        match self {
            Self::Off => false,
            Self::Endpoints(count) => rank < count,
            Self::Share => random.is_multiple_of(SHARE),
        }
    }
}

/// For each endpoint its place in an order that depends on addresses alone, from 0.
pub fn ranks(addresses: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u32> {
    let mut order: Vec<(u64, usize)> =
        addresses.into_iter().enumerate().map(|(at, address)| (xxh3_64(address.as_ref()), at)).collect();
    order.sort_unstable();
    let mut ranks = vec![0; order.len()];
    for (rank, (_, at)) in (0_u32..).zip(order) {
        ranks[at] = rank;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_is_as_large_as_the_canary_and_at_most_half_of_the_stable_version() {
        let sizes = [(10, 3), (10, 9), (2, 1), (2, 5), (3, 0)]
            .map(|(stable, canary)| Control::beside(stable, canary));
        assert_eq!(sizes, [3, 5, 1, 1, 1].map(Control::Endpoints));
        assert_eq!((Control::beside(1, 1), Control::beside(0, 2)), (Control::Share, Control::Share));
    }

    #[test]
    fn endpoints_keep_their_order_whatever_stands_around_them() {
        let names: Vec<String> = (0..20).map(|i| format!("10.0.0.{i}:80")).collect();
        let all = ranks(&names);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
        let turned: Vec<&String> = names.iter().rev().collect();
        assert_eq!(ranks(turned).into_iter().rev().collect::<Vec<_>>(), all);
        let fewer = ranks(&names[..19]);
        let first = |ranks: &[u32]| (0..19).filter(|at| ranks[*at] < 5).collect::<Vec<_>>();
        assert!(first(&all).iter().all(|at| first(&fewer).contains(at)));
    }

    #[test]
    fn a_share_is_a_tenth_and_off_is_nothing() {
        let taken = |control: Control| (0..1_000).filter(|random| control.takes(0, *random)).count();
        assert_eq!((taken(Control::Share), taken(Control::Off)), (100, 0));
        assert_eq!((taken(Control::Endpoints(1)), Control::Endpoints(1).takes(1, 0)), (1_000, false));
    }
}
