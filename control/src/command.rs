//! The closed set of requests. Whoever asks (the API, a changed file, a test) says it with one of these;
//! there is no other way to move a weight by hand.
//!
//! Each request carries who asked and why: both end up in the journal, beside what became of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serin_config::{
    Catalogue, Generation, Grant, GroupName, ServiceName, Split, VersionName,
    limits::{CALLER_CHARS_MAX, REASON_CHARS_MAX},
    moment,
    problem::steers,
    terms::Terms,
};

use crate::{
    hook::{Question, Said},
    repeat::RepeatKey,
    tokens::{TokenId, Wanted},
};

/// What kind of somebody asked for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person or program that used the API.
    Api,
    /// The configuration file.
    File,
    /// The judge: evidence, or the time limit of a step.
    Judge,
    /// A proxy whose trip-wire took the canary out.
    Proxy,
    /// A webhook that is asked around steps.
    Webhook,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::File => "file",
            Self::Judge => "judge",
            Self::Proxy => "proxy",
            Self::Webhook => "webhook",
        })
    }
}

/// Who asked for a change, and from where: the one that journal and audit log name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The token or certificate that was shown, or `local` where nobody had to show one.
    pub name: String,
    /// The address, or the user at the other end of a Unix socket.
    pub from: String,
    /// Which token was shown: a name may be given to another one later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenId>,
    /// The control plane that was asked, where that one does not lead and has passed the request on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

impl Caller {
    /// A caller. Both texts are shown on terminals and in logs, so they are made [`plain`].
    pub fn new(name: &str, from: &str) -> Self {
        let [name, from] = [name, from].map(|text| plain(text, CALLER_CHARS_MAX));
        Self { name, from, token: None, via: None }
    }

    /// The same, who has shown this token.
    #[must_use]
    pub fn by_token(self, id: TokenId) -> Self {
        Self { token: Some(id), ..self }
    }

    /// The same, who has asked another control plane.
    #[must_use]
    pub fn via(self, name: &str) -> Self {
        Self { via: Some(plain(name, CALLER_CHARS_MAX)), ..self }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} from {}", self.name, self.from)?;
        match &self.via {
            Some(via) => write!(f, " via {via}"),
            None => Ok(()),
        }
    }
}

/// One request to the planner.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked for.
    pub command: Command,
    /// What kind of somebody asks.
    pub actor: Actor,
    /// Who asks; none where nobody in particular does: the file, the judge, a proxy.
    pub who: Option<Caller>,
    /// What makes it known again when it is sent twice.
    pub key: Option<RepeatKey>,
    /// Why, in the words of whoever asks; may be empty. Kept to [`REASON_CHARS_MAX`] characters.
    pub reason: String,
    /// Whether it can't wait for a freeze to be over. It then needs a reason.
    pub urgent: bool,
}

impl Request {
    /// A request by `actor`; a longer reason is cut. It is shown on terminals and in logs, so what steers
    /// these (line ends, escapes) becomes a space.
    pub fn new(command: Command, actor: Actor, reason: &str) -> Self {
        let reason = plain(reason, REASON_CHARS_MAX);
        Self { command, actor, who: None, key: None, reason, urgent: false }
    }

    /// The same, asked by somebody in particular.
    #[must_use]
    pub fn by(self, who: Caller) -> Self {
        Self { who: Some(who), ..self }
    }

    /// The same as a change that can't wait for a freeze to be over.
    #[must_use]
    pub fn urgent_if(self, urgent: bool) -> Self {
        Self { urgent, ..self }
    }

    /// The same, to be done once however often it is sent with this key.
    #[must_use]
    pub fn once(self, key: RepeatKey) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// At most so many characters of a text, with spaces for what steers terminals.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).take(chars_max).collect()
}

