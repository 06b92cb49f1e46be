//! The measurements of a comparison, each round after round of all proxies.

use std::{thread::sleep, time::Duration};

use serin_loadtest::{
    Ask, Load, Pace, Protocol, Rate, Report, Schedule, Stop, Target, UserPlace, Users,
    compare::{Measure, Peer, Places, Rows, median},
    process::Usage,
    target::{Tls, Trust},
};

use super::{
    super::super::print_on,
    running::{Running, Setup, ask},
};

/// Connections that ask as fast as they are answered.
const CONNECTIONS: usize = 64;
/// Sticky users, so that the split is at work.
const USERS: u32 = 2_000;
/// Connections with bodies of 1 MiB.
const LARGE_CONNECTIONS: usize = 8;
/// What the splice can do, too.
const LARGE: &str = "CPU time of a body of 1 MiB";
/// Idle connections whose memory is counted.
const IDLE: usize = 1_000;
/// How long a process rests before its memory is looked at.
const REST: Duration = Duration::from_millis(500);
/// Parts of the slowest proxy's throughput at which latencies are compared.
const PARTS: [f64; 3] = [0.25, 0.5, 0.75];

/// A proxy that is measured.
struct Under {
    peer: Peer,
    places: Places,
    running: Running,
}

/// The comparison.
pub(super) struct Bench<'a> {
    setup: &'a Setup,
    peers: Vec<Peer>,
    running: Vec<Under>,
    rounds: u32,
    seconds: u32,
}

impl<'a> Bench<'a> {
    pub(super) fn begin(
        setup: &'a Setup,
        peers: Vec<Peer>,
        rounds: u32,
        seconds: u32,
    ) -> Result<Self, String> {
        Ok(Self { setup, peers, running: Vec::new(), rounds, seconds })
    }

    /// Start-up time, memory at rest, and what idle connections add to it; all are left running. This comes before any
    /// load: memory that a process has once had it keeps, and idle connections would seem to need none.
    pub(super) fn starts(&mut self, rows: &mut Rows) -> Result<(), String> {
        let (time, memory) =
            (Measure::less("start to first answer", "ms"), Measure::less("memory at rest", "MiB"));
        let idle = Measure::less("memory of an idle connection", "KiB");
        for round in 0..self.rounds {
            self.say("start-up", round);
            for peer in self.peers.clone() {
                let places = self.setup.places()?;
                let (running, took) = self.setup.start(peer, &places)?;
                rows.push(&time, peer, took.as_secs_f64() * 1e3);
                sleep(REST);
                let rest = usage(&running)?.memory_bytes;
                rows.push(&memory, peer, mebibytes(rest));
                let open: Result<Vec<_>, _> = (0..IDLE).map(|_| ask(places.clear)).collect();
                let open = open.map_err(|error| format!("{}: {error}", peer.name()))?;
                sleep(REST);
                let added = usage(&running)?.memory_bytes.saturating_sub(rest);
                rows.push(&idle, peer, added as f64 / 1024.0 / open.len() as f64);
                drop(open);
                if round + 1 == self.rounds {
                    self.running.push(Under { peer, places, running });
                }
            }
        }
        Ok(())
    }

    /// CPU time a request and throughput, with as much load as is answered.
    pub(super) fn requests(&mut self, rows: &mut Rows) -> Result<(), String> {
        let (cpu, rate) =
            (Measure::less("CPU time a request", "µs"), Measure::more("throughput", "requests/s"));
        // The first requests of a process are not like the others.
        for one in &self.running {
            self.closed(one, &clear(one), CONNECTIONS, 1)?;
        }
        for round in 0..self.rounds {
            self.say("requests", round);
            for one in self.turn(round) {
                let (micros, throughput) = self.closed(one, &clear(one), CONNECTIONS, self.seconds)?;
                rows.push(&cpu, one.peer, micros);
                rows.push(&rate, one.peer, throughput);
            }
        }
        Ok(())
    }

