//! What is told of one request when it has ended: the plain data behind its spans and its access log line.
//!
//! It owns everything that it names, so that it can leave the worker's thread, and its texts are copies with
//! a bound: a slice of the client's head would keep the whole read buffer alive.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Method, StatusCode, Version};
use serin_config::{
    Address, Outcome, RouteName, ServiceName, VersionName,
    limits::{ATTEMPTS_TOLD_MAX, TOLD_FIELD_BYTES_MAX, TOLD_PATH_BYTES_MAX},
};
use serin_split::{
    classify,
    trace::{Context, SpanId},
};

/// One request, from its head to the end of its answer.
#[derive(Debug, Clone)]
pub(crate) struct Tale {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) context: Context,
    /// Whether its spans are recorded.
    pub(crate) recorded: bool,
    /// The client; none behind a Unix socket.
    pub(crate) client: Option<IpAddr>,
    pub(crate) scheme: &'static str,
    pub(crate) protocol: Version,
    pub(crate) method: Method,
    pub(crate) asked: Asked,
    /// The answer's status; none if the client went before there was one.
    pub(crate) status: Option<StatusCode>,
    /// When the answer's head was handed to the client's connection.
    pub(crate) answered: Option<Instant>,
    /// The label of an answer by Serin itself.
    pub(crate) own_answer: Option<&'static str>,
    pub(crate) generation: u64,
    pub(crate) route: Option<RouteName>,
    pub(crate) service: Option<ServiceName>,
    /// The first [`ATTEMPTS_TOLD_MAX`].
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) attempts_made: u32,
    pub(crate) own: Option<Duration>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// One attempt on an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) names: Arc<Names>,
    pub(crate) endpoint: Option<Address>,
    pub(crate) span: SpanId,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) status: Option<StatusCode>,
    pub(crate) protocol: Option<Version>,
    pub(crate) outcome: Outcome,
}

/// The names of a version.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) service: ServiceName,
    pub(crate) version: VersionName,
}

impl Tale {
    /// Adds an attempt that has ended.
    pub(crate) fn attempted(&mut self, attempt: Attempt) {
        self.attempts_made += 1;
        if self.attempts.len() == ATTEMPTS_TOLD_MAX {
            // The last one says how it ended for the client.
            self.attempts.pop();
        }
        self.attempts.push(attempt);
    }

    /// How it ended: what the last attempt came to, or else what Serin answered by itself.
    pub(crate) fn outcome(&self) -> &'static str {
        match (self.attempts.last(), self.own_answer, self.status) {
            (Some(last), ..) => last.outcome.label(),
            (None, Some(label), _) => label,
            (None, None, Some(status)) => classify::status(status).label(),
            (None, None, None) => Outcome::ClientCancel.label(),
        }
    }

    /// Whether something failed on the way, be it that a retry hid it from the client.
    pub(crate) fn failed(&self) -> bool {
        self.status.is_some_and(|status| status.is_server_error())
            || self.attempts.iter().any(|attempt| attempt.outcome.is_failure())
    }

    /// How long the answer took to begin; how long it took to be given up where there was none.
    pub(crate) fn answer_after(&self) -> Duration {
        self.answered.unwrap_or(self.ended).saturating_duration_since(self.began)
    }
}

/// What the client asked for, in its own words: one text with the ends of its parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    text: String,
    ends: [usize; 5],
}

impl Asked {
    /// Copies the parts, each up to its bound.
    pub(crate) fn new(path: &str, query: &str, host: &str, user_agent: &str, tracestate: &str) -> Self {
        let mut text = String::with_capacity(
            path.len().min(TOLD_PATH_BYTES_MAX)
                + query.len()
                + host.len()
                + user_agent.len()
                + tracestate.len(),
        );
        let mut ends = [0; 5];
        for (part, end) in [path, query, host, user_agent, tracestate].into_iter().zip(&mut ends) {
            let most = if text.is_empty() { TOLD_PATH_BYTES_MAX } else { TOLD_FIELD_BYTES_MAX };
            text.push_str(up_to(most, part));
            *end = text.len();
        }
        Self { text, ends }
    }

    pub(crate) fn path(&self) -> &str {
        &self.text[..self.ends[0]]
    }

    pub(crate) fn query(&self) -> &str {
        &self.text[self.ends[0]..self.ends[1]]
    }

    pub(crate) fn host(&self) -> &str {
        &self.text[self.ends[1]..self.ends[2]]
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.text[self.ends[2]..self.ends[3]]
    }

    pub(crate) fn tracestate(&self) -> &str {
        &self.text[self.ends[3]..self.ends[4]]
    }
}

/// The longest beginning of at most `most` bytes that does not cut a character.
fn up_to(most: usize, text: &str) -> &str {
    match text.len() <= most {
        true => text,
        false => &text[..text.floor_char_boundary(most)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_even_where_some_are_empty() {
        let asked = Asked::new("/a", "", "shop.example", "", "k=v");
        assert_eq!((asked.path(), asked.query(), asked.host()), ("/a", "", "shop.example"));
        assert_eq!((asked.user_agent(), asked.tracestate()), ("", "k=v"));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let asked = Asked::new(&"ä".repeat(3_000), &"ö".repeat(300), "", &"u".repeat(600), "");
        assert_eq!(asked.path().len(), TOLD_PATH_BYTES_MAX);
        assert_eq!(asked.query().len(), TOLD_FIELD_BYTES_MAX);
        assert_eq!(asked.user_agent(), "u".repeat(TOLD_FIELD_BYTES_MAX));
    }
}
