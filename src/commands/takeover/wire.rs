//! Lines and sockets over a Unix stream.
//!
//! Sockets travel beside a byte of their own, so many at a time, and that byte is read by itself: whoever reads
//! further than the byte would lose what travels beside the next.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serin_config::limits::{TAKEOVER_LEGACY_BYTES_MAX, TAKEOVER_WAIT};
use serin_proxy::Legacy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
    time::timeout,
};

use super::{LEGACY, TakeoverError};

/// No line of the conversation is longer.
const LINE_BYTES_MAX: usize = 1024;
/// Linux passes up to 253 with one message (`SCM_MAX_FD`).
const SOCKETS_AT_ONCE: usize = 128;
const SPACE: usize = rustix::cmsg_space!(ScmRights(SOCKETS_AT_ONCE));

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Wire(UnixStream);

impl Wire {
    /// Talks to a process of the same user, or of root, and to no other.
    pub(super) fn new(stream: UnixStream) -> Result<Self, TakeoverError> {
        let (theirs, own) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
        if theirs != own && theirs != 0 {
            return Err(TakeoverError::OtherUser(theirs, own));
        }
        Ok(Self(stream))
    }

    /// The process at the other end.
    pub(super) fn peer(&self) -> Option<u32> {
        self.0.peer_cred().ok()?.pid().and_then(|pid| u32::try_from(pid).ok())
    }

    pub(super) async fn say(&mut self, line: &str) -> Result<(), TakeoverError> {
        self.0.write_all(format!("{line}\n").as_bytes()).await.map_err(gone)
    }

    /// The next line; `what` is the one that is due.
    pub(super) async fn hear(
        &mut self,
        what: &'static str,
        within: Duration,
    ) -> Result<String, TakeoverError> {
        timeout(within, self.line()).await.unwrap_or(Err(TakeoverError::Silent(what, within)))
    }

    /// Waits for this very line.
    pub(super) async fn expect(&mut self, what: &'static str, within: Duration) -> Result<(), TakeoverError> {
        let said = self.hear(what, within).await?;
        if said == what { Ok(()) } else { Err(TakeoverError::Unexpected(said, what)) }
    }

    async fn line(&mut self) -> Result<String, TakeoverError> {
        let mut line = Vec::new();
        while line.len() < LINE_BYTES_MAX {
            match self.0.read_u8().await.map_err(gone)? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                byte => line.push(byte),
            }
        }
        Err(TakeoverError::Unexpected(String::from_utf8_lossy(&line).into_owned(), "a line"))
    }

    /// Tells what is left, within [`TAKEOVER_WAIT`].
    pub(super) async fn leave(&mut self, legacy: Legacy) -> Result<(), TakeoverError> {
        let text = legacy.to_text(TAKEOVER_LEGACY_BYTES_MAX).map_err(io::Error::from)?;
        let told = async {
            self.say(&format!("{LEGACY} {}", text.len())).await?;
            self.0.write_all(text.as_bytes()).await.map_err(gone)
        };
        timeout(TAKEOVER_WAIT, told).await.unwrap_or(Err(TakeoverError::Silent(LEGACY, TAKEOVER_WAIT)))
    }

    /// What the other process leaves. Where that can't be read it is nothing, and the log says so: users are served all the
    /// same.
    pub(super) async fn hear_legacy(&mut self, within: Duration) -> Result<Legacy, TakeoverError> {
        let said = self.hear(LEGACY, within).await?;
        let length = said.strip_prefix(LEGACY).and_then(|length| length.trim().parse().ok());
        let Some(length) = length.filter(|length| *length <= TAKEOVER_LEGACY_BYTES_MAX) else {
            return Err(TakeoverError::Unexpected(said, LEGACY));
        };
        let mut text = vec![0; length];
        let read = timeout(within, self.0.read_exact(&mut text));
        read.await.map_err(|_| TakeoverError::Silent(LEGACY, within))?.map_err(gone)?;
        Ok(serde_json::from_slice(&text).unwrap_or_else(|error| {
            tracing::error!(
                %error,
                "what the process before leaves can't be read: canaries that it has taken out have to trip anew here, and windows \
                 that wait are lost"
            );
            Legacy::default()
        }))
    }

    /// Passes sockets on; they stay open here.
    pub(super) async fn pass(&self, sockets: &[OwnedFd]) -> Result<(), TakeoverError> {
        for some in sockets.chunks(SOCKETS_AT_ONCE) {
            let some: Vec<_> = some.iter().map(AsFd::as_fd).collect();
            let send = || {
                let mut space = [MaybeUninit::uninit(); SPACE];
                let mut beside = SendAncillaryBuffer::new(&mut space);
                if !beside.push(SendAncillaryMessage::ScmRights(&some)) {
                    return Err(io::Error::other("the sockets do not fit into one message"));
                }
                Ok(sendmsg(&self.0, &[IoSlice::new(b".")], &mut beside, SendFlags::NOSIGNAL)?)
            };
            self.0.async_io(Interest::WRITABLE, send).await.map_err(gone)?;
        }
        Ok(())
    }

    /// Receives as many sockets as were announced.
    pub(super) async fn receive(
        &self,
        count: usize,
        within: Duration,
    ) -> Result<Vec<OwnedFd>, TakeoverError> {
        let mut sockets = Vec::with_capacity(count);
        let all = async {
            while sockets.len() < count {
                let some =
                    self.0.async_io(Interest::READABLE, || receive_some(&self.0)).await.map_err(gone)?;
                if some.is_empty() {
                    return Err(TakeoverError::Gone);
                }
                sockets.extend(some);
            }
            Ok(())
        };
        timeout(within, all).await.unwrap_or(Err(TakeoverError::Silent("sockets", within)))?;
        Ok(sockets)
    }
}