    /// What each adds to the latency of the backend, at fixed rates.
    pub(super) fn added(&mut self, rows: &mut Rows) -> Result<(), String> {
        let mut slowest = f64::INFINITY;
        for one in &self.running {
            let values: Result<Vec<f64>, String> =
                (0..2).map(|_| self.closed(one, &clear(one), CONNECTIONS, 1).map(|(_, rate)| rate)).collect();
            slowest = slowest.min(median(&values?).unwrap_or(f64::INFINITY));
        }
        let direct = target(self.setup.backend());
        for part in PARTS {
            let rate = Rate::try_new((slowest * part).max(1.0)).map_err(|error| error.to_string())?;
            for round in 0..self.rounds {
                self.say(&format!("latency at {:.0} requests a second", rate.per_second()), round);
                let alone = self.open(&direct, rate)?;
                for one in self.turn(round) {
                    let there = self.open(&clear(one), rate)?;
                    for (name, q) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
                        let of = |report: &Report| report.tally.latency().value_at_quantile(q) as f64;
                        let measure =
                            Measure::difference(&format!("{name} added at {:.0} %", part * 100.0), "µs");
                        rows.push(&measure, one.peer, of(&there) - of(&alone));
                    }
                }
            }
        }
        Ok(())
    }

    /// TLS, HTTP/2, gRPC, large bodies, Unix sockets.
    pub(super) fn others(&mut self, rows: &mut Rows) -> Result<(), String> {
        type Make = fn(&Under) -> Result<Target, String>;
        // What one costs, how many there are in a second, and over how many connections.
        let kinds: [(&str, &str, usize, Make); 6] = [
            (
                "CPU time of a TLS handshake with one request",
                "TLS handshakes with one request each",
                16,
                handshake,
            ),
            ("CPU time a request, TLS", "throughput, TLS", CONNECTIONS, secured),
            ("CPU time a request, HTTP/2 within TLS", "throughput, HTTP/2 within TLS", CONNECTIONS, http2),
            ("CPU time a gRPC call, within TLS", "throughput, gRPC within TLS", CONNECTIONS, grpc),
            (LARGE, "throughput, bodies of 1 MiB", LARGE_CONNECTIONS, large),
            ("CPU time a request, Unix sockets", "throughput, Unix sockets", CONNECTIONS, sockets),
        ];
        for (cost, many, connections, make) in kinds {
            let cpu = Measure::less(cost, "µs");
            let rate = Measure::more(many, "requests/s");
            for round in 0..self.rounds {
                self.say(cost, round);
                // The splice knows neither TLS nor where calls and sockets are; bodies are all the same to it.
                let able = |under: &&Under| under.peer.is_proxy() || cost == LARGE;
                for under in self.turn(round).into_iter().filter(able) {
                    let (micros, per_second) =
                        self.closed(under, &make(under)?, connections, self.seconds)?;
                    rows.push(&cpu, under.peer, micros);
                    rows.push(&rate, under.peer, per_second);
                }
            }
        }
        Ok(())
    }

    /// All of them, beginning with another one in each round.
    fn turn(&self, round: u32) -> Vec<&Under> {
        let first = round as usize % self.running.len().max(1);
        self.running.iter().cycle().skip(first).take(self.running.len()).collect()
    }

    /// CPU time of the proxy for each request in microseconds, and requests a second.
    fn closed(
        &self,
        one: &Under,
        target: &Target,
        connections: usize,
        seconds: u32,
    ) -> Result<(f64, f64), String> {
        let stop = Stop::After(Duration::from_secs(seconds.into()));
        let before = usage(&one.running)?.cpu_seconds;
        let load = Load::new(target.clone(), Pace::Closed { connections }, stop).streams_max(1);
        let report = whole(load, one.peer.name())?;
        let used = usage(&one.running)?.cpu_seconds - before;
        let requests = report.tally.total() as f64;
        Ok((used * 1e6 / requests.max(1.0), requests / report.elapsed.as_secs_f64().max(1e-9)))
    }

    fn open(&self, target: &Target, rate: Rate) -> Result<Report, String> {
        let stop = Stop::After(Duration::from_secs(self.seconds.into()) + Duration::from_secs(1));
        let load = Load::new(target.clone(), Pace::Open(Schedule::Poisson { rate, seed: 1 }), stop)
            .connections_max(CONNECTIONS)
            .warm_up(1);
        whole(load, "a proxy")
    }

    fn say(&self, what: &str, round: u32) {
        print_on(&format!("{what}: round {} of {}\n", round + 1, self.rounds));
    }
}

/// Runs a load to its end; one that failed measured something else.
fn whole(load: Load, name: &str) -> Result<Report, String> {
    let ran = load.start().and_then(serin_loadtest::Running::blocking_report);
    let report = ran.map_err(|error| error.to_string())?;
    match report.tally.failed() {
        0 => Ok(report),
        failed => Err(format!("{name}: {failed} of {} requests failed", report.tally.total())),
    }
}

fn usage(running: &Running) -> Result<Usage, String> {
    running.process.usage().map_err(|error| format!("a process has ended: {error}"))
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

fn target(port: u16) -> Target {
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    Target::new(serin_config::Address::Tcp(address))
        .users(Users::first(USERS, UserPlace::Cookie("uid".into())))
}

fn clear(one: &Under) -> Target {
    target(one.places.clear)
}

fn secured(one: &Under) -> Result<Target, String> {
    let tls = Tls { server_name: "shop.test".into(), trust: Trust::DangerAnybody, resumption: false };
    target(one.places.secured)
        .host("shop.test")
        .map(|target| target.tls(tls))
        .map_err(|error| error.to_string())
}

/// A connection for each request.
fn handshake(one: &Under) -> Result<Target, String> {
    secured(one)?.header("connection", "close").map_err(|error| error.to_string())
}

fn http2(one: &Under) -> Result<Target, String> {
    secured(one).map(|target| target.protocol(Protocol::Http2))
}

/// A unary call with a message of 1 KiB, which comes back.
fn grpc(one: &Under) -> Result<Target, String> {
    let mut message = vec![0];
    message.extend_from_slice(&1024_u32.to_be_bytes());
    message.resize(5 + 1024, b'x');
    let ask = Ask::get()
        .method("POST")
        .and_then(|ask| ask.path("/test.Echo/Echo"))
        .and_then(|ask| ask.header("content-type", "application/grpc"))
        .and_then(|ask| ask.header("te", "trailers"));
    let ask = ask.map_err(|error| error.to_string())?.body(message.into());
    let target = http2(one)?.host("grpc.test").map_err(|error| error.to_string())?;
    target.asks(vec![ask]).map_err(|error| error.to_string())
}

fn large(one: &Under) -> Result<Target, String> {
    let ask = Ask::get().path("/large").map_err(|error| error.to_string())?;
    clear(one).asks(vec![ask]).map_err(|error| error.to_string())
}

fn sockets(one: &Under) -> Result<Target, String> {
    target(one.places.unix).host("sockets.test").map_err(|error| error.to_string())
}
