//! What is done on evidence that is not yet a verdict.
//!
//! Serious evidence against the canary halves its share, at once: most canaries that come so far fail soon after, and
//! what is lost for one that does not is time. It is halved again only while the evidence goes on rising, and comes back one
//! doubling at a time when there was none for a while. Both are counted in windows, so that a
//! replay of the same windows does the same.
//!
//! Where something is wrong that the canary is not shown to be the cause of, the rollout is held instead and
//! somebody is told: rolling back would not help.

use serde::{Deserialize, Serialize};
use serin_config::{
    limits::{
        CALM_SECONDS as CALM, HALVINGS_MAX, LOWER_EVERY_SECONDS as LOWER_EVERY, LOWER_RISE_NATS as LOWER_RISE,
    },
    policy::{Actions, Mounting as Policy},
};
use serin_judge::{Advice, Lacking, Verdict};

use crate::rollout::{Event, HeldFor, Rollout, State};

/// What was seen, and done, so far. All times are seconds since the rollout began.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Mounting {
    seconds: u64,
    /// Since when nothing is suspect.
    calm_since: u64,
    /// Since when nothing is doubtful.
    clear_since: u64,
    mounts: bool,
    doubtful: bool,
    /// The evidence against the canary, rounded down to whole nats.
    nats: i64,
    lowered: Option<Lowered>,
    /// When the share was last doubled.
    raised: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Lowered {
    at: u64,
    /// The evidence at that time.
    nats: i64,
}

impl Mounting {
    /// Takes the verdict after so many seconds.
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
    pub(super) fn note(&mut self, verdict: &Verdict, seconds: u64) {
        self.seconds = seconds;
        self.nats = verdict.against.ln_e.unwrap_or_default().floor() as i64;
        self.mounts = verdict.advice == Advice::Lower;
        let is = |matches: fn(&Lacking) -> bool| verdict.lacking.iter().any(matches);
        self.doubtful =
            is(|lacking| matches!(lacking, Lacking::BothVersionsBreach { .. } | Lacking::ShareOff { .. }));
        if self.mounts || is(|lacking| matches!(lacking, Lacking::Suspect { .. })) {
            self.calm_since = seconds;
        }
        if self.doubtful {
            self.clear_since = seconds;
        }
    }

    /// What should happen now.
    pub(super) fn event(&self, rollout: &Rollout, actions: &Actions) -> Option<(Event, String)> {
        self.doubt(rollout).or_else(|| match actions.mounting {
            Policy::Lower => self.lower(rollout).or_else(|| self.raise(rollout)),
            Policy::Hold => None,
        })
    }

    fn doubt(&self, rollout: &Rollout) -> Option<(Event, String)> {
        match rollout.state {
            State::Running { .. } if self.doubtful => Some((
                Event::Doubt,
                "something is wrong that is not shown to be the canary's own: please look".into(),
            )),
            State::Held { why: HeldFor::Doubt, .. } if self.seconds >= self.clear_since + CALM => {
                Some((Event::Cleared, format!("nothing was wrong for {CALM} s")))
            }
            _ => None,
        }
    }

    fn lower(&self, rollout: &Rollout) -> Option<(Event, String)> {
        if !self.mounts || rollout.halvings >= HALVINGS_MAX {
            return None;
        }
        let again = self.lowered.filter(|_| rollout.halvings > 0).is_none_or(|last| {
            self.seconds >= last.at + LOWER_EVERY && self.nats >= last.nats.saturating_add(LOWER_RISE)
        });
        again.then(|| (Event::Mounting, "the evidence against the canary mounts: its share is halved".into()))
    }

    fn raise(&self, rollout: &Rollout) -> Option<(Event, String)> {
        let since = self.calm_since.max(self.raised);
        (rollout.halvings > 0 && self.seconds >= since + CALM).then(|| {
            (Event::Subsided, format!("nothing was suspect for {CALM} s: the share is doubled again"))
        })
    }

    /// The share was changed from so many halvings to so many.
    pub(super) fn follow(&mut self, before: u8, after: u8) {
        if after > before {
            self.lowered = Some(Lowered { at: self.seconds, nats: self.nats });
        } else if after < before {
            self.raised = self.seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::begun;

    /// After so many seconds with this evidence.
    fn after(mounting: &mut Mounting, rollout: &mut Rollout, seconds: u64, nats: i64) -> Option<Event> {
        (mounting.seconds, mounting.nats, mounting.mounts) = (seconds, nats, nats >= 3);
        if mounting.mounts {
            mounting.calm_since = seconds;
        }
        let event = mounting.event(rollout, &Actions::default()).map(|(event, _)| event);
        if let Some(event) = event {
            let before = rollout.halvings;
            rollout.halvings = rollout.halvings_after(event, rollout.state);
            mounting.follow(before, rollout.halvings);
        }
        event
    }

    #[test]
    fn the_share_is_halved_at_once_and_again_only_while_evidence_rises() {
        let (mut mounting, mut rollout) = (Mounting::default(), begun());
        assert_eq!(after(&mut mounting, &mut rollout, 1, 2), None);
        assert_eq!(after(&mut mounting, &mut rollout, 2, 3), Some(Event::Mounting));
        assert_eq!(after(&mut mounting, &mut rollout, 3, 5), None, "not so soon");
        assert_eq!(after(&mut mounting, &mut rollout, 40, 3), None, "it does not rise");
        assert_eq!(after(&mut mounting, &mut rollout, 41, 4), Some(Event::Mounting));
        assert_eq!(after(&mut mounting, &mut rollout, 51, 6), Some(Event::Mounting));
        assert_eq!(after(&mut mounting, &mut rollout, 99, 9), None, "an eighth is the least");
        assert_eq!(rollout.halvings, HALVINGS_MAX);
    }

    #[test]
    fn the_share_comes_back_one_doubling_at_a_time_when_nothing_is_suspect() {
        let (mut mounting, mut rollout) = (Mounting::default(), begun());
        after(&mut mounting, &mut rollout, 1, 3);
        after(&mut mounting, &mut rollout, 20, 5);
        assert_eq!(rollout.halvings, 2);
        let raised: Vec<u64> = (21..=120)
            .filter(|second| after(&mut mounting, &mut rollout, *second, 0) == Some(Event::Subsided))
            .collect();
        assert_eq!(raised, [50, 80]);
        assert_eq!(rollout.halvings, 0);
    }

    #[test]
    fn a_policy_that_holds_never_lowers() {
        let (mut mounting, rollout) = (Mounting::default(), begun());
        (mounting.seconds, mounting.nats, mounting.mounts) = (9, 8, true);
        let actions = Actions { mounting: Policy::Hold, ..Actions::default() };
        assert_eq!(mounting.event(&rollout, &actions), None);
    }

    #[test]
    fn doubt_holds_and_is_over_when_nothing_was_wrong_for_a_while() {
        let mut mounting = Mounting { doubtful: true, seconds: 5, clear_since: 5, ..Mounting::default() };
        let mut rollout = begun();
        let event = |mounting: &Mounting, rollout: &Rollout| {
            mounting.event(rollout, &Actions::default()).map(|(event, _)| event)
        };
        assert_eq!(event(&mounting, &rollout), Some(Event::Doubt));
        rollout.state = State::Held { step: 0, why: HeldFor::Doubt };
        (mounting.doubtful, mounting.seconds) = (false, 34);
        assert_eq!(event(&mounting, &rollout), None);
        mounting.seconds = 35;
        assert_eq!(event(&mounting, &rollout), Some(Event::Cleared));
    }
}
