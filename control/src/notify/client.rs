//! One POST to a recipient, with bounds on all of it. Connections are not kept: decisions are rare.

use std::sync::{Arc, OnceLock};

use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use serin_config::{limits::NOTIFICATION_WAIT, notification::Url};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Why it was not told. No text has more of the URL than its host.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it is not reached: {0}")]
    Unreachable(String),
    #[error("it did not answer within {} s", NOTIFICATION_WAIT.as_secs())]
    Late,
    #[error("it answered {0}")]
    Refused(StatusCode),
}

impl Failure {
    /// Whether to say it again is of use.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Late => true,
            Self::Refused(status) => {
                let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                status.is_server_error() || later.contains(status)
            }
        }
    }
}

/// Sends; knows the machine's authorities from its first use on.
#[derive(Default)]
pub(super) struct Client {
    tls: OnceLock<Result<TlsConnector, String>>,
}

impl Client {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Posts JSON. Done if the answer is one of success.
    pub(super) async fn post(
        &self,
        url: &Url,
        body: Vec<u8>,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<(), Failure> {
        timeout(NOTIFICATION_WAIT, self.exchange(url, body, headers)).await.map_err(|_| Failure::Late)?
    }

    async fn exchange(
        &self,
        url: &Url,
        body: Vec<u8>,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<(), Failure> {
        let unreachable = |error: &dyn std::fmt::Display| Failure::Unreachable(error.to_string());
        let stream =
            TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| unreachable(&error))?;
        let mut request = Request::post(url.path.expose())
            .header(header::HOST, url.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "serin");
        if let Some(own) = request.headers_mut() {
            own.extend(headers.iter().cloned());
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| unreachable(&error))?;
        if !url.tls {
            return send(stream, request).await;
        }
        let name = ServerName::try_from(url.host.clone()).map_err(|error| unreachable(&error))?;
        let connector = self.tls.get_or_init(connector).as_ref().map_err(|error| unreachable(error))?;
        let stream = connector.connect(name, stream).await.map_err(|error| unreachable(&error))?;
        send(stream, request).await
    }
}

fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "this machine knows no authorities that sign certificates: install ca-certificates".into()
        );
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn send<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(), Failure> {
    let unreachable = |error: hyper::Error| Failure::Unreachable(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    let connection = tokio::spawn(connection);
    let answered = sender.send_request(request).await;
    let status = match answered {
        Ok(answer) => {
            let status = answer.status();
            // What it says is of no interest; a frame of it is waited for so that it is not cut off while it writes.
            let _ = answer.into_body().frame().await;
            Ok(status)
        }
        Err(error) => Err(unreachable(error)),
    };
    connection.abort();
    match status? {
        status if status.is_success() => Ok(()),
        status => Err(Failure::Refused(status)),
    }
}
