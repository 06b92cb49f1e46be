//! The new process's side.

use std::{io, path::Path};

use serin_config::limits::{TAKEOVER_SOCKETS_MAX, TAKEOVER_WAIT};
use serin_proxy::{Inherited, Legacy};
use tokio::net::UnixStream;

use super::{
    BYE, GIVE, GIVEN, Greeting, LEGACY, PROTOCOL, SERVING, SERVING_AS_HEIR, TakeoverError, path_beside,
    wire::Wire,
};

/// A running process that hands over. Dropping it before [`Predecessor::relieve`] lets it go on by itself.
#[derive(Debug)]
pub(crate) struct Predecessor {
    wire: Wire,
    /// Whether it tells what it leaves.
    legacy: bool,
}

/// The sockets of the process that owns this state, and the state, which it has let go of; none if there is no such process,
/// or where nobody is to be taken over from.
pub(crate) async fn begin(
    wanted: bool,
    state: &Path,
) -> Result<Option<(Predecessor, Inherited)>, Box<dyn std::error::Error>> {
    if !wanted {
        return Ok(None);
    }
    let met = meet(state).await;
    let met = met.map_err(|error| format!("the running serin can't be taken over from: {error}"))?;
    match met {
        Some((mut predecessor, inherited)) => {
            predecessor.ask_for_state().await?;
            Ok(Some((predecessor, inherited)))
        }
        None => {
            tracing::info!("nobody to take over from, starting");
            Ok(None)
        }
    }
}

/// Whether a process that runs owns this state: its number, where the system tells.
pub(crate) async fn owner(state: &Path) -> Option<String> {
    let stream = UnixStream::connect(path_beside(state)).await.ok()?;
    let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
    Some(pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}")))
}

/// Takes the sockets of the process that owns this state; none if there is no such process.
async fn meet(state: &Path) -> Result<Option<(Predecessor, Inherited)>, TakeoverError> {
    let stream = match UnixStream::connect(path_beside(state)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let mut wire = Wire::new(stream)?;
    let said = wire.hear("a greeting", TAKEOVER_WAIT).await?;
    let Ok(greeting) = serde_json::from_str::<Greeting>(&said) else {
        return Err(TakeoverError::Unexpected(said, "a greeting"));
    };
    if greeting.protocol != PROTOCOL {
        return Err(TakeoverError::OtherProtocol { version: greeting.version, found: greeting.protocol });
    }
    if greeting.sockets > TAKEOVER_SOCKETS_MAX {
        return Err(TakeoverError::Unexpected(said, "fewer sockets"));
    }
    let mut inherited = Inherited::none();
    for socket in wire.receive(greeting.sockets, TAKEOVER_WAIT).await? {
        inherited.add(None, socket)?;
    }
    tracing::info!(sockets = inherited.len(), version = greeting.version, "taking over from a running serin");
    if greeting.legacy {
        wire.say(LEGACY).await?;
        inherited.hold(wire.hear_legacy(TAKEOVER_WAIT).await?.wires);
    }
    Ok(Some((Predecessor { wire, legacy: greeting.legacy }, inherited)))
}

impl Predecessor {
    /// Asks it to let go of the state. From here on nobody decides, and both serve with the last plan.
    async fn ask_for_state(&mut self) -> Result<(), TakeoverError> {
        self.wire.say(GIVE).await?;
        self.wire.expect(GIVEN, TAKEOVER_WAIT).await
    }

    /// Tells it that requests are served here now; it leaves what it has, and drains. After an error it goes on by itself, and
    /// this process must not.
    pub(crate) async fn relieve(mut self) -> Result<Legacy, TakeoverError> {
        let legacy = if self.legacy {
            self.wire.say(SERVING_AS_HEIR).await?;
            self.wire.hear_legacy(TAKEOVER_WAIT).await?
        } else {
            self.wire.say(SERVING).await?;
            Legacy::default()
        };
        self.wire.expect(BYE, TAKEOVER_WAIT).await?;
        Ok(legacy)
    }
}
