//! Finding the control plane that leads: endpoints are tried in turn, and one that does not lead may name the one that
//! does.
//!
//! One that hangs says nothing, and takes a connection all the same. So where a stream was lost, or nobody answered the
//! last time, the next attempt is a short one: whoever is well answers within it, and the others are asked the sooner.
//! No two in a row are, so that one which is only slow is reached, too.
//!
//! When a leader dies the others name it until its lease has run out. Whoever was named and did not take this proxy is not
//! gone to again before the next pause, however often it is named: a fleet would ask the survivors as fast as they
//! answer. Another follower would name the same one, so the pause comes at once.
//!
//! Files of certificates are read anew at each attempt, so changed ones are taken without a restart.

use std::{
    collections::HashSet,
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    Request, Response, Uri,
    uri::{Authority, Scheme},
};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serin_config::{
    Address,
    fleet::{Connect, ControlEndpoint},
    limits::{
        FLEET_PING_INTERVAL, FLEET_PING_TIMEOUT, H2_CONNECTION_WINDOW, H2_STREAM_WINDOW,
        UPLINK_CONNECT_TIMEOUT, UPLINK_DOUBTED_TIMEOUT, UPLINK_ENDPOINTS_MAX,
    },
    tls::HttpProtocol,
};
use tokio::{net::lookup_host, task::AbortHandle, time::timeout};
use tonic::{body::Body, client::GrpcService};

use super::trouble;
use crate::{serve::stream::Stream, tls::Connector};

/// Why there is no stream.
#[derive(Debug)]
pub(super) struct Failure {
    /// Where it was tried.
    pub(super) endpoint: String,
    /// What was wrong.
    pub(super) why: String,
    /// Who leads, where that was said.
    pub(super) leader: Option<String>,
    /// Whether nothing was heard from there, in the time that there was.
    pub(super) silent: bool,
    /// Whether another proxy has this one's name.
    pub(super) name_taken: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.endpoint, self.why)
    }
}

/// A connection to a control plane; it is closed when this is dropped.
pub(super) struct Open {
    pub(super) endpoint: String,
    pub(super) origin: Uri,
    pub(super) requests: Requests,
    /// How long it may take to answer the hello.
    pub(super) patience: Duration,
}

/// The way to send requests over a connection.
pub(super) struct Requests {
    send: http2::SendRequest<Body>,
    connection: AbortHandle,
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl GrpcService<Body> for Requests {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.send.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.send.send_request(request))
    }
}

/// Tries one endpoint after the other.
#[derive(Debug)]
pub(super) struct Dialler {
    connect: Connect,
    /// The next endpoint to try.
    next: usize,
    /// How many were tried since the last stream, or since the last wait.
    tried: usize,
    /// Who is said to lead; tried once, before the others.
    hint: Option<Address>,
    /// Endpoints that took no stream since the last pause: who is named and stands here is not gone to.
    in_vain: HashSet<String>,
    /// Endpoints that may hang: what was heard from them last was the end of a stream, or nothing.
    doubted: HashSet<String>,
}

impl Dialler {
    pub(super) fn new(connect: Connect) -> Self {
        Self { connect, next: 0, tried: 0, hint: None, in_vain: HashSet::new(), doubted: HashSet::new() }
    }

    /// Connects to the endpoint whose turn it is.
    pub(super) async fn dial(&mut self) -> Result<Open, Failure> {
        let endpoint = match self.hint.take() {
            Some(address) => ControlEndpoint::At(address),
            None => self.connect.endpoints[self.next % self.connect.endpoints.len()].clone(),
        };
        let patience = self.patience(&endpoint.to_string());
        let failed = |why: String, silent| Failure {
            endpoint: endpoint.to_string(),
            why,
            leader: None,
            silent,
            name_taken: false,
        };
        match timeout(patience, open(&self.connect, &endpoint)).await {
            Ok(Ok(open)) => Ok(Open { patience, ..open }),
            Ok(Err(error)) => Err(failed(trouble::words(&error), false)),
            Err(_) => Err(failed(format!("no connection within {} ms", patience.as_millis()), true)),
        }
    }

    /// How long an endpoint may take.
    fn patience(&self, endpoint: &str) -> Duration {
        if self.doubted.contains(endpoint) { UPLINK_DOUBTED_TIMEOUT } else { UPLINK_CONNECT_TIMEOUT }
    }

