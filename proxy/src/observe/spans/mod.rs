//! Spans on their way to an OTLP receiver, on a thread and a runtime of their own.
//!
//! A worker hands over a request's tale and goes on; where the queue is full, its spans are dropped and
//! counted. The thread makes spans of what waits, a batch at a time, and exports them. One export is under
//! way at a time, with a deadline that covers its retries, so that a receiver that is slow or gone costs
//! spans and nothing else. That it fails is said once, and once that it works again.

mod data;

use std::{collections::HashMap, io, thread::JoinHandle, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use metrics::Counter;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
    tonic_types::metadata::MetadataMap,
};
use opentelemetry_sdk::{Resource, error::OTelSdkError, trace::SpanExporter as _};
use serin_config::{
    limits::{OTLP_BATCH_MAX, OTLP_BATCH_WAIT, TELEMETRY_FLUSH},
    telemetry::{Otlp, OtlpProtocol},
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, timeout_at},
};

use super::tale::Tale;

/// Counts spans.
#[derive(Debug, Clone)]
pub(crate) struct SpanCounters {
    pub(crate) exported: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) export_failed: Counter,
    pub(crate) rate_limited: Counter,
}

/// A worker's way to the exporter.
#[derive(Debug, Clone)]
pub(crate) struct SpanSender {
    queue: mpsc::Sender<Box<Tale>>,
    counters: SpanCounters,
}

impl SpanSender {
    /// Hands over a request whose spans shall be exported; never waits.
    pub(crate) fn tell(&self, tale: Box<Tale>) {
        if let Err(TrySendError::Full(tale) | TrySendError::Closed(tale)) = self.queue.try_send(tale) {
            self.counters.queue_full.increment(1 + tale.attempts.len() as u64);
        }
    }

    pub(crate) fn counters(&self) -> &SpanCounters {
        &self.counters
    }
}

/// The running exporter.
#[derive(Debug)]
pub(crate) struct Spans {
    exporter: JoinHandle<()>,
}

impl Spans {
    /// Starts the exporter. It connects when the first spans are there.
    pub(crate) fn start(
        otlp: &Otlp,
        instance: &str,
        version: &'static str,
        counters: SpanCounters,
    ) -> io::Result<(Self, SpanSender)> {
        let (queue, tales) = mpsc::channel(otlp.queue);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let otlp = otlp.clone();
        let resource = resource(&otlp, instance, version);
        let mut export = Export {
            scope: InstrumentationScope::builder("serin").with_version(version).build(),
            timeout: otlp.timeout,
            counters: counters.clone(),
            failing: false,
        };
        let thread = std::thread::Builder::new().name("serin-spans".into());
        let exporter = thread.spawn(move || {
            runtime.block_on(async {
                // A channel for gRPC belongs to the runtime that it is made on.
                match exporter(&otlp) {
                    Ok(mut exporter) => {
                        exporter.set_resource(&resource);
                        export.run(&exporter, tales).await;
                    }
                    Err(error) => tracing::error!(%error, "spans can't be exported"),
                }
            });
        })?;
        Ok((Self { exporter }, SpanSender { queue, counters }))
    }

    /// Whether all spans were exported; the exporter ends when all its senders have gone.
    pub(crate) fn is_finished(&self) -> bool {
        self.exporter.is_finished()
    }
}

fn resource(otlp: &Otlp, instance: &str, version: &'static str) -> Resource {
    let own = [
        KeyValue::new("service.name", otlp.service_name.clone()),
        KeyValue::new("service.instance.id", instance.to_owned()),
        KeyValue::new("service.version", version),
    ];
    let given = otlp.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(own.into_iter().chain(given)).build()
}

fn exporter(otlp: &Otlp) -> Result<SpanExporter, ExporterBuildError> {
    match otlp.protocol {
        OtlpProtocol::Grpc => SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&otlp.endpoint)
            .with_timeout(otlp.timeout)
            .with_metadata(MetadataMap::from_headers(headers(otlp)))
            .build(),
        OtlpProtocol::Http => SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&otlp.endpoint)
            .with_timeout(otlp.timeout)
            .with_headers(
                otlp.headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.expose().into()))
                    .collect::<HashMap<_, _>>(),
            )
            .build(),
    }
}

fn headers(otlp: &Otlp) -> HeaderMap {
    let each = otlp.headers.iter().filter_map(|(name, value)| {
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
    });
    each.collect()
}

struct Export {
    scope: InstrumentationScope,
    timeout: Duration,
    counters: SpanCounters,
    failing: bool,
}

impl Export {
    /// Exports until the last sender has gone, and then what is left, for a while.
    async fn run(&mut self, exporter: &SpanExporter, mut tales: mpsc::Receiver<Box<Tale>>) {
        let mut batch = Vec::with_capacity(OTLP_BATCH_MAX);
        loop {
            gather(&mut tales, &mut batch).await;
            if batch.is_empty() {
                return;
            }
            let timeout = if tales.is_closed() { TELEMETRY_FLUSH.min(self.timeout) } else { self.timeout };
            self.export(exporter, &mut batch, timeout).await;
        }
    }

    async fn export(&mut self, exporter: &SpanExporter, batch: &mut Batch, timeout: Duration) {
        let spans: Vec<_> = batch.drain(..).flat_map(|tale| data::spans(&tale, &self.scope)).collect();
        let count = spans.len() as u64;
        // The exporter's own deadline covers its retries, but no attempt that hangs.
        let result = match tokio::time::timeout(timeout, exporter.export(spans)).await {
            Ok(result) => result,
            Err(_) => Err(OTelSdkError::Timeout(timeout)),
        };
        match result {
            Ok(()) => {
                self.counters.exported.increment(count);
                if std::mem::take(&mut self.failing) {
                    tracing::info!("spans are exported again");
                }
            }
            Err(error) => {
                self.counters.export_failed.increment(count);
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "spans can't be exported: they are dropped and counted");
                }
            }
        }
    }
}

/// What is exported at once, boxed as it comes out of the queue.
type Batch = Vec<Box<Tale>>;

/// Waits for the first tale, and a little for others to go with it. Nothing comes after the last sender has
/// gone.
async fn gather(tales: &mut mpsc::Receiver<Box<Tale>>, batch: &mut Batch) {
    if tales.recv_many(batch, OTLP_BATCH_MAX).await == 0 {
        return;
    }
    let due = Instant::now() + OTLP_BATCH_WAIT;
    while batch.len() < OTLP_BATCH_MAX {
        let room = OTLP_BATCH_MAX - batch.len();
        match timeout_at(due, tales.recv_many(batch, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
