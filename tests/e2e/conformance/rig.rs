//! One Serin with a door of every kind and a server of every kind behind it. The host of a request says which server
//! it is for.

use std::{net::SocketAddr, path::PathBuf};

use serde_json::{Value, json};
use serin_config::Address;

use crate::harness::{
    certs::{Authority, Files},
    config::one_version,
    free_addresses,
    origin::{At, Origin, Speaks},
    serin::Serin,
};

/// How a client comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    /// HTTP/1.1 in clear.
    Clear1,
    /// HTTP/2 in clear, by prior knowledge.
    Clear2,
    /// HTTP/1.1 over TLS, by ALPN.
    Tls1,
    /// HTTP/2 over TLS, by ALPN.
    Tls2,
    /// HTTP/1.1 over a Unix socket.
    Unix1,
}

/// How its request goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    Clear1,
    Clear2,
    Tls1,
    Tls2,
    Unix1,
    Unix2,
}

impl Front {
    pub(super) const ALL: [Self; 5] = [Self::Clear1, Self::Clear2, Self::Tls1, Self::Tls2, Self::Unix1];

    pub(super) fn is_h2(self) -> bool {
        matches!(self, Self::Clear2 | Self::Tls2)
    }

    pub(super) fn is_tls(self) -> bool {
        matches!(self, Self::Tls1 | Self::Tls2)
    }
}

impl Back {
    pub(super) const ALL: [Self; 6] =
        [Self::Clear1, Self::Clear2, Self::Tls1, Self::Tls2, Self::Unix1, Self::Unix2];

    pub(super) fn is_h2(self) -> bool {
        matches!(self, Self::Clear2 | Self::Tls2 | Self::Unix2)
    }

    pub(super) fn is_tls(self) -> bool {
        matches!(self, Self::Tls1 | Self::Tls2)
    }

    fn is_unix(self) -> bool {
        matches!(self, Self::Unix1 | Self::Unix2)
    }

    /// The service's name; its host is this with `.test`.
    pub(super) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    fn speaks(self) -> Speaks {
        if self.is_h2() { Speaks::Http2 } else { Speaks::Http1 }
    }
}

/// Everything that runs.
pub(super) struct Rig {
    pub(super) serin: Serin,
    pub(super) tls: SocketAddr,
    pub(super) unix: PathBuf,
    pub(super) authority: Authority,
    origins: Vec<(Back, Origin)>,
    directory: tempfile::TempDir,
}

/// The directory of one rig, its authority, and the one certificate that everybody shows.
pub(super) struct Ground {
    pub(super) directory: tempfile::TempDir,
    pub(super) authority: Authority,
    pub(super) identity: Files,
}

impl Ground {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("an authority for tests");
        // No wildcard: clients do not take one right below a top-level domain.
        let names = Back::ALL.map(|back| format!("{}.test", back.name()));
        let identity = authority.server("everybody", &names.each_ref().map(String::as_str));
        Self { directory, authority, identity }
    }
}

impl Rig {
    /// With the servers of [`Origin`].
    pub(super) fn start() -> Self {
        let ground = Ground::new();
        let origins: Vec<_> = Back::ALL
            .into_iter()
            .map(|back| {
                let at = match back {
                    Back::Clear1 | Back::Clear2 => At::Tcp,
                    Back::Tls1 => At::tls(&ground.identity, &["http/1.1"]),
                    Back::Tls2 => At::tls(&ground.identity, &["h2", "http/1.1"]),
                    Back::Unix1 | Back::Unix2 => At::Unix(ground.directory.path().join(back.name())),
                };
                (back, Origin::start(at, back.speaks()))
            })
            .collect();
        let services: Vec<_> =
            origins.iter().map(|(back, origin)| (*back, origin.address().clone())).collect();
        let mut rig = Self::before(ground, &services);
        rig.origins = origins;
        rig
    }

    /// With servers of somebody else, for each of which there is a service of its kind's name.
    pub(super) fn before(ground: Ground, services: &[(Back, Address)]) -> Self {
        let Ground { directory, authority, identity } = ground;
        let [tls] = free_addresses();
        let unix = directory.path().join("front");
        let mut config = one_version(&Address::Tcp(tls));
        config["listeners"] = json!([
            {},
            { "name": "tls", "address": tls.to_string(),
              "tls": { "certificates": [identity.json()] } },
            { "name": "local", "address": Address::Unix(unix.clone()) },
        ]);
        let routes: Vec<Value> = services
            .iter()
            .map(|(back, _)| json!({ "name": back.name(), "host": format!("{}.test", back.name()), "service": back.name() }))
            .collect();
        config["routes"] = routes.into();
        config["services"] = json!({});
        for (back, address) in services {
            config["services"][back.name()] =
                json!({ "versions": { "v1": version(*back, address, &authority) } });
        }
        config["limits"]["workers"] = 2.into();
        let serin = Serin::start(config);
        Self { serin, tls, unix, authority, origins: Vec::new(), directory }
    }

    pub(super) fn origin(&self, back: Back) -> &Origin {
        let found = self.origins.iter().find(|(own, _)| *own == back);
        &found.expect("there is one of every kind").1
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn version(back: Back, address: &Address, authority: &Authority) -> Value {
    let protocol = match back {
        // What the server chooses.
        Back::Tls2 => "auto",
        _ if back.is_h2() => "http2",
        _ => "http1",
    };
    let mut version = json!({ "endpoints": [address], "protocol": protocol });
    if back.is_tls() {
        version["tls"] = json!({ "ca": authority.file(), "server_name": format!("{}.test", back.name()) });
    }
    debug_assert!(!back.is_unix() || matches!(address, Address::Unix(_)));
    version
}
