//! What `serin rollout` and `serin group` have in common: how a change of one rollout, or of those of a group, is asked for.
//!
//! The verbs and what they say of themselves are each command's own; their arguments, what the API is sent and what is said of a
//! change that is not stored are the same, and stand here once.

use clap::Args;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    client::{Access, Answer, Stop},
    rollout::Patience,
};

/// What is steered.
pub(super) trait Subject: Args {
    /// Where the API has its rollout.
    fn path(&self) -> String;
    /// How the API is reached.
    fn access(&self) -> &Access;
}

/// A change of it.
#[derive(Debug, Args)]
pub(super) struct Change<T: Subject> {
    #[command(flatten)]
    pub(super) of: T,
    #[command(flatten)]
    because: Because,
}

/// The same, to the next step or to the end.
#[derive(Debug, Args)]
pub(super) struct Promote<T: Subject> {
    #[command(flatten)]
    pub(super) change: Change<T>,
    /// Straight to 100 %
    #[arg(long)]
    pub(super) full: bool,
}

/// Why a rollout is started or steered, and on what condition.
#[derive(Debug, Args)]
struct Because {
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Only if this plan is in force: the one on which the choice rests
    #[arg(long, value_name = "GENERATION")]
    if_generation: Option<u64>,
    /// In spite of a freeze: it can't wait, and --reason says why
    #[arg(long)]
    urgent: bool,
}

/// Whether to wait for the end.
#[derive(Debug, Args)]
pub(super) struct Wait {
    /// Wait until all has ended, and exit by how it did
    #[arg(long)]
    pub(super) wait: bool,
    /// Wait no longer, such as 45m
    #[arg(long, value_name = "TIME", default_value = "1h", requires = "wait")]
    pub(super) timeout: Patience,
}

impl<T: Subject> Change<T> {
    /// Asks for it.
    pub(super) async fn ask(&self, action: &str, full: Option<bool>) -> Result<Answer, Stop> {
        let body = self.because.body(action, full);
        self.of.access().api()?.change(Method::POST, &self.of.path(), &body).await
    }
}

impl Because {
    /// What the API is sent.
    fn body(&self, action: &str, full: Option<bool>) -> Value {
        let mut body = json!({ "action": action, "reason": self.reason });
        if let Some(full) = full {
            body["full"] = full.into();
        }
        if let Some(generation) = self.if_generation {
            body["if_generation"] = generation.into();
        }
        if self.urgent {
            body["urgent"] = true.into();
        }
        body
    }
}

/// What is to be said of a change that is in force and not yet stored.
pub(super) fn not_stored(answer: &Answer) -> &'static str {
    if answer.status == StatusCode::ACCEPTED {
        "The store can't be written: this is in force, but not yet stored. See the log of the control plane.\n"
    } else {
        ""
    }
}
