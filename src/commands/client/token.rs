//! Where a token comes from, if not from the environment: a file, or a command that prints it.
//!
//! A command is started as it is, without a shell, so that nothing in it means anything but itself. It may ask its user
//! something on the terminal; a minute is enough for that.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use serin_config::{limits::TOKEN_COMMAND_WAIT, secret::Secret};

/// Longer than any token.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::commands) enum TokenError {
    #[error("the token can't be read from {path}: {why}")]
    File { path: String, why: String },
    #[error("the token can't be had from the command \"{command}\": {why}")]
    Command { command: String, why: String },
    #[error(
        "what {from} gives is not a token: a token is one line of letters, digits and signs without spaces"
    )]
    Form { from: String },
}

/// The first line of a file.
pub(super) fn of_file(path: &Path) -> Result<Secret, TokenError> {
    let wrong = |why: String| TokenError::File { path: path.display().to_string(), why };
    let file = std::fs::File::open(path).map_err(|error| {
        wrong(match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".into(),
            std::io::ErrorKind::PermissionDenied => "permission denied".into(),
            _ => error.to_string(),
        })
    })?;
    if file.metadata().is_ok_and(|found| found.permissions().mode() & 0o022 != 0) {
        let why = format!("others may write it; take that right away: chmod go-w {}", path.display());
        return Err(wrong(why));
    }
    let line = first_line(file).map_err(|error| wrong(error.to_string()))?;
    checked(&line, &path.display().to_string())
}

/// The first line that a command prints.
pub(super) fn of_command(command: &[String]) -> Result<Secret, TokenError> {
    within(command, TOKEN_COMMAND_WAIT)
}

fn within(command: &[String], wait: Duration) -> Result<Secret, TokenError> {
    let shown = command.join(" ");
    let wrong = |why: String| TokenError::Command { command: shown.clone(), why };
    let Some((program, arguments)) = command.split_first() else {
        return Err(wrong("it is empty".into()));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| wrong(format!("it can't be started: {error}")))?;
    let (tell, told) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || tell.send(first_line(stdout)));
    }
    let Ok(line) = told.recv_timeout(wait) else {
        // It may have ended just now.
        let _ = child.kill();
        let _ = child.wait();
        return Err(wrong(format!("it printed no line within {} s", wait.as_secs())));
    };
    let line = line.map_err(|error| wrong(error.to_string()))?;
    let status = child.wait().map_err(|error| wrong(error.to_string()))?;
    if !status.success() {
        return Err(wrong(format!("it failed ({status})")));
    }
    checked(&line, &format!("the command \"{shown}\""))
}

fn first_line(from: impl Read) -> std::io::Result<String> {
    let mut line = String::new();
    let mut from = BufReader::new(from.take(TOKEN_BYTES_MAX));
    from.read_line(&mut line)?;
    // A command that is not read to its end may take that for a failure.
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok(line)
}

/// A token that can stand in a header.
pub(super) fn checked(line: &str, from: &str) -> Result<Secret, TokenError> {
    let token = line.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Form { from: from.into() });
    }
    Ok(Secret::new(token.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn words(command: &[&str]) -> Vec<String> {
        command.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_first_line_of_a_file_is_the_token_unless_others_may_write_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        assert!(of_file(&path).unwrap_err().to_string().contains("no such file"));
        fs::write(&path, "srn_abc\nsecond line\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(of_file(&path).unwrap().expose(), "srn_abc");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(of_file(&path).unwrap_err().to_string().contains("chmod go-w"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "two words\n").unwrap();
        let error = of_file(&path).unwrap_err().to_string();
        assert!(error.contains("not a token") && !error.contains("two words"), "{error}");
    }

    #[test]
    fn a_command_prints_a_token_or_says_why_not() {
        assert_eq!(of_command(&words(&["printf", "a$HOME\nb"])).unwrap().expose(), "a$HOME", "no shell");
        for (command, said) in [
            (words(&[]), "empty"),
            (words(&["/nowhere/at/all"]), "can't be started"),
            (words(&["false"]), "it failed"),
            (words(&["true"]), "not a token"),
        ] {
            let error = of_command(&command).unwrap_err().to_string();
            assert!(error.contains(said), "{command:?}: {error}");
        }
        let slow = within(&words(&["sleep", "60"]), Duration::from_millis(50)).unwrap_err();
        assert!(slow.to_string().contains("no line"), "{slow}");
    }
}
