//! The text of a secret, from where the file says it is. No message shows it.

use std::path::Path as FilePath;

use super::Surroundings;
use crate::{
    problem::{Place, Problems, Reported, shown, shown_path},
    raw::{decode::Spanned, leaf::SecretSource},
};

/// The text, and where it was found.
pub(super) fn text(
    source: &Spanned<SecretSource>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<(String, String), Reported> {
    let place = &source.place;
    match &source.value {
        SecretSource::Env(name) => Ok((env(name, place, around, problems)?, shown(name))),
        SecretSource::File(path) => {
            let path = around.base_dir.join(path);
            Ok((file(&path, place, around, problems)?, shown_path(&path)))
        }
    }
}

fn env(
    name: &str,
    place: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<String, Reported> {
    around.secrets.env(name).ok_or_else(|| {
        let wrong = format!("the environment variable {} is not set", shown(name));
        problems.add(place, wrong, "set it for the process, or name one that is set")
    })
}

/// The text of a file; the line end that editors add is not part of the secret.
fn file(
    path: &FilePath,
    place: &Place,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<String, Reported> {
    match around.secrets.file(path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).into()),
        Err(why) => {
            let wrong = format!("{} can't be read: {}", shown_path(path), shown(&why));
            Err(problems.add(place, wrong, "name a file that this process may read"))
        }
    }
}
