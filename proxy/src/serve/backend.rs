//! One version on one worker: its endpoints, and what it has in hand.

use std::{cell::Cell, rc::Rc, sync::Arc};

use http::HeaderValue;

use super::{choice::Choice, rules::Rules, waiting::Waiting};
use crate::shared::VersionShared;

/// A version as one worker reaches it. It is made anew for each catalogue from state that outlives plans.
#[derive(Debug)]
pub(crate) struct Backend {
    /// The version's name, for debug headers.
    pub(crate) name: HeaderValue,
    /// What this worker has in hand for the version.
    pub(crate) load: Rc<Load>,
    /// What all workers know of the version.
    pub(crate) shared: Arc<VersionShared>,
    /// Its endpoints, and how one is chosen.
    pub(crate) choice: Rc<Choice>,
    /// Its bounds, and what watches it.
    pub(crate) rules: Rules,
}

/// What one version has in hand on one worker.
#[derive(Debug, Default)]
pub(crate) struct Load {
    pub(crate) in_flight: Cell<usize>,
    /// Those whose answer has not begun and that would count in the comparison of versions.
    pub(crate) waiting: Waiting,
}
