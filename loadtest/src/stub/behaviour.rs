//! What a stub's threads share: its dials, path by path, and its counters.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use http::StatusCode;
use rand::rngs::SmallRng;
use tokio::sync::watch;

use super::Dials;

#[derive(Debug)]
pub(super) struct Behaviour {
    dials: Dials,
    /// Paths that have dials of their own, by the text that they begin with.
    paths: Vec<(String, Dials)>,
    cut_body: AtomicBool,
    hang: watch::Sender<bool>,
    requests: AtomicU64,
    failures: AtomicU64,
    connections: AtomicU64,
    born: Instant,
    /// Nanoseconds from `born` to the first failure, plus one; zero before it.
    first_failure_ns: AtomicU64,
}

impl Behaviour {
    pub(super) fn new(paths: &[String]) -> Self {
        Self {
            dials: Dials::default(),
            paths: paths.iter().map(|path| (path.clone(), Dials::default())).collect(),
            cut_body: AtomicBool::new(false),
            hang: watch::Sender::new(false),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            born: Instant::now(),
            first_failure_ns: AtomicU64::new(0),
        }
    }

    /// The dials for a path: its own, or those of all others.
    pub(super) fn dials(&self, path: &str) -> &Dials {
        self.paths.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or(&self.dials, |(_, dials)| dials)
    }

    pub(super) fn set_cut_body(&self, cut: bool) {
        self.cut_body.store(cut, Relaxed);
    }

    pub(super) fn set_hang(&self, hang: bool) {
        self.hang.send_replace(hang);
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    pub(super) fn first_failure(&self) -> Option<Instant> {
        let after = self.first_failure_ns.load(Relaxed).checked_sub(1)?;
        Some(self.born + Duration::from_nanos(after))
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(super) fn count_connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn cuts_body(&self) -> bool {
        self.cut_body.load(Relaxed)
    }

    /// Draws whether this request fails, and counts it if it does.
    pub(super) fn draw_failure(&self, path: &str, random: &mut SmallRng) -> Option<StatusCode> {
        let status = self.dials(path).draw_failure(random)?;
        self.failures.fetch_add(1, Relaxed);
        if self.first_failure_ns.load(Relaxed) == 0 {
            let after = u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX - 1) + 1;
            // Whoever came first stays first.
            let _ = self.first_failure_ns.compare_exchange(0, after, Relaxed, Relaxed);
        }
        Some(status)
    }

    /// Waits while the stub hangs.
    pub(super) async fn hang(&self) {
        if *self.hang.borrow() {
            // The sender lives in `self`, so the wait can't fail.
            let _ = self.hang.subscribe().wait_for(|hang| !hang).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn a_path_has_its_own_dials_and_all_failures_are_counted_together() {
        let behaviour = Behaviour::new(&["/cart".into()]);
        let mut random = SmallRng::seed_from_u64(1);
        behaviour.dials("/cart/7").set_error_ppm(1_000_000);
        assert!(behaviour.draw_failure("/search", &mut random).is_none());
        assert!(behaviour.first_failure().is_none());
        assert!(behaviour.draw_failure("/cart/7", &mut random).is_some());
        assert_eq!(behaviour.failures(), 1);
        assert!(behaviour.first_failure().unwrap() <= Instant::now());
    }
}
