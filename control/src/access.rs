//! The way in for everybody who is not the keeper: ask for a change, read the snapshot, read the journal.

use std::sync::Arc;

use serin_config::{Generation, Plan, limits::COMMAND_WAIT, wire::EventReport};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    audit::{Audit, Note, Refused},
    clock::Clock,
    command::Request,
    fleet::{Gate, duplicates::Duplicate, registry::ProxyStatus},
    journal::Journal,
    lead::{LeaderAddress, standing::Standing},
    metrics,
    refusal::Refusal,
    status::Status,
    store::{Archive, StoreError},
};

/// What became of a request that was carried out.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The plan in force afterwards.
    pub plan: Arc<Plan>,
    /// Whether it is stored. A canary is taken out even if the store can't be written; the write is tried
    /// again until it succeeds.
    pub stored: bool,
    /// Where the same change was done before with the same key, the plan in force after it: nothing was done now.
    pub repeats: Option<Generation>,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// The planner refused it. To send it again unchanged is of no use.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be stored, and so was not done. It may be sent again.
    #[error("{0}; until then weights stay as they are, and traffic is not affected")]
    Store(#[from] StoreError),
    /// Too many others wait. It was not done, and may be sent again.
    #[error("too many commands wait already: try again")]
    Busy,
    /// No answer in time. It may have been done, or may be yet.
    #[error("there was no answer within {} s; it may still be carried out: read the plan before trying again", COMMAND_WAIT.as_secs())]
    Late,
    /// Another control plane leads, or none does; this one follows, and decides nothing.
    #[error("this control plane follows, and decides nothing: {}", who_leads(.0.as_deref()))]
    NotLeader(Option<Box<LeaderAddress>>),
    /// The control plane has stopped: it is being shut down, or a fault has ended it.
    #[error(
        "the control plane has stopped: no rollout is watched and no weight can be changed until serin is restarted; \
         traffic goes on with the last plan, and what was decided is stored"
    )]
    Stopped,
}

impl CommandError {
    /// The word for it: the end of the problem's type in the API.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::Store(StoreError::Full(_)) => "disk-full",
            Self::Store(_) => "store-failed",
            Self::NotLeader(_) => "not-leader",
            Self::Busy => "too-many-commands",
            Self::Late => "timeout",
            Self::Stopped => "stopped",
        }
    }
}

fn who_leads(leader: Option<&LeaderAddress>) -> String {
    match leader {
        Some(LeaderAddress { name, api: Some(api), .. }) => format!("{name} leads; ask it at {api}"),
        Some(LeaderAddress { name, api: None, .. }) => format!("{name} leads; ask it on its own machine"),
        None => "nobody leads at the moment; try again in a few seconds".into(),
    }
}

/// A request and where its answer goes.
pub(crate) struct Order {
    pub(crate) request: Request,
    pub(crate) reply: oneshot::Sender<Result<Answer, CommandError>>,
}

/// The way in. Clones are the same way.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) orders: mpsc::Sender<Order>,
    /// Business events that somebody else counts.
    pub(crate) events: mpsc::Sender<EventReport>,
    pub(crate) status: watch::Receiver<Arc<Status>>,
    pub(crate) journal: Journal,
    pub(crate) archive: Archive,
    pub(crate) audit: Audit,
    /// Where the API tells of what it refuses before a command is made of it.
    pub(crate) refused: mpsc::Sender<Refused>,
    pub(crate) gate: watch::Receiver<Gate>,
    pub(crate) clock: Clock,
    pub(crate) standing: Standing,
}

impl Access {
    /// Asks for a change, and waits for what becomes of it.
    pub(crate) async fn command(&self, request: Request) -> Result<Answer, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.orders.try_send(Order { request, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopped,
        })?;
        match tokio::time::timeout(COMMAND_WAIT, answer).await {
            Ok(Ok(Err(CommandError::Store(StoreError::Deposed)))) => {
                Err(CommandError::NotLeader(self.standing.another().await.map(Box::new)))
            }
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(CommandError::Stopped),
            Err(_) => Err(CommandError::Late),
        }
    }

    /// Tells of a request that was refused before a command was made of it. Waits for nobody: what finds no place
    /// is counted.
    pub(crate) fn refuse(&self, note: Note) {
        let refused = Refused { note, times: 1, at_ms: self.clock.now_ms() };
        if self.refused.try_send(refused).is_err() {
            metrics::audit_lost(1);
        }
    }

    /// Whether nobody takes requests any more. The snapshot is then out of date, and stays so.
    pub(crate) fn has_stopped(&self) -> bool {
        self.orders.is_closed()
    }

    /// The proxies of the fleet, by name, and those that are refused for their name; who leads instead, where another one
    /// does.
    pub(crate) fn proxies(&self) -> Result<(Vec<ProxyStatus>, Vec<Duplicate>), Option<String>> {
        match &*self.gate.borrow() {
            Gate::Open(seat) => Ok((seat.proxies(self.clock.now_ms()), seat.duplicates())),
            Gate::Elsewhere(leader) => Err(leader.clone()),
        }
    }

    /// The latest snapshot.
    pub(crate) fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }
}
