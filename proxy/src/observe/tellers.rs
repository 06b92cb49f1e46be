//! Who wants to know of requests: the exporter of spans and the access log, as one worker sees them.

use std::{cell::RefCell, time::Instant};

use serin_config::{
    Weight,
    limits::KEPT_TRACES_PER_SECOND_MAX,
    telemetry::{AccessLog, Telemetry},
};
use serin_split::keep::{Keep, PerSecond};

use super::{access_log::LogSender, spans::SpanSender, tale::Tale};

/// The ways out of the process; cloned for each worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outlets {
    pub(crate) spans: Option<SpanSender>,
    pub(crate) log: Option<LogSender>,
}

/// The ways out, and what goes there.
#[derive(Debug)]
pub(crate) struct Tellers {
    outlets: Outlets,
    pub(crate) keep: Keep,
    may_keep: RefCell<PerSecond>,
    log_sample: Weight,
    log_errors: bool,
}

impl Tellers {
    /// One worker's, of so many.
    pub(crate) fn new(outlets: Outlets, telemetry: &Telemetry, workers: usize) -> Self {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        let (log_sample, log_errors) = match &telemetry.access_log {
            Some(AccessLog { sample, keep_errors, .. }) => (*sample, *keep_errors),
            None => (Weight::ZERO, false),
        };
        Self {
            outlets,
            keep: Keep::new(telemetry),
            may_keep: RefCell::new(PerSecond::new(KEPT_TRACES_PER_SECOND_MAX.div_ceil(workers))),
            log_sample,
            log_errors,
        }
    }

    /// Whether anybody wants to know.
    pub(crate) fn want_stories(&self) -> bool {
        self.outlets.spans.is_some() || self.outlets.log.is_some()
    }

    /// Whether spans are made.
    pub(crate) fn have_spans(&self) -> bool {
        self.outlets.spans.is_some()
    }

    /// Whether one more unsampled trace may be kept; if not, that is counted.
    pub(crate) fn may_keep(&self, now: Instant) -> bool {
        let may = self.may_keep.borrow_mut().take(now);
        if let (false, Some(spans)) = (may, &self.outlets.spans) {
            spans.counters().rate_limited.increment(1);
        }
        may
    }

    /// Tells of a request that has ended.
    pub(crate) fn tell(&self, tale: Box<Tale>, failed: bool, chance: impl FnOnce(Weight) -> bool) {
        let all = self.log_sample == Weight::WHOLE;
        let logged =
            self.outlets.log.is_some() && (all || (self.log_errors && failed) || chance(self.log_sample));
        match (&self.outlets.log, &self.outlets.spans) {
            (Some(log), Some(spans)) if logged && tale.recorded => {
                spans.tell(tale.clone());
                log.tell(tale);
            }
            (Some(log), _) if logged => log.tell(tale),
            (_, Some(spans)) if tale.recorded => spans.tell(tale),
            _ => {}
        }
    }
}