    /// A stream that was there broke off: whoever is said to lead comes first, then the same endpoint again.
    pub(super) fn lost(&mut self, failure: &Failure) {
        self.tried = 0;
        self.in_vain.clear();
        self.hint = self.believed(failure.leader.as_deref());
        // It may have hung for some time already.
        self.doubted.clear();
        self.doubted.insert(failure.endpoint.clone());
    }

    /// There was no stream. Gives whether it is time to pause: all were tried in vain and nobody said where to go
    /// instead, or somebody said it and this proxy has just been there.
    pub(super) fn failed(&mut self, failure: &Failure) -> bool {
        // A short attempt in vain says little: the next one has all the time again, however slow the endpoint is.
        let doubted = self.doubted.remove(&failure.endpoint);
        if failure.silent && !doubted && self.doubted.len() < UPLINK_ENDPOINTS_MAX {
            self.doubted.insert(failure.endpoint.clone());
        }
        self.next = (self.next + 1) % self.connect.endpoints.len();
        self.tried += 1;
        if self.in_vain.len() < 2 * UPLINK_ENDPOINTS_MAX {
            self.in_vain.insert(failure.endpoint.clone());
        }
        self.hint = self.believed(failure.leader.as_deref());
        let was_there = self.hint.take_if(|leader| self.in_vain.contains(&leader.to_string())).is_some();
        let round_is_over = self.tried >= self.connect.endpoints.len();
        let pause = was_there || (round_is_over && self.hint.is_none());
        if round_is_over || pause {
            self.tried = 0;
        }
        if pause {
            self.in_vain.clear();
        }
        pause
    }

    /// The address that was named, where this proxy may go there: in clear it stays on this machine.
    fn believed(&self, leader: Option<&str>) -> Option<Address> {
        let address: Address = leader?.parse().ok()?;
        (self.connect.tls.is_some() || address.is_local()).then_some(address)
    }
}

async fn open(connect: &Connect, endpoint: &ControlEndpoint) -> io::Result<Open> {
    let (stream, authority) = match endpoint {
        ControlEndpoint::At(address) => {
            let authority = match address {
                Address::Tcp(address) => address.to_string(),
                Address::Unix(_) => "localhost".into(),
            };
            (secured(connect, address, None).await?, authority)
        }
        ControlEndpoint::Named(name) => {
            let host = name.host.trim_end_matches('.');
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            let mut found = None;
            for address in lookup_host((name.host.as_str(), name.port)).await? {
                match secured(connect, &Address::Tcp(address), Some(host)).await {
                    Ok(stream) => {
                        found = Some(stream);
                        break;
                    }
                    Err(error) => last = error,
                }
            }
            (found.ok_or(last)?, format!("{host}:{}", name.port))
        }
    };
    let (send, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(FLEET_PING_INTERVAL)
        .keep_alive_timeout(FLEET_PING_TIMEOUT)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection to the control plane ended");
        }
    });
    let scheme = if connect.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
    let authority: Authority = authority.parse().map_err(io::Error::other)?;
    let origin = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
    Ok(Open {
        endpoint: endpoint.to_string(),
        origin: origin.map_err(io::Error::other)?,
        requests: Requests { send, connection: connection.abort_handle() },
        patience: UPLINK_CONNECT_TIMEOUT,
    })
}

