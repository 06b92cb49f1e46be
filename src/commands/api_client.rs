//! A client of the control plane's API: one request, one answer.

use std::time::Duration;

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serin_config::{Address, limits::COMMAND_WAIT, secret::Secret};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// The largest answer that is read: the windows of a rollout as text.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Longer than the control plane itself waits, so that its own words arrive.
const PATIENCE: Duration = COMMAND_WAIT.saturating_add(Duration::from_secs(5));

/// Where the API is, and what opens it.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) address: Address,
    pub(super) token: Option<Secret>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("no control plane answers at {address} ({why}); is `serin run` running, and is --api right?")]
    Unreachable { address: Address, why: String },
    #[error("the control plane at {address} broke off: {why}")]
    Broken { address: Address, why: String },
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

impl Answer {
    /// The text for people of an answer that is no success: the problem's detail.
    pub(super) fn problem(&self) -> String {
        let detail = serde_json::from_str::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|problem| problem.get("detail")?.as_str().map(Into::into));
        detail.unwrap_or_else(|| format!("{}: {}", self.status, self.body.trim_end()))
    }
}

impl Api {
    /// Asks, and waits for the answer.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, CallError> {
        let unreachable = |why: String| CallError::Unreachable { address: self.address.clone(), why };
        let asked = async {
            match &self.address {
                Address::Tcp(address) => {
                    let stream =
                        TcpStream::connect(address).await.map_err(|error| unreachable(error.to_string()))?;
                    self.ask(stream, method, path, body).await
                }
                Address::Unix(socket) => {
                    let stream =
                        UnixStream::connect(socket).await.map_err(|error| unreachable(error.to_string()))?;
                    self.ask(stream, method, path, body).await
                }
            }
        };
        let late = |_| unreachable(format!("no answer within {} s", PATIENCE.as_secs()));
        tokio::time::timeout(PATIENCE, asked).await.map_err(late)?
    }

    async fn ask<S>(
        &self,
        stream: S,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, CallError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |why: String| CallError::Broken { address: self.address.clone(), why };
        let request = self.request(method, path, body).map_err(|error| broken(error.to_string()))?;
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            http1::handshake(io).await.map_err(|error| broken(error.to_string()))?;
        let driver = tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        driver.abort();
        let bytes = bytes.map_err(|error| broken(error.to_string()))?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&bytes).into_owned() })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> http::Result<Request<Full<Bytes>>> {
        let host = match &self.address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(_) => "localhost".into(),
        };
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(body.unwrap_or_default().into()))
    }
}
