//! A client of the control plane's API: one request, one answer.

use std::{
    fmt,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serin_config::{
    Address,
    limits::{API_ANSWER_BYTES_MAX, COMMAND_WAIT},
    secret::Secret,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

use super::{
    Stop,
    contexts::ContextName,
    events::Events,
    place::{Host, Place},
    plain,
};

/// Longer than the control plane itself waits, so that its own words arrive.
const PATIENCE: Duration = COMMAND_WAIT.saturating_add(Duration::from_secs(5));

/// Says that what is read may be so old.
const STALE: &str = "x-serin-stale-seconds";

/// Where the API is, and what opens it.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Api {
    pub(in crate::commands) place: Place,
    pub(super) source: Source,
    pub(super) token: Option<Secret>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Whether it was said that answers may be old.
    pub(super) warned: Arc<AtomicBool>,
}

/// Who said where the API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) enum Source {
    /// `--api`.
    Flag,
    /// `SERIN_API`.
    Environment,
    /// A context.
    Context(ContextName),
    /// Nobody.
    Default,
    /// This process runs it.
    Own,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from --api"),
            Self::Environment => f.write_str("from SERIN_API"),
            Self::Context(name) => write!(f, "context \"{name}\""),
            Self::Default => f.write_str("the default"),
            Self::Own => f.write_str("this process"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum CallError {
    #[error("no control plane answers at {place} ({by}): {why}; {}", remedy(by))]
    Unreachable { place: Place, by: Source, why: String },
    #[error("the control plane at {place} ({by}) can't be trusted: {why}; {}", trust(by))]
    Untrusted { place: Place, by: Source, why: String },
    #[error("the control plane at {place} ({by}) broke off: {why}")]
    Broken { place: Place, by: Source, why: String },
    #[error(
        "the control plane at {place} ({by}) speaks TLS, and was asked in clear: its address is https://{}; a token that was sent \
         should be taken back",
        place.authority()
    )]
    InClear { place: Place, by: Source },
}

/// The type of the problem that is told in clear where TLS is asked for.
const IN_CLEAR: &str = "urn:serin:problem:not-tls";

fn remedy(source: &Source) -> String {
    match source {
        Source::Flag => "is `serin run` or `serin control` running there, and is --api right?".into(),
        Source::Environment => {
            "is `serin run` or `serin control` running there, and is SERIN_API right?".into()
        }
        Source::Context(name) => {
            format!("is it running, and does `serin context show {name}` have the right address?")
        }
        Source::Default => {
            "is `serin run` running on this machine? Another one is asked with --api or a context".into()
        }
        Source::Own => "it has just been started here".into(),
    }
}

fn trust(source: &Source) -> String {
    let ca = "give the certificate of the authority that signed its own";
    match source {
        Source::Context(name) => format!("{ca}, with `serin context set {name} … --ca FILE`"),
        _ => format!("{ca}, with --ca FILE"),
    }
}

/// An answer.
#[derive(Debug)]
pub(in crate::commands) struct Answer {
    pub(in crate::commands) status: StatusCode,
    pub(in crate::commands) body: String,
    /// For how many seconds the store had not been heard of where it was answered, where that is worth a word.
    pub(in crate::commands) stale_seconds: Option<u64>,
}

