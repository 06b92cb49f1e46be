//! Whose attempts failed, each client once.
//!
//! Where the split keeps users on their version, it is users that chance has dealt to the versions, not requests. One
//! user whose every request fails would else look like many failures of the version that he happens to be on. So his
//! first failure counts, and no further one until the split is another: then he may have been dealt anew.

use std::collections::{HashMap, HashSet};

use serin_config::{ServiceName, Split, VersionName, limits::ERRING_CLIENTS_KNOWN_MAX};
use serin_split::tally::Erring;

/// Clients of each version that have counted under its present split.
#[derive(Debug, Default)]
pub(crate) struct Clients(HashMap<(ServiceName, VersionName), Known>);

#[derive(Debug)]
struct Known {
    split: Split,
    keys: HashSet<u64>,
}

impl Clients {
    /// How many clients of a version have failed that had not before, under this split. A failure without a key is a
    /// client of its own.
    pub(crate) fn count(
        &mut self,
        (service, version): (&ServiceName, &VersionName),
        split: &Split,
        erring: &Erring,
    ) -> u64 {
        let fresh = || Known { split: split.clone(), keys: HashSet::new() };
        let known = self.0.entry((service.clone(), version.clone())).or_insert_with(fresh);
        if known.split != *split {
            *known = fresh();
        }
        let mut count = erring.keyless;
        for key in &erring.keys {
            if known.keys.len() >= ERRING_CLIENTS_KNOWN_MAX {
                known.keys.clear();
            }
            count += u64::from(known.keys.insert(*key));
        }
        count
    }

    /// Forgets services that are not compared any more.
    pub(crate) fn retain(&mut self, is_compared: impl Fn(&ServiceName) -> bool) {
        self.0.retain(|(service, _), _| is_compared(service));
    }
}

#[cfg(test)]
mod tests {
    use serin_config::Weight;

    use super::*;

    fn name(text: &str) -> VersionName {
        VersionName::try_new(text).unwrap()
    }

    fn at(percent: u32) -> Split {
        Split::canary_and_stable(name("v2"), Weight::from_ppm(percent * 10_000).unwrap(), name("v1"))
    }

    fn count(clients: &mut Clients, version: &str, split: &Split, keys: &[u64], keyless: u64) -> u64 {
        let shop = ServiceName::try_new("shop").unwrap();
        clients.count((&shop, &name(version)), split, &Erring { keys: keys.to_vec(), keyless })
    }

    #[test]
    fn a_client_counts_once_for_each_version_and_split() {
        let mut clients = Clients::default();
        assert_eq!(count(&mut clients, "v2", &at(5), &[1, 2, 1, 1], 0), 2);
        assert_eq!(count(&mut clients, "v2", &at(5), &[1, 3], 0), 1);
        assert_eq!(count(&mut clients, "v1", &at(5), &[1], 0), 1);
        assert_eq!(count(&mut clients, "v2", &at(10), &[1, 2, 3], 0), 3);
        assert_eq!(count(&mut clients, "v2", &at(10), &[3], 0), 0);
    }

    #[test]
    fn failures_without_a_key_count_each() {
        assert_eq!(count(&mut Clients::default(), "v2", &at(5), &[7, 7], 4), 5);
    }

    #[test]
    fn so_many_clients_are_remembered_and_no_more() {
        let mut clients = Clients::default();
        let most = ERRING_CLIENTS_KNOWN_MAX as u64;
        let all: Vec<u64> = (0..most).collect();
        assert_eq!(count(&mut clients, "v2", &at(5), &all, 0), most);
        assert_eq!(count(&mut clients, "v2", &at(5), &[most, 0, most], 0), 2, "all were forgotten");
        clients.retain(|_| false);
        assert_eq!(count(&mut clients, "v2", &at(5), &[most], 0), 1);
    }
}
