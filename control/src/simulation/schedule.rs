//! What a seed draws: requests of people, the health of versions, faults. Each with the odds of its kind, so that most
//! schedules are busy and few are absurd.

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::{command::Action, hook::Said};

/// What happens between two beats of the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Happening {
    /// Somebody steers the rollout.
    Steer(Action),
    /// Somebody sets weights: the canary's share in per cent; on the plan in force, or on one that is old.
    Set { canary: u32, stale: bool },
    /// The file is loaded again: as it is, with another split, or with another policy.
    Reload(File),
    /// So many of a thousand of the canary's requests fail from now on.
    Canary(u64),
    /// And of the stable version's.
    Stable(u64),
    /// A proxy is killed and started again.
    ProxyRestarts(usize),
    /// A proxy loses its connection, or gets it back.
    Cut(usize, bool),
    /// The disk is full, or has room again.
    DiskFull(bool),
    /// The disk breaks after so many operations.
    DiskBreaks(usize),
    /// The disk works again.
    DiskMended,
    /// The control plane is killed.
    Crash,
    /// It is stopped as it should be.
    Stop,
    /// It is started again, if it does not run.
    Start,
}

/// Which file is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum File {
    /// The one that the control plane began with.
    Same,
    /// The canary begins at a fifth.
    Split,
    /// Its steps run out of time sooner, and then it is promoted.
    Policy,
}

/// The dice of one schedule.
pub(super) struct Schedule {
    rng: SmallRng,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed) }
    }

    /// Seconds that it lasts before everything is mended.
    pub(super) fn seconds(&mut self) -> u64 {
        self.rng.random_range(8..40)
    }

    /// Up to `most`, not included.
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.rng.random_range(0..most)
    }

    /// True once in so many.
    pub(super) fn one_in(&mut self, many: u32) -> bool {
        self.rng.random_ratio(1, many)
    }

    /// What happens now; mostly nothing.
    pub(super) fn happening(&mut self, proxies: usize) -> Option<Happening> {
        if !self.one_in(5) {
            return None;
        }
        let proxy = self.rng.random_range(0..proxies);
        Some(match self.rng.random_range(0..100) {
            0..20 => Happening::Steer(Action::Start),
            20..25 => Happening::Steer(Action::Pause),
            25..31 => Happening::Steer(Action::Resume),
            31..37 => Happening::Steer(Action::Promote { full: false }),
            37..38 => Happening::Steer(Action::Promote { full: true }),
            38..41 => Happening::Steer(Action::Abort),
            41..46 => Happening::Set { canary: self.rng.random_range(0..=100), stale: self.one_in(3) },
            46..48 => Happening::Reload(File::Same),
            48..50 => Happening::Reload(File::Split),
            50..52 => Happening::Reload(File::Policy),
            52..58 => Happening::Canary([20, 50, 300, 1_000][self.rng.random_range(0..4)]),
            58..62 => Happening::Canary(0),
            62..64 => Happening::Stable([20, 1_000][self.rng.random_range(0..2)]),
            64..67 => Happening::Stable(0),
            67..72 => Happening::ProxyRestarts(proxy),
            72..76 => Happening::Cut(proxy, true),
            76..82 => Happening::Cut(proxy, false),
            82..84 => Happening::DiskFull(true),
            84..87 => Happening::DiskFull(false),
            87..90 => Happening::DiskBreaks(self.rng.random_range(0..40)),
            90..94 => Happening::DiskMended,
            94..96 => Happening::Crash,
            96..97 => Happening::Stop,
            _ => Happening::Start,
        })
    }

    /// What a webhook says this second, if it says anything.
    pub(super) fn webhook(&mut self) -> Option<Said> {
        Some(match self.rng.random_range(0..20) {
            0..8 => Said::Allow,
            8 => Said::Deny("no".into()),
            9..12 => Said::Wait("not yet".into()),
            12..15 => Said::Failed("it is not reached".into()),
            _ => return None,
        })
    }

    /// How long a message is under way, in milliseconds: mostly short, sometimes beyond every grace.
    pub(super) fn delay_ms(&mut self) -> u64 {
        if self.one_in(50) { self.below(5_000) } else { self.below(600) }
    }
}
