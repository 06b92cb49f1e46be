//! Waiting for a rollout's end, and the exit code that tells it.
//!
//! A control plane that is away for a while (a restart, another leader) is no reason to fail a pipeline: once it has
//! answered, it is asked again until the time is over.

use std::{io::Write, process::ExitCode, str::FromStr, time::Duration};

use serde::Deserialize;
use serin_config::{limits::STATUS_WAIT_MAX, raw::decode::Leaf};
use serin_control::{
    rollout::{PromotedBy, State},
    status::RolloutStatus,
};
use tokio::time::{Instant, sleep};

use super::{
    super::client::{Api, Stop},
    ServiceText, path,
};

/// The time is over.
pub(in crate::commands) const LATE: u8 = 3;
/// The canary has everything by the clock alone: it had no request to be judged by.
pub(in crate::commands) const UNJUDGED: u8 = 4;
/// What the exit codes of a command say that waits.
pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 the canary has everything (promoted); 1 it has not: rolled back, aborted or undone; 2 no control plane could be \
asked, or the service has no rollout; 3 the time was over before the end; 4 the canary has everything by the clock alone \
(a step until time): it had no request, so nothing was judged. A control plane that is away for a while is \
asked again.";
/// How often to look.
const EVERY: Duration = Duration::from_secs(1);

/// A time as the file writes it.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct Patience(pub(in crate::commands) Duration);

impl FromStr for Patience {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match Duration::read(text) {
            Ok(time) if time > STATUS_WAIT_MAX => Err("a month is the longest".into()),
            Ok(time) => Ok(Self(time)),
            Err(fault) => Err(format!("{}: {}", fault.wrong, fault.right)),
        }
    }
}

/// How a rollout ended, in one of the ways that a pipeline tells apart.
pub(super) fn code(state: State) -> Option<ExitCode> {
    result_of(state).map(ExitCode::from)
}

/// The same as a number; none of one in progress.
pub(in crate::commands) fn result_of(state: State) -> Option<u8> {
    match state {
        State::Promoted { why: PromotedBy::ClockWithoutTraffic } => Some(UNJUDGED),
        State::Promoted { .. } => Some(0),
        State::Aborted { .. } | State::RolledBack { .. } | State::Undone { .. } => Some(super::super::NO),
        State::Running { .. } | State::Paused { .. } | State::Held { .. } => None,
    }
}

/// The rollout in progress or the last one.
pub(super) async fn rollout(api: &Api, service: &ServiceText) -> Result<RolloutStatus, Stop> {
    // That there is none is no answer of the kind that is waited for.
    api.get(&path(service, "")).await.map_err(|stop| stop.with_code(super::super::CAN_NOT))?.read()
}

/// Waits until the rollout has ended that is in progress now. Gives its last status and the exit code.
pub(super) async fn for_end(
    api: &Api,
    service: &ServiceText,
    patience: Duration,
) -> Result<(RolloutStatus, ExitCode), Stop> {
    let deadline = Instant::now() + patience;
    let mut last = rollout(api, service).await?;
    if code(last.state).is_none() {
        say(format_args!("waiting for the end of rollout {} ({})", last.id, last.summary));
    }
    let mut away = false;
    loop {
        if let Some(code) = code(last.state) {
            return Ok((last, code));
        }
        if Instant::now() + EVERY > deadline {
            return Ok((last, ExitCode::from(LATE)));
        }
        sleep(EVERY).await;
        match next(api, service, &last).await {
            Ok(Some(next)) => (last, away) = (next, false),
            Ok(None) => return Err(forgotten(last.id)),
            Err(stop) if stop.is_turned_away() => return Err(stop),
            Err(stop) if !away => {
                away = true;
                say(format_args!("{stop}; asking again"));
            }
            Err(_) => {}
        }
    }
}

/// The same rollout as it is by now, though another one may have begun since; none if it is not kept any more.
pub(in crate::commands) async fn next(
    api: &Api,
    service: &ServiceText,
    last: &RolloutStatus,
) -> Result<Option<RolloutStatus>, Stop> {
    let present = rollout(api, service).await?;
    if present.id == last.id {
        return Ok(Some(present));
    }
    let listed: Listed = api.get(&format!("/v1/rollouts?service={}", service.0)).await?.read()?;
    let row = listed.rollouts.into_iter().find(|row| row.id == last.id);
    Ok(row.map(|Row { state, summary, .. }| RolloutStatus { state, summary, live: false, ..last.clone() }))
}

/// There is nobody to ask any more how the rollout ended.
pub(in crate::commands) fn forgotten(id: u64) -> Stop {
    Stop::can_not(format_args!("rollout {id} is not kept any more: how it ended can't be told"))
}

/// Beside the answer, for whoever reads a pipeline's log. Where nobody listens, the exit code still tells.
fn say(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "serin: {what}");
}

#[derive(Debug, Deserialize)]
struct Listed {
    rollouts: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: u64,
    #[serde(flatten)]
    state: State,
    summary: String,
}