impl Answer {
    /// The text for people of an answer that is no success: the problem's detail.
    pub(in crate::commands) fn problem(&self) -> String {
        let detail = serde_json::from_str::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|problem| problem.get("detail")?.as_str().map(Into::into));
        let text: String = detail.unwrap_or_else(|| format!("{}: {}", self.status, self.body.trim_end()));
        plain(&text)
    }

    /// Reads the answer.
    pub(in crate::commands) fn read<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<T, Stop> {
        serde_json::from_str(&self.body).map_err(not_understood)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn not_understood(error: serde_json::Error) -> Stop {
    Stop::can_not(format_args!(
        "the control plane's answer is not understood ({error}); is it of another release than this serin? --output json \
         shows it as it is"
    ))
}

impl Api {
    /// The one that this process has started.
    pub(in crate::commands) fn own(address: Address) -> Self {
        Self {
            place: Place::Address(address),
            source: Source::Own,
            token: None,
            tls: None,
            warned: Arc::default(),
        }
    }

    /// Reads something; a refusal ends the command.
    pub(in crate::commands) async fn get(&self, path: &str) -> Result<Answer, Stop> {
        self.taken(self.call(Method::GET, path, None).await?)
    }

    /// The same, where the API has a text for people too.
    pub(in crate::commands) async fn get_json(&self, path: &str) -> Result<Answer, Stop> {
        let accept = Some("application/json");
        self.taken(self.asked(Method::GET, path, None, accept).await?)
    }

    /// Changes something; a refusal ends the command.
    pub(in crate::commands) async fn change(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Answer, Stop> {
        self.taken(self.call(method, path, Some(body.to_string())).await?)
    }

    fn taken(&self, answer: Answer) -> Result<Answer, Stop> {
        if let Some(seconds) = answer.stale_seconds {
            self.warn_of_age(seconds);
        }
        if answer.status.is_success() { Ok(answer) } else { Err(self.refused(&answer)) }
    }

    /// Once for each command, beside the answer: on stderr, where it disturbs nobody who reads on.
    fn warn_of_age(&self, seconds: u64) {
        if self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        // Where nobody listens there is nobody to warn.
        let _ = writeln!(
            std::io::stderr().lock(),
            "serin: this may be old: the control plane at {} has not heard of its store for {seconds} s",
            self.place
        );
    }

    fn refused(&self, answer: &Answer) -> Stop {
        match answer.status {
            StatusCode::UNAUTHORIZED => {}
            StatusCode::FORBIDDEN => return Stop::turned_away(answer.problem()),
            _ => return Stop::no(answer.problem()),
        }
        let (problem, place) = (answer.problem(), &self.place);
        let why = match self.token {
            Some(_) => "the token that was sent is not, or no longer, one of its own",
            None => "no token was sent; give one with SERIN_TOKEN, --token-file or a context",
        };
        Stop::turned_away(format_args!("{problem} ({place} asks who you are): {why}"))
    }

    /// Opens a stream of events, from behind the entry of the journal with the number `after` on.
    pub(in crate::commands) async fn events(&self, path: &str, after: u64) -> Result<Events<'_>, Stop> {
        let mut request = self
            .request(Method::GET, path, None, Some("text/event-stream"))
            .map_err(|error| self.broken(error))?;
        request.headers_mut().insert("last-event-id", after.into());
        let response = match tokio::time::timeout(PATIENCE, self.send(request)).await {
            Ok(response) => response?,
            Err(_) => return Err(self.late().into()),
        };
        if response.status().is_success() {
            return Ok(Events::new(self, response));
        }
        Err(self.refused(&self.answer(response).await?))
    }

    /// Asks, and waits for the answer.
    pub(in crate::commands) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, CallError> {
        self.asked(method, path, body, None).await
    }

    async fn asked(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        accept: Option<&'static str>,
    ) -> Result<Answer, CallError> {
        let asked = async {
            let request = self.request(method, path, body, accept).map_err(|error| self.broken(error))?;
            self.answer(self.send(request).await?).await
        };
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| self.late())?
    }

    async fn answer(&self, response: Response<Incoming>) -> Result<Answer, CallError> {
        let status = response.status();
        let stale = response.headers().get(STALE).and_then(|value| value.to_str().ok());
        let stale_seconds = stale.and_then(|value| value.parse().ok());
        let bytes = Limited::new(response.into_body(), API_ANSWER_BYTES_MAX).collect().await;
        let bytes = bytes.map_err(|error| self.broken(error))?.to_bytes();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        if status == StatusCode::BAD_REQUEST && body.contains(IN_CLEAR) {
            return Err(CallError::InClear { place: self.place.clone(), by: self.source.clone() });
        }
        Ok(Answer { status, body, stale_seconds })
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, CallError> {
        let tcp = |stream: std::io::Result<TcpStream>| stream.map_err(|error| self.unreachable(error));
        match &self.place {
            Place::Address(Address::Tcp(address)) => {
                self.ask(tcp(TcpStream::connect(address).await)?, request).await
            }
            Place::Address(Address::Unix(socket)) => {
                let stream = UnixStream::connect(socket).await.map_err(|error| self.unreachable(error))?;
                self.ask(stream, request).await
            }
            Place::Clear(host) => self.ask(tcp(connect(host).await)?, request).await,
            Place::Tls(host) => {
                let stream = tcp(connect(host).await)?;
                let (Some(tls), Ok(name)) = (&self.tls, ServerName::try_from(host.name.clone())) else {
                    return Err(self.untrusted(format_args!("\"{}\" can't be in a certificate", host.name)));
                };
                let connected = TlsConnector::from(tls.clone()).connect(name, stream).await;
                self.ask(connected.map_err(|error| self.untrusted(error))?, request).await
            }
        }
    }

    async fn ask<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, CallError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.broken(error))?;
        // It ends with the answer's body.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| match &self.place {
            // One that speaks TLS says nothing that is HTTP, or nothing at all.
            Place::Clear(_) | Place::Address(Address::Tcp(_))
                if error.is_parse() || error.is_incomplete_message() || error.is_canceled() =>
            {
                let authority = self.place.authority();
                self.broken(format_args!("{error}; if it speaks TLS, its address is https://{authority}"))
            }
            _ => self.broken(error),
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        accept: Option<&'static str>,
    ) -> http::Result<Request<Full<Bytes>>> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, self.place.authority());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        if let Some(accept) = accept {
            request = request.header(header::ACCEPT, accept);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body.unwrap_or_default().into()))
    }

    fn late(&self) -> CallError {
        self.unreachable(format_args!("no answer within {} s", PATIENCE.as_secs()))
    }

    fn unreachable(&self, why: impl fmt::Display) -> CallError {
        let (place, by) = (self.place.clone(), self.source.clone());
        CallError::Unreachable { place, by, why: why.to_string() }
    }

    fn untrusted(&self, why: impl fmt::Display) -> CallError {
        let (place, by) = (self.place.clone(), self.source.clone());
        CallError::Untrusted { place, by, why: why.to_string() }
    }

    pub(super) fn broken(&self, why: impl fmt::Display) -> CallError {
        let (place, by) = (self.place.clone(), self.source.clone());
        CallError::Broken { place, by, why: why.to_string() }
    }
}

async fn connect(host: &Host) -> std::io::Result<TcpStream> {
    TcpStream::connect((host.name.as_str(), host.port)).await
}
