//! TLS to the endpoints of a version.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{IpAddr, ServerName},
};
use serin_config::{
    Address,
    limits::ENDPOINT_TLS_SESSIONS_MAX,
    tls::{EndpointTls, HttpProtocol},
};
use tokio_rustls::{TlsConnector, TlsStream};

use super::{
    pem::{self, Pair},
    provider,
    reading::{Look, Reading, Unusable},
    server::{Alpn, make_authorities, read_pair},
};
use crate::serve::stream::Stream;

/// A handle on the TLS to the endpoints of one version; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connector(pub(super) Arc<VersionState>);

impl Connector {
    /// Reads the files as they are now; nobody watches them.
    ///
    /// # Errors
    /// The file that can't be used.
    pub(crate) fn open(settings: &EndpointTls, protocol: HttpProtocol) -> Result<Self, Unusable> {
        let (state, unusable) = VersionState::begin(settings, protocol);
        unusable.into_iter().next().map_or(Ok(Self(state)), Err)
    }

    /// Makes the handshake on a connection to `address`; the caller sets the time limit. Any error is one of
    /// TLS ([`Outcome::TlsFail`](serin_config::Outcome::TlsFail)): the endpoint's certificate does not verify,
    /// it does not speak what it must, or the connection broke.
    pub(crate) async fn connect(&self, stream: Stream, address: &Address) -> io::Result<(Stream, Alpn)> {
        let state = &*self.0;
        let Some(config) = state.config.load_full() else {
            return Err(io::Error::other("no TLS settings can be made of the version's files"));
        };
        let name = match (&state.server_name, address) {
            (Some(name), _) => name.clone(),
            (None, Address::Tcp(address)) => ServerName::IpAddress(IpAddr::from(address.ip())),
            (None, Address::Unix(_)) => return Err(io::Error::other("a Unix socket needs a server_name")),
        };
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let alpn = Alpn::of(stream.get_ref().1.alpn_protocol());
        if state.protocol == HttpProtocol::Http2 && alpn != Alpn::Http2 {
            return Err(io::Error::other("the endpoint does not offer HTTP/2 (ALPN h2)"));
        }
        Ok((Stream::Tls(Box::new(TlsStream::from(stream))), alpn))
    }
}

/// The TLS to one version's endpoints, as its files are now.
#[derive(Debug)]
pub(super) struct VersionState {
    settings: EndpointTls,
    protocol: HttpProtocol,
    server_name: Option<ServerName<'static>>,
    /// None while its files never were good.
    config: ArcSwapOption<ClientConfig>,
    pub(super) files: Mutex<VersionFiles>,
}

#[derive(Debug)]
pub(super) struct VersionFiles {
    /// None is the system's, which are read once.
    authorities: Option<Reading<RootCertStore>>,
    pub(super) own: Option<Reading<Pair>>,
}

impl VersionState {
    /// Reads all files of a version; those that can't be used now are looked at again.
    pub(super) fn begin(settings: &EndpointTls, protocol: HttpProtocol) -> (Arc<Self>, Vec<Unusable>) {
        let mut unusable = Vec::new();
        let authorities = settings.ca.clone().map(|ca| {
            let (reading, made) = Reading::begin(vec![ca], make_authorities);
            unusable.extend(made.err());
            reading
        });
        let own = settings.client_certificate.as_ref().map(|files| {
            let (reading, made) = read_pair(files);
            unusable.extend(made.err());
            reading
        });
        let server_name =
            settings.server_name.as_ref().and_then(|name| ServerName::try_from(name.clone()).ok());
        let state = Self {
            settings: settings.clone(),
            protocol,
            server_name,
            config: ArcSwapOption::empty(),
            files: Mutex::new(VersionFiles { authorities, own }),
        };
        unusable.extend(state.configure().err());
        (Arc::new(state), unusable)
    }

    /// Looks at the files, and puts in force what is new and good.
    pub(super) fn look(&self) -> Vec<(Vec<PathBuf>, Look)> {
        let mut looks = Vec::new();
        {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            looks
                .extend(files.authorities.as_mut().map(|reading| (reading.files().to_vec(), reading.look())));
            looks.extend(files.own.as_mut().map(|reading| (reading.files().to_vec(), reading.look())));
        }
        let taken = |(_, look): &&mut (_, Look)| *look == Look::Taken;
        if looks.iter_mut().find(taken).is_some()
            && let Err(unusable) = self.configure()
        {
            looks.iter_mut().filter(taken).for_each(|(_, look)| *look = Look::Refused(unusable.clone()));
        }
        looks
    }

    /// Every file that it is made of.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let authorities = files.authorities.iter().flat_map(Reading::files);
        authorities.chain(files.own.iter().flat_map(Reading::files)).cloned().collect()
    }

    /// Makes the configuration of the files' last good states; without one of each, the present one stays.
    fn configure(&self) -> Result<(), Unusable> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let path = || self.settings.ca.clone().unwrap_or_else(|| "the system's certificates".into());
        let fault = |why: String| Unusable { path: path(), why };
        let roots = match &files.authorities {
            Some(reading) => match reading.last_good() {
                Some(roots) => roots.clone(),
                None => return Ok(()),
            },
            None => Arc::new(pem::system_authorities().map_err(fault)?),
        };
        let own = match &files.own {
            Some(reading) => match reading.last_good() {
                Some(pair) => Some(pair.key.clone()),
                None => return Ok(()),
            },
            None => None,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match own {
            Some(key) => {
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)))
            }
            None => builder.with_no_client_auth(),
        };
        if self.protocol != HttpProtocol::Http1 {
            config.alpn_protocols.push(Alpn::HTTP2.into());
        }
        if self.protocol != HttpProtocol::Http2 {
            config.alpn_protocols.push(Alpn::HTTP1.into());
        }
        // Its own memory of sessions: one that was verified by other authorities must not be resumed.
        config.resumption = Resumption::in_memory_sessions(ENDPOINT_TLS_SESSIONS_MAX);
        self.config.store(Some(Arc::new(config)));
        Ok(())
    }
}
