//! `serin token`: who may use the API of a running Serin, by bearer token.
//!
//! The text of a token is printed once, alone on stdout, so that it can go straight into a file or a vault; everything
//! about it goes to stderr.

use std::{io::Write, process::ExitCode, str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde::Deserialize;
use serde_json::json;
use serin_config::{moment, raw::decode::Leaf};
use serin_control::{command::Caller, tokens::TokenId};

use super::{
    client::{
        self, Access, Outcome, Table,
        output::{print_json, print_value},
        plain, read,
    },
    print,
    rollout::ServiceText,
};

/// What to do with which token.
#[derive(Debug, Args)]
#[command(after_help = "\
Only admins may do this.
Exit codes: 0 done; 1 refused, with the reason on stderr; 2 no control plane could be asked.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the tokens, without their texts, which nobody keeps
    List(List),
    /// Makes a token and prints it, this once
    Create(Create),
    /// Takes a token back: whoever has it is refused from now on
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Create {
    /// What the token is for, or whose it is; the journal shows it beside each change
    name: String,
    /// How much its owner may do
    #[arg(long, value_enum)]
    role: Role,
    /// With this service only; may be given several times
    #[arg(long = "service", value_name = "SERVICE")]
    services: Vec<ServiceText>,
    /// For how long it is good, such as 12h or 90d; as the control plane has it by default
    #[arg(long, value_name = "TIME")]
    expires_in: Option<Life>,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The token's id, as `serin token list` shows it
    #[arg(value_parser = identifier)]
    id: TokenId,
    /// Why, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    access: Access,
}

/// How much the owner of a token may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Read
    Viewer,
    /// Read, and steer rollouts and weights
    Operator,
    /// Everything, tokens too
    Admin,
}

impl Role {
    fn label(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// A duration as in the file, or whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Life(Duration);

impl FromStr for Life {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(days) = text.strip_suffix('d') {
            let days: Option<u64> = days.parse().ok().filter(|days| (1..=36_500).contains(days));
            let days = days.ok_or("write a whole number of days, such as 90d")?;
            return Ok(Self(Duration::from_secs(days * 86_400)));
        }
        Duration::read(text).map(Self).map_err(|fault| format!("{}: {}", fault.wrong, fault.right))
    }
}

/// A token's id. The text that was given is not told: it may be the token itself.
fn identifier(text: &str) -> Result<TokenId, String> {
    text.parse().map_err(|_| "write the token's id, not its text: `serin token list` shows it".into())
}

/// A token as the API shows it.
#[derive(Debug, Deserialize)]
struct Token {
    id: String,
    name: String,
    role: String,
    services: Option<Vec<String>>,
    created_by: Option<Caller>,
    expires_ms: Option<u64>,
    token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    tokens: Vec<Token>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    client::run(async {
        match &arguments.verb {
            Verb::List(arguments) => list(arguments).await,
            Verb::Create(arguments) => create(arguments).await,
            Verb::Revoke(arguments) => revoke(arguments).await,
        }
    })
}

async fn list(List { access }: &List) -> Outcome {
    let listed = access.api()?.all("/v1/tokens", "tokens").await?;
    if access.output.is_json() {
        print_value(&listed);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["id", "name", "role", "services", "expires", "made by"]);
    for token in read::<Page>(listed)?.tokens {
        table.row([
            token.id,
            token.name,
            token.role,
            token.services.map_or_else(|| "all".into(), |services| services.join(", ")),
            token.expires_ms.map_or_else(|| "never".into(), moment::rfc3339_seconds),
            token.created_by.map(|caller| caller.name).unwrap_or_default(),
        ]);
    }
    print(&table.text());
    Ok(ExitCode::SUCCESS)
}

async fn create(Create { name, role, services, expires_in, reason, access }: &Create) -> Outcome {
    let mut body = json!({ "name": name, "role": role.label(), "reason": reason });
    if !services.is_empty() {
        body["services"] = services.iter().map(|service| json!(service.0)).collect();
    }
    if let Some(Life(life)) = expires_in {
        body["expires_in_seconds"] = life.as_secs().into();
    }
    let answer = access.api()?.change(Method::POST, "/v1/tokens", &body).await?;
    if access.output.is_json() {
        print_json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let made: Token = answer.read()?;
    let until = made.expires_ms.map(moment::rfc3339_seconds).unwrap_or_else(|| "it is taken back".into());
    let about = plain(&format!(
        "token {} of {}, {}, is good until {until}; its text is shown this once",
        made.id, made.name, made.role
    ));
    // Whoever reads the text alone does not miss it.
    let _ = writeln!(std::io::stderr().lock(), "serin: {about}");
    print(&format!("{}\n", plain(&made.token.unwrap_or_default())));
    Ok(ExitCode::SUCCESS)
}

async fn revoke(Revoke { id, reason, access }: &Revoke) -> Outcome {
    access.take_back(&format!("/v1/tokens/{id}"), reason, &format!("token {id} is taken back")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_may_be_said_in_days() {
        assert_eq!("90d".parse(), Ok(Life(Duration::from_secs(90 * 86_400))));
        assert_eq!("12h".parse(), Ok(Life(Duration::from_secs(12 * 3_600))));
        for wrong in ["d", "0d", "1.5d", "90", "forever"] {
            assert!(wrong.parse::<Life>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_text_of_a_token_is_not_taken_for_its_id() {
        assert!(identifier("0123456789abcdef").is_ok());
        for wrong in ["", "a/b", "serin_0123456789abcdef_secret"] {
            let said = identifier(wrong).unwrap_err();
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
