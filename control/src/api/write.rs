//! What can be changed: a body becomes a command, the command's fate an answer.

use std::fmt;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json};
use serin_config::{Generation, ServiceName, Split, VersionName, Weight, limits::REASON_CHARS_MAX};

use super::{
    Context,
    change::{Change, Whose},
    name::Name,
    problem::Problem,
};
use crate::{
    access::{Answer, CommandError},
    command::{Action, Command, plain},
    sight::Sight,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetWeights {
    weights: Pairs,
    #[serde(default, deserialize_with = "super::whole::maybe")]
    if_generation: Option<Generation>,
    #[serde(default)]
    reason: String,
    /// Whether it can't wait for a freeze to be over; it then needs a reason.
    #[serde(default)]
    urgent: bool,
}

/// What a body asks for, in words; none of one that is no split.
pub(super) fn wanted(body: &[u8]) -> Option<String> {
    let SetWeights { weights, .. } = serde_json::from_slice(body).ok()?;
    Split::try_new(weights.0).ok().map(|split| split.to_string())
}

/// The members of an object in their order, a name that stands twice included: it is refused later, where a
/// map would have kept one of them in silence.
#[derive(Debug)]
struct Pairs(Vec<(VersionName, Weight)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object such as {\"v1\": \"90%\", \"v2\": \"10%\"}")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Members)
    }
}

pub(super) async fn set_weights(
    State(context): State<Context>,
    Name(name): Name,
    Change { form, whose }: Change<SetWeights>,
) -> Result<Response, Problem> {
    let service = service(&name)?;
    let Some(if_generation) = whose.if_generation(form.if_generation)? else {
        let generation = context.access.status().plan.generation();
        let detail = format!(
            "if_generation is missing: read the service, and send the generation on which your choice rests \
             ({generation} is in force)"
        );
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "generation-required", detail)
            .with("generation", json!(generation)));
    };
    let split = Split::try_new(form.weights.0)
        .map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-a-split", error.to_string()))?;
    // Weights that end a rollout end those of its group, too.
    let status = context.access.status();
    let rollout = status.services.get(&service).and_then(|service| service.rollout.as_ref());
    if rollout.is_some_and(|rollout| rollout.live) {
        of_whole_group(&context, &service, &whose)?;
    }
    let command = Command::SetWeights { service, split, if_generation };
    carry(&context, &name, command, (&form.reason, form.urgent), &whose).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Steer {
    action: Word,
    full: Option<bool>,
    #[serde(default, deserialize_with = "super::whole::maybe")]
    pub(super) if_generation: Option<Generation>,
    #[serde(default)]
    pub(super) reason: String,
    /// Whether it can't wait for a freeze to be over; it then needs a reason.
    #[serde(default)]
    pub(super) urgent: bool,
}

/// The word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Start,
    Pause,
    Resume,
    Promote,
    Skip,
    Abort,
    Undo,
    Retry,
    Approve,
}

/// What is wanted of a rollout.
pub(super) enum Wanted {
    Action(Action),
    Undo,
}

/// What a body of a change asks for, as far as that can be told without reading it as what it should be.
pub(super) struct Glance {
    /// The word for the action, where it names one.
    pub(super) action: Option<&'static str>,
    pub(super) reason: String,
    pub(super) urgent: bool,
}

pub(super) fn glance(body: &[u8]) -> Glance {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Members {
        action: Value,
        reason: Value,
        urgent: Value,
    }
    let Members { action, reason, urgent } = serde_json::from_slice(body).unwrap_or_default();
    let steer = serde_json::from_value(json!({ "action": action })).ok();
    let action = steer.and_then(|steer: Steer| steer.wanted().ok()).map(|wanted| match wanted {
        Wanted::Action(action) => action.label(),
        Wanted::Undo => "undo",
    });
    let reason = plain(reason.as_str().unwrap_or_default(), REASON_CHARS_MAX);
    Glance { action, reason, urgent: urgent == Value::Bool(true) }
}

impl Steer {
    /// What is wanted, if the form makes sense.
    pub(super) fn wanted(&self) -> Result<Wanted, Problem> {
        if self.full.is_some() && self.action != Word::Promote {
            let detail = "\"full\" goes with the action \"promote\" only";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "full-without-promote", detail));
        }
        Ok(Wanted::Action(match self.action {
            Word::Undo => return Ok(Wanted::Undo),
            Word::Start => Action::Start,
            Word::Pause => Action::Pause,
            Word::Resume => Action::Resume,
            Word::Promote => Action::Promote { full: self.full.unwrap_or(false) },
            Word::Skip => Action::Skip,
            Word::Abort => Action::Abort,
            Word::Retry => Action::Retry,
            Word::Approve => Action::Approve,
        }))
    }
}

pub(super) async fn steer(
    State(context): State<Context>,
    Name(name): Name,
    Change { form, whose }: Change<Steer>,
) -> Result<Response, Problem> {
    let service = service(&name)?;
    let wanted = form.wanted()?;
    let if_generation = whose.if_generation(form.if_generation)?;
    of_whole_group(&context, &service, &whose)?;
    let command = match wanted {
        Wanted::Action(action) => Command::Rollout { service, action, if_generation },
        Wanted::Undo => Command::Undo { service, if_generation, unready: Vec::new() },
    };
    carry(&context, &name, command, (&form.reason, form.urgent), &whose).await
}

/// What steers one service of a group moves the others too, so whoever asks must be allowed all of them.
fn of_whole_group(context: &Context, service: &ServiceName, whose: &Whose) -> Result<(), Problem> {
    let status = context.access.status();
    let Some(group) = status.terms.group(service.as_str()) else { return Ok(()) };
    if Sight::new(&whose.identity.grant, &status.terms).group(&group.name) {
        return Ok(());
    }
    // The group's name is for those who may see all of it; the audit log has it.
    let detail = format!(
        "service \"{service}\" is rolled out together with others, and you may not change all of them: ask somebody who may"
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).of_group(group.name.as_str()))
}

/// A text that is not even a name can't be a service.
fn service(name: &str) -> Result<ServiceName, Problem> {
    ServiceName::try_new(name).map_err(|_| Problem::no_service(&name.chars().take(80).collect::<String>()))
}

impl Context {
    /// Carries out what somebody asks for; a refusal names nothing that is not the caller's to see.
    pub(super) async fn carry_out(
        &self,
        whose: &Whose,
        command: Command,
        (reason, urgent): (&str, bool),
    ) -> Result<Answer, Problem> {
        let grant = &whose.identity.grant;
        let answer = self.access.command(whose.asks(command, reason).urgent_if(urgent)).await;
        answer.map_err(|error| {
            let status = self.access.status();
            let error = match error {
                CommandError::Refused(refusal) => Sight::new(grant, &status.terms).refusal(refusal).into(),
                other => other,
            };
            Problem::from(error).without_services(|name| !grant.covers(name))
        })
    }
}

async fn carry(
    context: &Context,
    name: &str,
    command: Command,
    (reason, urgent): (&str, bool),
    whose: &Whose,
) -> Result<Response, Problem> {
    let Answer { plan, stored, repeats } = context.carry_out(whose, command, (reason, urgent)).await?;
    let status = context.seen(&whose.identity.grant);
    let service = status.services.get(name);
    let body = json!({
        "generation": repeats.unwrap_or(plan.generation()),
        "stored": stored,
        "repeated": repeats.is_some(),
        "weights": plan.split(name).map(crate::status::weights),
        "rollout": service.and_then(|service| service.rollout.as_ref()),
    });
    // What is done but not yet stored is accepted, no more: a crash right now would forget it.
    let status = if stored { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(body)).into_response())
}
