//! The last screen: what happened, what it cost, and why it was decided.

use std::{fmt::Write, time::Duration};

use serin_control::{rollout::State, status::RolloutStatus};
use serin_loadtest::Report;

use super::scene::Story;

/// How the story ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) story: Story,
    pub(super) rollout: RolloutStatus,
    /// From the canary's turn to the end of the rollout.
    pub(super) took: Option<Duration>,
    /// What the control plane says of it.
    pub(super) explained: String,
    /// What the clients saw.
    pub(super) report: Report,
}

impl Ending {
    /// Whether the rollout ended as the story demands.
    pub(super) fn as_it_should(&self) -> bool {
        match self.story {
            Story::Failing | Story::Slow => matches!(self.rollout.state, State::RolledBack { .. }),
            Story::Good => matches!(self.rollout.state, State::Promoted { .. }),
        }
    }

    /// The screen.
    pub(super) fn screen(&self) -> String {
        let mut text = String::from("\nWhat happened\n");
        let tally = &self.report.tally;
        let failed: Vec<String> = tally
            .versions()
            .map(|version| format!("{} of {} by {}", version.failed(), version.total(), version.version))
            .collect();
        let _ = writeln!(text, "  {}", self.headline());
        let _ = writeln!(
            text,
            "  Clients sent {} requests in {:.0} s; {} of them failed ({}).",
            tally.total(),
            self.report.elapsed.as_secs_f64(),
            tally.failed(),
            failed.join(", "),
        );
        text.push_str("\nWhy\n");
        for line in self.explained.lines() {
            let _ = writeln!(text, "  {line}");
        }
        text.push_str("\nNext: the README walks you through `serin run` with servers of your own.\n");
        text
    }

    fn headline(&self) -> String {
        let ended = match self.rollout.state {
            State::RolledBack { .. } => "The canary was rolled back",
            State::Promoted { .. } => "The canary was promoted to 100 %",
            _ => "The rollout did not end in time",
        };
        match self.took {
            Some(took) => format!("{ended}, {:.1} s after it turned bad.", took.as_secs_f64()),
            None => format!("{ended}."),
        }
    }
}
