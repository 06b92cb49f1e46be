//! The way to etcd: one member at a time, the next one when it does not answer.
//!
//! Every request has a time within which a member must answer, so that one that hangs (which says nothing, unlike
//! one that is gone) costs that time once. Requests may then go to the next member, whatever became of them at the
//! one before: all that are sent here say what they take for granted, so that to be carried out twice is harmless
//! (see `commit`).
//!
//! Certificates are read when a connection is made; a changed file is taken with the next one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::uri::PathAndQuery;
use prost::Message;
use serin_config::{
    limits::{ETCD_ANSWER_BYTES_MAX, ETCD_CONNECT_WAIT, ETCD_REQUEST_WAIT},
    settings::Etcd,
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;

use super::proto::{
    AuthenticateRequest, AuthenticateResponse, CompactionRequest, LeaseGrantRequest, LeaseGrantResponse,
    LeaseKeepAliveResponse, LeaseRequest, Nothing, RangeRequest, RangeResponse, TxnRequest, TxnResponse,
    WatchRequest, WatchResponse,
};

/// Why etcd did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    /// No member answered, or none has a leader. It may have been done all the same.
    #[error("{0}")]
    Away(String),
    /// It has no room left.
    #[error("it has no room left")]
    NoSpace,
    /// The revision that was asked for is forgotten.
    #[error("the revision that was asked for is compacted")]
    Compacted,
    /// It refuses: credentials, rights, or a request that it does not take.
    #[error("{0}")]
    Refused(String),
}

/// The members, one of which is spoken to. Clones are the same.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    settings: Etcd,
    name: Arc<str>,
    connection: Mutex<Connection>,
}

/// To which member, and what it knows us by.
struct Connection {
    /// How many connections there were before; the member follows from it.
    number: usize,
    channel: Option<Channel>,
    token: Option<MetadataValue<Ascii>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.0.name).finish()
    }
}

/// A method: its path, what it takes and what it answers.
trait Call: Message + Clone + 'static {
    type Answer: Message + Default + 'static;
    const PATH: &'static str;
}

macro_rules! calls {
    ($($request:ty => $answer:ty, $path:literal;)*) => {$(
        impl Call for $request {
            type Answer = $answer;
            const PATH: &'static str = $path;
        }
    )*};
}
calls! {
    RangeRequest => RangeResponse, "/etcdserverpb.KV/Range";
    TxnRequest => TxnResponse, "/etcdserverpb.KV/Txn";
    CompactionRequest => Nothing, "/etcdserverpb.KV/Compact";
    LeaseGrantRequest => LeaseGrantResponse, "/etcdserverpb.Lease/LeaseGrant";
    LeaseRequest => Nothing, "/etcdserverpb.Lease/LeaseRevoke";
    AuthenticateRequest => AuthenticateResponse, "/etcdserverpb.Auth/Authenticate";
}

const KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
const WATCH: &str = "/etcdserverpb.Watch/Watch";

impl Client {
    /// A client of these members; nothing is connected yet. Must be used within a tokio runtime.
    pub(crate) fn new(settings: Etcd) -> Self {
        let members: Vec<&str> = settings.endpoints.iter().map(|endpoint| &**endpoint).collect();
        let name = members.join(", ").into();
        let connection = Connection { number: 0, channel: None, token: None };
        Self(Arc::new(Inner { settings, name, connection: Mutex::new(connection) }))
    }

    /// The members, as they are configured.
    pub(crate) fn name(&self) -> Arc<str> {
        self.0.name.clone()
    }

    pub(crate) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Fault> {
        self.call(request).await
    }

    pub(crate) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, Fault> {
        self.call(request).await
    }

    pub(crate) async fn compact(&self, revision: i64) -> Result<(), Fault> {
        self.call(CompactionRequest { revision }).await.map(drop)
    }

    pub(crate) async fn grant(&self, ttl: Duration) -> Result<LeaseGrantResponse, Fault> {
        let ttl = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        self.call(LeaseGrantRequest { ttl }).await
    }

