//! A real etcd of several members on this machine, each a process of its own.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value, json};

use super::{SOON, free_addresses, process::Process, until};

const MEMBERS: usize = 3;

/// Three members.
pub(crate) struct Cluster {
    members: Vec<Member>,
}

struct Member {
    process: Process,
    clients: SocketAddr,
    arguments: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Cluster {
    /// Starts it, and waits until it has a leader.
    pub(crate) fn start() -> Self {
        let addresses = free_addresses::<{ 2 * MEMBERS }>();
        let (clients, peers) = addresses.split_at(MEMBERS);
        let all: Vec<String> =
            peers.iter().enumerate().map(|(i, peer)| format!("m{i}=http://{peer}")).collect();
        let members = clients.iter().zip(peers).enumerate().map(|(i, (clients, peers))| {
            let directory = tempfile::tempdir().unwrap();
            let arguments = [
                ("--name", format!("m{i}")),
                ("--data-dir", directory.path().display().to_string()),
                ("--listen-client-urls", format!("http://{clients}")),
                ("--advertise-client-urls", format!("http://{clients}")),
                ("--listen-peer-urls", format!("http://{peers}")),
                ("--initial-advertise-peer-urls", format!("http://{peers}")),
                ("--initial-cluster", all.join(",")),
                ("--log-level", "error".into()),
            ];
            let arguments: Vec<String> =
                arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
            Member { process: launch(&arguments), clients: *clients, arguments, _directory: directory }
        });
        let cluster = Self { members: members.collect() };
        for member in &cluster.members {
            until(SOON, "a member of etcd is well", || {
                super::http::get(member.clients, "/health")
                    .is_ok_and(|reply| reply.status == 200 && reply.body.contains("true"))
            });
        }
        cluster
    }

    /// The section `control.etcd` of a file.
    pub(crate) fn section(&self) -> Value {
        let members: Vec<String> = self.members.iter().map(|member| member.clients.to_string()).collect();
        json!({ "endpoints": members })
    }

    /// Where clients reach each member.
    pub(crate) fn clients(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.clients).collect()
    }

    /// Sends a signal by name to a member.
    pub(crate) fn signal(&self, member: usize, name: &str) {
        self.members[member].process.signal(name);
    }

    /// What a member has said on standard error in its present life.
    pub(crate) fn stderr(&self, member: usize) -> String {
        self.members[member].process.stderr()
    }

    /// Ends a member as a power cut would.
    pub(crate) fn kill(&mut self, member: usize) {
        self.members[member].process.kill();
    }

    /// Starts it again with what it had.
    pub(crate) fn start_again(&mut self, member: usize) {
        let member = &mut self.members[member];
        member.process = launch(&member.arguments);
    }
}

fn launch(arguments: &[String]) -> Process {
    Process::start(Command::new("etcd").args(arguments), "install the Debian package etcd-server")
}
