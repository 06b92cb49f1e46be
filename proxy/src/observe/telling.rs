//! The exporter of spans and the access log, started with the proxy and ended after its workers.

use std::{
    io,
    time::{Duration, Instant},
};

use serin_config::{limits::TELEMETRY_FLUSH, telemetry::Telemetry};

use super::{access_log::AccessLog, metrics, spans::Spans, tellers::Outlets};
use crate::clock;

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// What runs beside the workers to tell of their requests.
#[derive(Debug)]
pub(crate) struct Telling {
    spans: Option<Spans>,
    log: Option<AccessLog>,
}

impl Telling {
    /// Starts what the file asks for.
    pub(crate) fn start(telemetry: &Telemetry, version: &'static str) -> io::Result<(Self, Outlets)> {
        let spans = telemetry
            .otlp
            .as_ref()
            .map(|otlp| Spans::start(otlp, &telemetry.instance, version, metrics::span_counters()));
        let log = telemetry.access_log.as_ref().map(|log| AccessLog::start(&log.to, metrics::log_counters()));
        let (spans, span_sender) = spans.transpose()?.unzip();
        let (log, log_sender) = log.transpose()?.unzip();
        Ok((Self { spans, log }, Outlets { spans: span_sender, log: log_sender }))
    }

    /// Has the access log's file opened again under its name.
    pub(crate) fn reopen_log(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
    }

    /// Waits until everything is told, once all workers have gone; not for long, as a receiver or a disk may
    /// hang.
    pub(crate) async fn finish(self) {
        let deadline: Instant = clock::now() + TELEMETRY_FLUSH;
        let finished = || {
            self.spans.as_ref().is_none_or(Spans::is_finished)
                && self.log.as_ref().is_none_or(AccessLog::is_finished)
        };
        while !finished() && clock::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
    }
}
