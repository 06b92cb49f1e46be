//! Many runs on all cores, with results in the order of the runs: what comes out depends on seeds alone.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Calls `run` with each number below `runs`.
pub(crate) fn each<T: Send>(runs: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(runs)));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return;
            }
            let result = run(number);
            results.lock().unwrap().push((number, result));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
