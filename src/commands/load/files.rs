//! Files that loads read and write.

use std::{fs, io::Read, os::unix::fs::PermissionsExt, path::Path};

/// Reads a file that has a bound.
pub(super) fn read_file(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{} can't be read: {error}", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(wrong)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if bytes.len() > most {
        return Err(format!("{} is larger than {} MiB", path.display(), most >> 20));
    }
    Ok(bytes)
}

/// Writes a file whole or not at all: through another beside it that is renamed.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{} can't be written: {error}", path.display());
    // A device or pipe (`--json /dev/stdout`) can't be replaced.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return fs::write(path, text).map_err(wrong);
    }
    let beside = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any new file: the umask takes away what shall not be read.
    let permissions = fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(beside).map_err(wrong)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(wrong)?;
    file.persist(path).map(drop).map_err(|error| wrong(error.error))
}