/// What can be asked for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Sets the split of a service by hand.
    SetWeights {
        /// The service.
        service: ServiceName,
        /// The split that it shall have; versions that it leaves out get nothing.
        split: Split,
        /// The plan on which the caller's choice rests: refused if another one is in force.
        if_generation: Generation,
    },
    /// Starts or steers the rollout of a service.
    Rollout {
        /// The service.
        service: ServiceName,
        /// What to do.
        action: Action,
        /// As for [`Command::SetWeights`], but only where the caller gives it.
        if_generation: Option<Generation>,
    },
    /// Takes back what the last rollout of a service did: the split from before it comes back.
    Undo {
        /// The service.
        service: ServiceName,
        /// As for [`Command::Rollout`].
        if_generation: Option<Generation>,
        /// Versions of it, and of others of its group, that no proxy can send a request to. Whoever carries the
        /// command to the planner fills it in: it is what the proxies say at that moment.
        unready: Vec<(ServiceName, VersionName)>,
    },
    /// Starts or steers the rollouts of all services of a group, in one plan.
    Group {
        /// The group.
        group: GroupName,
        /// What to do.
        action: Action,
        /// As for [`Command::Rollout`].
        if_generation: Option<Generation>,
    },
    /// Takes back what the last rollouts of a group did, in one plan.
    UndoGroup {
        /// The group.
        group: GroupName,
        /// As for [`Command::Rollout`].
        if_generation: Option<Generation>,
        /// As for [`Command::Undo`].
        unready: Vec<(ServiceName, VersionName)>,
    },
    /// Takes the routes and services of a changed file.
    Reload(Arc<Catalogue>),
    /// Makes a token of the API.
    GiveToken {
        /// What is wanted.
        wanted: Box<Wanted>,
        /// As for [`Command::Rollout`].
        if_generation: Option<Generation>,
    },
    /// Takes a token of the API back.
    TakeBackToken {
        /// Which.
        id: TokenId,
        /// As for [`Command::Rollout`].
        if_generation: Option<Generation>,
    },
    /// Takes its terms of all rollouts.
    Terms(Arc<Terms>),
    /// Lets nothing go forward.
    Freeze {
        /// Where; everywhere if empty.
        services: Vec<ServiceName>,
        /// Until when, in milliseconds since 1970; until it is lifted if absent.
        until_ms: Option<u64>,
    },
    /// Notes how far a recipient was told of decisions.
    Told {
        /// Who.
        recipient: String,
        /// Up to which decision.
        sequence: u64,
    },
    /// Takes what a webhook said.
    Heard {
        /// What it was asked.
        question: Box<Question>,
        /// What came of it.
        said: Said,
    },
    /// Lifts a freeze that was made by hand.
    Thaw {
        /// Its number.
        freeze: u64,
    },
}

impl Command {
    /// All words of [`Self::label`] that somebody may have asked for.
    pub const LABELS: [&str; 18] = [
        "set_weights",
        "start",
        "pause",
        "resume",
        "promote",
        "skip",
        "abort",
        "retry",
        "approve",
        "undo",
        "reload",
        "create_token",
        "delete_token",
        "terms",
        "freeze",
        "thaw",
        "told",
        "heard",
    ];

    /// The word for it in the audit log.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::SetWeights { .. } => "set_weights",
            Self::Rollout { action, .. } | Self::Group { action, .. } => action.label(),
            Self::Undo { .. } | Self::UndoGroup { .. } => "undo",
            Self::Reload(_) => "reload",
            Self::GiveToken { .. } => "create_token",
            Self::TakeBackToken { .. } => "delete_token",
            Self::Terms(_) => "terms",
            Self::Freeze { .. } => "freeze",
            Self::Thaw { .. } => "thaw",
            Self::Told { .. } => "told",
            Self::Heard { .. } => "heard",
        }
    }

    /// The service that it is about; none where it is about all, or none.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::SetWeights { service, .. } | Self::Rollout { service, .. } | Self::Undo { service, .. } => {
                Some(service)
            }
            Self::Freeze { services, .. } => match services.as_slice() {
                [service] => Some(service),
                _ => None,
            },
            Self::Group { .. }
            | Self::UndoGroup { .. }
            | Self::Reload(_)
            | Self::GiveToken { .. }
            | Self::TakeBackToken { .. }
            | Self::Terms(_)
            | Self::Told { .. }
            | Self::Heard { .. }
            | Self::Thaw { .. } => None,
        }
    }
}

