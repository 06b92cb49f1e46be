//! One entry of the audit log.

use serde::{Deserialize, Serialize};
use serin_config::{Generation, limits::REASON_CHARS_MAX};

use crate::{
    access::CommandError,
    command::{Actor, Caller, Request, plain},
};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was done.
    Done,
    /// It was not; nothing has changed.
    Refused,
    /// It was passed on, and nobody said in time whether it was done.
    Unknown,
}

/// What is to be told of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who asked; none where nobody in particular did.
    pub who: Option<Caller>,
    /// What kind of somebody.
    pub actor: Actor,
    /// What was asked for: one of a few words.
    pub what: String,
    /// The same in full.
    pub detail: String,
    /// The service that it was asked for.
    pub service: Option<String>,
    /// The group of services that it was asked for.
    pub group: Option<String>,
    /// Why it was asked for.
    pub reason: String,
    /// Whether it was asked for though services are frozen.
    pub urgent: bool,
    /// What became of it.
    pub fate: Fate,
    /// Why it was refused: a word, and a sentence.
    pub refusal: Option<(String, String)>,
    /// The plan in force afterwards; none where nobody looked.
    pub generation: Option<Generation>,
}

impl Note {
    /// Of a request that reached the planner and was done.
    pub fn done(request: &Request, generation: Generation) -> Self {
        Self { fate: Fate::Done, refusal: None, generation: Some(generation), ..Self::of(request) }
    }

    /// Of a request that reached the planner and was refused.
    pub fn refused(request: &Request, error: &CommandError, generation: Generation) -> Self {
        let refusal = Some((error.kind().to_owned(), error.to_string()));
        Self { refusal, generation: Some(generation), ..Self::of(request) }
    }

    /// The same, with no text longer than an entry has it.
    pub(crate) fn short(self) -> Self {
        let Self { what, detail, service, group, reason, refusal, .. } = self;
        Self {
            what: cut(&what),
            detail: cut(&detail),
            service: service.as_deref().map(cut),
            group: group.as_deref().map(cut),
            reason: plain(&reason, REASON_CHARS_MAX),
            refusal: refusal.map(|(kind, why)| (cut(&kind), cut(&why))),
            ..self
        }
    }

    fn of(request: &Request) -> Self {
        Self {
            who: request.who.clone(),
            actor: request.actor,
            what: request.command.label().to_owned(),
            detail: request.command.to_string(),
            service: request.command.service().map(ToString::to_string),
            group: request.command.group().map(ToString::to_string),
            reason: request.reason.clone(),
            urgent: request.urgent,
            fate: Fate::Refused,
            refusal: None,
            generation: None,
        }
    }
}

/// A text as an entry has it.
fn cut(text: &str) -> String {
    plain(text, 2 * REASON_CHARS_MAX)
}

/// Requests of a kind that were refused before they came to the planner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    /// The newest of them.
    pub(crate) note: Note,
    /// How many.
    pub(crate) times: u64,
    /// When, in milliseconds since 1970; of a sum, when it was closed.
    pub(crate) at_ms: u64,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number in this log, from 1, without gaps.
    pub sequence: u64,
    /// When, in milliseconds since 1970; of a sum, when it was closed.
    pub at_ms: u64,
    /// How many requests of this kind it stands for.
    pub times: u64,
    /// Who asked, and from where; none where nobody in particular did.
    pub who: Option<Caller>,
    /// What kind of somebody.
    pub actor: Actor,
    /// What was asked for: one of a few words.
    pub what: String,
    /// The same in full.
    pub detail: String,
    /// The service that it was asked for.
    pub service: Option<String>,
    /// The group of services that it was asked for.
    #[serde(default)]
    pub group: Option<String>,
    /// Why it was asked for, in the words of whoever did.
    pub reason: String,
    /// Whether it was asked for though services are frozen. Entries of older releases do not say.
    #[serde(default)]
    pub urgent: bool,
    /// What became of it.
    pub fate: Fate,
    /// Why it was refused: the word of the problem's type.
    pub problem: Option<String>,
    /// Why it was refused, in a sentence.
    pub because: Option<String>,
    /// The plan in force afterwards.
    pub generation: Option<Generation>,
}

impl AuditEntry {
    /// What it tells of, if that was not done.
    pub(super) fn refused(&self) -> Option<Refused> {
        let Self { at_ms, times, who, actor, what, detail, service, group, reason, urgent, fate, .. } =
            self.clone();
        let refusal = self.problem.clone().zip(self.because.clone());
        let generation = self.generation;
        let note =
            Note { who, actor, what, detail, service, group, reason, urgent, fate, refusal, generation };
        (fate != Fate::Done).then_some(Refused { note, times, at_ms })
    }

    pub(super) fn new(sequence: u64, at_ms: u64, times: u64, note: Note) -> Self {
        let (problem, because) =
            note.refusal.map_or((None, None), |(kind, why)| (Some(kind), Some(cut(&why))));
        Self {
            sequence,
            at_ms,
            times,
            who: note.who,
            actor: note.actor,
            what: note.what,
            detail: cut(&note.detail),
            service: note.service,
            group: note.group,
            reason: note.reason,
            urgent: note.urgent,
            fate: note.fate,
            problem,
            because,
            generation: note.generation,
        }
    }
}
