//! The running process's side.

use std::{
    io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use serin_config::limits::TAKEOVER_WAIT;
use serin_proxy::{LeftWire, Legacy};
use tokio::net::UnixListener;

use super::{
    BYE, GIVE, GIVEN, Greeting, LEGACY, PROTOCOL, SERVING, SERVING_AS_HEIR, TakeoverError, path_beside,
    wire::Wire,
};

/// Where the next process knocks.
#[derive(Debug)]
pub(crate) struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Opens it beside the state, which is ours: a socket that lies there is left over.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let path = path_beside(state);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Whoever knocks next, and may.
    pub(crate) async fn next(&self) -> Successor {
        loop {
            match self.listener.accept().await.map(|(stream, _)| Wire::new(stream)) {
                Ok(Ok(wire)) => return Successor(wire),
                Ok(Err(refused)) => tracing::warn!("a hand-over was refused: {refused}"),
                Err(error) => {
                    tracing::warn!(%error, "nobody can be let in to take over");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Takes the socket away, since nobody is here any more. After a hand-over the path is the successor's, and this
    /// is not called.
    pub(crate) fn remove(self) {
        // If it is gone already, so much the better.
        let _ = std::fs::remove_file(self.path);
    }
}

/// A process that wants to take over.
#[derive(Debug)]
pub(crate) struct Successor(Wire);

impl Successor {
    /// Its process id.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.0.peer()
    }

    /// Offers the listening sockets, tells which canaries are out if it is asked, and waits until the state is asked for.
    pub(crate) async fn offer(
        &mut self,
        sockets: &[OwnedFd],
        wires: impl FnOnce() -> Vec<LeftWire>,
    ) -> Result<(), TakeoverError> {
        let wire = &mut self.0;
        let version = env!("CARGO_PKG_VERSION").into();
        let greeting = Greeting { protocol: PROTOCOL, version, sockets: sockets.len(), legacy: true };
        wire.say(&serde_json::to_string(&greeting).map_err(io::Error::from)?).await?;
        wire.pass(sockets).await?;
        let said = wire.hear(GIVE, TAKEOVER_WAIT).await?;
        if said == GIVE {
            return Ok(());
        }
        if said != LEGACY {
            return Err(TakeoverError::Unexpected(said, GIVE));
        }
        // What was counted goes on here until the end, so it is told then.
        let wires = wires().into_iter().filter_map(LeftWire::tripped).collect();
        wire.leave(Legacy { wires, life: None }).await?;
        wire.expect(GIVE, TAKEOVER_WAIT).await
    }

    /// Tells it that the state is free, and waits until it serves. After an error this process goes on.
    pub(crate) async fn give(&mut self) -> Result<Heir, TakeoverError> {
        let wire = &mut self.0;
        wire.say(GIVEN).await?;
        match wire.hear(SERVING, TAKEOVER_WAIT).await? {
            said if said == SERVING => Ok(Heir::No),
            said if said == SERVING_AS_HEIR => Ok(Heir::Yes),
            said => Err(TakeoverError::Unexpected(said, SERVING)),
        }
    }

    /// Leaves it what there is, where it goes on from that, and the word. After an error this process goes on.
    pub(crate) async fn bye(&mut self, legacy: Option<Legacy>) -> Result<(), TakeoverError> {
        if let Some(legacy) = legacy {
            self.0.leave(legacy).await?;
        }
        self.0.say(BYE).await
    }
}

/// Whether a process that takes over goes on from what is left; one of an older release does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heir {
    /// It begins anew.
    No,
    /// It waits to be told.
    Yes,
}

/// Whoever knocks next, where there is a door.
pub(crate) async fn next(door: Option<&Door>) -> Successor {
    match door {
        Some(door) => door.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::UnixStream;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_new_process_of_an_older_release_is_given_what_it_knows_of() {
        let (here, there) = UnixStream::pair().unwrap();
        let older = tokio::spawn(async move {
            let mut wire = Wire::new(there).unwrap();
            let greeting = wire.hear("a greeting", SOON).await.unwrap();
            assert!(greeting.starts_with("{\"protocol\":1,"), "{greeting}");
            wire.say(GIVE).await.unwrap();
            wire.expect(GIVEN, SOON).await.unwrap();
            wire.say(SERVING).await.unwrap();
            wire.expect(BYE, SOON).await.unwrap();
        });
        let mut successor = Successor(Wire::new(here).unwrap());
        successor.offer(&[], || panic!("nobody asked")).await.unwrap();
        assert_eq!(successor.give().await.unwrap(), Heir::No);
        successor.bye(None).await.unwrap();
        older.await.unwrap();
    }

    #[tokio::test]
    async fn one_that_asks_is_told_before_it_serves_and_at_the_end() {
        let (here, there) = UnixStream::pair().unwrap();
        let new = tokio::spawn(async move {
            let mut wire = Wire::new(there).unwrap();
            wire.hear("a greeting", SOON).await.unwrap();
            wire.say(LEGACY).await.unwrap();
            assert!(
                wire.hear_legacy(SOON).await.unwrap().life.is_none(),
                "it tells its windows itself until then"
            );
            wire.say(GIVE).await.unwrap();
            wire.expect(GIVEN, SOON).await.unwrap();
            wire.say(SERVING_AS_HEIR).await.unwrap();
            wire.hear_legacy(SOON).await.unwrap();
            wire.expect(BYE, SOON).await.unwrap();
        });
        let mut successor = Successor(Wire::new(here).unwrap());
        successor.offer(&[], Vec::new).await.unwrap();
        assert_eq!(successor.give().await.unwrap(), Heir::Yes);
        successor.bye(Some(Legacy::default())).await.unwrap();
        new.await.unwrap();
    }
}
