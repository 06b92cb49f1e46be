//! TLS of a listener.
//!
//! A changed certificate makes a new configuration for the handshakes to come; sessions may still be resumed
//! with it, since a ticket holds no certificate of ours. Changed authorities for clients end all sessions:
//! a client that is trusted no longer must not come back by resumption.

use std::{io, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{
        ClientHello, ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions,
        WebPkiClientVerifier,
    },
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use serin_config::{
    Listener,
    file::TlsFault,
    limits::TLS_SESSIONS_MAX,
    tls::{CertificateFiles, ListenerTls, TlsVersion},
};
use serin_split::sni::Names;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{
    facts::{self, Identity},
    handshake::{Handshakes, Reason},
    pem::{self, Pair},
    provider,
    reading::{Contents, Look, Reading, Unusable},
};
use crate::serve::stream::Stream;

/// What HTTP the peer agreed to by ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// It did not say.
    Unsaid,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Alpn {
    pub(super) const HTTP1: &[u8] = b"http/1.1";
    pub(super) const HTTP2: &[u8] = b"h2";

    pub(super) fn of(protocol: Option<&[u8]>) -> Self {
        match protocol {
            Some(Self::HTTP2) => Self::Http2,
            Some(_) => Self::Http1,
            None => Self::Unsaid,
        }
    }
}

/// A client's secure connection.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: Stream,
    pub(crate) alpn: Alpn,
    /// Who the client has proved to be.
    pub(crate) identity: Option<Identity>,
}

/// A handle on the TLS of a listener.
#[derive(Debug, Clone)]
pub(crate) struct Acceptor(pub(super) Arc<ListenerState>);

impl Acceptor {
    /// Whether HTTP/2 is offered.
    pub(crate) fn http2(&self) -> bool {
        self.0.settings.http2
    }

    /// Makes the handshake; the caller sets the time limit, and counts with [`Self::late`] when it passes.
    pub(crate) async fn accept(&self, stream: Stream) -> io::Result<Accepted> {
        let config = self.0.config.load_full();
        match TlsAcceptor::from(config).accept(stream).await {
            Ok(stream) => {
                let (_, connection) = stream.get_ref();
                self.0.handshakes.done(connection);
                let alpn = Alpn::of(connection.alpn_protocol());
                let own = connection.peer_certificates().and_then(<[_]>::first);
                let identity = own.and_then(facts::identity);
                Ok(Accepted { stream: Stream::Tls(Box::new(TlsStream::from(stream))), alpn, identity })
            }
            Err(error) => {
                self.0.handshakes.failed(Reason::of(&error));
                Err(error)
            }
        }
    }

    /// Counts a handshake that took too long.
    pub(crate) fn late(&self) {
        self.0.handshakes.failed(Reason::Timeout);
    }
}

/// The TLS of one listener, as its files are now.
#[derive(Debug)]
pub(super) struct ListenerState {
    pub(super) name: String,
    settings: ListenerTls,
    config: ArcSwap<ServerConfig>,
    handshakes: Handshakes,
}

/// What the watch over the files of a listener needs.
#[derive(Debug)]
pub(super) struct ListenerFiles {
    pub(super) state: Arc<ListenerState>,
    pub(super) pairs: Vec<Reading<Pair>>,
    authorities: Option<Reading<RootCertStore>>,
    sessions: Sessions,
}

/// What makes resumption possible.
#[derive(Debug, Clone)]
struct Sessions {
    tickets: Arc<dyn ProducesTickets>,
    cache: Arc<dyn StoresServerSessions>,
}

impl Sessions {
    fn new() -> Result<Self, rustls::Error> {
        Ok(Self {
            tickets: rustls::crypto::aws_lc_rs::Ticketer::new()?,
            cache: ServerSessionMemoryCache::new(TLS_SESSIONS_MAX),
        })
    }
}

