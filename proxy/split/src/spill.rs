//! Which version takes over from one that has no endpoint that is ready.
//!
//! The stable version first, since it is the one that is trusted; then those that the split gives traffic
//! anyway. A version without a share never gets one in this way: somebody, or a verdict, has taken it out.

use serin_config::Service;

use crate::table::Table;

/// The position of the version that takes a request over from `picked`; none if none is ready.
pub fn spill(
    service: &Service,
    table: &Table,
    picked: usize,
    is_ready: impl Fn(usize) -> bool,
) -> Option<usize> {
    let stable = service.versions.iter().position(|version| version.name == service.stable);
    let fit = |at: &usize| *at != picked && is_ready(*at);
    stable.into_iter().chain(table.versions()).find(fit)
}

#[cfg(test)]
mod tests {
    use serin_config::{ServiceName, Split, Version, VersionName, Weight};

    use super::*;

    /// `old` without a share, `stable` and `canary` with these.
    fn service(stable: &str, canary: &str) -> (Service, Table) {
        let name = |text: &str| VersionName::try_new(text).unwrap();
        let weight = |text: &str| text.parse::<Weight>().unwrap();
        let version = |text: &str| Version::new(name(text), vec!["127.0.0.1:1".parse().unwrap()]);
        let versions = ["old", "canary", "stable"].map(version).to_vec();
        let service = Service::new(ServiceName::try_new("shop").unwrap(), versions, name("stable"));
        let split =
            Split::try_new(vec![(name("canary"), weight(canary)), (name("stable"), weight(stable))]).unwrap();
        let table = Table::new(&service, &split);
        (service, table)
    }

    const OLD: usize = 0;
    const CANARY: usize = 1;
    const STABLE: usize = 2;

    #[test]
    fn the_stable_version_takes_over_even_if_it_has_no_share() {
        let (service, table) = service("0%", "100%");
        assert_eq!(spill(&service, &table, CANARY, |at| at != CANARY), Some(STABLE));
    }

    #[test]
    fn a_version_that_has_a_share_takes_over_from_the_stable_one() {
        let (service, table) = service("90%", "10%");
        assert_eq!(spill(&service, &table, STABLE, |at| at != STABLE), Some(CANARY));
    }

    #[test]
    fn a_version_that_was_taken_out_never_takes_over() {
        let (service, table) = service("100%", "0%");
        assert_eq!(spill(&service, &table, STABLE, |at| at == OLD || at == CANARY), None);
    }

    #[test]
    fn nobody_takes_over_if_nobody_is_ready() {
        let (service, table) = service("50%", "50%");
        assert_eq!(spill(&service, &table, CANARY, |_| false), None);
    }
}
