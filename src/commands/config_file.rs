//! Reading the configuration file with its secrets.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serin_config::{
    Catalogue, Config, Problems, Purpose,
    file::{self, Secrets, TlsFault, TlsFiles},
    limits::{CONFIG_BYTES_MAX, SECRET_BYTES_MAX},
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
        let bytes = read_at_most(path, SECRET_BYTES_MAX).map_err(|error| error.to_string())?;
        if bytes.len() > SECRET_BYTES_MAX {
            return Err(format!("the file has more than {SECRET_BYTES_MAX} bytes"));
        }
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    fn tls(&self, files: TlsFiles<'_>) -> Result<(), TlsFault> {
        serin_proxy::check_tls(files)
    }
}

impl ConfigFile {
    /// Reads and checks the file for this purpose.
    pub(super) fn load_for(&self, purpose: Purpose) -> Result<Config, LoadError> {
        self.read(Some(purpose))
    }

    /// Reads and checks the file for the purpose that its sections tell.
    pub(super) fn load_for_any(&self) -> Result<Config, LoadError> {
        self.read(None)
    }

    /// Reads routes and services that a control plane tells; their relative paths belong to the file's directory.
    pub(super) fn read_catalogue(&self, text: &str) -> Result<Catalogue, Vec<String>> {
        let absolute = std::path::absolute(&self.path).map_err(|error| vec![why(&error)])?;
        let base = absolute.parent().unwrap_or(Path::new("/"));
        file::load_catalogue(text, "the control plane's file", base, &Environment)
            .map_err(|problems| problems.lines())
    }

    fn read(&self, purpose: Option<Purpose>) -> Result<Config, LoadError> {
        let name = self.path.display().to_string();
        let unreadable = |why: String| LoadError::Unreadable { path: name.clone(), why };
        let bytes = read_at_most(&self.path, CONFIG_BYTES_MAX).map_err(|error| unreadable(why(&error)))?;
        if bytes.len() > CONFIG_BYTES_MAX {
            return Err(unreadable(format!(
                "the file has more than {CONFIG_BYTES_MAX} bytes; is it the right one?"
            )));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            unreadable(format!("the text is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
        })?;
        let absolute = std::path::absolute(&self.path).map_err(|error| unreadable(why(&error)))?;
        let base = absolute.parent().unwrap_or(Path::new("/"));
        file::load_for(purpose, &text, &name, base, &Environment).map_err(LoadError::Problems)
    }
}

/// Reads a file up to one byte more than `limit`, which tells that it is too large. What the system says of
/// its size is not asked: a device or a pipe has none.
pub(super) fn read_at_most(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &str) -> String {
        ConfigFile { path: path.into() }.load_for(Purpose::Run).unwrap_err().to_string()
    }

    #[test]
    fn a_file_without_end_and_one_that_is_no_text_are_refused_in_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("binary");
        std::fs::write(&binary, [0x7f, b'E', b'L', b'F', 0xff, 0xfe]).unwrap();
        for (path, word) in [
            ("/dev/zero", "more than"),
            (binary.to_str().unwrap(), "not UTF-8 at byte 4"),
            (directory.path().to_str().unwrap(), "directory"),
        ] {
            let said = said(path);
            assert!(said.contains(word) && said.lines().count() == 1, "{said}");
        }
    }

    #[test]
    fn a_secret_without_end_is_refused() {
        assert!(Environment.file(Path::new("/dev/zero")).unwrap_err().contains("more than"));
    }
}
