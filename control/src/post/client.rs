//! One POST, with bounds on all of it. Connections are not kept: what is said is rare.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serin_config::notification::Url;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Why it was not said. No text has more of the URL than its host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("it is not reached: {0}")]
    Unreachable(String),
    #[error("no TLS with it: {0}")]
    Unproven(String),
    /// It was reached and won't now; what stands against it may pass, or be mended.
    #[error("{0}")]
    NotNow(String),
    /// It was reached, and what the file says of it is wrong.
    #[error("{0}")]
    Settings(String),
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Undeliverable(String),
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("its answer is longer than {0} bytes, or breaks off")]
    Answer(usize),
}

impl Failure {
    /// Whether it will not work before somebody has changed something, here or there.
    pub(crate) fn wants_somebody(&self) -> bool {
        matches!(self, Self::Unproven(_) | Self::Settings(_)) || !self.passes()
    }

    /// Whether to say it again is of use.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Unproven(_)
            | Self::NotNow(_)
            | Self::Settings(_)
            | Self::Late(_)
            | Self::Answer(_) => true,
            Self::Undeliverable(_) => false,
            Self::Refused(status) => {
                let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                status.is_server_error() || later.contains(status)
            }
        }
    }
}

/// What is said to whom.
pub(crate) struct Post<'a> {
    pub(crate) url: &'a Url,
    /// The authorities by which it is known over TLS; the system's where there are none.
    pub(crate) ca: Option<&'a Path>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// JSON.
    pub(crate) body: Vec<u8>,
    /// For connection and answer together.
    pub(crate) wait: Duration,
    /// The most of the answer that is read; none where what it says is of no interest.
    pub(crate) answer: Option<usize>,
}

/// Sends; knows the machine's authorities from its first use on.
#[derive(Default)]
pub(crate) struct Client {
    system: OnceLock<Result<TlsConnector, String>>,
}

impl Client {
    /// Posts. Gives the body of an answer of success.
    pub(crate) async fn post(&self, post: Post<'_>) -> Result<Bytes, Failure> {
        let wait = post.wait;
        timeout(wait, self.exchange(post)).await.map_err(|_| Failure::Late(wait))?
    }

    async fn exchange(&self, post: Post<'_>) -> Result<Bytes, Failure> {
        let Post { url, ca, headers, body, answer, .. } = post;
        let stream =
            TcpStream::connect((url.host.as_str(), url.port)).await.map_err(|error| unreachable(&error))?;
        let mut request = Request::post(url.path.expose())
            .header(header::HOST, url.authority())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, "serin");
        if let Some(own) = request.headers_mut() {
            own.extend(headers);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| unreachable(&error))?;
        if !url.tls {
            return send(stream, request, answer).await;
        }
        let stream = self.secured(stream, &url.host, ca).await.map_err(Failure::Unproven)?;
        send(stream, request, answer).await
    }

    /// TLS on a connection to that host.
    pub(crate) async fn secured(
        &self,
        stream: TcpStream,
        host: &str,
        ca: Option<&Path>,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connector = match ca {
            // Read each time: a changed file is taken.
            Some(ca) => authorities(ca).and_then(connector)?,
            None => self.system.get_or_init(|| system().and_then(connector)).clone()?,
        };
        connector.connect(name, stream).await.map_err(|error| error.to_string())
    }
}

fn unreachable(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unreachable(error.to_string())
}

fn system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this machine knows no authorities that sign certificates: install ca-certificates, or give \"ca\"".into());
    }
    Ok(roots)
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let trusted: Vec<CertificateDer<'static>> =
        read.map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    if roots.add_parsable_certificates(trusted).0 == 0 {
        return Err(format!("{} has no certificate that may sign others", path.display()));
    }
    Ok(roots)
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, String> {
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
    most: Option<usize>,
) -> Result<Bytes, Failure> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreachable(&error))?;
    // It ends with this call, also where that is given up.
    let _connection = Ended(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
    let status = answer.status();
    let body = match most {
        // A frame of it is waited for so that it is not cut off while it writes.
        None => {
            let _ = answer.into_body().frame().await;
            Bytes::new()
        }
        Some(_) if !status.is_success() => Bytes::new(),
        Some(most) => {
            let read = Limited::new(answer.into_body(), most).collect().await;
            read.map_err(|_| Failure::Answer(most))?.to_bytes()
        }
    };
    if status.is_success() { Ok(body) } else { Err(Failure::Refused(status)) }
}

struct Ended<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Ended<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
