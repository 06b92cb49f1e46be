//! A connection's place among those that a version may have, all workers together.

use std::{sync::Arc, time::Instant};

use crate::shared::VersionShared;

/// Held as long as the connection; dropping it lets another one be opened.
#[derive(Debug)]
pub(crate) struct Place(Arc<VersionShared>);

impl Place {
    /// Waits for a place until `deadline`; none if there was none.
    pub(crate) async fn take(version: &Arc<VersionShared>, most: usize, deadline: Instant) -> Option<Self> {
        let gate = &version.connections;
        let entered = gate.try_enter(most) || gate.wait(|| most, usize::MAX, deadline).await;
        entered.then(|| Self(version.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.leave();
    }
}
