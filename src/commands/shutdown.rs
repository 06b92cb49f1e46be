//! Signals, as events of one loop.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the outside asks of a running process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGHUP: read the file again.
    Reload,
    /// SIGUSR1: open the access log again, it was renamed.
    ReopenLog,
    /// SIGTERM or SIGINT: end in peace; a second one ends at once.
    Stop,
    /// SIGUSR2: start the program anew and hand over to it.
    Upgrade,
}

/// The signals that a server listens to.
#[derive(Debug)]
pub(super) struct Signals {
    hangup: Signal,
    user: Signal,
    terminate: Signal,
    interrupt: Signal,
    upgrade: Signal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        // A write beyond a file-size limit shall be an error of that write, not the end of the process.
        // SIGXFSZ's default action is to kill; a handler that does nothing is enough.
        drop(signal(SignalKind::from_raw(libc::SIGXFSZ))?);
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.user.recv() => Asked::ReopenLog,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.upgrade.recv() => Asked::Upgrade,
        }
    }

    /// Returns when the process is asked to end, whatever else is asked meanwhile.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }

    /// Waits until requests in flight have ended; whoever asks to stop once more does not wait. `drained` gives how many
    /// connections were cut.
    pub(super) async fn drain(&mut self, drained: impl Future<Output = usize>) {
        tracing::info!("draining: requests in flight may end");
        tokio::select! {
            cut = drained => match cut {
                0 => tracing::info!("drained, bye"),
                cut => tracing::warn!(connections = cut, "the drain deadline passed, connections were cut"),
            },
            () = self.stop() => tracing::warn!("asked to stop again, not waiting any longer"),
        }
    }
}
