//! Files of other kinds than the configuration, such as the mix of requests of a load: text to a checked value, with all
//! problems placed.

use crate::{
    problem::{Path, Place, Problems, Reported},
    raw::decode::Decode,
    tree,
};

/// Reads a file's text as a record, which `check` turns into what it stands for.
///
/// # Errors
/// All that is wrong with it; `name` is how the user calls the file.
pub fn read<R: Decode, T>(
    name: &str,
    text: &str,
    check: impl FnOnce(R, &Place, &mut Problems) -> Result<T, Reported>,
) -> Result<T, Problems> {
    let mut problems = Problems::new(name);
    let read = tree::parse(text, &mut problems).and_then(|root| {
        let top = Place { at: root.at, path: Path::TOP };
        let record = R::decode(&root, &top, &mut problems)?;
        check(record, &top, &mut problems)
    });
    match read {
        Ok(value) if problems.is_empty() => Ok(value),
        Ok(_) | Err(_) => Err(problems),
    }
}
