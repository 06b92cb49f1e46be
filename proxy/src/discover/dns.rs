//! Endpoints by name: A and AAAA, asked again when their TTL has passed.
//!
//! An answer replaces what was known of its family of addresses. No answer, or one that says there is no such
//! name, changes nothing: a resolver that is down or being changed must not take a service with it. So a name
//! that is gone for good keeps its last addresses until the configuration changes; health checks and ejections
//! notice if nobody is there.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::RecordType,
};
use serin_config::{
    Address,
    endpoint::{Dns, DnsName},
    limits::{DNS_RETRY_MAX, ENDPOINTS_MAX},
};

use crate::{clock, endpoints::keeper::Named, observe::metrics::EndpointCounters, shared::VersionShared};

/// Who is asked for names.
pub(crate) struct Names {
    dns: Dns,
    /// Made at the first question; the system's configuration may be readable only later.
    resolver: Mutex<Option<TokioResolver>>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").field("dns", &self.dns).finish_non_exhaustive()
    }
}

impl Names {
    /// By these settings.
    pub(crate) fn new(dns: Dns) -> Self {
        Self { dns, resolver: Mutex::default() }
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let mut resolver = self.resolver.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = &*resolver {
            return Ok(resolver.clone());
        }
        let made = self.make()?;
        *resolver = Some(made.clone());
        Ok(made)
    }

