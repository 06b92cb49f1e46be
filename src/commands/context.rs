//! `serin context`: the control planes that this user knows by name.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    NO, can_not,
    client::{
        Output, Table,
        contexts::{Context, ContextName, Contexts, ContextsError},
        place::Place,
    },
    print,
};

/// What to do with which context.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is $SERIN_CONTEXTS, or $XDG_CONFIG_HOME/serin/contexts.json, or ~/.config/serin/contexts.json. It holds no token, only \
where one is found; it is readable for its owner alone.
Which control plane a command asks: --api, or --context, or $SERIN_API, or $SERIN_CONTEXT, or the current context, or 127.0.0.1:9902.
Exit codes: 0 done; 1 there is no such context; 2 the file can't be read or written.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the contexts; the current one has a star
    List(Shown),
    /// Shows one context, the current one by default
    Show(Show),
    /// Makes a context, or replaces the one of that name; the first one becomes the current one
    Set(Set),
    /// Makes a context the current one
    Use(Named),
    /// Removes a context
    Remove(Named),
}

#[derive(Debug, Args)]
struct Shown {
    /// How to show them
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t)]
    output: Output,
}

#[derive(Debug, Args)]
struct Show {
    /// The context
    name: Option<ContextName>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, Args)]
struct Named {
    /// The context
    name: ContextName,
}

#[derive(Debug, Args)]
struct Set {
    /// The context
    name: ContextName,
    /// Where the API is: IP:PORT, unix:/path.sock or https://HOST[:PORT]
    #[arg(long, value_name = "ADDRESS")]
    api: Place,
    /// Certificates of the authorities by which the server is checked (PEM); those of the system by default
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate to show (PEM, with its chain)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The file whose first line is the bearer token
    #[arg(long, value_name = "FILE", conflicts_with = "token_command")]
    token_file: Option<PathBuf>,
    /// The command that prints the bearer token, with its arguments; the last option, as everything after it belongs to it
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    token_command: Option<Vec<String>>,
    /// Send the token to another machine without encryption, for whoever listens on the way
    #[arg(long)]
    danger_token_in_clear: bool,
    /// Make it the current context
    #[arg(long)]
    current: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let done = Contexts::path().and_then(|path| act(&arguments.verb, &path));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ ContextsError::Unknown { .. }) => {
            can_not(error);
            ExitCode::from(NO)
        }
        Err(error) => can_not(error),
    }
}

fn act(verb: &Verb, path: &Path) -> Result<(), ContextsError> {
    let mut contexts = Contexts::read(path)?;
    match verb {
        Verb::List(shown) => {
            print(&list(&contexts, shown.output));
            return Ok(());
        }
        Verb::Show(Show { name, shown }) => {
            let Some(name) = name.as_ref().or(contexts.current.as_ref()) else {
                print("No context is the current one; `serin context use NAME` makes one so.\n");
                return Ok(());
            };
            print(&show(name, contexts.find(name, path)?, shown.output));
            return Ok(());
        }
        Verb::Set(set) => {
            let context = set.context().map_err(|error| ContextsError::Io {
                path: "the present directory".into(),
                why: error.to_string(),
            })?;
            let first = contexts.contexts.is_empty();
            contexts.contexts.insert(set.name.clone(), context);
            if first || set.current {
                contexts.current = Some(set.name.clone());
            }
        }
        Verb::Use(Named { name }) => {
            contexts.find(name, path)?;
            contexts.current = Some(name.clone());
        }
        Verb::Remove(Named { name }) => {
            contexts.find(name, path)?;
            contexts.contexts.remove(name);
            contexts.current.take_if(|current| current == name);
        }
    }
    contexts.write(path)
}

impl Set {
    /// The context; paths no longer depend on where the command is run.
    fn context(&self) -> io::Result<Context> {
        let absolute = |path: &Option<PathBuf>| path.as_ref().map(std::path::absolute).transpose();
        Ok(Context {
            api: self.api.clone(),
            ca: absolute(&self.ca)?,
            cert: absolute(&self.cert)?,
            key: absolute(&self.key)?,
            token_file: absolute(&self.token_file)?,
            token_command: self.token_command.clone(),
            danger_token_in_clear: self.danger_token_in_clear,
        })
    }
}

fn list(contexts: &Contexts, output: Output) -> String {
    if output.is_json() {
        return format!("{:#}\n", json!(contexts));
    }
    let mut table = Table::new(["", "context", "api", "token"]);
    for (name, context) in &contexts.contexts {
        let star = if contexts.current.as_ref() == Some(name) { "*" } else { "" };
        table.row([star.into(), name.to_string(), context.api.to_string(), token(context)]);
    }
    table.text()
}

fn show(name: &ContextName, context: &Context, output: Output) -> String {
    if output.is_json() {
        return format!("{:#}\n", json!({ "name": name, "context": context }));
    }
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let rows = [
        ("context", Some(name.to_string())),
        ("api", Some(context.api.to_string())),
        ("ca", file(&context.ca)),
        ("cert", file(&context.cert)),
        ("key", file(&context.key)),
        ("token", Some(token(context))),
        ("danger", context.danger_token_in_clear.then(|| "the token goes in clear".into())),
    ];
    let rows = rows.into_iter().filter_map(|(what, value)| Some((what, value?)));
    rows.map(|(what, value)| format!("{what:<8} {value}\n")).collect()
}

/// Where the token is found.
fn token(context: &Context) -> String {
    match (&context.token_file, &context.token_command) {
        (Some(path), _) => format!("file {}", path.display()),
        (None, Some(command)) => format!("command {}", command.join(" ")),
        (None, None) => "SERIN_TOKEN, if set".into(),
    }
}
