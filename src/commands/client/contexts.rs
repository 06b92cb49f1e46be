//! The file of contexts: which control planes there are, by name, and what opens each.
//!
//! It holds no secret, only where one is found. But it names commands that are run, so whoever can write it can do
//! anything as its owner: a file that others may write is refused, and it is written for its owner alone.

use std::{
    collections::BTreeMap,
    fmt,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use serin_config::limits::CONTEXTS_BYTES_MAX;

use super::{super::config_file::read_at_most, place::Place};

/// Where the file is, if the environment says so.
const FILE_VARIABLE: &str = "SERIN_CONTEXTS";

/// All contexts, and which one is meant where none is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::commands) struct Contexts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) current: Option<ContextName>,
    #[serde(default)]
    pub(in crate::commands) contexts: BTreeMap<ContextName, Context>,
}

/// One control plane, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::commands) struct Context {
    /// Where its API is.
    pub(in crate::commands) api: Place,
    /// By which authorities its certificate is checked; by those of the system if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) ca: Option<PathBuf>,
    /// The certificate that is shown to it, with its chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) cert: Option<PathBuf>,
    /// That certificate's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) key: Option<PathBuf>,
    /// The file whose first line is the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) token_file: Option<PathBuf>,
    /// The command that prints the token, and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) token_command: Option<Vec<String>>,
    /// Send the token in clear to another machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::commands) danger_token_in_clear: bool,
}

/// Up to 63 letters, digits, dots, dashes and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::commands) struct ContextName(String);

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum ContextsError {
    #[error(
        "\"{0}\" can't be the name of a context: use up to 63 letters, digits, dots, dashes and underscores"
    )]
    Name(String),
    #[error("there is no place for the file of contexts: set {FILE_VARIABLE}, XDG_CONFIG_HOME or HOME")]
    NoHome,
    #[error("{path}: others may write this file, which names commands to run: chmod 600 {path}")]
    Open { path: String },
    #[error("{path}: this file belongs to somebody else, and it names commands to run: make one of your own")]
    Foreign { path: String },
    #[error("{path}:{line}:{column}: {why}; see `serin context --help`, which also writes this file")]
    Malformed { path: String, line: usize, column: usize, why: String },
    #[error("{path}: {why}")]
    Io { path: String, why: String },
    #[error("there is no context \"{name}\" in {path}; {}", others(known))]
    Unknown { name: ContextName, path: String, known: Vec<ContextName> },
}

impl Contexts {
    /// Where the file is.
    pub(in crate::commands) fn path() -> Result<PathBuf, ContextsError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = set(FILE_VARIABLE) {
            return Ok(path);
        }
        let directory = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        directory.map(|directory| directory.join("serin/contexts.json")).ok_or(ContextsError::NoHome)
    }

    /// Reads the file; one that is not there has no contexts.
    pub(in crate::commands) fn read(path: &Path) -> Result<Self, ContextsError> {
        let shown = || path.display().to_string();
        let io = |error: std::io::Error| ContextsError::Io { path: shown(), why: error.to_string() };
        let found = match path.metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io(error)),
        };
        if found.permissions().mode() & 0o022 != 0 {
            return Err(ContextsError::Open { path: shown() });
        }
        let owner = found.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(ContextsError::Foreign { path: shown() });
        }
        let bytes = read_at_most(path, CONTEXTS_BYTES_MAX).map_err(io)?;
        if bytes.len() > CONTEXTS_BYTES_MAX {
            let why = format!("the file has more than {CONTEXTS_BYTES_MAX} bytes");
            return Err(ContextsError::Io { path: shown(), why });
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let why = error.to_string();
            let why = why.rsplit_once(" at line ").map_or(why.as_str(), |(why, _)| why).to_owned();
            ContextsError::Malformed { path: shown(), line, column, why }
        })
    }

    /// Replaces the file, for its owner alone.
    pub(in crate::commands) fn write(&self, path: &Path) -> Result<(), ContextsError> {
        let io = |error: std::io::Error| ContextsError::Io {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        }
        let new = path.with_extension(format!("{}.new", std::process::id()));
        let text = format!("{:#}\n", serde_json::to_value(self).map_err(|error| io(error.into()))?);
        let mut options = std::fs::OpenOptions::new();
        let written = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&new, path));
        written.map_err(|error| {
            // What was begun is of no use to anybody.
            let _ = std::fs::remove_file(&new);
            io(error)
        })
    }

    /// The context of that name.
    pub(in crate::commands) fn find(
        &self,
        name: &ContextName,
        path: &Path,
    ) -> Result<&Context, ContextsError> {
        self.contexts.get(name).ok_or_else(|| ContextsError::Unknown {
            name: name.clone(),
            path: path.display().to_string(),
            known: self.contexts.keys().cloned().collect(),
        })
    }
}

fn others(known: &[ContextName]) -> String {
    if known.is_empty() {
        return "make one with `serin context set`".into();
    }
    let names: Vec<&str> = known.iter().map(|name| name.0.as_str()).collect();
    format!("there is {}", names.join(", "))
}

impl FromStr for ContextName {
    type Err = ContextsError;
    fn from_str(text: &str) -> Result<Self, ContextsError> {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let fits = !text.is_empty() && text.len() <= 63 && text.bytes().all(letters);
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(ContextsError::Name(text.chars().take(80).filter(|c| !c.is_control()).collect()))
        }
    }
}

impl TryFrom<String> for ContextName {
    type Error = ContextsError;
    fn try_from(text: String) -> Result<Self, ContextsError> {
        text.parse()
    }
}

impl From<ContextName> for String {
    fn from(name: ContextName) -> Self {
        name.0
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn contexts() -> Contexts {
        let context = Context {
            api: "https://control.example:9902".parse().unwrap(),
            ca: Some("/etc/serin/ca.pem".into()),
            cert: None,
            key: None,
            token_file: None,
            token_command: Some(vec!["pass".into(), "serin".into()]),
            danger_token_in_clear: false,
        };
        let name: ContextName = "prod".parse().unwrap();
        Contexts { current: Some(name.clone()), contexts: BTreeMap::from([(name, context)]) }
    }

    #[test]
    fn what_is_written_reads_back_and_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("below/serin/contexts.json");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        contexts().write(&path).unwrap();
        contexts().write(&path).unwrap();
        assert_eq!(Contexts::read(&path).unwrap(), contexts());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_others_may_write_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("contexts.json");
        contexts().write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
        let error = Contexts::read(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_mistake_in_the_file_is_placed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("contexts.json");
        fs::write(&path, "{\n  \"contexts\": {\"a\": {\"api\": \"nowhere\"}}\n}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Contexts::read(&path).unwrap_err().to_string();
        assert!(error.contains("contexts.json:2:") && error.contains("IP:PORT"), "{error}");
        fs::write(&path, "{\"contexts\": {}, \"token\": \"x\"}").unwrap();
        let error = Contexts::read(&path).unwrap_err().to_string();
        assert!(error.contains("unknown field `token`"), "{error}");
    }

    #[test]
    fn names_are_such_as_need_no_quotes() {
        for wrong in ["", "a b", "ä", "a/b", &"x".repeat(64)] {
            assert!(wrong.parse::<ContextName>().is_err(), "{wrong}");
        }
        let unknown = contexts().find(&"dev".parse().unwrap(), Path::new("f")).unwrap_err().to_string();
        assert!(unknown.contains("there is prod"), "{unknown}");
    }
}
