//! Users of one proxy: a load on the service with the canary, and one who asks one thing after the other of a service
//! that only this proxy serves, so that what it was asked can be compared with what was counted, to the request.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serin_loadtest::{Load, Pace, Rate, Report, Running, Schedule, Stop};

use crate::harness::{
    fleet::Edge,
    wire::{Answer, Wire},
};

/// Requests a second of the load on each proxy.
pub(super) const RATE: f64 = 60.0;
/// Between two questions of the one who walks.
const STEP: Duration = Duration::from_millis(100);

/// Milliseconds since the test began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(pub(super) Instant);

impl Clock {
    pub(super) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

/// What the users of a proxy have seen, over all its lives.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// When the canary answered last; 0 if it never did.
    pub(super) canary_at: AtomicU64,
    /// When anybody answered last.
    pub(super) answered_at: AtomicU64,
    /// Failures of the canary since the counter was last set to nothing.
    pub(super) failures: AtomicU64,
    /// The plans under which the canary answered.
    pub(super) canary_under: Mutex<BTreeSet<u64>>,
}

/// What one who walks has seen in one life of a proxy.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// When each answer came.
    pub(super) answers: Vec<u64>,
    /// The plans that were seen, and when first.
    pub(super) plans: BTreeMap<u64, u64>,
    /// What must not be.
    pub(super) problems: Vec<String>,
}

/// The users of one life of a proxy.
pub(super) struct Users {
    load: Running,
    stop: Arc<AtomicBool>,
    walk: JoinHandle<Walk>,
}

impl Users {
    /// They begin to ask a proxy that is ready.
    pub(super) fn begin(edge: &Edge, name: &'static str, clock: Clock, sight: &Arc<Sight>) -> Self {
        let seen = sight.clone();
        let target = edge.target().check(move |head, _| {
            let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
            let now = clock.now();
            seen.answered_at.fetch_max(now, Relaxed);
            if header("x-serin-version") == Some("v2") {
                seen.canary_at.fetch_max(now, Relaxed);
                if head.status.as_u16() != 200 {
                    seen.failures.fetch_add(1, Relaxed);
                }
                let under: Option<u64> = header("x-serin-generation").and_then(|text| text.parse().ok());
                seen.canary_under.lock().unwrap().extend(under);
            }
            true
        });
        let pace = Pace::Open(Schedule::Constant(Rate::try_new(RATE).unwrap()));
        let load = Load::new(target, pace, Stop::Never).start().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (web, stopped) = (edge.web, stop.clone());
        let walk = std::thread::spawn(move || walk(web, name, clock, &stopped));
        Self { load, stop, walk }
    }

    /// They ask no more, and nobody waits for what they have begun.
    pub(super) fn cancel(&self) {
        self.load.cancel();
        self.stop.store(true, Relaxed);
    }

    /// They ask no more, as where a load balancer drains; what they have begun is waited for.
    pub(super) fn drain(self) -> (Report, Walk) {
        self.cancel();
        (self.load.blocking_report().unwrap(), self.walk.join().unwrap())
    }
}

fn walk(web: SocketAddr, name: &str, clock: Clock, stop: &AtomicBool) -> Walk {
    let mut walk = Walk::default();
    let request = format!("GET /ledger/{name} HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut wire = None;
    while !stop.load(Relaxed) {
        match ask(&mut wire, web, &request) {
            Ok(answer) => walk.take(&answer, clock.now()),
            Err(error) => {
                wire = None;
                walk.problems.push(format!("{name} at {} ms: {error}", clock.now()));
            }
        }
        std::thread::sleep(STEP);
    }
    walk
}

/// One question, over the connection that there is. Where that was closed before anything came back, the question is put
/// once more, as every client does.
fn ask(wire: &mut Option<Wire>, web: SocketAddr, request: &str) -> io::Result<Answer> {
    if let Some(wire) = wire {
        match exchange(wire, request) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            answered => return answered,
        }
    }
    exchange(wire.insert(Wire::connect(web)), request)
}

fn exchange(wire: &mut Wire, request: &str) -> io::Result<Answer> {
    wire.send(request)?;
    wire.answer_to("GET")
}

impl Walk {
    fn take(&mut self, answer: &Answer, now: u64) {
        self.answers.push(now);
        if answer.status() != 200 {
            self.problems.push(format!("at {now} ms: {} {}", answer.status(), answer.text()));
        }
        let under: Option<u64> = answer.head.one("x-serin-generation").and_then(|text| text.parse().ok());
        let Some(under) = under else {
            self.problems.push(format!("at {now} ms: no generation: {:?}", answer.head));
            return;
        };
        if let Some((last, _)) = self.plans.last_key_value().filter(|(last, _)| **last > under) {
            self.problems.push(format!("at {now} ms: plan {under} after plan {last}"));
        }
        self.plans.entry(under).or_insert(now);
    }
}