/// A stream to an address; over TLS, its certificate must hold `host` unless the settings say another name.
async fn secured(connect: &Connect, address: &Address, host: Option<&str>) -> io::Result<Stream> {
    let stream = Stream::connect(address).await?;
    let Some(tls) = &connect.tls else { return Ok(stream) };
    let mut settings = tls.clone();
    settings.server_name = settings.server_name.or_else(|| host.map(Into::into));
    let made = tokio::task::spawn_blocking(move || Connector::open(&settings, HttpProtocol::Http2)).await;
    let connector = made.map_err(io::Error::other)?.map_err(io::Error::other)?;
    connector.connect(stream, address).await.map(|(stream, _)| stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialler(endpoints: &[&str]) -> Dialler {
        let endpoints = endpoints.iter().map(|text| ControlEndpoint::At(text.parse().unwrap())).collect();
        Dialler::new(Connect { endpoints, tls: None, token: None, cache: "plan.json".into() })
    }

    fn failure(endpoint: &str, leader: Option<&str>, silent: bool) -> Failure {
        let (leader, name_taken) = (leader.map(Into::into), false);
        Failure { endpoint: endpoint.into(), why: "why".into(), leader, silent, name_taken }
    }

    #[test]
    fn an_endpoint_that_may_hang_has_less_time_once() {
        let mut dialler = dialler(&["127.0.0.1:1", "127.0.0.1:2"]);
        let time = |dialler: &Dialler, endpoint| dialler.patience(endpoint);
        assert_eq!(time(&dialler, "127.0.0.1:1"), UPLINK_CONNECT_TIMEOUT);
        dialler.lost(&failure("127.0.0.1:1", None, false));
        assert_eq!(time(&dialler, "127.0.0.1:1"), UPLINK_DOUBTED_TIMEOUT);
        dialler.failed(&failure("127.0.0.1:2", None, true));
        assert_eq!(time(&dialler, "127.0.0.1:2"), UPLINK_DOUBTED_TIMEOUT);
        // It said no, and so it does not hang.
        dialler.failed(&failure("127.0.0.1:1", None, false));
        assert_eq!(time(&dialler, "127.0.0.1:1"), UPLINK_CONNECT_TIMEOUT);
        // It may only be slow.
        dialler.failed(&failure("127.0.0.1:2", None, true));
        assert_eq!(time(&dialler, "127.0.0.1:2"), UPLINK_CONNECT_TIMEOUT);
        dialler.failed(&failure("127.0.0.1:2", None, true));
        assert_eq!(time(&dialler, "127.0.0.1:2"), UPLINK_DOUBTED_TIMEOUT);
        // A stream was there since: whoever is doubted now is the one that had it.
        dialler.lost(&failure("127.0.0.1:1", None, false));
        assert_eq!(time(&dialler, "127.0.0.1:2"), UPLINK_CONNECT_TIMEOUT);
    }

    #[test]
    fn each_endpoint_has_its_turn_and_then_there_is_a_pause() {
        let mut dialler = dialler(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
        let pauses: Vec<(usize, bool)> =
            (0..6).map(|_| (dialler.next, dialler.failed(&failure("x", None, false)))).collect();
        assert_eq!(pauses, [(0, false), (1, false), (2, true), (0, false), (1, false), (2, true)]);
        dialler.lost(&failure("x", None, false));
        assert_eq!(dialler.next, 0, "a stream that was there is tried at the same endpoint first");
    }

    #[test]
    fn whoever_is_said_to_lead_comes_first_and_in_clear_only_on_this_machine() {
        let mut dialler = dialler(&["127.0.0.1:1"]);
        assert!(!dialler.failed(&failure("x", Some("127.0.0.1:9"), false)), "there is somebody left to ask");
        assert_eq!(dialler.hint, Some("127.0.0.1:9".parse().unwrap()));
        dialler.hint = None;
        assert!(dialler.failed(&failure("x", None, false)), "that one did not answer");
        for elsewhere in ["10.0.0.1:9", "nonsense"] {
            dialler.lost(&failure("x", Some(elsewhere), false));
            assert_eq!(dialler.hint, None, "{elsewhere}");
        }
        dialler.connect.tls = Some(serin_config::tls::EndpointTls::default());
        dialler.lost(&failure("x", Some("10.0.0.1:9"), false));
        assert!(dialler.hint.is_some());
    }

    #[test]
    fn a_leader_that_is_named_though_it_is_dead_is_gone_to_once_before_each_pause() {
        let mut dialler = dialler(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]);
        let dead = Some("127.0.0.1:2");
        dialler.lost(&failure("127.0.0.1:2", None, false));
        for pause in 0..3 {
            let mut dials = 0;
            loop {
                dials += 1;
                let paused = match dialler.hint.take() {
                    Some(leader) => dialler.failed(&failure(&leader.to_string(), None, false)),
                    None if dialler.next % 3 == 1 => dialler.failed(&failure("127.0.0.1:2", None, false)),
                    None => {
                        dialler.failed(&failure(&format!("127.0.0.1:{}", dialler.next % 3 + 1), dead, false))
                    }
                };
                if paused {
                    break;
                }
            }
            assert!(dials <= 3, "{dials} in round {pause}");
        }
        // The next one leads: it is gone to at once.
        assert!(!dialler.failed(&failure("127.0.0.1:1", Some("127.0.0.1:3"), false)));
        assert_eq!(dialler.hint, Some("127.0.0.1:3".parse().unwrap()));
    }

    #[tokio::test]
    async fn an_endpoint_where_nobody_listens_is_named_with_what_is_wrong() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut dialler = dialler(&[&free]);
        let Err(failure) = dialler.dial().await else { panic!("nobody listens there") };
        assert!(failure.to_string().starts_with(&format!("{free}: ")), "{failure}");
    }
}
