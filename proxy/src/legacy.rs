//! What a process leaves to the one that takes its place, beside its sockets: what it held against canaries, and the windows
//! that no control plane has kept yet.
//!
//! A trip is a fact about a version, not about a process: users of a canary that was taken out must not find it again because
//! somebody installed a new release. And windows are part of a life that goes on: the new process counts on from the
//! last number of the one before, under the same epoch, so that a control plane knows of each window whether it has it.
//! To it a hand-over is a stream that broke off for a moment.
//!
//! A field that is not known is left out, one that is missing is nothing: the two processes may be of different releases.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serin_config::{Generation, ServiceName, VersionName, wire::WindowReport};
use serin_split::resilience::tripwire::Reason;

use crate::shared::{Shared, trip::Tripped};

/// Everything that is left.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Legacy {
    /// What is held against canaries.
    #[serde(default)]
    pub wires: Vec<LeftWire>,
    /// Where windows go to another process: the life that goes on.
    #[serde(default)]
    pub life: Option<Life>,
}

/// What one trip-wire has counted, and whether it has tripped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftWire {
    service: ServiceName,
    version: VersionName,
    held: Held,
}

/// What is held against a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Since which plan it has had weight, or copies.
    pub(crate) since: Generation,
    /// Requests that it failed since.
    pub(crate) failed: u64,
    /// The trip that holds.
    #[serde(default)]
    pub(crate) tripped: Option<Tripped>,
}

/// The life of a proxy, as far as its windows go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Which.
    pub(crate) epoch: u64,
    /// The number of its last window.
    pub(crate) sequence: u64,
    /// The windows that the control plane has not said to have kept, in their order.
    pub(crate) windows: Vec<LeftWindow>,
    /// Windows that were given up, since there was no room for them.
    #[serde(default)]
    pub(crate) lost: u64,
}

/// A window that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LeftWindow {
    pub(crate) window: WindowReport,
    /// For how long.
    pub(crate) waited_ms: u64,
    /// Whether any stream took it.
    pub(crate) told: bool,
}

/// A [`Reason`] in this form.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Reason", rename_all = "snake_case")]
pub(crate) enum LeftReason {
    Unreachable(u32),
    Late(u32),
    Failed(u64),
    Silent(u64, Duration),
    Slow(Duration),
}

impl Legacy {
    /// The same without its oldest windows, where it would otherwise have more than so many bytes as text; they are counted
    /// as lost.
    pub fn to_text(mut self, most: usize) -> serde_json::Result<String> {
        loop {
            let text = serde_json::to_string(&self)?;
            let Some(life) = self.life.as_mut().filter(|life| text.len() > most && !life.windows.is_empty())
            else {
                return Ok(text);
            };
            let half = life.windows.len().div_ceil(2);
            life.lost += life.windows.drain(..half).filter(|left| !left.told).count() as u64;
        }
    }
}

impl Life {
    /// How many windows are lost if nobody goes on with it: those that no stream took, and those that had no room.
    pub fn untold(&self) -> u64 {
        self.windows.iter().filter(|left| !left.told).count() as u64 + self.lost
    }
}

/// What is held against any version.
pub(crate) fn wires(shared: &Shared) -> Vec<LeftWire> {
    let versions = shared.versions().into_iter();
    let held = versions.filter_map(|((service, version), state)| {
        state.trip.held().map(|held| LeftWire { service, version, held })
    });
    held.collect()
}

/// Holds the same here.
pub(crate) fn take_up(shared: &Shared, wires: &[LeftWire]) {
    for LeftWire { service, version, held } in wires {
        // One that is not there any more has no users either.
        let Some(state) = shared.known(service, version) else { continue };
        if state.trip.take_up(held)
            && let Some(tripped) = &held.tripped
        {
            tracing::warn!(
                %service, %version, generation = %tripped.generation,
                "the trip-wire has taken the canary out in the process before, and it stays out: {}", tripped.reason
            );
        }
    }
}

impl LeftWire {
    /// The trip alone; none where there is none.
    pub fn tripped(self) -> Option<Self> {
        self.held.tripped.is_some().then_some(Self { held: Held { failed: 0, ..self.held }, ..self })
    }
}

#[cfg(test)]
mod tests {
    use serin_config::outcome::OutcomeCounts;

    use super::*;

    fn window(sequence: u64) -> LeftWindow {
        let mut outcomes = OutcomeCounts::default();
        outcomes.add_times(serin_config::Outcome::Http5xx, sequence);
        let cell = serin_config::wire::WindowCell {
            service: ServiceName::try_new("shop").unwrap(),
            version: VersionName::try_new("v2").unwrap(),
            route: serin_config::RouteName::try_new("shop").unwrap(),
            outcomes,
            headers: Default::default(),
            clients: Some(2),
            control: None,
            events: vec![],
        };
        LeftWindow {
            window: WindowReport {
                proxy: "edge-1".into(),
                epoch: 5,
                sequence,
                ended_ms: 1_000,
                age_ms: 0,
                generation: Generation(4),
                began_under: Generation(3),
                probing: vec![],
                cells: vec![cell],
                trips: vec![],
                unready: vec![],
                copies: vec![],
            },
            waited_ms: 20,
            told: sequence == 1,
        }
    }

    fn legacy() -> Legacy {
        let reasons = [
            Reason::Unreachable(5),
            Reason::Late(5),
            Reason::Failed(7),
            Reason::Silent(10, Duration::from_millis(2_100)),
            Reason::Slow(Duration::from_secs(3)),
        ];
        let wires = reasons.map(|reason| {
            let tripped = Tripped { reason, generation: Generation(4), at_ms: 9 };
            LeftWire {
                service: ServiceName::try_new("shop").unwrap(),
                version: VersionName::try_new("v2").unwrap(),
                held: Held { since: Generation(3), failed: 7, tripped: Some(tripped) },
            }
        });
        let life = Life { epoch: 5, sequence: 4, windows: (1..=4).map(window).collect(), lost: 0 };
        Legacy { wires: wires.to_vec(), life: Some(life) }
    }

    fn read(text: &str) -> Legacy {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_left_arrives_as_it_was() {
        let back = read(&legacy().to_text(usize::MAX).unwrap());
        assert_eq!((back.wires, back.life), (legacy().wires, legacy().life));
    }

    #[test]
    fn what_is_too_much_loses_its_oldest_windows_and_says_so() {
        let whole = legacy().to_text(usize::MAX).unwrap().len();
        let life = read(&legacy().to_text(whole - 1).unwrap()).life.unwrap();
        let sequences: Vec<u64> = life.windows.iter().map(|left| left.window.sequence).collect();
        // The first of the two that went was told already.
        assert_eq!((sequences, life.lost, life.sequence), (vec![3, 4], 1, 4));
        let life = read(&legacy().to_text(0).unwrap()).life.unwrap();
        assert_eq!((life.windows.len(), life.lost, life.untold()), (0, 3, legacy().life.unwrap().untold()));
    }

    #[test]
    fn releases_that_leave_more_or_less_are_understood() {
        let other = read("{\"wires\":[],\"more\":{}}");
        assert!(other.wires.is_empty() && other.life.is_none() && read("{}").wires.is_empty());
    }
}
