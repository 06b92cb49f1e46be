//! `serin rollout watch`: the rollout as it goes.
//!
//! The service and its newest decisions, as the API tells of them each second, become one [`Frame`]. On a terminal a frame is a block
//! that the next one overwrites; in a pipe it is a line, with a line of its own for each decision, so that it can be kept
//! and searched. Both end with the rollout, and so does the command.

mod frame;
mod screen;

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use serin_control::status::ServiceStatus;
use tokio::time::{Instant, sleep, timeout_at};

use self::{
    frame::{Decision, Frame, Paint},
    screen::Screen,
};
use super::{
    super::{
        CAN_NOT,
        client::{Access, Api, Outcome, Stop, events::Events, reader},
        print_on,
    },
    ServiceText,
    wait::{self, LATE, Patience},
};

/// What to watch.
#[derive(Debug, Args)]
#[command(after_help = wait::EXIT_CODES)]
pub(super) struct Arguments {
    /// The service
    service: ServiceText,
    /// Watch no longer, such as 45m; to the rollout's end by default
    #[arg(long, value_name = "TIME")]
    timeout: Option<Patience>,
    #[command(flatten)]
    access: Access,
}

/// How often to look, where the API does not tell by itself.
const EVERY: Duration = Duration::from_secs(1);
/// Decisions that are asked for at once; in a second there are never so many.
const DECISIONS_MAX: usize = 100;

pub(super) async fn run(arguments: &Arguments) -> Outcome {
    tokio::select! {
        ended = watch(arguments) => ended,
        () = reader::gone() => Ok(ExitCode::SUCCESS),
    }
}

