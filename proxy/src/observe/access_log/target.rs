//! Where lines go: standard output, or a file that is only ever lengthened.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
};

use serin_config::telemetry::LogTarget;

/// Requests are nobody's business but the operator's and their group's.
const MODE: u32 = 0o640;

/// A target, open or not.
#[derive(Debug)]
pub(super) struct Target {
    to: LogTarget,
    file: Option<File>,
}

impl Target {
    pub(super) fn new(to: LogTarget) -> Self {
        Self { to, file: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.to == LogTarget::Stdout || self.file.is_some()
    }

    /// Lets the file go, so that the next time its name is looked up again.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    pub(super) fn open(&mut self) -> io::Result<()> {
        if let (LogTarget::File(path), None) = (&self.to, &self.file) {
            self.file = Some(OpenOptions::new().append(true).create(true).mode(MODE).open(path)?);
        }
        Ok(())
    }

    /// Writes as much as can be; tells how many bytes that was, and why not all.
    pub(super) fn write(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        match (&self.to, &mut self.file) {
            (LogTarget::Stdout, _) => {
                let mut out = io::stdout().lock();
                match write_all(&mut out, text) {
                    (written, Ok(())) => (written, out.flush()),
                    failed => failed,
                }
            }
            (_, Some(file)) => write_all(file, text),
            (_, None) => (0, Err(io::Error::new(io::ErrorKind::NotConnected, "it is not open"))),
        }
    }
}

/// `Write::write_all`, but it says how far it came.
fn write_all(to: &mut impl Write, text: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < text.len() {
        match to.write(&text[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            LogTarget::Stdout => f.write_str("stdout"),
            LogTarget::File(path) => path.display().fmt(f),
        }
    }
}
