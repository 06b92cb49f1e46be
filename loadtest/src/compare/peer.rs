//! Who is compared, and how each is set up: as its own documentation says to tune it, on one core, with the same split of the
//! same backends. The files are in `loadtest/peers/`.

use std::path::{Path, PathBuf};

/// One proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// Serin.
    Serin,
    /// HAProxy.
    Haproxy,
    /// nginx.
    Nginx,
    /// Envoy.
    Envoy,
    /// Bytes passed on as they come, by a process that knows nothing of HTTP: what the kernel alone costs.
    Splice,
}

/// Ports, and the directory of all files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// In clear.
    pub clear: u16,
    /// With TLS.
    pub secured: u16,
    /// In clear, with backends on Unix sockets.
    pub unix: u16,
    /// For what a peer serves beside.
    pub admin: u16,
    /// The same.
    pub api: u16,
    /// The backends.
    pub versions: [u16; 2],
    /// The backends that speak gRPC.
    pub grpc: [u16; 2],
    /// Where files are.
    pub work: PathBuf,
}

impl Peer {
    /// All of them; Serin first.
    pub const ALL: [Self; 5] = [Self::Serin, Self::Haproxy, Self::Nginx, Self::Envoy, Self::Splice];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serin => "Serin",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
            Self::Envoy => "Envoy",
            Self::Splice => "splice",
        }
    }

    /// Its program; Serin and the splice are this one.
    pub fn program(self) -> Option<&'static str> {
        match self {
            Self::Serin | Self::Splice => None,
            Self::Haproxy => Some("haproxy"),
            Self::Nginx => Some("nginx"),
            Self::Envoy => Some("envoy"),
        }
    }

    /// The option that has it say its release.
    pub fn version_option(self) -> &'static str {
        match self {
            Self::Serin | Self::Splice | Self::Envoy => "--version",
            Self::Haproxy | Self::Nginx => "-v",
        }
    }

    /// Its configuration, and the name of the file; none where it needs none.
    pub fn config(self, places: &Places) -> Option<(PathBuf, String)> {
        let (name, template) = match self {
            Self::Serin => ("serin.yaml", include_str!("../../peers/serin.yaml")),
            Self::Haproxy => ("haproxy.cfg", include_str!("../../peers/haproxy.cfg")),
            Self::Nginx => ("nginx.conf", include_str!("../../peers/nginx.conf")),
            Self::Envoy => ("envoy.yaml", include_str!("../../peers/envoy.yaml")),
            Self::Splice => return None,
        };
        Some((places.work.join(name), places.fill(template)))
    }

    /// What it is started with.
    pub fn arguments(self, places: &Places, config: &Path) -> Vec<String> {
        let config = config.display().to_string();
        let words: Vec<&str> = match self {
            Self::Serin => vec!["run", "-c", &config, "--log", "warn"],
            Self::Haproxy => vec!["-db", "-q", "-f", &config],
            Self::Nginx => vec!["-c", &config],
            Self::Envoy => {
                vec!["-c", &config, "--concurrency", "1", "--log-level", "error", "--use-dynamic-base-id"]
            }
            Self::Splice => {
                let listens = format!("127.0.0.1:{}", places.clear);
                let leads = format!("127.0.0.1:{}", places.versions[0]);
                return ["load", "splice", &listens, &leads].map(str::to_owned).to_vec();
            }
        };
        words.into_iter().map(str::to_owned).collect()
    }

    /// Whether it understands HTTP, and so TLS, HTTP/2 and Unix sockets as well.
    pub fn is_proxy(self) -> bool {
        self != Self::Splice
    }
}

/// What the backends serve.
pub const BACKEND: &str = include_str!("../../peers/backend.conf");

impl Places {
    /// A template with its places filled in.
    pub fn fill(&self, template: &str) -> String {
        let answer = "x".repeat(1024);
        let values = [
            ("clear", self.clear.to_string()),
            ("secured", self.secured.to_string()),
            ("unix", self.unix.to_string()),
            ("admin", self.admin.to_string()),
            ("api", self.api.to_string()),
            ("v1", self.versions[0].to_string()),
            ("v2", self.versions[1].to_string()),
            ("g1", self.grpc[0].to_string()),
            ("g2", self.grpc[1].to_string()),
            ("work", self.work.display().to_string()),
            ("answer", answer),
        ];
        values
            .iter()
            .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let work = PathBuf::from("/srv/work");
        Places { clear: 1, secured: 2, unix: 3, admin: 4, api: 5, versions: [6, 7], grpc: [8, 9], work }
    }

    #[test]
    fn no_place_stays_empty() {
        for template in Peer::ALL.iter().filter_map(|peer| peer.config(&places())).map(|(_, text)| text) {
            assert!(!template.contains("{{") || template.contains("} }"), "{template}");
            assert!(template.contains("127.0.0.1:6") || template.contains("port_value: 6"), "{template}");
            assert!(template.contains("127.0.0.1:9") || template.contains("port_value: 9"), "{template}");
        }
        let backend = places().fill(BACKEND);
        assert!(!backend.contains("{{") && backend.contains("listen unix:/srv/work/v2.sock;"), "{backend}");
    }
}
