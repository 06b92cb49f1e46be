//! Why the planner refuses: one closed enum. A refused request changes nothing; each text says what was
//! wrong and what would be right, and can be shown to whoever asked.

use std::sync::Arc;

use serin_config::{
    Generation, GroupName, Plan, ServiceName, Split, VersionName, Weight, limits::FREEZES_BY_HAND_MAX,
    plan::PlanError,
};

use crate::{
    names::Names,
    rollout::{State, StateError},
    tokens::TokenRefusal,
};

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The caller looked at an older plan than the one in force.
    #[error("the request rests on generation {given}, but generation {} is in force: read it and decide again", current.generation())]
    Stale {
        /// What the caller gave.
        given: Generation,
        /// The plan in force.
        current: Arc<Plan>,
    },
    /// The service is not in the plan.
    #[error("there is no service \"{0}\"")]
    NoService(String),
    /// The split names a version that the service does not have.
    #[error("service \"{service}\" has no version \"{version}\"{}", list(known))]
    NoVersion {
        /// The service.
        service: ServiceName,
        /// The version that is not there.
        version: VersionName,
        /// Those that are.
        known: Vec<VersionName>,
    },
    /// Weights can't be set by hand while a rollout moves them.
    #[error(
        "a rollout of \"{canary}\" is in progress on service \"{service}\" ({state}): abort it, or promote it to the end, \
         before setting weights by hand; to stay at the present weight, pause it"
    )]
    RolloutRuns {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
        /// How far the rollout is.
        state: State,
    },
    /// A second rollout can't start.
    #[error(
        "a rollout of \"{canary}\" is in progress on service \"{service}\" ({state}): abort or promote it first"
    )]
    AlreadyRuns {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
        /// How far the rollout is.
        state: State,
    },
    /// There is nothing to roll out.
    #[error("service \"{0}\" has no canary: name the version under test as its `canary` in the file")]
    NoCanary(ServiceName),
    /// The canary has everything already.
    #[error(
        "\"{canary}\" has all of the traffic of service \"{service}\" already: name it as `stable` in the file, \
         or set its weight lower first"
    )]
    AlreadyWhole {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
    },
    /// A version that is neither stable nor canary has weight.
    #[error(
        "version \"{version}\" of service \"{service}\" has {weight} of the traffic and is neither stable nor canary: \
         set its weight to 0% before a rollout"
    )]
    ThirdVersion {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
        /// Its share.
        weight: Weight,
    },
    /// No rollout was ever started.
    #[error("service \"{0}\" has no rollout: start one first")]
    NoRollout(ServiceName),
    /// The rollout is in a state in which this can't be done.
    #[error("the rollout of service \"{service}\" {error}")]
    Rollout {
        /// The service.
        service: ServiceName,
        /// What stands against it.
        error: StateError,
    },
    /// What the last rollout did is what there was before it.
    #[error(
        "there is nothing to undo on service \"{service}\": the split ({split}) is what it was before the last rollout; \
         to try that rollout again, retry"
    )]
    NothingToUndo {
        /// The service.
        service: ServiceName,
        /// The split in force.
        split: Split,
    },
    /// Somebody has set weights since the last rollout ended, so to undo it would undo that as well.
    #[error(
        "the weights of service \"{service}\" were changed since its last rollout ended (it left {left}, now they are \
         {split}): set them by hand; before that rollout they were {before}"
    )]
    MovedSince {
        /// The service.
        service: ServiceName,
        /// What the rollout left.
        left: Split,
        /// The split in force.
        split: Split,
        /// The split from before the rollout.
        before: Split,
    },
    /// The version that would get the traffic back can't take it.
    #[error("service \"{service}\" can't go back to \"{version}\": {why}")]
    NoWayBack {
        /// The service.
        service: ServiceName,
        /// The version.
        version: VersionName,
        /// Why not.
        why: NoWayBack,
    },
    /// The last rollout reached its end.
    #[error(
        "there is nothing to retry on service \"{service}\": its last rollout was {state}; to take it back, undo"
    )]
    NothingToRetry {
        /// The service.
        service: ServiceName,
        /// How it ended.
        state: State,
    },
    /// The file has other roles by now.
    #[error(
        "the last rollout of service \"{service}\" was of \"{canary}\" against \"{stable}\", and by now the file says \
         {} against \"{now_stable}\": start that one instead",
        now.as_ref().map_or("no canary".into(), |now| format!("\"{now}\""))
    )]
    RetryOfAnother {
        /// The service.
        service: ServiceName,
        /// The canary then.
        canary: VersionName,
        /// The stable version then.
        stable: VersionName,
        /// The canary now.
        now: Option<VersionName>,
        /// The stable version now.
        now_stable: VersionName,
    },
    /// The file has no such group.
    #[error("there is no group \"{0}\": groups are named in the file, under groups")]
    NoGroup(String),
    /// Nothing of a group can do what was asked for.
    #[error("nothing of group \"{group}\" can do this: {why}")]
    GroupUnmoved {
        /// The group.
        group: GroupName,
        /// What stands against one of its services.
        why: Box<Refusal>,
    },
    /// Nothing goes forward at this time.
    #[error(
        "service \"{service}\" is frozen ({freeze}): no version but the stable one gets more traffic until then; rollbacks \
         and aborts are made as ever, and a change that can't wait may be sent as urgent, with a reason"
    )]
    Frozen {
        /// The service.
        service: ServiceName,
        /// Which freeze, and until when.
        freeze: String,
    },
    /// An urgent change that does not say why it is.
    #[error("an urgent change needs a reason: say why it can't wait")]
    UrgentWithoutReason,
    /// As many rollouts are in progress as the file allows.
    #[error(
        "{} in progress{}, {} would begin{}, and {most} at once are allowed: {}",
        rollouts(running.len()),
        in_brackets(running),
        if begins.len() == 1 { "one more".into() } else { begins.len().to_string() },
        if begins.len() == 1 { String::new() } else { format!(" together ({begins}, which are a group)") },
        if begins.len() > *most {
            format!("max_parallel_rollouts in the file must be at least {} for this", begins.len())
        } else {
            "wait until one has ended, or raise max_parallel_rollouts in the file".into()
        }
    )]
    TooManyRollouts {
        /// So many may be.
        most: usize,
        /// The services whose rollouts are.
        running: Names,
        /// The services whose rollouts would begin.
        begins: Names,
    },
    /// The same, of a service of the group that whoever asks may not see.
    #[error("a service of its group that you may not see stands in the way ({kind})")]
    OfAnother {
        /// The word for what stands against it there.
        kind: &'static str,
    },
    /// There is no such freeze by hand.
    #[error(
        "there is no freeze {0} that was made by hand: list them; those of the file end with its next version"
    )]
    NoFreeze(u64),
    /// There are too many freezes by hand.
    #[error("there are {FREEZES_BY_HAND_MAX} freezes by hand already: lift one first")]
    TooManyFreezes,
    /// A freeze that would be over before it began.
    #[error("the freeze would be over already: give a later end")]
    FreezeInThePast,
    /// A changed file asks for another split, or other rules, while a rollout runs.
    #[error(
        "service \"{service}\": the file changes {what} while a rollout of \"{canary}\" is in progress ({state}): \
         abort or promote the rollout first, or take the change back{}",
        newer.as_ref().map(|newer| format!(
            "; where the policy by which a rollout begins says \"on_new_canary: supersede\", a new canary ({newer}) ends it and takes \
             its place"
        )).unwrap_or_default()
    )]
    ReloadDuringRollout {
        /// The service.
        service: ServiceName,
        /// Its version under test.
        canary: VersionName,
        /// How far the rollout is.
        state: State,
        /// What the file changes.
        what: &'static str,
        /// The canary of the file, where it is another one and the policy could let it take the place of this one.
        newer: Option<VersionName>,
    },
    /// A changed file leaves out a version that serves traffic.
    #[error(
        "service \"{service}\": the file leaves out version \"{version}\", which has traffic ({split}): \
         set its weight to 0% first, or give the service a new split in the file"
    )]
    ReloadDropsVersion {
        /// The service.
        service: ServiceName,
        /// The version that is left out.
        version: VersionName,
        /// The split in force.
        split: Split,
    },
    /// A changed file leaves out a service whose rollout is in progress.
    #[error(
        "service \"{0}\": the file leaves it out while its rollout is in progress: abort or promote the rollout first"
    )]
    ReloadDropsService(ServiceName),
    /// A token can't be made or taken back.
    #[error(transparent)]
    Token(TokenRefusal),
    /// Another change was done with this key.
    #[error(
        "another change was made with this idempotency key in the last 24 hours: give each change a key of its own"
    )]
    KeyTaken,
}