impl Command {
    /// The group that it is about, if it is about one.
    pub fn group(&self) -> Option<&GroupName> {
        match self {
            Self::Group { group, .. } | Self::UndoGroup { group, .. } => Some(group),
            _ => None,
        }
    }
}

/// What is asked for, in words for people.
impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SetWeights { split, if_generation, .. } => {
                write!(f, "{split}, if plan {if_generation} is in force")
            }
            Self::Rollout { action: Action::Promote { full: true }, .. } => f.write_str("promote to the end"),
            Self::Rollout { action, .. } => f.write_str(action.label()),
            Self::Undo { .. } => f.write_str("undo the last rollout"),
            Self::Group { group, action: Action::Promote { full: true }, .. } => {
                write!(f, "promote group {group} to the end")
            }
            Self::Group { group, action, .. } => write!(f, "{} group {group}", action.label()),
            Self::UndoGroup { group, .. } => write!(f, "undo the last rollouts of group {group}"),
            Self::Reload(_) => f.write_str("take the changed file"),
            Self::GiveToken { wanted, .. } => {
                let Wanted { id, name, role, services, life_ms, .. } = wanted.as_ref();
                let grant = Grant { role: *role, services: services.clone() };
                write!(f, "token {name} ({id}): {grant}, for {} s", life_ms / 1_000)
            }
            Self::TakeBackToken { id, .. } => write!(f, "token {id}"),
            Self::Terms(_) => f.write_str("take what the changed file says of all rollouts"),
            Self::Freeze { services, until_ms } => {
                let names: Vec<_> = services.iter().map(ServiceName::as_str).collect();
                let what = if names.is_empty() { "all services".to_owned() } else { names.join(", ") };
                match until_ms {
                    Some(until_ms) => write!(f, "freeze {what} until {}", moment::rfc3339_seconds(*until_ms)),
                    None => write!(f, "freeze {what} until it is lifted"),
                }
            }
            Self::Thaw { freeze } => write!(f, "lift freeze {freeze}"),
            Self::Heard { question, said } => write!(f, "{question} says {said}"),
            Self::Told { recipient, sequence } => write!(f, "{recipient} was told up to decision {sequence}"),
        }
    }
}

/// What can be done with a rollout by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Begins the canary's rollout at the policy's first step.
    Start,
    /// Stays at this weight until resumed. Guards are watched on: a failing canary is still taken out.
    Pause,
    /// Goes on after a pause, or gives a step that ran out of time its time again.
    Resume,
    /// Goes to the next step now, without waiting for evidence.
    Promote {
        /// Straight to 100 %.
        full: bool,
    },
    /// Leaves the present step out, and goes to the next one. Never ends the rollout: that is to promote it.
    Skip,
    /// Takes the canary out.
    Abort,
    /// Begins the last rollout again, from its first step, if it did not end in a promotion.
    Retry,
    /// Lets a rollout go on from a step that is passed and waits for an approval.
    Approve,
}

impl Action {
    /// The word for it in the API and in the audit log.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote { .. } => "promote",
            Self::Skip => "skip",
            Self::Abort => "abort",
            Self::Approve => "approve",
            Self::Retry => "retry",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_can_rewrite_its_line() {
        assert_eq!(plain("good\u{1b}[2K\u{202e}dab", 40), "good [2K dab");
    }

    #[test]
    fn a_freeze_says_until_when_in_a_form_that_people_read() {
        let freeze = |until_ms| Command::Freeze { services: Vec::new(), until_ms }.to_string();
        assert_eq!(freeze(Some(1_795_266_309_123)), "freeze all services until 2026-11-21T13:05:09Z");
        assert_eq!(freeze(None), "freeze all services until it is lifted");
    }
}
