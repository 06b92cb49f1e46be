//! One check: a connection as requests would have it, and one question.

use serin_config::{Address, endpoint::Probe, tls::HttpProtocol};

use super::{grpc, http};
use crate::{
    serve::stream::Stream,
    tls::{Connector, server::Alpn},
};

/// Asks endpoints of one version how they are.
#[derive(Debug)]
pub(crate) struct Prober {
    pub(crate) probe: Probe,
    /// How requests are sent to them.
    pub(crate) protocol: HttpProtocol,
    /// TLS to them, if they have it; the inner one is none if it can't be set up.
    pub(crate) secured: Option<Option<Connector>>,
    /// What they are called, if not by their address.
    pub(crate) host: Option<String>,
}

impl Prober {
    /// One check; the caller sets the time limit. The error says why it failed.
    pub(super) async fn ask(&self, address: &Address) -> Result<(), String> {
        let stream = Stream::connect(address).await.map_err(|error| format!("connecting: {error}"))?;
        let (stream, alpn) = match &self.secured {
            None => (stream, Alpn::Unsaid),
            Some(None) => return Err("TLS to the endpoint is not set up".into()),
            Some(Some(tls)) => tls.connect(stream, address).await.map_err(|error| format!("TLS: {error}"))?,
        };
        let scheme = if self.secured.is_some() { "https" } else { "http" };
        match &self.probe {
            Probe::Tcp => Ok(()),
            Probe::Grpc { service } => grpc::ask(stream, scheme, &self.authority(address), service).await,
            Probe::Http { path, status, host } => {
                let http2 = match self.protocol {
                    HttpProtocol::Http1 => false,
                    HttpProtocol::Http2 => true,
                    HttpProtocol::Auto => alpn == Alpn::Http2,
                };
                let authority = host.clone().unwrap_or_else(|| self.authority(address));
                let question = http::Question { scheme, authority: &authority, path, status: *status };
                if http2 { question.over_http2(stream).await } else { question.over_http1(stream).await }
            }
        }
    }

    fn authority(&self, address: &Address) -> String {
        match (&self.host, address) {
            (Some(host), Address::Tcp(address)) => format!("{host}:{}", address.port()),
            (Some(host), Address::Unix(_)) => host.clone(),
            (None, Address::Tcp(address)) => address.to_string(),
            (None, Address::Unix(_)) => "localhost".into(),
        }
    }
}
