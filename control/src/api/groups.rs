//! Services that are rolled out together: how far they are, and what is asked for of all of them at once.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde_json::{Value, json};
use serin_config::{Grant, GroupName, terms::Group};

use super::{
    Context,
    change::Change,
    freezes::now_ms,
    identity::Identity,
    name::Name,
    problem::Problem,
    write::{Steer, Wanted},
};
use crate::{
    access::Answer,
    command::Command,
    group::{GroupStatus, standing},
    refusal::Refusal,
    sight::Sight,
    status::Status,
};

/// The groups that are the caller's.
pub(super) async fn list(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
) -> Json<Value> {
    let status = context.seen(&grant);
    let sight = Sight::new(&grant, &status.terms);
    let groups = status.terms.groups.iter().filter(|group| sight.group(&group.name));
    let groups: Vec<Value> = groups.map(|group| brief(&of(group, &status))).collect();
    Json(json!({ "generation": status.plan.generation(), "groups": groups }))
}

/// A group as the list shows it.
fn brief(group: &GroupStatus) -> Value {
    json!({
        "group": group.group,
        "services": group.members.iter().map(|member| &member.service).collect::<Vec<_>>(),
        "live": group.live,
        "summary": group.summary,
        "held_back_by": group.held_back_by,
    })
}

pub(super) async fn rollout(
    State(context): State<Context>,
    Extension(Identity { grant, .. }): Extension<Identity>,
    Name(name): Name,
) -> Result<Json<GroupStatus>, Problem> {
    find(&context, &grant, &name).map(Json)
}

pub(super) async fn steer(
    State(context): State<Context>,
    Name(name): Name,
    Change { form, whose }: Change<Steer>,
) -> Result<Response, Problem> {
    let group = GroupName::try_new(&name).map_err(|_| no_group(&name))?;
    let if_generation = whose.if_generation(form.if_generation)?;
    let command = match form.wanted()? {
        Wanted::Action(action) => Command::Group { group, action, if_generation },
        Wanted::Undo => Command::UndoGroup { group, if_generation, unready: Vec::new() },
    };
    let Answer { plan, stored, repeats } =
        context.carry_out(&whose, command, (&form.reason, form.urgent)).await?;
    let body = json!({
        "generation": repeats.unwrap_or(plan.generation()),
        "stored": stored,
        "repeated": repeats.is_some(),
        "group": find(&context, &whose.identity.grant, &name)?,
    });
    // What is done but not yet stored is accepted, no more: a crash right now would forget it.
    let status = if stored { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(body)).into_response())
}

fn find(context: &Context, grant: &Grant, name: &str) -> Result<GroupStatus, Problem> {
    let status = context.seen(grant);
    let group = status.terms.groups.iter().find(|group| group.name.as_str() == name);
    group.map(|group| of(group, &status)).ok_or_else(|| no_group(name))
}

fn of(group: &Group, status: &Status) -> GroupStatus {
    let now_ms = now_ms();
    standing(group, status, |service| status.frozen(service.as_str(), now_ms))
}

fn no_group(name: &str) -> Problem {
    Refusal::NoGroup(name.chars().take(80).collect()).into()
}
