//! A log of the control plane, the journal of decisions or the audit log: numbered entries, which are told page by page, the
//! newest first.
//!
//! A command shows them as logs are read, the oldest first: the newest few, and then, if it follows, what comes.

use std::{fmt::Write as _, io::Write as _, process::ExitCode, time::Duration};

use serde_json::Value;
use serin_config::limits::API_ENTRIES_MAX;
use tokio::time::sleep;

use super::{Api, Outcome, Stop, events::Events, reader};

/// How often to look for new entries, where the API does not tell by itself.
const EVERY: Duration = Duration::from_secs(1);

/// Some entries of a log.
#[derive(Debug)]
pub(in crate::commands) struct Log<'a> {
    api: &'a Api,
    path: &'a str,
    /// Which entries are wanted, as the rest of a query.
    wanted: String,
    /// Where the API tells of new ones, if it does.
    watch: Option<String>,
}

impl<'a> Log<'a> {
    /// All of the log at this path.
    pub(in crate::commands) fn at(api: &'a Api, path: &'a str) -> Self {
        Self { api, path, wanted: String::new(), watch: None }
    }

    /// Only entries of which this holds, if it is given.
    #[must_use]
    pub(in crate::commands) fn only(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let _ = write!(self.wanted, "&{name}={}", escaped(value));
        }
        self
    }

    /// Where the API tells of new ones, as events of the kind `decision`.
    #[must_use]
    pub(in crate::commands) fn told_at(self, watch: String) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// The newest so many, the oldest of them first.
    pub(in crate::commands) async fn newest(&self, many: usize) -> Result<Vec<Value>, Stop> {
        let mut entries = Vec::new();
        while entries.len() < many {
            let limit = (many - entries.len()).min(API_ENTRIES_MAX);
            let page = self.page(limit, entries.last().map(sequence)).await?;
            let is_last = page.len() < limit;
            entries.extend(page);
            if is_last {
                break;
            }
        }
        entries.reverse();
        Ok(entries)
    }

    /// Shows what comes behind the entry with the number `seen`, until nobody reads it any more. A control plane that is
    /// away for a while is asked again.
    pub(in crate::commands) async fn follow(&self, seen: u64, show: impl Fn(&[Value]) -> bool) -> Outcome {
        tokio::select! {
            ended = self.go_on(seen, show) => ended,
            () = reader::gone() => Ok(ExitCode::SUCCESS),
        }
    }

    async fn go_on(&self, mut seen: u64, show: impl Fn(&[Value]) -> bool) -> Outcome {
        let (mut events, mut away) = (None, false);
        loop {
            if let (None, Some(watch)) = (&events, &self.watch) {
                // One that does not tell, or tells too many others, can still be asked.
                events = self.api.events(watch, seen).await.ok();
            }
            let next = match &mut events {
                Some(open) => next(open).await,
                None => {
                    sleep(EVERY).await;
                    self.after(seen).await.map(Some)
                }
            };
            match next {
                Ok(Some(entries)) => {
                    away = false;
                    seen = entries.last().map_or(seen, sequence);
                    if !entries.is_empty() && !show(&entries) {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
                // Streams end after a while.
                Ok(None) => {
                    events = None;
                    sleep(EVERY).await;
                }
                Err(stop) if stop.is_turned_away() => return Err(stop),
                Err(stop) => {
                    events = None;
                    if !std::mem::replace(&mut away, true) {
                        // Where nobody listens, whoever follows sees that nothing comes.
                        let _ = writeln!(std::io::stderr().lock(), "serin: {stop}; asking again");
                    }
                    sleep(EVERY).await;
                }
            }
        }
    }

    /// Those that are newer, the oldest first.
    async fn after(&self, seen: u64) -> Result<Vec<Value>, Stop> {
        let mut entries: Vec<Value> = Vec::new();
        loop {
            let page = self.page(API_ENTRIES_MAX, entries.last().map(sequence)).await?;
            let (before, length) = (entries.len(), page.len());
            entries.extend(page.into_iter().take_while(|entry| sequence(entry) > seen));
            if entries.len() - before < length || length < API_ENTRIES_MAX {
                entries.reverse();
                return Ok(entries);
            }
        }
    }

    async fn page(&self, limit: usize, before: Option<u64>) -> Result<Vec<Value>, Stop> {
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        let path = format!("{}?limit={limit}{before}{}", self.path, self.wanted);
        let mut page: Value = self.api.get(&path).await?.read()?;
        Ok(page["entries"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }
}

/// What the next event tells; none when they have ended.
async fn next(events: &mut Events<'_>) -> Result<Option<Vec<Value>>, Stop> {
    let event = events.next().await?;
    event
        .map(|event| if event.kind == "decision" { Ok(vec![event.read()?]) } else { Ok(Vec::new()) })
        .transpose()
}

/// The number of an entry.
pub(in crate::commands) fn sequence(entry: &Value) -> u64 {
    entry["sequence"].as_u64().unwrap_or_default()
}

/// A text as it may stand in a query.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            byte => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_query_is_escaped_in_it() {
        assert_eq!(escaped("shop-1.a_b~"), "shop-1.a_b~");
        assert_eq!(escaped("CN=deploy,O=A & B"), "CN%3Ddeploy%2CO%3DA%20%26%20B");
        assert_eq!(escaped("ä"), "%C3%A4");
    }
}
