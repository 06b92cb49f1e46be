//! What systemd, or whoever speaks its protocols, hands in and wants to know.
//!
//! Sockets come in by `LISTEN_FDS`; each belongs to the listener with its name (`FileDescriptorName=`) or else its
//! address. States go out by `NOTIFY_SOCKET`; where there is none, nothing is said.

use sd_notify::NotifyState;
use serin_proxy::Inherited;

/// Why the sockets can't be used.
#[derive(Debug, thiserror::Error)]
#[error("socket {number} of the service manager can't be used: {why}")]
pub(super) struct SocketError {
    number: usize,
    why: serin_proxy::NotListening,
}

/// The sockets that this process was started with.
pub(super) fn sockets() -> Result<Inherited, SocketError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(|name| Some(name.to_owned()).filter(|name| !name.is_empty()));
    let mut given = listenfd::ListenFd::from_env();
    let mut inherited = Inherited::none();
    for number in 0..given.len() {
        let wrong = |why| SocketError { number, why };
        let name = names.next().flatten();
        // Whatever is not TCP is asked for as a Unix socket, which tells what it is instead.
        let socket = match given.take_tcp_listener(number) {
            Ok(listener) => listener.map(Into::into),
            Err(_) => given
                .take_unix_listener(number)
                .map_err(|_| wrong(serin_proxy::NotListening::Kind))?
                .map(Into::into),
        };
        if let Some(socket) = socket {
            inherited.add(name, socket).map_err(wrong)?;
        }
    }
    Ok(inherited)
}

/// Requests are served.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The file is being read again; [`ready`] follows, whatever came of it.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    tell(&[NotifyState::Reloading, now.unwrap_or(NotifyState::MonotonicUsec(0))]);
}

/// Requests in flight are being ended.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process is the service now.
pub(super) fn main_process(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

fn tell(states: &[NotifyState<'_>]) {
    // Whoever asked to be told may be gone; that stops nobody from serving.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
