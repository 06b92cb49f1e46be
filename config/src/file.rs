//! The way in: the text of a file → [`Config`], or every [`Problem`](crate::Problem) that it has.

use std::path::Path as FilePath;

use crate::{
    check,
    problem::{Path, Place, Problems, Reported},
    raw::{self, decode::Decode},
    settings::Config,
    tls::CertificateFiles,
    tree,
};

/// Where secrets come from; handed in, since this crate reads neither the environment nor files.
pub trait Secrets {
    /// The environment variable of that name.
    fn env(&self, name: &str) -> Option<String>;
    /// The text of a file; the error says why it can't be read, without the path.
    fn file(&self, path: &FilePath) -> Result<String, String>;
    /// Whether these files can be used for TLS. Where nobody can tell, they count as usable.
    fn tls(&self, files: TlsFiles<'_>) -> Result<(), TlsFault> {
        let _ = files;
        Ok(())
    }
}

/// Files that TLS needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFiles<'a> {
    /// A chain of certificates and the private key of its first.
    Pair(&'a CertificateFiles),
    /// Certificates that may sign others.
    Authorities(&'a FilePath),
}

/// Which file can't be used for TLS, and why; without its path, and without anything of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// The certificates.
    Certificates(String),
    /// The private key.
    Key(String),
}

/// Reads a configuration.
///
/// `file_name` is how problems name the file; `base_dir` is the directory of the file, to which its relative
/// paths (state, secrets) belong.
///
/// # Errors
/// Every problem of the file, by position. A text that is not YAML has the one problem that ended reading,
/// and those before it.
pub fn load(
    text: &str,
    file_name: &str,
    base_dir: &FilePath,
    secrets: &dyn Secrets,
) -> Result<Config, Problems> {
    let mut problems = Problems::new(file_name);
    match read(text, &check::Surroundings { base_dir, secrets }, &mut problems) {
        Ok(config) if problems.is_empty() => Ok(config),
        Ok(_) | Err(Reported { .. }) => Err(problems),
    }
}

fn read(text: &str, around: &check::Surroundings<'_>, problems: &mut Problems) -> Result<Config, Reported> {
    let root = tree::parse(text, problems)?;
    let top = Place { at: root.at, path: Path::TOP };
    let file = raw::File::decode(&root, &top, problems)?;
    check::check(file, &top, around, problems)
}
