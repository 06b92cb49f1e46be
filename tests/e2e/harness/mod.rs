//! What the tests stand on: processes that die with their test, ports that are free, waits that have a
//! deadline and say what they waited for.

pub(crate) mod certs;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod dns;
pub(crate) mod endpoint;
pub(crate) mod etcd;
pub(crate) mod fleet;
pub(crate) mod h2;
pub(crate) mod h2_endpoint;
pub(crate) mod http;
mod machine;
pub(crate) mod metrics;
pub(crate) mod origin;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod relay;
pub(crate) mod serin;
pub(crate) mod tls;
pub(crate) mod tools;
pub(crate) mod tunnel;
pub(crate) mod wire;

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) use machine::{alone, beside, crowd};

/// Long enough for anything that should happen at once, on a machine that does much else.
pub(crate) const SOON: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// Asks until there is an answer; fails, saying what it waited for, when the time is over.
pub(crate) fn eventually<T>(within: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {within:?} in vain: {what}");
        std::thread::sleep(POLL);
    }
}

/// [`eventually`], for a condition.
pub(crate) fn until(within: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    eventually(within, what, || holds().then_some(()));
}

/// Ports that were free a moment ago, all different.
pub(crate) fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound socket has an address"))
}

/// Does `runs` runs, at most `at_once` of them at a time, and hands back their results in order.
pub(crate) fn in_parallel<T: Send>(runs: usize, at_once: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(runs) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= runs {
                        return;
                    }
                    let result = run(number);
                    results.lock().unwrap().push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The middle value; of an even number, the upper of the two.
pub(crate) fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("comparable values"));
    sorted[sorted.len() / 2]
}
