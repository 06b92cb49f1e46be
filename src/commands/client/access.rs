//! Which control plane is meant, and what opens it.
//!
//! What is said on the command line counts before the environment, and that before the file of contexts. A context's
//! token goes to that context's address only: `--api` and `SERIN_API` leave the contexts aside altogether.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use http::Method;
use serde_json::json;
use serin_config::{Address, secret::Secret, settings::CONTROL_ADDRESS_DEFAULT};

use super::{
    super::print,
    Outcome,
    api::{Api, Source},
    contexts::{Context, ContextName, Contexts, ContextsError},
    output::Output,
    place::{Place, PlaceError},
    tls::{self, TlsError},
    token::{self, TokenError},
};

/// Which control plane to ask, and how to show what it says.
#[derive(Debug, Clone, Args)]
pub(in crate::commands) struct Access {
    /// Where the control plane's API is: IP:PORT, unix:/path.sock or https://HOST[:PORT] [env: SERIN_API]
    /// [default: 127.0.0.1:9902]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "context", help_heading = HEADING)]
    api: Option<Place>,
    /// The context to use, instead of the current one [env: SERIN_CONTEXT]
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    context: Option<ContextName>,
    /// Certificates of the authorities by which the server is checked (PEM); those of the system by default
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    ca: Option<PathBuf>,
    /// The certificate to show (PEM, with its chain)
    #[arg(long, value_name = "FILE", requires = "key", help_heading = HEADING)]
    cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = HEADING)]
    key: Option<PathBuf>,
    /// A file whose first line is the bearer token; or put the token into SERIN_TOKEN
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// Send the token to another machine without encryption, for whoever listens on the way
    #[arg(long, help_heading = HEADING)]
    danger_token_in_clear: bool,
    /// How to show the answer
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    pub(in crate::commands) output: Output,
}

const HEADING: &str = "Which control plane";

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum AccessError {
    #[error(transparent)]
    Contexts(#[from] ContextsError),
    #[error("SERIN_API: {0}")]
    Place(#[from] PlaceError),
    #[error("SERIN_CONTEXT: {0}")]
    Name(ContextsError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("--ca, --cert and --key go with https:// only, and {place} ({by}) is in clear")]
    NoTls { place: Place, by: Source },
    #[error(
        "context \"{0}\" has a certificate without its key, or a key without its certificate: set both again"
    )]
    HalfIdentity(ContextName),
    #[error(
        "a token would go in clear to another machine, {place} ({by}): use https://, or --danger-token-in-clear if \
         everybody on the way may have it"
    )]
    InClear { place: Place, by: Source },
}

/// What is said outside the command line.
pub(super) struct Environment {
    pub(super) api: Option<String>,
    pub(super) context: Option<String>,
    pub(super) token: Option<String>,
    /// Where the file of contexts is; asked for only where one is needed.
    pub(super) contexts: Result<PathBuf, ContextsError>,
}

impl Environment {
    fn of_process() -> Self {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            api: set("SERIN_API"),
            context: set("SERIN_CONTEXT"),
            token: set("SERIN_TOKEN"),
            contexts: Contexts::path(),
        }
    }
}

impl Access {
    /// The API that is meant.
    pub(in crate::commands) fn api(&self) -> Result<Api, AccessError> {
        self.api_in(Environment::of_process())
    }

    /// Takes something back that the API has at this path, and says so in these words.
    pub(in crate::commands) async fn take_back(&self, path: &str, reason: &str, done: &str) -> Outcome {
        self.api()?.change(Method::DELETE, path, &json!({ "reason": reason })).await?;
        if !self.output.is_json() {
            print(&format!("{done}\n"));
        }
        Ok(ExitCode::SUCCESS)
    }

    pub(super) fn api_in(&self, environment: Environment) -> Result<Api, AccessError> {
        let Environment { api, context, token, contexts } = environment;
        let (source, found) = match (&self.api, &self.context, api, context) {
            (Some(place), ..) => (Source::Flag, bare(place.clone())),
            (None, Some(name), ..) => of_context(name, contexts)?,
            (None, None, Some(place), _) => (Source::Environment, bare(place.parse::<Place>()?)),
            (None, None, None, Some(name)) => {
                of_context(&name.parse().map_err(AccessError::Name)?, contexts)?
            }
            (None, None, None, None) => match current(contexts)? {
                Some(found) => found,
                None => (Source::Default, bare(Place::Address(Address::Tcp(CONTROL_ADDRESS_DEFAULT)))),
            },
        };
        let token = self.token(&found, token)?;
        let place = found.api;
        let danger = self.danger_token_in_clear || found.danger_token_in_clear;
        if token.is_some() && !place.keeps_secrets() && !danger {
            return Err(AccessError::InClear { place, by: source });
        }
        let ca = self.ca.as_deref().or(found.ca.as_deref());
        let cert = self.cert.as_deref().or(found.cert.as_deref());
        let key = self.key.as_deref().or(found.key.as_deref());
        let identity = match (cert, key, &source) {
            (Some(cert), Some(key), _) => Some((cert, key)),
            (None, None, _) => None,
            (_, _, Source::Context(name)) => return Err(AccessError::HalfIdentity(name.clone())),
            // The flags require each other.
            _ => None,
        };
        let tls = match &place {
            Place::Tls(_) => Some(tls::config(ca, identity)?),
            _ if ca.is_some() || identity.is_some() => return Err(AccessError::NoTls { place, by: source }),
            _ => None,
        };
        Ok(Api { place, source, token, tls, warned: Arc::default() })
    }

    fn token(&self, found: &Context, environment: Option<String>) -> Result<Option<Secret>, TokenError> {
        let of_file = |path: &Path| token::of_file(path).map(Some);
        match (&self.token_file, &found.token_file, &found.token_command, environment) {
            (Some(path), ..) | (None, Some(path), ..) => of_file(path),
            (None, None, Some(command), _) => token::of_command(command).map(Some),
            (None, None, None, Some(text)) => token::checked(&text, "SERIN_TOKEN").map(Some),
            (None, None, None, None) => Ok(None),
        }
    }
}

fn bare(api: Place) -> Context {
    Context {
        api,
        ca: None,
        cert: None,
        key: None,
        token_file: None,
        token_command: None,
        danger_token_in_clear: false,
    }
}

fn of_context(
    name: &ContextName,
    path: Result<PathBuf, ContextsError>,
) -> Result<(Source, Context), AccessError> {
    let path = path?;
    let contexts = Contexts::read(&path)?;
    let found = contexts.find(name, &path)?;
    Ok((Source::Context(name.clone()), found.clone()))
}

/// The current context. Nobody needs a home directory, or a file in it, to ask this machine's own.
fn current(path: Result<PathBuf, ContextsError>) -> Result<Option<(Source, Context)>, AccessError> {
    let Ok(path) = path else { return Ok(None) };
    let contexts = Contexts::read(&path)?;
    let Some(name) = &contexts.current else { return Ok(None) };
    let found = contexts.find(name, &path)?;
    Ok(Some((Source::Context(name.clone()), found.clone())))
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
