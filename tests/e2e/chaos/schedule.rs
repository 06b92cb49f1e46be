//! What a seed draws: rounds, each of a time of faults and of the moment in which the canary begins to fail. Pure, so
//! that a seed is the same schedule everywhere; only who leads at a moment is found out when it comes.
//!
//! The faults before that moment are any, several at once. Around it there is one that has to do with leading (control
//! planes, their ways to etcd, a member of etcd), since how long an election may take is only promised for one at a
//! time; or, in a round without a majority, two members of etcd are gone for all of it. Ways and processes of proxies
//! fail beside that, here and there.

use std::{fmt, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};

pub(super) const PLANES: usize = 3;
pub(super) const MEMBERS: usize = 3;
pub(super) const EDGES: usize = 8;

/// How a process comes to harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// SIGKILL, and started again.
    Kill,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// SIGTERM, and started again.
    Stop,
}

/// Which control plane is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Leader,
    Number(usize),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Plane(Which, Way),
    Member(usize, Way),
    /// A control plane's connections to etcd break, and can be made again.
    StoreCut(Which),
    /// They say nothing, and new ones do not either.
    StoreStall(Which),
    /// All proxies' streams at a control plane break, and can be made again.
    StreamsCut(Which),
    /// A proxy's ways to all control planes say nothing.
    EdgeStall(usize),
    Edge(usize, Way),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("the leader"),
            Self::Number(number) => write!(f, "control-{}", number + 1),
        }
    }
}

/// A fault, from when on, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) lasts: Duration,
    pub(super) fault: Fault,
}

/// One rollout, and how it is disturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Round {
    /// Which control plane is asked to start the rollout.
    pub(super) asked: usize,
    /// Whether etcd has a majority when the canary begins to fail.
    pub(super) majority: bool,
    /// By their time.
    pub(super) events: Vec<Event>,
    /// When the canary begins to fail every request.
    pub(super) fails_at: Duration,
}

/// From the last fault before to those around the canary's failure: long enough to elect a leader.
const CALM: Duration = Duration::from_millis(3_500);
/// How long members are away before the canary fails without a majority: no lease outlives that.
const WITHOUT_MAJORITY_BEFORE: Duration = Duration::from_secs(4);
/// And how long after: until every proxy's own trip-wire has had its time.
pub(super) const WITHOUT_MAJORITY_AFTER: Duration = Duration::from_secs(12);

/// The dice.
pub(super) struct Schedule {
    rng: SmallRng,
    rounds: usize,
    churn: std::ops::Range<u64>,
}