impl ListenerFiles {
    /// Reads all files of a listener.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub(super) fn begin(listener: &Listener, settings: &ListenerTls) -> Result<Self, Unusable> {
        let mut pairs = Vec::new();
        for files in &settings.certificates {
            let (reading, made) = read_pair(files);
            made?;
            pairs.push(reading);
        }
        let authorities = match &settings.client_certificates {
            Some(clients) => {
                let (reading, made) = Reading::begin(vec![clients.ca.clone()], make_authorities);
                made?;
                Some(reading)
            }
            None => None,
        };
        let fault = |error: rustls::Error| Unusable {
            path: settings.certificates.first().map(|pair| pair.cert.clone()).unwrap_or_default(),
            why: error.to_string(),
        };
        let sessions = Sessions::new().map_err(fault)?;
        let config = configure(settings, &pairs, authorities.as_ref(), &sessions).map_err(fault)?;
        let name = listener.name.to_string();
        let state = ListenerState {
            handshakes: Handshakes::of(&name),
            name,
            settings: settings.clone(),
            config: ArcSwap::from_pointee(config),
        };
        Ok(Self { state: Arc::new(state), pairs, authorities, sessions })
    }

    /// Looks at the files, and puts in force what is new and good.
    pub(super) fn look(&mut self) -> Vec<(Vec<PathBuf>, Look)> {
        let mut looks: Vec<_> =
            self.pairs.iter_mut().map(|pair| (pair.files().to_vec(), pair.look())).collect();
        if let Some(authorities) = &mut self.authorities {
            let look = authorities.look();
            if look == Look::Taken
                && let Ok(sessions) = Sessions::new()
            {
                self.sessions = sessions;
            }
            looks.push((authorities.files().to_vec(), look));
        }
        if looks.iter().any(|(_, look)| *look == Look::Taken) {
            let (settings, authorities) = (&self.state.settings, self.authorities.as_ref());
            match configure(settings, &self.pairs, authorities, &self.sessions) {
                Ok(config) => self.state.config.store(Arc::new(config)),
                Err(error) => {
                    let why = error.to_string();
                    for (files, look) in looks.iter_mut().filter(|(_, look)| *look == Look::Taken) {
                        let path = files.first().cloned().unwrap_or_default();
                        *look = Look::Refused(Unusable { path, why: why.clone() });
                    }
                }
            }
        }
        looks
    }

    /// Every file that it is made of.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let authorities = self.authorities.iter().flat_map(Reading::files);
        self.pairs.iter().flat_map(Reading::files).chain(authorities)
    }
}

/// Begins to read a certificate and its key.
pub(super) fn read_pair(files: &CertificateFiles) -> (Reading<Pair>, Result<Arc<Pair>, Unusable>) {
    Reading::begin(vec![files.cert.clone(), files.key.clone()], make_pair)
}

fn make_pair(files: &[PathBuf], contents: &Contents) -> Result<Pair, Unusable> {
    let unusable = |at: usize, why: &str| Unusable { path: files[at].clone(), why: why.into() };
    let bytes = |at: usize| contents[at].as_ref().map_err(|why| unusable(at, why));
    pem::pair(bytes(0)?, bytes(1)?, &provider()).map_err(|fault| match fault {
        TlsFault::Certificates(why) => unusable(0, &why),
        TlsFault::Key(why) => unusable(1, &why),
    })
}

/// Certificates that may sign others, of one file.
pub(super) fn make_authorities(files: &[PathBuf], contents: &Contents) -> Result<RootCertStore, Unusable> {
    let bytes = contents[0].as_ref().map_err(Clone::clone);
    bytes.and_then(|bytes| pem::authorities(bytes)).map_err(|why| Unusable { path: files[0].clone(), why })
}

fn configure(
    settings: &ListenerTls,
    pairs: &[Reading<Pair>],
    authorities: Option<&Reading<RootCertStore>>,
    sessions: &Sessions,
) -> Result<ServerConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = provider();
    let versions: &[_] = match settings.min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let roots = authorities.and_then(Reading::last_good);
    let builder = match (roots, &settings.client_certificates) {
        (Some(roots), Some(clients)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider);
            let verifier = if clients.required { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let shown: Vec<_> = pairs.iter().filter_map(|pair| pair.last_good().cloned()).collect();
    let names = Names::new(shown.iter().map(|pair| pair.facts.names.as_slice()));
    let keys = shown.iter().map(|pair| pair.key.clone()).collect();
    let mut config = builder.with_cert_resolver(Arc::new(BySni { names, keys }));
    if settings.http2 {
        config.alpn_protocols.push(Alpn::HTTP2.into());
    }
    config.alpn_protocols.push(Alpn::HTTP1.into());
    config.ticketer = sessions.tickets.clone();
    config.session_storage = sessions.cache.clone();
    Ok(config)
}

/// Chooses by the name that the client asks for, and by what it can verify.
#[derive(Debug)]
struct BySni {
    names: Names,
    keys: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates =
            self.names.candidates(hello.server_name()).iter().filter_map(|at| self.keys.get(*at));
        let readable = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        // With none that it can verify, the handshake fails, and says so.
        candidates.clone().find(readable).or_else(|| candidates.clone().next()).cloned()
    }
}
