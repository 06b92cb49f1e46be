//! One line of the access log: a JSON object.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serin_config::{RouteName, ServiceName};

use super::super::tale::Tale;

/// Its fields, in their order; what is not known is left out.
#[derive(Debug, Serialize)]
struct Line<'a> {
    time: String,
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    sampled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    query: &'a str,
    scheme: &'a str,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    generation: u64,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    own_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers_us: Option<u64>,
    total_us: u64,
    bytes_in: u64,
    bytes_out: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_agent: &'a str,
}

/// Writes the line of a request that began at `began` by the wall clock, with its end of line.
pub(super) fn write(tale: &Tale, began: SystemTime, to: &mut Vec<u8>) -> io::Result<()> {
    let last = tale.attempts.last();
    let line = Line {
        time: rfc3339(began),
        trace_id: tale.context.trace.to_string(),
        span_id: tale.recorded.then(|| tale.context.server.to_string()),
        sampled: tale.context.is_sampled(),
        client: tale.client.map(|client| client.to_string()),
        method: tale.method.as_str(),
        host: tale.asked.host(),
        path: tale.asked.path(),
        query: tale.asked.query(),
        scheme: tale.scheme,
        protocol: protocol(tale.protocol),
        status: tale.status.map(|status| status.as_u16()),
        outcome: tale.outcome(),
        service: tale.service.as_ref().map(ServiceName::as_str),
        version: last.map(|attempt| attempt.names.version.as_str()),
        route: tale.route.as_ref().map(RouteName::as_str),
        endpoint: last.and_then(|attempt| attempt.endpoint.as_ref()).map(ToString::to_string),
        generation: tale.generation,
        attempts: tale.attempts_made,
        own_us: tale.own.map(micros),
        headers_us: tale.answered.map(|at| micros(at.saturating_duration_since(tale.began))),
        total_us: micros(tale.ended.saturating_duration_since(tale.began)),
        bytes_in: tale.bytes_in,
        bytes_out: tale.bytes_out,
        user_agent: tale.asked.user_agent(),
    };
    serde_json::to_writer(&mut *to, &line)?;
    to.write_all(b"\n")
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_2 => "HTTP/2",
        http::Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// `2026-11-21T13:05:09.123456Z`.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second, micros) = (since.as_secs() / 86_400, since.as_secs() % 86_400, since.subsec_micros());
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The date of a day since 1970. Years are counted from March, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        let at = |seconds, micros| UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
        for (time, text) in [
            (at(0, 0), "1970-01-01T00:00:00.000000Z"),
            (at(951_782_399, 999_999), "2000-02-28T23:59:59.999999Z"),
            (at(951_782_400, 0), "2000-02-29T00:00:00.000000Z"),
            (at(951_868_800, 0), "2000-03-01T00:00:00.000000Z"),
            (at(1_709_164_800, 0), "2024-02-29T00:00:00.000000Z"),
            (at(1_735_689_599, 1), "2024-12-31T23:59:59.000001Z"),
            (at(1_795_266_309, 123_456), "2026-11-21T13:05:09.123456Z"),
            (at(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(time), text);
        }
    }
}
