//! `serin rollout`: start, steer and explain rollouts of a running Serin.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::json;
use serin_config::{Address, ServiceName, secret::Secret, settings::CONTROL_ADDRESS_DEFAULT};

use super::{
    NO,
    api_client::{Api, CallError},
    can_not, plan, print,
    replay::{self, Replay},
    report,
};

/// What to do with which rollout.
#[derive(Debug, Args)]
#[command(after_help = "\
If the API asks for a bearer token, put it into SERIN_TOKEN: an argument would show in the list of processes.
Exit codes: 0 done; 1 refused, with the reason on stderr; 2 no control plane could be asked.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Begins to shift traffic to the canary, step by step, each on evidence
    Start(Change),
    /// Shows how far the rollout is, as JSON
    Status(Service),
    /// Stays at the present weight; a failing guard still rolls back
    Pause(Change),
    /// Goes on after a pause
    Resume(Change),
    /// Goes to the next step now, or to 100 % with --full, without waiting for evidence
    Promote(Promote),
    /// Takes the canary out, now
    Abort(Change),
    /// Says in words and numbers what was decided, and why
    Explain(Service),
    /// Says how long a rollout will take and what a bad canary will cost, from the file alone
    Plan(plan::Arguments),
    /// Says what each step took, and what it waited for
    Report(Service),
    /// Judges the windows of a past rollout by other policies, and by the rules of other controllers
    Replay(Replay),
}

#[derive(Debug, Args)]
struct Service {
    /// The service
    service: ServiceText,
    /// Where the control plane's API listens: IP:PORT or unix:/path
    #[arg(long, value_name = "ADDRESS", env = "SERIN_API", default_value_t = Address::Tcp(CONTROL_ADDRESS_DEFAULT))]
    api: Address,
}

/// A checked name, so that it can stand in a path.
#[derive(Debug, Clone)]
struct ServiceText(ServiceName);

impl std::str::FromStr for ServiceText {
    type Err = serin_config::name::NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ServiceName::try_new(text).map(Self)
    }
}

#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    service: Service,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
struct Promote {
    #[command(flatten)]
    change: Change,
    /// Straight to 100 %
    #[arg(long)]
    full: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(act(&arguments.verb)),
        Err(error) => can_not(format_args!("no runtime can be made: {error}")),
    }
}

async fn act(verb: &Verb) -> ExitCode {
    let outcome = match verb {
        Verb::Start(change) => steer(change, "start", None).await,
        Verb::Pause(change) => steer(change, "pause", None).await,
        Verb::Resume(change) => steer(change, "resume", None).await,
        Verb::Abort(change) => steer(change, "abort", None).await,
        Verb::Promote(promote) => steer(&promote.change, "promote", Some(promote.full)).await,
        Verb::Status(service) => read(service, "").await,
        Verb::Explain(service) => read(service, "/explain").await,
        Verb::Plan(arguments) => Ok(plan::run(arguments)),
        Verb::Report(service) => report(service).await,
        Verb::Replay(arguments) => Ok(replay::replay(arguments, api_at(arguments.api())).await),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => can_not(error),
    }
}

async fn read(service: &Service, what: &str) -> Result<ExitCode, CallError> {
    let path = format!("/v1/services/{}/rollout{what}", service.service.0);
    let answer = api(service).call(Method::GET, &path, None).await?;
    if !answer.status.is_success() {
        return Ok(refused(&answer.problem()));
    }
    print(&pretty(&answer.body));
    Ok(ExitCode::SUCCESS)
}

async fn report(service: &Service) -> Result<ExitCode, CallError> {
    let name = &service.service.0;
    let answer = api(service).call(Method::GET, &format!("/v1/services/{name}/rollout"), None).await?;
    if !answer.status.is_success() {
        return Ok(refused(&answer.problem()));
    }
    match serde_json::from_str(&answer.body) {
        Ok(rollout) => print(&report::report(name.as_str(), &rollout)),
        Err(error) => {
            return Ok(can_not(format_args!("the control plane's answer is not understood: {error}")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn steer(change: &Change, action: &str, full: Option<bool>) -> Result<ExitCode, CallError> {
    let name = &change.service.service.0;
    let mut body = json!({ "action": action, "reason": change.reason });
    if let Some(full) = full {
        body["full"] = full.into();
    }
    let path = format!("/v1/services/{name}/rollout");
    let answer = api(&change.service).call(Method::POST, &path, Some(body.to_string())).await?;
    if !answer.status.is_success() {
        return Ok(refused(&answer.problem()));
    }
    let answered: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let summary = answered["rollout"]["summary"].as_str().unwrap_or("done");
    print(&format!("{name}: {summary} (plan {})\n", answered["generation"]));
    if answer.status == StatusCode::ACCEPTED {
        print(
            "The store can't be written: this is in force, but not yet stored. See the log of serin run.\n",
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn api(service: &Service) -> Api {
    api_at(&service.api)
}

fn api_at(address: &Address) -> Api {
    let token = std::env::var("SERIN_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new);
    Api { address: address.clone(), token }
}

fn refused(why: &str) -> ExitCode {
    can_not(why);
    ExitCode::from(NO)
}

/// JSON indented; any other text as it is.
fn pretty(text: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => format!("{value:#}\n"),
        Err(_) => text.into(),
    }
}
