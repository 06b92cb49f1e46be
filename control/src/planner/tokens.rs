//! Tokens of the API, given and taken back: decisions like all others, but that the plan stays as it is.

use std::sync::Arc;

use serin_config::{Generation, Grant};

use super::{Who, fresh};
use crate::{
    refusal::Refusal,
    state::{Decision, State},
    store::FactChanges,
    tokens::{Token, TokenId, TokenRefusal, Tokens, Wanted, fact_name},
};

/// Makes a token.
pub(super) fn give(
    state: &State,
    wanted: &Wanted,
    if_generation: Option<Generation>,
    who: &Who<'_>,
) -> Result<Decision, Refusal> {
    fresh(state, if_generation)?;
    let token = Token {
        name: wanted.name.clone(),
        grant: Grant { role: wanted.role, services: wanted.services.clone() },
        digest: wanted.digest.clone(),
        created_ms: who.now_ms,
        created_by: who.caller.cloned(),
        expires_ms: who.now_ms.saturating_add(wanted.life_ms),
    };
    let fact = serde_json::to_value(&token).ok();
    let is_service = |name: &serin_config::ServiceName| state.services.contains_key(name);
    let (tokens, gone) = state.tokens.with(&wanted.id, token, is_service)?;
    let mut facts: FactChanges = gone.iter().map(|id| (fact_name(id), None)).collect();
    facts.insert(fact_name(&wanted.id), fact);
    Ok(with(state, tokens, facts))
}

/// Takes a token back. What it opened is shut from then on.
pub(super) fn take_back(
    state: &State,
    id: &TokenId,
    if_generation: Option<Generation>,
) -> Result<Decision, Refusal> {
    fresh(state, if_generation)?;
    let tokens = state.tokens.without(id)?;
    Ok(with(state, tokens, FactChanges::from([(fact_name(id), None)])))
}

fn with(state: &State, tokens: Tokens, facts: FactChanges) -> Decision {
    let state = State { tokens: Arc::new(tokens), ..state.clone() };
    Decision { state, touched: Vec::new(), entries: Vec::new(), facts, protects: false }
}

impl From<TokenRefusal> for Refusal {
    fn from(refusal: TokenRefusal) -> Self {
        Self::Token(refusal)
    }
}
