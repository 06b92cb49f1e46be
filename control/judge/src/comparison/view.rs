//! One stratum, for who reports it.

use serin_config::RouteName;

use crate::{
    block::Pair,
    setup::Setup,
    stratum::{Processes, Stratum},
};

/// See the module.
pub(crate) struct StratumView<'a> {
    pub(super) stratum: &'a Stratum,
    pub(super) processes: &'a Processes,
    pub(super) setup: &'a Setup,
}

impl<'a> StratumView<'a> {
    /// The route; none for the rest.
    pub(crate) fn name(&self) -> Option<&'a RouteName> {
        self.stratum.name()
    }

    /// Its own evidence that the canary fails more.
    pub(crate) fn ln_e_errors(&self) -> f64 {
        self.processes.ln_e_errors()
    }

    /// Its own evidence that the canary is slower.
    pub(crate) fn ln_e_latency(&self) -> f64 {
        self.processes.ln_e_latency(self.setup)
    }

    /// Requests and failures since the rollout began.
    pub(crate) fn totals(&self) -> Pair {
        self.stratum.totals()
    }

    /// The same of about the last minute.
    pub(crate) fn recent(&self) -> Pair {
        self.stratum.recent()
    }
}
