//! Tokens: listed, made and taken back, by admins. The text of a token is in one answer only, that to its making.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use serin_config::{
    Generation, Grant, Role, ServiceName,
    limits::{API_ENTRIES_MAX, TOKEN_LIFE_DEFAULT, TOKEN_LIFE_MAX, TOKEN_LIFE_MIN},
};

use super::{
    Context,
    change::Change,
    problem::Problem,
    read::{limit, malformed},
};
use crate::{
    command::Command,
    tokens::{Token, TokenId, TokenText, Wanted},
};

/// Characters of the name in a refused request that the audit log repeats: what is no name may be longer than one.
const NAME_CHARS_MAX: usize = 80;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    name: String,
    role: Role,
    #[serde(default)]
    services: Option<BTreeSet<ServiceName>>,
    #[serde(default, deserialize_with = "super::whole::maybe")]
    expires_in_seconds: Option<u64>,
    #[serde(default, deserialize_with = "super::whole::maybe")]
    if_generation: Option<Generation>,
    #[serde(default)]
    reason: String,
}

/// What a body asks for, in words; none of one that no token can be made of.
pub(super) fn wanted(body: &[u8]) -> Option<String> {
    let NewToken { name, role, services, expires_in_seconds, .. } = serde_json::from_slice(body).ok()?;
    let grant = Grant { role, services };
    let life = expires_in_seconds.unwrap_or(TOKEN_LIFE_DEFAULT.as_secs());
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    Some(format!("token {name}: {grant}, for {life} s"))
}

pub(super) async fn create(
    State(context): State<Context>,
    Change { form, whose }: Change<NewToken>,
) -> Result<Response, Problem> {
    let if_generation = whose.if_generation(form.if_generation)?;
    let (least, most) = (TOKEN_LIFE_MIN.as_secs(), TOKEN_LIFE_MAX.as_secs());
    let life = form.expires_in_seconds.unwrap_or(TOKEN_LIFE_DEFAULT.as_secs());
    if !(least..=most).contains(&life) {
        let detail = format!("expires_in_seconds must be from {least} to {most}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-a-life", detail));
    }
    let text = TokenText::random()
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no-chance", error.to_string()))?;
    let wanted = Box::new(Wanted {
        id: text.id().clone(),
        name: form.name,
        role: form.role,
        services: form.services,
        digest: text.digest(),
        life_ms: life * 1_000,
    });
    let request = whose.asks(Command::GiveToken { wanted, if_generation }, &form.reason);
    let answer = context.access.command(request).await?;
    if answer.repeats.is_some() {
        let detail = "this token was made before, and its text was shown then: if that answer did not arrive, delete \
                      the token and make another";
        return Err(Problem::new(StatusCode::CONFLICT, "shown-before", detail));
    }
    let made = context.access.status().tokens.get(text.id()).map(|token| view(text.id(), token));
    let Some(Value::Object(mut body)) = made else {
        // Somebody else has deleted it meanwhile.
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-token", "the token was deleted at once"));
    };
    body.insert("token".into(), text.expose().into());
    let location = format!("/v1/tokens/{}", text.id());
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(Value::Object(body))).into_response())
}

/// What a reader of the list may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
}

pub(super) async fn list(
    State(context): State<Context>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(page) = page.map_err(malformed)?;
    let limit = limit(page.limit, API_ENTRIES_MAX)?;
    let after = page.after.map(|text| identifier(&text)).transpose()?;
    let tokens = context.access.status().tokens.clone();
    let mut rest = tokens.iter().filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after));
    let shown: Vec<_> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(shown.last()).map(|(id, _)| id.to_string());
    let views: Vec<Value> = shown.iter().map(|(id, token)| view(id, token)).collect();
    Ok(Json(json!({ "tokens": views, "next": next })))
}

/// What a request to delete may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    #[serde(default, deserialize_with = "super::whole::maybe")]
    if_generation: Option<Generation>,
    #[serde(default)]
    reason: String,
}

pub(super) async fn delete(
    State(context): State<Context>,
    path: Result<Path<String>, PathRejection>,
    Change { form, whose }: Change<Delete>,
) -> Result<StatusCode, Problem> {
    let Path(id) = path.map_err(|rejection| Problem::bad_request("malformed-path", rejection.body_text()))?;
    let id = identifier(&id)?;
    let if_generation = whose.if_generation(form.if_generation)?;
    context.access.command(whose.asks(Command::TakeBackToken { id, if_generation }, &form.reason)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn identifier(text: &str) -> Result<TokenId, Problem> {
    let none = |error: crate::tokens::NotAnId| {
        Problem::new(StatusCode::NOT_FOUND, "no-such-token", error.to_string())
    };
    text.parse().map_err(none)
}

/// A token as it is shown: without its digest.
fn view(id: &TokenId, token: &Token) -> Value {
    json!({
        "id": id,
        "name": token.name,
        "role": token.grant.role,
        "services": token.grant.services,
        "created_ms": token.created_ms,
        "created_by": token.created_by,
        "expires_ms": token.expires_ms,
    })
}
