//! How a canary gets its traffic, and what a failing guard or a newer canary does to it.
//!
//! All strategies are steps, so there is one state machine for them. Blue/green is a rollout whose only steps are at
//! 100 %: the switch is one plan, and so is the return. An A/B test is one step on the clock that ends in a question to
//! a person. What a strategy adds is the meaning of a verdict on the way.

use std::time::Duration;

use serde::Serialize;

/// How long blue/green watches the new version after the switch, unless the file says otherwise.
pub const BAKE_DEFAULT: Duration = Duration::from_secs(600);

/// How the canary gets its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Step by step, each gated on evidence or on a clock.
    #[default]
    Canary,
    /// All at once, in one plan; the version before stays ready, and is returned to in one plan.
    BlueGreen,
    /// A fixed share for a fixed time. Evidence is gathered and shown, but neither passes nor fails the canary before
    /// the end; only a spent blast radius or a trip-wire takes it out.
    Ab,
}

impl Strategy {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is done when a guard fails.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// The canary is taken out.
    #[default]
    RollBack,
    /// Its share stays as it is and somebody is called, because going back would do more harm.
    Hold {
        /// Why it would, in the file's words.
        reason: String,
    },
}

impl OnFail {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What a file means that names another canary while a rollout is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewCanary {
    /// The file is refused.
    #[default]
    Refuse,
    /// The rollout ends, the stable version has everything, and the new canary's rollout begins by itself.
    Supersede,
}

impl OnNewCanary {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
