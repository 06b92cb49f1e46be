//! The way in: the text of a file → [`Config`], or every [`Problem`](crate::Problem) that it has.

use std::path::Path as FilePath;

use crate::{
    catalogue::Catalogue,
    check,
    limits::CONFIG_BYTES_MAX,
    problem::{Path, Place, Problems, Reported},
    raw::{self, decode::Decode},
    settings::{Config, Purpose},
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

/// Reads a configuration for `serin run`.
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
    load_for(Some(Purpose::Run), text, file_name, base_dir, secrets)
}

/// Reads a configuration for this purpose; without one, for that which its sections tell. All else is as for [`load`].
pub fn load_for(
    purpose: Option<Purpose>,
    text: &str,
    file_name: &str,
    base_dir: &FilePath,
    secrets: &dyn Secrets,
) -> Result<Config, Problems> {
    let mut problems = Problems::new(file_name);
    let around = check::Surroundings { base_dir, secrets };
    whole(read(purpose, text, &around, &mut problems), problems)
}

/// Reads routes and services that a control plane has told. `name` is how problems name the text; `base_dir` is the
/// directory to which its relative paths belong here.
///
/// # Errors
/// Every problem of the text, by position.
pub fn load_catalogue(
    text: &str,
    name: &str,
    base_dir: &FilePath,
    secrets: &dyn Secrets,
) -> Result<Catalogue, Problems> {
    let mut problems = Problems::new(name);
    let around = check::Surroundings { base_dir, secrets };
    whole(read_catalogue(text, &around, &mut problems), problems)
}

fn whole<T>(read: Result<T, Reported>, problems: Problems) -> Result<T, Problems> {
    match read {
        Ok(value) if problems.is_empty() => Ok(value),
        Ok(_) | Err(Reported { .. }) => Err(problems),
    }
}

/// The sections that make a catalogue.
const CATALOGUE: [&str; 2] = ["routes", "services"];

fn read(
    purpose: Option<Purpose>,
    text: &str,
    around: &check::Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Config, Reported> {
    let root = tree::parse(text, problems)?;
    let top = Place { at: root.at, path: Path::TOP };
    let file = raw::File::decode(&root, &top, problems)?;
    let told = tree::sections(&root, &CATALOGUE, CONFIG_BYTES_MAX);
    check::check(file, purpose, told, &top, around, problems)
}

fn read_catalogue(
    text: &str,
    around: &check::Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Catalogue, Reported> {
    let root = tree::parse(text, problems)?;
    let top = Place { at: root.at, path: Path::TOP };
    let file = raw::File::decode(&root, &top, problems)?;
    let catalogue = check::check_catalogue(file.routes, file.services, &top, around, problems)?;
    Ok(catalogue.with_source(text.to_owned()))
}
