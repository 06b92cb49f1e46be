//! SIGUSR2: start the program anew, from the file that it was started from, to take over from this process.
//!
//! The child runs with the same arguments and `--takeover`. Replace the program's file first, then send the signal;
//! a child that can't start says why, and this process goes on.

use std::{
    env,
    ffi::OsString,
    io,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

pub(super) const TAKEOVER: &str = "--takeover";

/// How this program is started again.
#[derive(Debug)]
pub(super) struct Upgrade {
    program: io::Result<PathBuf>,
    under_way: Arc<AtomicBool>,
}

impl Upgrade {
    /// To be called early: once the file is replaced, the system names it as deleted.
    pub(super) fn new() -> Self {
        Self { program: env::current_exe(), under_way: Arc::default() }
    }

    /// Starts the new process, unless one is being started.
    pub(super) fn start(&self) {
        if self.under_way.swap(true, Ordering::Relaxed) {
            tracing::warn!("a new process is being started already");
            return;
        }
        if let Err(error) = self.spawn() {
            self.under_way.store(false, Ordering::Relaxed);
            tracing::error!(%error, "the new process can't be started, this one goes on");
        }
    }

    fn spawn(&self) -> io::Result<()> {
        let program =
            self.program.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
        let mut command = Command::new(program);
        command.args(arguments(env::args_os().skip(1))).stdin(Stdio::null());
        // Those were for this process; its sockets are passed on in another way.
        for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            command.env_remove(name);
        }
        let mut child = command.spawn()?;
        tracing::info!(pid = child.id(), program = %program.display(), "started a new process to take over");
        let under_way = Arc::clone(&self.under_way);
        // Whoever is not waited for stays as a zombie; the thread ends with the child, or with this process.
        std::thread::Builder::new().name("serin-upgrade".into()).spawn(move || {
            let ended = child.wait();
            under_way.store(false, Ordering::Relaxed);
            if let Ok(status) = ended {
                tracing::error!(%status, "the new process has ended, this one goes on");
            }
        })?;
        Ok(())
    }
}

fn arguments(own: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = own.collect();
    if !arguments.iter().any(|argument| argument == TAKEOVER) {
        arguments.push(TAKEOVER.into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_process_is_told_once_to_take_over() {
        let with = ["run", "-c", "a.yaml", "--takeover"].map(OsString::from);
        assert_eq!(arguments(with[..3].iter().cloned()), with);
        assert_eq!(arguments(with.iter().cloned()), with);
    }
}
