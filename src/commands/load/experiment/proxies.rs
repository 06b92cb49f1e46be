//! The proxies of an experiment: faults are injected in each of them over its admin listener, and undone there.

use std::{collections::BTreeSet, io, time::Duration};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use serin_config::Address;
use serin_loadtest::{bounds::ADMIN_ANSWER_BYTES_MAX, experiment::Fault};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a proxy that does not answer is told to undo a fault.
const UNDO_ATTEMPTS: u32 = 3;
/// Between two of them.
const UNDO_PAUSE: Duration = Duration::from_millis(200);

/// Proxies, and what was injected in them.
#[derive(Debug)]
pub(super) struct Proxies {
    all: Vec<Address>,
    /// By proxy and number there; with the fault's name.
    injected: Vec<(Address, u64, String)>,
    /// Versions that are out, as it was last told.
    out: BTreeSet<(Address, String)>,
}

impl Proxies {
    pub(super) fn new(all: &[Address]) -> Self {
        Self { all: all.to_vec(), injected: Vec::new(), out: BTreeSet::new() }
    }

    /// Makes sure that each takes each fault, and that nobody else's are in force, which would be measured too.
    pub(super) async fn try_out(&mut self, faults: &[Fault]) -> Result<(), String> {
        self.out = self.tripped().await;
        for proxy in &self.all {
            let listed = self.ask(proxy, "GET", "/faults", None).await?;
            if listed["faults"].as_array().is_some_and(|faults| !faults.is_empty()) {
                return Err(format!(
                    "the proxy at {proxy} has injected faults in force already: wait until they end, or remove them \
                     (DELETE /faults/NUMBER there)"
                ));
            }
            for fault in faults {
                let tried = self.ask(proxy, "POST", "/faults", Some(&fault.tried())).await;
                let tried = tried.map_err(|why| format!("\"{}\" can't be injected: {why}", fault.name))?;
                remove(proxy, tried["id"].as_u64().unwrap_or(0)).await?;
            }
        }
        Ok(())
    }

    /// Injects a fault in each of them.
    pub(super) async fn inject(&mut self, fault: &Fault) -> Result<(), String> {
        for proxy in self.all.clone() {
            let told = self.ask(&proxy, "POST", "/faults", Some(&fault.told())).await?;
            let number =
                told["id"].as_u64().ok_or_else(|| format!("{proxy} did not say a fault's number"))?;
            self.injected.push((proxy, number, fault.name.clone()));
        }
        Ok(())
    }

    /// Undoes all that was injected; what is to be known of it.
    pub(super) async fn undo(&mut self) -> Undone {
        let mut undone = Undone::default();
        if self.injected.is_empty() {
            return undone;
        }
        // In all of them at once: one that hangs must not keep the others waiting.
        let mut all = JoinSet::new();
        for (proxy, number, name) in std::mem::take(&mut self.injected) {
            all.spawn(async move { (remove_surely(&proxy, number).await, proxy, name) });
        }
        while let Some(removed) = all.join_next().await {
            let Ok((removed, proxy, name)) = removed else {
                undone.left = true;
                continue;
            };
            match removed {
                Ok(true) => {}
                Ok(false) => undone.notes.push(format!(
                    "\"{name}\" was no longer in force at {proxy} when it was to be undone: somebody removed it, or the \
                     proxy was started anew"
                )),
                Err(why) => {
                    undone.left = true;
                    undone.notes.push(format!(
                        "\"{name}\" could not be undone at {proxy} ({why}): it ends there by itself, a few seconds after \
                         its time"
                    ));
                }
            }
        }
        // It stays out when the fault is over, and whatever is injected into it later hits nobody.
        let out = self.tripped().await;
        for (proxy, words) in out.difference(&self.out) {
            undone.notes.push(format!("at {proxy} the trip-wire took {words} out under a fault"));
        }
        self.out = out;
        undone
    }

    /// Versions that the trip-wire has taken out, in words. A proxy that does not say is asked again later.
    async fn tripped(&self) -> BTreeSet<(Address, String)> {
        let mut out = BTreeSet::new();
        for proxy in &self.all {
            let Ok(told) = self.ask(proxy, "GET", "/trips", None).await else { continue };
            for trip in told["trips"].as_array().into_iter().flatten() {
                let text = |field: &str| trip[field].as_str().unwrap_or_default().to_owned();
                let (service, version, why) = (text("service"), text("version"), text("reason"));
                let words = format!("{version} of {service} ({why})");
                out.insert((proxy.clone(), words.chars().filter(|c| !c.is_control()).collect()));
            }
        }
        out
    }

    async fn ask(
        &self,
        proxy: &Address,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let answered = call(proxy, method, path, body).await;
        let (status, answer) = answered.map_err(|error| unreachable(proxy, &error))?;
        if status.is_success() { Ok(answer) } else { Err(refusal(proxy, status, &answer)) }
    }
}

async fn remove_surely(proxy: &Address, number: u64) -> Result<bool, String> {
    let mut attempt = 1;
    loop {
        match remove(proxy, number).await {
            Err(_) if attempt < UNDO_ATTEMPTS => sleep(UNDO_PAUSE).await,
            removed => return removed,
        }
        attempt += 1;
    }
}

/// False where there is no such fault.
async fn remove(proxy: &Address, number: u64) -> Result<bool, String> {
    let (status, answer) = call(proxy, "DELETE", &format!("/faults/{number}"), Some(&json!({})))
        .await
        .map_err(|error| unreachable(proxy, &error))?;
    match status {
        StatusCode::OK => Ok(true),
        StatusCode::NOT_FOUND => Ok(false),
        _ => Err(refusal(proxy, status, &answer)),
    }
}

/// What became of undoing.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// Whether something may still be in force.
    pub(super) left: bool,
    /// For whoever reads the outcome.
    pub(super) notes: Vec<String>,
}

fn unreachable(proxy: &Address, error: &io::Error) -> String {
    format!("no admin listener of Serin answers at {proxy}: {error}")
}

fn refusal(proxy: &Address, status: StatusCode, answer: &Value) -> String {
    let said = answer["error"].as_str().unwrap_or_default();
    let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
    format!("{proxy} answers {}: {said}", status.as_u16())
}

async fn call(
    proxy: &Address,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<(StatusCode, Value)> {
    let answered = timeout(PATIENCE, async {
        match proxy {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                exchange(stream, &address.to_string(), method, path, body).await
            }
            Address::Unix(socket) => {
                exchange(UnixStream::connect(socket).await?, "localhost", method, path, body).await
            }
        }
    });
    answered.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange<S>(
    stream: S,
    host: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<(StatusCode, Value)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let answer = send.send_request(request).await.map_err(io::Error::other)?;
    let status = answer.status();
    let whole = Limited::new(answer.into_body(), ADMIN_ANSWER_BYTES_MAX).collect().await;
    connection.abort();
    let bytes = whole.map_err(io::Error::other)?.to_bytes();
    // Only refusals may be something else, and then their status says enough.
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}
