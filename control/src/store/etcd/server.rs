//! A real etcd of one member, for tests: on ports that were free, in a directory of its own, gone with its owner.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serin_config::{
    settings::{Advertise, Etcd},
    tls::EndpointTls,
};
use tokio::runtime::Runtime;

use super::{Client, Compare, EtcdStore, Op, Prefix, PutRequest, RangeRequest, TxnRequest};

/// A busy machine may take its time.
const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    child: std::sync::Mutex<Child>,
    pub(crate) address: SocketAddr,
    pub(crate) runtime: Runtime,
    tls: Option<EndpointTls>,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with("http", &[], None)
    }

    /// The same, spoken to by TLS: with these arguments, and so by those who want to be heard.
    pub(crate) fn start_with(scheme: &str, arguments: &[String], tls: Option<EndpointTls>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [client, peer] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let (address, peer_address) = (client.local_addr().unwrap(), peer.local_addr().unwrap());
        drop((client, peer));
        let child = Command::new("etcd")
            .args(["--name", "m", "--log-level", "error", "--data-dir"])
            .arg(directory.path())
            .args(["--listen-client-urls", &format!("{scheme}://{address}")])
            .args(["--advertise-client-urls", &format!("{scheme}://{address}")])
            .args(arguments)
            // A password is as slow to check as it may be quick: a machine that is busy with other tests has no time for it.
            .args(["--bcrypt-cost", "4"])
            .args(["--listen-peer-urls", &format!("http://{peer_address}")])
            .args(["--initial-advertise-peer-urls", &format!("http://{peer_address}")])
            .args(["--initial-cluster", &format!("m=http://{peer_address}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("etcd can't be started ({error}): install the package etcd-server")
            });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = Self { child: child.into(), address, runtime, tls, _directory: directory };
        let deadline = Instant::now() + SOON;
        let ask = || server.client().range_once();
        while server.runtime.block_on(ask()).is_err() {
            assert!(Instant::now() < deadline, "etcd does not answer");
        }
        server
    }

    /// Ends it as a power cut would.
    pub(crate) fn stop(&self) {
        let mut child = self.child.lock().unwrap();
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }

    pub(crate) fn settings(&self) -> Etcd {
        Etcd {
            endpoints: vec![self.address.to_string().into()],
            prefix: "test".into(),
            lease: Duration::from_secs(2),
            user: None,
            tls: self.tls.clone(),
            compaction: None,
            advertise: Advertise::default(),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.settings())
    }

    /// Asks for something by its JSON form, which etcd takes too; that must succeed.
    pub(crate) fn ask(&self, path: &str, body: &str) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }

    /// Makes the key of a leader anew, without a lease; gives its term.
    pub(crate) fn elect(&self, prefix: &Prefix) -> i64 {
        self.runtime.block_on(self.elect_as(prefix, b"x"))
    }

    /// The same, with this value, whoever else makes it at the same time.
    pub(crate) async fn elect_as(&self, prefix: &Prefix, value: &[u8]) -> i64 {
        let key = prefix.leader();
        let put = PutRequest { key: key.clone(), value: value.to_vec(), lease: 0 };
        let election = TxnRequest {
            compare: vec![Compare::made_at(&key, 0)],
            success: vec![Op::Put(put).into()],
            failure: Vec::new(),
        };
        let deadline = Instant::now() + SOON;
        loop {
            self.remove(key.clone(), Vec::new()).await;
            let answer = self.client().txn(election.clone()).await.unwrap();
            if answer.succeeded {
                return answer.header.unwrap().revision;
            }
            assert!(Instant::now() < deadline, "somebody else is elected each time");
        }
    }

    /// Removes a key, or all up to another one.
    pub(crate) async fn remove(&self, key: Vec<u8>, range_end: Vec<u8>) {
        let delete = super::proto::DeleteRangeRequest { key, range_end };
        let all = TxnRequest { success: vec![Op::Delete(delete).into()], ..TxnRequest::default() };
        self.client().txn(all).await.unwrap();
    }

    /// The store of whoever leads in that term.
    pub(crate) fn store(&self, prefix: &Prefix, term: i64) -> EtcdStore {
        EtcdStore::new(self.client(), prefix.clone(), term, self.runtime.handle().clone())
    }
}

impl Client {
    async fn range_once(self) -> Result<(), super::Fault> {
        self.range(RangeRequest { key: b"x".to_vec(), ..RangeRequest::default() }).await.map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
