//! A request whose version has no endpoint that is ready goes to another version, if its service says so.

use std::{cell::RefCell, rc::Rc};

use ::metrics::Counter;
use serin_config::{OnUnready, Service};
use serin_split::spill;

use super::lane::{Lane, Splitter};
use crate::observe::metrics;

/// The counters of one service, by the versions that were left and taken; each is looked up at its first use.
#[derive(Debug, Default)]
pub(crate) struct Spilled(RefCell<Vec<(usize, usize, Counter)>>);

impl Spilled {
    fn count(&self, service: &Service, from: usize, to: usize) {
        let mut counters = self.0.borrow_mut();
        if let Some((.., counter)) = counters.iter().find(|(f, t, _)| (*f, *t) == (from, to)) {
            return counter.increment(1);
        }
        let name = |at: usize| service.versions.get(at).map_or("", |version| version.name.as_str());
        let counter = metrics::spilled(service.name.as_str(), name(from), name(to));
        counter.increment(1);
        counters.push((from, to, counter));
    }
}

/// The version that takes the request, if it is not the one that it would have. A version that tripped takes over
/// from nobody.
pub(crate) fn over(
    service: &Service,
    splitter: &Splitter,
    version: usize,
    lanes: &[Rc<Lane>],
) -> Option<usize> {
    let ready = |at: usize| lanes.get(at).is_some_and(|lane| lane.backend.choice.has_ready());
    if service.on_unready == OnUnready::Fail || ready(version) {
        return None;
    }
    let fit = |at: usize| ready(at) && splitter.in_force(at) == at;
    let taken = spill::spill(service, &splitter.table, version, fit)?;
    splitter.spilled.count(service, version, taken);
    Some(taken)
}