    pub(crate) async fn revoke(&self, id: i64) -> Result<(), Fault> {
        self.call(LeaseRequest { id }).await.map(drop)
    }

    /// Renews a lease; gives whether it is still there.
    pub(crate) async fn keep_alive(&self, id: i64) -> Result<bool, Fault> {
        self.with_members(|channel, token| async move {
            let request = signed(tokio_stream::once(LeaseRequest { id }), token);
            let mut grpc = ready(channel).await?;
            let path = PathAndQuery::from_static(KEEP_ALIVE);
            let codec = ProstCodec::<LeaseRequest, LeaseKeepAliveResponse>::default();
            let mut answers = grpc.streaming(request, path, codec).await?.into_inner();
            let answer = answers.message().await?;
            answer
                .map(|answer| answer.ttl > 0)
                .ok_or_else(|| Status::unavailable("it ended without an answer"))
        })
        .await
    }

    /// Opens a stream of changes; what is asked for comes through `requests`. Only a member that has a leader serves
    /// it, and says so when it has lost it.
    pub(crate) async fn watch(
        &self,
        requests: tokio::sync::mpsc::Receiver<WatchRequest>,
    ) -> Result<tonic::Streaming<WatchResponse>, Fault> {
        let (channel, token, number) = self.connection().await?;
        let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
        let mut request = signed(requests, token);
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        let opened = async {
            let mut grpc = ready(channel).await?;
            let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
            grpc.streaming(request, PathAndQuery::from_static(WATCH), codec).await
        };
        match tokio::time::timeout(ETCD_REQUEST_WAIT, opened).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => {
                self.give_up(number);
                Err(fault(&status))
            }
            Err(_) => {
                self.give_up(number);
                Err(Fault::Away(slow()))
            }
        }
    }

    /// The member that is spoken to now does not seem well: the next requests go to another.
    pub(crate) fn next_member(&self) {
        let number = self.lock().number;
        self.give_up(number);
    }

    async fn call<M: Call>(&self, message: M) -> Result<M::Answer, Fault> {
        self.with_members(|channel, token| {
            let request = signed(message.clone(), token);
            async move {
                let mut grpc = ready(channel).await?;
                let codec = ProstCodec::<M, M::Answer>::default();
                grpc.unary(request, PathAndQuery::from_static(M::PATH), codec)
                    .await
                    .map(tonic::Response::into_inner)
            }
        })
        .await
    }

    /// Asks one member after the other until one answers.
    async fn with_members<T, F>(
        &self,
        ask: impl Fn(Channel, Option<MetadataValue<Ascii>>) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let mut last = Fault::Away("it has no members".into());
        for _ in 0..=self.0.settings.endpoints.len() {
            let (channel, token, number) = match self.connection().await {
                Ok(connection) => connection,
                Err(away @ Fault::Away(_)) => {
                    last = away;
                    continue;
                }
                Err(refused) => return Err(refused),
            };
            match tokio::time::timeout(ETCD_REQUEST_WAIT, ask(channel, token)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) if status.code() == Code::Unauthenticated => {
                    self.forget_token(number);
                    last = fault(&status);
                }
                Ok(Err(status)) => match fault(&status) {
                    away @ Fault::Away(_) => {
                        self.give_up(number);
                        last = away;
                    }
                    other => return Err(other),
                },
                Err(_) => {
                    self.give_up(number);
                    last = Fault::Away(slow());
                }
            }
        }
        Err(last)
    }

    /// A channel to a member, and what it knows us by.
    async fn connection(&self) -> Result<(Channel, Option<MetadataValue<Ascii>>, usize), Fault> {
        let (channel, token, number) = {
            let mut connection = self.lock();
            let channel = match &connection.channel {
                Some(channel) => channel.clone(),
                None => {
                    let channel = self.endpoint(connection.number)?.connect_lazy();
                    connection.channel.insert(channel).clone()
                }
            };
            (channel, connection.token.clone(), connection.number)
        };
        let Some((user, password)) = self.0.settings.user.as_ref().filter(|_| token.is_none()) else {
            return Ok((channel, token, number));
        };
        let request = AuthenticateRequest { name: user.clone(), password: password.expose().to_owned() };
        let known = async {
            let mut grpc = ready(channel.clone()).await?;
            let codec = ProstCodec::<AuthenticateRequest, AuthenticateResponse>::default();
            let path = PathAndQuery::from_static(AuthenticateRequest::PATH);
            grpc.unary(Request::new(request), path, codec).await
        };
        let answer = match tokio::time::timeout(ETCD_REQUEST_WAIT, known).await {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => {
                let fault = fault(&status);
                if matches!(fault, Fault::Away(_)) {
                    self.give_up(number);
                }
                return Err(fault);
            }
            Err(_) => {
                self.give_up(number);
                return Err(Fault::Away(slow()));
            }
        };
        let mut token = MetadataValue::try_from(&answer.token)
            .map_err(|_| Fault::Refused("its token is not one that can be sent".into()))?;
        token.set_sensitive(true);
        let mut connection = self.lock();
        if connection.number == number {
            connection.token = Some(token.clone());
        }
        Ok((channel, Some(token), number))
    }

    fn endpoint(&self, number: usize) -> Result<Endpoint, Fault> {
        let Etcd { endpoints, tls, .. } = &self.0.settings;
        let member =
            endpoints.get(number % endpoints.len().max(1)).map(|member| &**member).unwrap_or_default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{member}"))
            .map_err(|error| Fault::Refused(format!("{member} is not an address: {error}")))?
            .connect_timeout(ETCD_CONNECT_WAIT);
        let Some(tls) = tls else { return Ok(endpoint) };
        let read = |path: &std::path::Path| {
            std::fs::read(path)
                .map_err(|error| Fault::Refused(format!("{} can't be read: {error}", path.display())))
        };
        let mut config = ClientTlsConfig::new();
        config = match &tls.ca {
            Some(ca) => config.ca_certificate(Certificate::from_pem(read(ca)?)),
            None => config.with_native_roots(),
        };
        if let Some(name) = &tls.server_name {
            config = config.domain_name(name);
        }
        if let Some(own) = &tls.client_certificate {
            config = config.identity(Identity::from_pem(read(&own.cert)?, read(&own.key)?));
        }
        endpoint
            .tls_config(config)
            .map_err(|error| Fault::Refused(format!("its TLS can't be set up: {}", causes(&error))))
    }

    fn give_up(&self, number: usize) {
        let mut connection = self.lock();
        if connection.number == number {
            connection.number = number.wrapping_add(1);
            connection.channel = None;
            connection.token = None;
        }
    }

    fn forget_token(&self, number: usize) {
        let mut connection = self.lock();
        if connection.number == number {
            connection.token = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ready(channel: Channel) -> Result<Grpc<Channel>, Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(ETCD_ANSWER_BYTES_MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(causes(&error)))?;
    Ok(grpc)
}

fn signed<T>(message: T, token: Option<MetadataValue<Ascii>>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("token", token);
    }
    request
}

fn slow() -> String {
    format!("no answer within {} ms", ETCD_REQUEST_WAIT.as_millis())
}

fn fault(status: &Status) -> Fault {
    let text = status.message().trim_start_matches("etcdserver: ").to_owned();
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Unknown
        | Code::Aborted
        | Code::Internal => Fault::Away(if text.is_empty() { causes(status) } else { text }),
        Code::OutOfRange if text.contains("compacted") => Fault::Compacted,
        Code::ResourceExhausted if text.contains("space") => Fault::NoSpace,
        Code::ResourceExhausted => Fault::Away(text),
        _ => Fault::Refused(text),
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let told = cause.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        next = cause.source();
    }
    text.replace(['\r', '\n'], " ")
}