impl Refusal {
    /// Whether a rollout was not begun since there is none to begin, or since it was begun already.
    pub(crate) const fn is_nothing_to_start(&self) -> bool {
        matches!(self, Self::NoCanary(_) | Self::AlreadyWhole { .. } | Self::AlreadyRuns { .. })
    }

    /// The service that it is about; none where it is about none, or about several.
    pub(crate) fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::NoVersion { service, .. }
            | Self::RolloutRuns { service, .. }
            | Self::AlreadyRuns { service, .. }
            | Self::NoCanary(service)
            | Self::AlreadyWhole { service, .. }
            | Self::ThirdVersion { service, .. }
            | Self::NoRollout(service)
            | Self::Rollout { service, .. }
            | Self::NothingToUndo { service, .. }
            | Self::MovedSince { service, .. }
            | Self::NoWayBack { service, .. }
            | Self::NothingToRetry { service, .. }
            | Self::RetryOfAnother { service, .. }
            | Self::Frozen { service, .. }
            | Self::ReloadDuringRollout { service, .. }
            | Self::ReloadDropsVersion { service, .. }
            | Self::ReloadDropsService(service) => Some(service),
            Self::GroupUnmoved { why, .. } => why.service(),
            Self::Stale { .. }
            | Self::NoService(_)
            | Self::NoGroup(_)
            | Self::UrgentWithoutReason
            | Self::TooManyRollouts { .. }
            | Self::OfAnother { .. }
            | Self::NoFreeze(_)
            | Self::TooManyFreezes
            | Self::FreezeInThePast
            | Self::Token(_)
            | Self::KeyTaken => None,
        }
    }

    /// The word for it: the end of the problem's type in the API.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Stale { .. } => "stale-generation",
            Self::NoService(_) => "no-such-service",
            Self::NoVersion { .. } => "no-such-version",
            Self::RolloutRuns { .. } | Self::AlreadyRuns { .. } => "rollout-in-progress",
            Self::NoCanary(_) => "no-canary",
            Self::AlreadyWhole { .. } => "canary-has-all-traffic",
            Self::ThirdVersion { .. } => "third-version-has-traffic",
            Self::NoRollout(_) => "no-rollout",
            Self::Rollout { .. } => "rollout-state",
            Self::NothingToUndo { .. } => "nothing-to-undo",
            Self::MovedSince { .. } => "weights-moved-since",
            Self::NoWayBack { .. } => "no-way-back",
            Self::NothingToRetry { .. } => "nothing-to-retry",
            Self::RetryOfAnother { .. } => "other-roles",
            Self::NoGroup(_) => "no-such-group",
            Self::GroupUnmoved { .. } => "group-unmoved",
            Self::Frozen { .. } => "frozen",
            Self::UrgentWithoutReason => "urgent-without-reason",
            Self::TooManyRollouts { .. } => "too-many-rollouts",
            Self::OfAnother { kind } => kind,
            Self::NoFreeze(_) => "no-such-freeze",
            Self::TooManyFreezes => "too-many-freezes",
            Self::FreezeInThePast => "freeze-in-the-past",
            Self::ReloadDuringRollout { .. }
            | Self::ReloadDropsVersion { .. }
            | Self::ReloadDropsService(_) => "reload-refused",
            Self::Token(TokenRefusal::Name(_) | TokenRefusal::NameReserved(_)) => "not-a-name",
            Self::Token(TokenRefusal::NameTaken { .. }) => "name-taken",
            Self::Token(TokenRefusal::TooMany) => "too-many-tokens",
            Self::Token(TokenRefusal::NoService(_)) => "no-such-service",
            Self::Token(TokenRefusal::ForNothing) => "no-services",
            Self::Token(TokenRefusal::None(_)) => "no-such-token",
            Self::KeyTaken => "key-taken",
        }
    }
}

/// Why a version can't get its traffic back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoWayBack {
    /// It was taken out of the file.
    #[error("the file no longer has it; put it back into the file with its endpoints, and undo then")]
    NotInFile,
    /// No proxy can send a request to it.
    #[error(
        "no proxy has an endpoint of it that is ready; start it again and undo then, or set the weights by hand, \
         which asks nobody"
    )]
    NotReady,
}

impl From<PlanError> for Refusal {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NoService(service) => Self::NoService(service),
            PlanError::NoVersion { service, version } => {
                Self::NoVersion { service, version, known: Vec::new() }
            }
        }
    }
}

fn rollouts(running: usize) -> String {
    match running {
        0 => "no rollout is".into(),
        1 => "one rollout is".into(),
        more => format!("{more} rollouts are"),
    }
}

fn in_brackets(services: &Names) -> String {
    if services.is_empty() { String::new() } else { format!(" ({services})") }
}

fn list(known: &[VersionName]) -> String {
    let names: Vec<String> = known.iter().map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}