async fn watch(arguments: &Arguments) -> Outcome {
    let Arguments { service, timeout, access } = arguments;
    let api = access.api()?;
    let deadline = timeout.map(|Patience(patience)| Instant::now() + patience);
    let mut show: Box<dyn Show> = if access.output.is_json() {
        Box::new(Lines)
    } else if std::io::stdout().is_terminal() {
        Box::new(Screen::new(Paint::of_terminal()))
    } else {
        Box::new(Pipe::default())
    };
    // That there is none is told as by `status`; it also says which rollout is meant.
    let mut rollout = wait::rollout(&api, service).await?;
    let mut read_by_somebody = true;
    let mut read = Reading { api: &api, service, events: None, seen: None };
    loop {
        let frame = read.frame(rollout.id);
        let frame = match deadline {
            Some(deadline) => match timeout_at(deadline, frame).await {
                Ok(frame) => frame,
                Err(_) => return Ok(ExitCode::from(LATE)),
            },
            None => frame.await,
        };
        match frame {
            Ok(Some(frame)) => {
                read_by_somebody = show.frame(&frame);
                rollout = frame.rollout;
            }
            // Another one has begun since: nothing is left to be seen of this one but its end.
            Ok(None) => match wait::next(&api, service, &rollout).await? {
                Some(ended) => rollout = ended,
                None => return Err(wait::forgotten(rollout.id)),
            },
            Err(stop) if stop.is_turned_away() => return Err(stop.with_code(CAN_NOT)),
            Err(stop) => {
                read_by_somebody = show.away(&stop);
                sleep(EVERY).await;
            }
        }
        if let Some(code) = wait::code(rollout.state) {
            return Ok(code);
        }
        if !read_by_somebody {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// Reads frames, decisions once each. The first one is asked for; after that the API tells when there is something new,
/// and where it does not, it is asked each second.
struct Reading<'a> {
    api: &'a Api,
    service: &'a ServiceText,
    events: Option<Events<'a>>,
    /// The newest entry of the journal that was read; none before the first frame.
    seen: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Page {
    entries: Vec<Decision>,
}

impl Reading<'_> {
    /// The next frame of this rollout. None: the service is at another one by now.
    async fn frame(&mut self, rollout: u64) -> Result<Option<Frame>, Stop> {
        let Some(seen) = self.seen else { return self.ask(rollout).await };
        if self.events.is_none() {
            // One that does not tell, or tells too many others, can still be asked.
            let path = format!("/v1/services/{}/watch", self.service.0);
            self.events = self.api.events(&path, seen).await.ok();
        }
        let mut decisions: Vec<Decision> = Vec::new();
        while let Some(events) = &mut self.events {
            match events.next().await {
                Ok(Some(event)) if event.kind == "decision" => decisions.push(event.read()?),
                Ok(Some(event)) if event.kind == "status" => {
                    self.seen = decisions.last().map(|decision| decision.sequence).or(self.seen);
                    return Ok(frame(event.read()?, rollout, decisions));
                }
                Ok(Some(_)) => {}
                // They end after a while. What came since the last frame is asked for.
                Ok(None) => self.events = None,
                Err(error) => {
                    self.events = None;
                    return Err(error.into());
                }
            }
        }
        sleep(EVERY).await;
        self.ask(rollout).await
    }

    async fn ask(&mut self, rollout: u64) -> Result<Option<Frame>, Stop> {
        let name = &self.service.0;
        let status: ServiceStatus = self.api.get(&format!("/v1/services/{name}")).await?.read()?;
        let page = format!("/v1/journal?service={name}&limit={DECISIONS_MAX}");
        let Page { mut entries } = self.api.get(&page).await?.read()?;
        entries.retain(|entry| self.seen.is_none_or(|seen| entry.sequence > seen));
        entries.sort_by_key(|entry| entry.sequence);
        self.seen = Some(entries.last().map_or(self.seen.unwrap_or_default(), |entry| entry.sequence));
        Ok(frame(status, rollout, entries))
    }
}

fn frame(status: ServiceStatus, rollout: u64, mut decisions: Vec<Decision>) -> Option<Frame> {
    decisions.retain(|entry| entry.rollout == Some(rollout));
    let rollout = status.rollout.clone().filter(|found| found.id == rollout)?;
    Some(Frame { status, rollout, decisions })
}

/// Shows frames in one of the ways. What is shown tells whether anybody still reads.
trait Show {
    fn frame(&mut self, frame: &Frame) -> bool;
    /// Nobody answered; there may be a next time.
    fn away(&mut self, why: &Stop) -> bool;
}

/// A line for each second that was counted, one for each decision, and one where what is said of the rollout has changed.
#[derive(Debug, Default)]
struct Pipe {
    away: bool,
    /// The second and the words of the last line.
    shown: Option<(Option<u64>, String)>,
    /// The latest moment of a line, in milliseconds since 1970: counts are of a second that is over, decisions of now, and
    /// no line is dated before the one above it.
    at_ms: u64,
}

impl Pipe {
    fn lines(&mut self, frame: &Frame) -> String {
        let mut text = String::new();
        for decision in &frame.decisions {
            self.at_ms = self.at_ms.max(decision.at_ms);
            text += &(decision.line() + "\n");
        }
        let now = (frame.second(), frame.rollout.summary.clone());
        if self.shown.as_ref() != Some(&now) {
            self.at_ms = self.at_ms.max(now.0.unwrap_or_default() * 1_000);
            text += &(frame.line((self.at_ms > 0).then_some(self.at_ms)) + "\n");
            self.shown = Some(now);
        }
        text
    }
}

impl Show for Pipe {
    fn frame(&mut self, frame: &Frame) -> bool {
        self.away = false;
        let lines = self.lines(frame);
        lines.is_empty() || print_on(&lines)
    }

    fn away(&mut self, why: &Stop) -> bool {
        std::mem::replace(&mut self.away, true) || print_on(&format!("{why}; asking again\n"))
    }
}

/// The same as JSON.
struct Lines;

impl Show for Lines {
    fn frame(&mut self, frame: &Frame) -> bool {
        let value = |value: Result<Value, _>| value.unwrap_or_default();
        let decisions = frame.decisions.iter();
        let decisions = decisions
            .map(|decision| format!("{}\n", json!({ "decision": value(serde_json::to_value(decision)) })));
        let mut status = value(serde_json::to_value(&frame.status));
        if let Some(status) = status.as_object_mut() {
            status.remove("seconds");
            status.remove("earlier");
        }
        print_on(&(decisions.collect::<String>() + &format!("{}\n", json!({ "service": status }))))
    }

    fn away(&mut self, why: &Stop) -> bool {
        print_on(&format!("{}\n", json!({ "away": why.to_string() })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(at_ms: u64) -> Decision {
        let value = json!({
            "sequence": 9, "at_ms": at_ms, "actor": "api", "action": "pause", "to": null, "reason": "", "rollout": 3,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn in_a_pipe_each_second_has_one_line_and_none_is_dated_before_the_one_above_it() {
        let mut pipe = Pipe::default();
        let mut frame = frame::tests::running();
        let first = pipe.lines(&frame);
        assert!(first.starts_with("00:02:31Z  running, step 2") && first.lines().count() == 1, "{first}");
        // The plan was acknowledged, say: nothing that a line would show.
        assert_eq!(pipe.lines(&frame), "");
        frame.decisions.push(decision(153_500));
        frame.rollout.summary = "paused at step 2".into();
        let paused = pipe.lines(&frame);
        let stamps: Vec<&str> = paused.lines().map(|line| &line[..9]).collect();
        assert_eq!(stamps, ["00:02:33Z", "00:02:33Z"], "{paused}");
        frame.decisions.clear();
        frame.status.seconds[0].at = 154;
        assert!(pipe.lines(&frame).starts_with("00:02:34Z  paused at step 2"));
    }
}
