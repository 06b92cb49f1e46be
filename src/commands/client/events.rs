//! Server-sent events: what the API tells as it happens.
//!
//! A stream ends by itself after a while, so whoever reads one is ready to open the next, with the id of the last event
//! that came; then nothing is missed. One that says nothing for long, not even that it is still there, has broken.

use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serin_config::limits::{EVENT_BYTES_MAX, EVENTS_SILENCE_MAX};

use super::{
    Stop,
    api::{Api, CallError, not_understood},
};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::commands) struct Event {
    /// Which kind of thing.
    pub(in crate::commands) kind: String,
    /// Its data.
    pub(in crate::commands) data: String,
}

impl Event {
    /// Reads its data.
    pub(in crate::commands) fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Stop> {
        serde_json::from_str(&self.data).map_err(not_understood)
    }
}

/// An open stream.
#[derive(Debug)]
pub(in crate::commands) struct Events<'a> {
    api: &'a Api,
    body: Incoming,
    parser: Parser,
    ready: std::collections::VecDeque<Event>,
}

impl<'a> Events<'a> {
    pub(super) fn new(api: &'a Api, response: Response<Incoming>) -> Self {
        Self { api, body: response.into_body(), parser: Parser::default(), ready: Default::default() }
    }

    /// The next event; none when the stream has ended.
    pub(in crate::commands) async fn next(&mut self) -> Result<Option<Event>, CallError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Ok(frame) = tokio::time::timeout(EVENTS_SILENCE_MAX, self.body.frame()).await else {
                return Err(self
                    .api
                    .broken(format_args!("nothing came for {} s", EVENTS_SILENCE_MAX.as_secs())));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| self.api.broken(error))?;
            let Ok(bytes) = frame.into_data() else { continue };
            let Some(events) = self.parser.take(&bytes) else {
                return Err(self.api.broken(format_args!("an event has more than {EVENT_BYTES_MAX} bytes")));
            };
            self.ready.extend(events);
        }
    }
}

/// Makes events of the bytes of a stream, however they are cut.
#[derive(Debug, Default)]
struct Parser {
    /// The line that is not complete yet.
    line: Vec<u8>,
    event: Event,
}

impl Parser {
    /// The events that these bytes complete; none if one is too large.
    fn take(&mut self, bytes: &[u8]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if self.line.len() + self.event.data.len() > EVENT_BYTES_MAX {
                return None;
            }
            if self.line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.line);
                events.extend(self.end_of(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])));
            }
        }
        Some(events)
    }

    fn end_of(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        // A line that begins with a colon is a comment: its field has no name.
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.kind = value.into(),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> Event {
        Event { kind: kind.into(), data: data.into() }
    }

    const STREAM: &[u8] =
        b": still here\n\nid: 7\nevent: decision\ndata: {\"a\": 1}\n\nevent: status\r\ndata:x\r\ndata: y\r\n\r\nevent: none\n\n";

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let expected = [event("decision", "{\"a\": 1}"), event("status", "x\ny")];
        for size in 1..=STREAM.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> =
                STREAM.chunks(size).flat_map(|bytes| parser.take(bytes).unwrap()).collect();
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1024], b"\n"].concat();
        let mut taken = 0;
        while parser.take(&line).is_some() {
            taken += line.len();
            assert!(taken < 2 * EVENT_BYTES_MAX);
        }
        assert!(taken + 2 * line.len() > EVENT_BYTES_MAX, "{taken}");
    }
}