    fn make(&self) -> Result<TokioResolver, String> {
        let mut builder = if self.dns.resolvers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| format!("the system's resolvers: {error}"))?
        } else {
            let servers = self.dns.resolvers.iter().map(server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = self.dns.timeout;
        // What is asked for is asked for because its time has passed.
        options.cache_size = 0;
        builder.build().map_err(|error| error.to_string())
    }

    async fn ask(&self, host: &str, kind: RecordType) -> Answer {
        let resolver = match self.resolver() {
            Ok(resolver) => resolver,
            Err(why) => return Answer::Failed(why),
        };
        match resolver.lookup(host, kind).await {
            Ok(found) => {
                let records = || found.answers().iter().filter(|record| record.data.ip_addr().is_some());
                let ttl = records().map(|record| record.ttl).min();
                let addresses: Vec<_> = records().filter_map(|record| record.data.ip_addr()).collect();
                ttl.map_or(Answer::Nothing, |ttl| Answer::Found {
                    addresses,
                    ttl: Duration::from_secs(ttl.into()),
                })
            }
            Err(error) if error.is_no_records_found() => Answer::Nothing,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// What one question brought.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// Addresses, good for this long.
    Found { addresses: Vec<IpAddr>, ttl: Duration },
    /// There are none of this kind.
    Nothing,
    /// Nobody answered, or with an error.
    Failed(String),
}

/// What is known of a name.
#[derive(Debug, Default)]
struct Known {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    failures: u32,
}

/// What follows from the answers to both questions.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// Why something is missing.
    trouble: Option<String>,
    /// When the name is asked for again.
    again_in: Duration,
}

impl Known {
    fn take(&mut self, v4: Answer, v6: Answer, dns: &Dns) -> Step {
        let nothing = v4 == Answer::Nothing && v6 == Answer::Nothing;
        let mut trouble = nothing.then(|| "the name has no address".to_owned());
        let mut shortest = None;
        let alone = |answer: &Answer| !matches!(answer, Answer::Found { .. });
        // A family that is gone goes only if the other one is there.
        let (keep_v4, keep_v6) = (alone(&v6), alone(&v4));
        for (known, answer, keep) in [(&mut self.v4, v4, keep_v4), (&mut self.v6, v6, keep_v6)] {
            match answer {
                Answer::Found { addresses, ttl } => {
                    *known = addresses;
                    shortest = Some(shortest.map_or(ttl, |other: Duration| other.min(ttl)));
                }
                Answer::Nothing if keep => {}
                Answer::Nothing => known.clear(),
                Answer::Failed(why) => trouble = Some(why),
            }
        }
        let again_in = if trouble.is_some() {
            self.failures = self.failures.saturating_add(1);
            let doubled = dns.min_ttl.saturating_mul(1 << (self.failures - 1).min(16));
            doubled.min(DNS_RETRY_MAX.max(dns.min_ttl))
        } else {
            self.failures = 0;
            shortest.unwrap_or(dns.min_ttl).clamp(dns.min_ttl, dns.max_ttl)
        };
        Step { trouble, again_in }
    }

    /// In an order of their own: servers turn theirs with each answer.
    fn addresses(&self, port: u16) -> Vec<Address> {
        let mut all: Vec<IpAddr> = self.v4.iter().chain(&self.v6).copied().collect();
        all.sort_unstable();
        all.dedup();
        all.truncate(ENDPOINTS_MAX);
        all.into_iter().map(|ip| Address::Tcp(SocketAddr::new(ip, port))).collect()
    }
}

/// Runs until it is dropped.
pub(crate) async fn run(
    names: Arc<Names>,
    name: DnsName,
    version: Arc<VersionShared>,
    named: Named,
    counters: EndpointCounters,
) {
    let (service, of) = (named.service, named.version);
    let mut known = Known::default();
    loop {
        let ask = |kind| names.ask(&name.host, kind);
        let (v4, v6) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
        let step = known.take(v4, v6, &names.dns);
        let addresses = known.addresses(name.port);
        // Before the first answer, what was configured before stays.
        if !addresses.is_empty() && version.endpoints.found(&addresses, clock::now()) {
            let count = addresses.len();
            tracing::info!(%service, version = %of, %name, endpoints = count, "endpoints were found");
        }
        let outcome = if step.trouble.is_none() { &counters.found } else { &counters.not_found };
        outcome.increment(1);
        let news = version.endpoints.note_search(step.trouble.clone());
        if let (true, Some(why)) = (news, step.trouble) {
            tracing::warn!(%service, version = %of, %name, %why, "a name can't be resolved: its last endpoints stay");
        }
        tokio::time::sleep(step.again_in).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(addresses: &[&str], seconds: u64) -> Answer {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Answer::Found { addresses, ttl: Duration::from_secs(seconds) }
    }

    fn failed() -> Answer {
        Answer::Failed("no connection".into())
    }

    fn shown(known: &Known) -> Vec<String> {
        known.addresses(80).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_families_are_used_and_the_shorter_ttl_counts_within_bounds() {
        let (mut known, dns) = (Known::default(), Dns::default());
        let step = known.take(found(&["10.0.0.2", "10.0.0.1"], 60), found(&["fd00::1"], 30), &dns);
        assert_eq!(step, Step { trouble: None, again_in: Duration::from_secs(30) });
        assert_eq!(shown(&known), ["10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]);
        assert_eq!(known.take(found(&["10.0.0.1"], 0), Answer::Nothing, &dns).again_in, dns.min_ttl);
        assert_eq!(known.take(found(&["10.0.0.1"], 86_400), Answer::Nothing, &dns).again_in, dns.max_ttl);
    }

    #[test]
    fn one_family_may_go_while_the_other_stays() {
        let (mut known, dns) = (Known::default(), Dns::default());
        known.take(found(&["10.0.0.1"], 60), found(&["fd00::1"], 60), &dns);
        assert_eq!(known.take(found(&["10.0.0.1"], 60), Answer::Nothing, &dns).trouble, None);
        assert_eq!(shown(&known), ["10.0.0.1:80"]);
    }

    #[test]
    fn what_was_known_stays_when_nobody_answers_or_the_name_is_gone() {
        let (mut known, dns) = (Known::default(), Dns::default());
        known.take(found(&["10.0.0.1"], 60), found(&["fd00::1"], 60), &dns);
        for (v4, v6) in
            [(failed(), failed()), (Answer::Nothing, Answer::Nothing), (Answer::Nothing, failed())]
        {
            assert!(known.take(v4, v6, &dns).trouble.is_some());
            assert_eq!(shown(&known), ["10.0.0.1:80", "[fd00::1]:80"]);
        }
        // Of two families each speaks for itself.
        assert!(known.take(found(&["10.0.0.9"], 60), failed(), &dns).trouble.is_some());
        assert_eq!(shown(&known), ["10.0.0.9:80", "[fd00::1]:80"]);
    }

    #[test]
    fn questions_without_an_answer_become_rarer_up_to_a_bound() {
        let (mut known, dns) = (Known::default(), Dns::default());
        let waits: Vec<_> =
            (0..40).map(|_| known.take(failed(), failed(), &dns).again_in.as_secs()).collect();
        assert_eq!((&waits[..6], waits[39]), (&[1, 2, 4, 8, 16, 30][..], 30));
        known.take(found(&["10.0.0.1"], 5), Answer::Nothing, &dns);
        assert_eq!(known.take(failed(), failed(), &dns).again_in, dns.min_ttl);
    }
}
