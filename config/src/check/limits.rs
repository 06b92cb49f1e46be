//! Bounds that an operator may change, each within bounds that no one may.

use std::time::Duration;

use super::{
    range::{within_if_any, within_or},
    section,
};
use crate::{
    limits::{
        CONCURRENCY_MAX, IDLE_CONNECTIONS_MAX, Limits, MEMORY_LEAST, MaxMemory, STREAMS_MAX, TIMEOUT_MAX,
        WORKERS_MAX,
    },
    problem::{Problems, Reported},
    raw::{
        self,
        decode::{Field, Spanned},
    },
};

/// All limits; what the file leaves out has its default.
pub(super) fn check(field: Field<raw::Limits>, problems: &mut Problems) -> Result<Limits, Reported> {
    let (raw, default) = (section(field)?, Limits::default());
    let mut time = |field, least, default| within_or(field, least..=TIMEOUT_MAX, default, problems);
    let least = Duration::from_millis(1);
    let client_header_timeout = time(raw.client_header_timeout, least, default.client_header_timeout);
    let client_keep_alive = time(raw.client_keep_alive, least, default.client_keep_alive);
    let client_stall_timeout = time(raw.client_stall_timeout, least, default.client_stall_timeout);
    let endpoint_keep_alive = time(raw.endpoint_keep_alive, least, default.endpoint_keep_alive);
    let drain_deadline = time(raw.drain_deadline, Duration::ZERO, default.drain_deadline);
    let mut count = |field, least, most, default| count(field, least, most, default, problems);
    let max_connections = count(raw.max_connections, 1, CONCURRENCY_MAX, default.max_connections);
    let max_requests =
        count(raw.max_requests_per_version, 1, CONCURRENCY_MAX, default.max_requests_per_version);
    let max_requests_in_all = match raw.max_requests {
        Field::Absent => Ok(None),
        field => count(field, 1, CONCURRENCY_MAX, 1).map(Some),
    };
    let idle_connections = count(
        raw.idle_connections_per_endpoint,
        0,
        IDLE_CONNECTIONS_MAX,
        default.idle_connections_per_endpoint,
    );
    let max_streams =
        within_or(raw.max_streams, 1..=STREAMS_MAX.into(), default.max_streams.into(), problems);
    let max_memory = match raw.max_memory.optional() {
        Ok(Some(Spanned { place, value: MaxMemory::Bytes(bytes) })) if bytes < MEMORY_LEAST => {
            let wrong = "the process itself would take most of it";
            Err(problems.add(&place, wrong, "write at least 16MiB, or none"))
        }
        Ok(given) => Ok(given.map_or(default.max_memory, |given| given.value)),
        Err(reported) => Err(reported),
    };
    let max_body = raw.max_body.optional().map(|given| given.map(|given| given.value.0));
    let workers = within_if_any(raw.workers, 1..=WORKERS_MAX as u64, problems);
    Ok(Limits {
        workers: workers?.and_then(|workers| usize::try_from(workers).ok()),
        max_connections: max_connections?,
        max_requests_per_version: max_requests?,
        max_requests: max_requests_in_all?,
        max_memory: max_memory?,
        max_body: max_body?,
        max_streams: u32::try_from(max_streams?).unwrap_or(STREAMS_MAX),
        client_header_timeout: client_header_timeout?,
        client_keep_alive: client_keep_alive?,
        client_stall_timeout: client_stall_timeout?,
        endpoint_keep_alive: endpoint_keep_alive?,
        idle_connections_per_endpoint: idle_connections?,
        drain_deadline: drain_deadline?,
    })
}

fn count(
    field: Field<u64>,
    least: u64,
    most: usize,
    default: usize,
    problems: &mut Problems,
) -> Result<usize, Reported> {
    let number = within_or(field, least..=most as u64, default as u64, problems)?;
    Ok(usize::try_from(number).unwrap_or(most))
}
