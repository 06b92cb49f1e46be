//! The version that a request goes to: by the split, by a tester's word, by what has tripped, is probed or is not
//! ready.

use std::{net::IpAddr, rc::Rc, time::Instant};

use http::HeaderMap;
use serin_config::Service;
use serin_split::{Aside, balance, pick};

use super::{
    lane::{Lane, Splitter},
    spill,
};

/// A version, and what is special about going there.
#[derive(Debug)]
pub(crate) struct Destination {
    /// The version's position in its service.
    pub(crate) version: usize,
    /// The way there.
    pub(crate) lane: Rc<Lane>,
    /// The way to the stable version, if it shall take over what this one fails.
    pub(crate) rescue: Option<Rc<Lane>>,
    /// Why the request has no part in the comparison of versions, if it has none.
    pub(crate) aside: Option<Aside>,
    /// The request's place on a ring of endpoints.
    pub(crate) key: Option<u64>,
    /// The hash of the key by which the split keeps its user on a version.
    pub(crate) user: Option<u64>,
}

/// Chooses for a request with these headers, of this client, that came at `now`; `random` is uniform over all 64
/// bits.
pub(crate) fn choose(
    (service, splitter): (&Service, &Splitter),
    lanes: &[Rc<Lane>],
    headers: &HeaderMap,
    client: IpAddr,
    (now, random): (Instant, u64),
) -> Destination {
    let picked = pick(service, &splitter.table, splitter.salt, headers, client, random);
    let go = |version: usize, aside| {
        let policy = &service.versions[version].endpoint_policy;
        Destination {
            version,
            lane: lanes[version].clone(),
            rescue: splitter.rescue(version).map(|stable| lanes[stable].clone()),
            aside,
            key: balance::key(&policy.balance, &service.sticky, headers, client),
            user: picked.key,
        }
    };
    if picked.reason == pick::Reason::Pinned {
        // Who asks for a version by name gets it, whatever tripped: somebody has to find out why. And a tester
        // who asks for the canary wants to see what it does.
        return Destination { rescue: None, ..go(picked.version, Some(Aside::Pinned)) };
    }
    let version = splitter.in_force(picked.version);
    let (version, aside) = match splitter.held_back(version, now) {
        Some(stable) => (stable, Some(Aside::Probe)),
        None => (version, None),
    };
    match spill::over(service, splitter, version, lanes) {
        Some(taken) => go(taken, Some(Aside::Spilled)),
        None => go(version, aside),
    }
}
