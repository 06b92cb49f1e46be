//! Refusing new requests when the process has too much in hand: too many at once, or too little memory.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use serin_config::limits::{Limits, MaxMemory};
use serin_split::resilience::memory;

/// Why a new request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    /// Memory is short.
    Memory,
    /// Too many requests are in flight.
    Requests,
}

/// What decides.
#[derive(Debug, Default)]
pub(crate) struct Shedding {
    memory: AtomicBool,
    max_requests: Option<usize>,
    in_flight: AtomicUsize,
}

impl Shedding {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { max_requests: limits.max_requests, ..Self::default() }
    }

    /// Why a new request must be refused; none if it need not be.
    pub(crate) fn refuses(&self) -> Option<Shed> {
        if self.memory.load(Ordering::Relaxed) {
            return Some(Shed::Memory);
        }
        let full = |most| self.in_flight.load(Ordering::Relaxed) >= most;
        self.max_requests.is_some_and(full).then_some(Shed::Requests)
    }

    /// An attempt is in flight, where these are bounded.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Looks at the memory; logs when the answer changes.
    pub(crate) fn look(&self, meter: &Meter) {
        let Some((used, limit)) = meter.read() else { return };
        let before = self.memory.load(Ordering::Relaxed);
        let now = memory::refuses(before, used, limit);
        if now != before {
            self.memory.store(now, Ordering::Relaxed);
            if now {
                tracing::warn!(used, limit, "memory is short: new requests are refused");
            } else {
                tracing::info!(used, limit, "memory suffices again: new requests are taken");
            }
        }
    }
}

/// Where the memory in use, and its limit, are read.
#[derive(Debug)]
pub(crate) enum Meter {
    /// There is no limit.
    None,
    /// The process's own memory against a limit of the file.
    Process(u64),
    /// The memory of its cgroup.
    Cgroup {
        /// `memory.current` or `memory.usage_in_bytes`.
        current: PathBuf,
        /// `memory.stat`.
        stat: PathBuf,
        /// `memory.max` or `memory.limit_in_bytes`.
        limit: PathBuf,
    },
}

impl Meter {
    /// The meter that the file asks for.
    pub(crate) fn new(max: MaxMemory) -> Self {
        match max {
            MaxMemory::None => Self::None,
            MaxMemory::Bytes(bytes) => Self::Process(bytes),
            MaxMemory::Auto => Self::of_cgroup().unwrap_or(Self::None),
        }
    }

    fn of_cgroup() -> Option<Self> {
        let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let (path, v2) = memory::place(&cgroups)?;
        let root = PathBuf::from(if v2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" });
        // Within a container the hierarchy is often mounted at the container's own group.
        let candidates = [root.join(path.trim_start_matches('/')), root];
        let [current, limit] = if v2 {
            ["memory.current", "memory.max"]
        } else {
            ["memory.usage_in_bytes", "memory.limit_in_bytes"]
        };
        let limited = candidates.into_iter().find(|at| at.join(limit).exists())?;
        Some(Self::Cgroup {
            current: limited.join(current),
            stat: limited.join("memory.stat"),
            limit: limited.join(limit),
        })
    }

    /// Bytes in use and the limit; none where there is no limit, or it can't be read.
    fn read(&self) -> Option<(u64, u64)> {
        match self {
            Self::None => None,
            Self::Process(limit) => Some((crate::observe::resident_bytes()?, *limit)),
            Self::Cgroup { current, stat, limit } => {
                let limit = memory::limit(&fs::read_to_string(limit).ok()?)?;
                let current = fs::read_to_string(current).ok()?.trim().parse().ok()?;
                Some((memory::held(current, &fs::read_to_string(stat).unwrap_or_default()), limit))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_all_are_bounded_and_short_memory_goes_first() {
        let limits = Limits { max_requests: Some(1), ..Limits::default() };
        let shedding = Shedding::new(&limits);
        assert_eq!(shedding.refuses(), None);
        shedding.begin();
        assert_eq!(shedding.refuses(), Some(Shed::Requests));
        shedding.look(&Meter::Process(1));
        assert_eq!(shedding.refuses(), Some(Shed::Memory));
        shedding.look(&Meter::Process(u64::MAX));
        shedding.end();
        assert_eq!(shedding.refuses(), None);
    }
}