impl Schedule {
    /// `churn` is the range of seconds of faults before the canary's failure.
    pub(super) fn new(seed: u64, churn: std::ops::Range<u64>) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed), rounds: 0, churn }
    }

    /// The next round; every third one is without a majority, the second is the first of them.
    pub(super) fn round(&mut self) -> Round {
        self.rounds += 1;
        let majority = self.rounds % 3 != 2;
        let churn = Duration::from_millis(1_000 * self.rng.random_range(self.churn.clone()));
        let mut events = Vec::new();
        let faults = churn.as_secs() + 1;
        for _ in 0..faults {
            let lasts = self.ms(500..3_500);
            let latest = churn.saturating_sub(lasts).as_millis() as u64;
            let event = Event { at: self.ms(0..latest + 1), lasts, fault: self.any() };
            add(&mut events, event);
        }
        let calm = churn + CALM;
        let fails_at = match majority {
            true => self.around(calm, &mut events),
            false => self.without_majority(calm, &mut events),
        };
        for _ in 0..self.rng.random_range(0..3) {
            let at = fails_at - self.ms(0..1_000);
            let edge = self.rng.random_range(0..EDGES);
            let fault = match self.rng.random_range(0..4) {
                0 => Fault::EdgeStall(edge),
                1 => Fault::Edge(edge, Way::Kill),
                2 => Fault::Edge(edge, Way::Stop),
                _ => Fault::Edge(edge, Way::Pause),
            };
            let lasts = self.ms(1_500..4_000);
            add(&mut events, Event { at, lasts, fault });
        }
        events.sort_by_key(|event| event.at);
        Round { asked: self.rng.random_range(0..PLANES), majority, events, fails_at }
    }

    /// One fault around the failure.
    fn around(&mut self, calm: Duration, events: &mut Vec<Event>) -> Duration {
        let fails_at = calm + Duration::from_millis(1_200);
        let at = calm + self.ms(0..1_500);
        let way = self.way();
        let fault = match self.rng.random_range(0..10) {
            0..4 => Fault::Plane(Which::Leader, way),
            4 => Fault::Plane(Which::Number(self.rng.random_range(0..PLANES)), way),
            5..7 => Fault::Member(self.rng.random_range(0..MEMBERS), way),
            7 => Fault::StoreStall(Which::Leader),
            8 => Fault::StoreCut(Which::Leader),
            _ => Fault::StreamsCut(Which::Leader),
        };
        let lasts = self.ms(3_000..6_000);
        add(events, Event { at, lasts, fault });
        fails_at
    }

    /// Two members are gone all the while.
    fn without_majority(&mut self, calm: Duration, events: &mut Vec<Event>) -> Duration {
        let fails_at = calm + WITHOUT_MAJORITY_BEFORE;
        let stays = self.rng.random_range(0..MEMBERS);
        for member in (0..MEMBERS).filter(|member| *member != stays) {
            let way = if self.rng.random_ratio(1, 2) { Way::Kill } else { Way::Pause };
            let lasts = WITHOUT_MAJORITY_BEFORE + WITHOUT_MAJORITY_AFTER;
            add(events, Event { at: calm, lasts, fault: Fault::Member(member, way) });
        }
        fails_at
    }

    fn any(&mut self) -> Fault {
        let which = match self.rng.random_range(0..=PLANES) {
            PLANES => Which::Leader,
            number => Which::Number(number),
        };
        let (member, edge, way) =
            (self.rng.random_range(0..MEMBERS), self.rng.random_range(0..EDGES), self.way());
        match self.rng.random_range(0..20) {
            0..5 => Fault::Plane(which, way),
            5..8 => Fault::Member(member, way),
            8 => Fault::StoreCut(which),
            9..11 => Fault::StoreStall(which),
            11..13 => Fault::StreamsCut(which),
            13..15 => Fault::EdgeStall(edge),
            _ => Fault::Edge(edge, way),
        }
    }

    fn way(&mut self) -> Way {
        [Way::Kill, Way::Kill, Way::Pause, Way::Pause, Way::Stop][self.rng.random_range(0..5)]
    }

    fn ms(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }
}

/// Adds a fault, unless its subject is in another one at that time.
fn add(events: &mut Vec<Event>, event: Event) {
    let overlaps = |other: &Event| {
        subject(other.fault) == subject(event.fault)
            && other.at < event.at + event.lasts
            && event.at < other.at + other.lasts
    };
    if !events.iter().any(overlaps) {
        events.push(event);
    }
}

/// What a fault befalls. The leader is found at its time, and is then left out if it is in another fault.
fn subject(fault: Fault) -> (u8, usize) {
    let number = |which| match which {
        Which::Leader => PLANES,
        Which::Number(number) => number,
    };
    match fault {
        Fault::Plane(which, _) => (0, number(which)),
        Fault::Member(member, _) => (1, member),
        Fault::StoreCut(which) | Fault::StoreStall(which) => (2, number(which)),
        Fault::StreamsCut(which) => (3, number(which)),
        Fault::EdgeStall(edge) | Fault::Edge(edge, _) => (4, edge),
    }
}

#[test]
fn a_seed_is_always_the_same_schedule_and_every_third_round_has_no_majority() {
    let draw = |seed| {
        let mut schedule = Schedule::new(seed, 3..9);
        (0..30).map(|_| schedule.round()).collect::<Vec<_>>()
    };
    let rounds = draw(7);
    assert_eq!(rounds, draw(7));
    assert_ne!(rounds, draw(8));
    assert_eq!(rounds.iter().filter(|round| !round.majority).count(), 10);
    for round in rounds {
        assert!(round.events.is_sorted_by_key(|event| event.at), "{round:?}");
        // Around the failure of the canary one fault at most has to do with leading.
        let leading = round.events.iter().filter(|event| {
            let edge = matches!(event.fault, Fault::Edge(..) | Fault::EdgeStall(_));
            !edge && event.at + event.lasts + Duration::from_secs(2) > round.fails_at
        });
        assert!(leading.count() <= if round.majority { 1 } else { 2 }, "{round:?}");
    }
}
