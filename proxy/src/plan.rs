//! The plan in force: housekeeping swaps it, every worker reads it once for each request.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::{ArcSwap, Cache};
use serin_config::{Generation, Plan};

/// A plan was offered that is not newer than the one in force. Where a store was lost or set back, numbers are given again:
/// whoever leads hears of it with the next hello, and makes a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "plan {offered} is not newer than plan {in_force}, which is in force here and stays so: no request is affected; where the state of \
     the control plane was lost or set back, it goes on beyond that number within a second or two (renumber in its journal)"
)]
pub struct OlderPlan {
    /// The plan that was offered.
    pub offered: Generation,
    /// The plan that stays.
    pub in_force: Generation,
}

/// Holds the plan in force.
#[derive(Debug)]
pub struct PlanCell {
    plan: Arc<ArcSwap<Plan>>,
    /// Two offers at once must not put the older one last.
    offering: Mutex<()>,
    /// What the plan's user does before a plan of another catalogue is in force.
    prepare: OnceLock<Prepare>,
}

/// Gets ready for a plan; it may read files.
pub(crate) struct Prepare(pub(crate) Box<dyn Fn(&Plan) + Send + Sync>);

impl std::fmt::Debug for Prepare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prepare")
    }
}

/// A worker's way to read the plan: a pointer comparison while the plan stays the same.
pub(crate) type PlanReader = Cache<Arc<ArcSwap<Plan>>, Arc<Plan>>;

impl PlanCell {
    /// Begins with `plan`.
    pub fn new(plan: Arc<Plan>) -> Arc<Self> {
        Arc::new(Self {
            plan: Arc::new(ArcSwap::new(plan)),
            offering: Mutex::new(()),
            prepare: OnceLock::new(),
        })
    }

    /// Puts a newer plan in force; the next request on every worker meets it. Requests in flight keep
    /// theirs.
    pub fn offer(&self, plan: Arc<Plan>) -> Result<(), OlderPlan> {
        let _one_at_a_time = self.offering.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.plan.load();
        let in_force = before.generation();
        if plan.generation() <= in_force {
            return Err(OlderPlan { offered: plan.generation(), in_force });
        }
        if let Some(Prepare(prepare)) = self.prepare.get()
            && !Arc::ptr_eq(before.catalogue(), plan.catalogue())
        {
            prepare(&plan);
        }
        self.plan.store(plan);
        Ok(())
    }

    /// Gets ready for the plan in force, and from now on for each before it is.
    pub(crate) fn prepare_with(&self, prepare: impl Fn(&Plan) + Send + Sync + 'static) {
        let _one_at_a_time = self.offering.lock().unwrap_or_else(PoisonError::into_inner);
        prepare(&self.plan.load());
        let _ = self.prepare.set(Prepare(Box::new(prepare)));
    }

    /// The plan in force.
    pub fn load(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    pub(crate) fn reader(&self) -> PlanReader {
        Cache::new(self.plan.clone())
    }
}

#[cfg(test)]
mod tests {
    use serin_config::Catalogue;

    use super::*;

    fn plan(generation: u64) -> Arc<Plan> {
        let catalogue = Arc::new(Catalogue::try_new(vec![], vec![]).unwrap());
        Arc::new(Plan::new(catalogue, Generation(generation), Generation(generation - 1)))
    }

    #[test]
    fn a_plan_that_is_not_newer_is_refused() {
        let cell = PlanCell::new(plan(3));
        assert_eq!(cell.offer(plan(3)), Err(OlderPlan { offered: Generation(3), in_force: Generation(3) }));
        assert!(cell.offer(plan(2)).is_err());
        assert_eq!(cell.offer(plan(5)), Ok(()));
        assert_eq!(cell.reader().load().generation(), Generation(5));
    }
}
