//! TLS of what the control plane listens on: certificates that are shown, client certificates that are asked for.
//!
//! The files are looked at again every few seconds. What is new is taken when two looks in a row found the same,
//! since a certificate and its key are two files that nobody replaces at once; what is no good leaves the last
//! good state in force, and is said once. A connection keeps what it began with. New files end all sessions, so that
//! a client whose authority is gone does not come back by resumption.

mod files;
mod holder;

use std::{io, path::PathBuf, sync::Arc};

use rustls::ServerConfig;
use serin_config::{
    limits::{CERTIFICATE_SETTLE, RELOAD_POLL},
    tls::ListenerTls,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{error, info};

use files::Contents;
pub(crate) use holder::Holder;

/// Why files can't be used for TLS: which of them, and what is wrong with it. Nothing of a key is shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} can't be used for TLS: {why}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Makes handshakes, with the files as they are.
#[derive(Debug, Clone)]
pub(crate) struct Acceptor(watch::Receiver<Arc<ServerConfig>>);

impl Acceptor {
    /// Makes the handshake; the caller sets the time limit. The holder is whoever a client certificate names.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<(TlsStream<S>, Option<Holder>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.0.borrow().clone();
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let own = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let holder = own.and_then(|certificate| Holder::of(certificate));
        Ok((stream, holder))
    }
}

/// Keeps an [`Acceptor`] up to date with its files.
#[derive(Debug)]
pub(crate) struct Renewal {
    settings: ListenerTls,
    protocols: Vec<Vec<u8>>,
    taken: Contents,
    sighted: Option<Contents>,
    config: watch::Sender<Arc<ServerConfig>>,
}

/// What a look at the files found.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Same,
    Unsettled,
    Taken,
    Refused(TlsError),
}

/// Reads the files of a listener. `protocols` are offered by ALPN, the preferred one first.
///
/// # Errors
/// The first file that can't be used.
pub(crate) fn open(settings: &ListenerTls, protocols: &[&[u8]]) -> Result<(Acceptor, Renewal), TlsError> {
    let protocols: Vec<Vec<u8>> = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let taken = files::read(settings);
    let (config, configs) = watch::channel(Arc::new(files::configure(settings, &protocols, &taken)?));
    let renewal = Renewal { settings: settings.clone(), protocols, taken, sighted: None, config };
    Ok((Acceptor(configs), renewal))
}

impl Renewal {
    /// Looks at the files until nobody makes handshakes any more.
    pub(crate) async fn run(mut self) {
        loop {
            let pause = if self.sighted.is_some() { CERTIFICATE_SETTLE } else { RELOAD_POLL };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.config.closed() => return,
            }
            let looked = tokio::task::spawn_blocking(move || {
                let look = self.look();
                (self, look)
            });
            // It is an error only where the runtime ends.
            let Ok((renewal, look)) = looked.await else { return };
            self = renewal;
            match look {
                Look::Same | Look::Unsettled => {}
                Look::Taken => info!("changed certificates are shown from now on"),
                Look::Refused(fault) => {
                    error!("{fault}; the last good certificates stay");
                }
            }
        }
    }

    fn look(&mut self) -> Look {
        let found = files::read(&self.settings);
        if found == self.taken {
            self.sighted = None;
            return Look::Same;
        }
        if self.sighted.as_ref() != Some(&found) {
            self.sighted = Some(found);
            return Look::Unsettled;
        }
        self.sighted = None;
        let made = files::configure(&self.settings, &self.protocols, &found);
        // Better or worse, it has been judged.
        self.taken = found;
        match made {
            Ok(config) => {
                self.config.send_replace(Arc::new(config));
                Look::Taken
            }
            Err(fault) => Look::Refused(fault),
        }
    }
}

#[cfg(test)]
mod tests;
