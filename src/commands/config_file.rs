//! Reading the configuration file with its secrets.

use std::path::{Path, PathBuf};

use clap::Args;
use serin_config::{
    Config, Problems,
    file::{self, Secrets},
    limits::CONFIG_BYTES_MAX,
};

/// Which file.
#[derive(Debug, Clone, Args)]
pub(super) struct ConfigFile {
    /// The configuration file (YAML)
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub(super) path: PathBuf,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The file can't be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// What to do about it.
        why: String,
    },
    /// The file has problems.
    #[error("{0}")]
    Problems(Problems),
}

struct Environment;

impl Secrets for Environment {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

impl ConfigFile {
    /// Reads and checks the file.
    pub(super) fn load(&self) -> Result<Config, LoadError> {
        let name = self.path.display().to_string();
        let unreadable = |why: String| LoadError::Unreadable { path: name.clone(), why };
        let size = std::fs::metadata(&self.path).map_err(|error| unreadable(why(&error)))?.len();
        if size > CONFIG_BYTES_MAX as u64 {
            return Err(unreadable(format!("the file has {size} bytes, more than {CONFIG_BYTES_MAX}")));
        }
        let bytes = std::fs::read(&self.path).map_err(|error| unreadable(why(&error)))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            unreadable(format!("the text is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
        })?;
        let absolute = std::path::absolute(&self.path).map_err(|error| unreadable(why(&error)))?;
        let base = absolute.parent().unwrap_or(Path::new("/"));
        file::load(&text, &name, base, &Environment).map_err(LoadError::Problems)
    }
}

fn why(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file; check the path given with -c".into(),
        std::io::ErrorKind::PermissionDenied => {
            "permission denied; the file must be readable for this user".into()
        }
        std::io::ErrorKind::IsADirectory => "this is a directory; give the file within it".into(),
        _ => error.to_string(),
    }
}
