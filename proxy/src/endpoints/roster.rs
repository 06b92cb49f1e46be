//! Who is ready at one moment: what workers choose from.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serin_config::{Address, Balance};
use serin_split::{balance::Ring, standing::Standings};

use super::Counts;

/// The endpoints of a version at one moment.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// All of them, those that are not ready too.
    pub(crate) members: Vec<Member>,
    /// The positions of those that are ready, rising.
    pub(crate) ready: Vec<u32>,
    /// How one of them is chosen.
    pub(crate) balance: Balance,
    /// Their ring, where the balance needs one.
    pub(crate) ring: Option<Arc<Ring>>,
    /// How long the share of one grows that became ready.
    pub(crate) slow_start: Option<Duration>,
    /// Failures in a row after which somebody should look at an endpoint; 0 is never.
    pub(crate) alarm_at: u32,
}

/// One endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) address: Address,
    /// Since when it has been ready, if it is.
    pub(crate) since: Instant,
    pub(crate) counts: Arc<Counts>,
}

impl Roster {
    /// What the standings say now. A ring whose endpoints stay the same is kept.
    pub(super) fn new(standings: &Standings, counts: &[Arc<Counts>], before: &Self) -> Self {
        let members: Vec<Member> = standings
            .members()
            .iter()
            .zip(counts)
            .map(|(standing, counts)| Member {
                address: standing.address.clone(),
                since: standing.since,
                counts: counts.clone(),
            })
            .collect();
        let policy = standings.policy();
        let ready = (0_u32..).zip(standings.members()).filter(|(_, standing)| standing.ready);
        let ring = matches!(policy.balance, Balance::RingHash { .. }).then(|| {
            let addresses = |roster: &[Member]| {
                roster.iter().map(|member| member.address.to_string()).collect::<Vec<_>>()
            };
            let own = addresses(&members);
            let kept = before.ring.clone().filter(|_| addresses(&before.members) == own);
            kept.unwrap_or_else(|| Arc::new(Ring::new(own)))
        });
        Self {
            ready: ready.map(|(at, _)| at).collect(),
            ring,
            balance: policy.balance.clone(),
            slow_start: policy.slow_start,
            alarm_at: policy.outlier.and_then(|policy| policy.consecutive_failures).unwrap_or(0),
            members,
        }
    }
}
