//! The way in: the text of a file → [`Config`], or every [`Problem`](crate::Problem) that it has.

use std::path::Path as FilePath;

use crate::{
    check,
    problem::{Path, Place, Problems, Reported},
    raw::{self, decode::Decode},
    settings::Config,
    tree,
};

/// Where secrets come from; handed in, since this crate reads neither the environment nor files.
pub trait Secrets {
    /// The environment variable of that name.
    fn env(&self, name: &str) -> Option<String>;
    /// The text of a file; the error says why it can't be read, without the path.
    fn file(&self, path: &FilePath) -> Result<String, String>;
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