fn receive_some(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let got = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    if got.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other(
            "not all sockets arrived: this process may have too few file descriptors (ulimit -n)",
        ));
    }
    let mut sockets = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            sockets.extend(some);
        }
    }
    Ok(sockets)
}

fn gone(error: io::Error) -> TakeoverError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            TakeoverError::Gone
        }
        _ => TakeoverError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn pair() -> (Wire, Wire) {
        let (one, other) = UnixStream::pair().unwrap();
        (Wire::new(one).unwrap(), Wire::new(other).unwrap())
    }

    #[tokio::test]
    async fn lines_and_more_sockets_than_one_message_holds_arrive_in_order() {
        let (mut old, mut new) = pair();
        let listeners: Vec<_> =
            (0..2 * SOCKETS_AT_ONCE + 3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let sockets: Vec<OwnedFd> = listeners.into_iter().map(OwnedFd::from).collect();
        let passing = tokio::spawn(async move {
            old.say("first").await.unwrap();
            old.pass(&sockets).await.unwrap();
            old.say("last").await.unwrap();
        });
        new.expect("first", SOON).await.unwrap();
        let received = new.receive(addresses.len(), SOON).await.unwrap();
        new.expect("last", SOON).await.unwrap();
        passing.await.unwrap();
        let arrived: Vec<_> =
            received.into_iter().map(|fd| TcpListener::from(fd).local_addr().unwrap()).collect();
        assert_eq!(arrived, addresses);
    }

    #[tokio::test]
    async fn what_is_left_arrives_and_what_can_not_be_read_is_nothing() {
        let (mut old, mut new) = pair();
        old.leave(Legacy::default()).await.unwrap();
        old.say("legacy 2\n{]bye").await.unwrap();
        assert!(new.hear_legacy(SOON).await.unwrap().wires.is_empty());
        assert!(new.hear_legacy(SOON).await.unwrap().life.is_none());
        new.expect("bye", SOON).await.unwrap();
        for wrong in ["legacy", "legacy x", "legacy 99999999999", "given"] {
            old.say(wrong).await.unwrap();
            let heard = new.hear_legacy(SOON).await;
            assert!(matches!(heard, Err(TakeoverError::Unexpected(_, "legacy"))), "{wrong}: {heard:?}");
        }
        old.say("legacy 10").await.unwrap();
        drop(old);
        assert!(matches!(new.hear_legacy(SOON).await, Err(TakeoverError::Gone)));
    }

    #[tokio::test]
    async fn whoever_ends_says_nothing_or_the_wrong_thing_is_named() {
        let (mut old, mut new) = pair();
        assert!(matches!(
            new.expect("bye", Duration::from_millis(10)).await,
            Err(TakeoverError::Silent("bye", _))
        ));
        old.say("hello").await.unwrap();
        assert!(
            matches!(new.expect("bye", SOON).await, Err(TakeoverError::Unexpected(said, "bye")) if said == "hello")
        );
        old.say(&"x".repeat(2 * LINE_BYTES_MAX)).await.unwrap();
        assert!(matches!(new.expect("bye", SOON).await, Err(TakeoverError::Unexpected(_, _))));
        let (old, mut new) = pair();
        drop(old);
        assert!(matches!(new.expect("bye", SOON).await, Err(TakeoverError::Gone)));
        assert!(matches!(new.receive(1, SOON).await, Err(TakeoverError::Gone)));
    }
}
