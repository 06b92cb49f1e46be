//! A server whose latency is lognormal, as services have it; `loadtest/compare/gate-power` measures the gate against two.
//!
//!     lognormal MEDIAN_MS SIGMA SEED
//!
//! It prints its address and runs until its input ends.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for measurements, which may end with a panic"
)]

use std::{io::Read, time::Duration};

use clap::Parser;
use serin_loadtest::stub::{Latency, Stub, StubOptions};

#[derive(Debug, Parser)]
struct Options {
    /// Half of the answers take less, in milliseconds.
    median_ms: f64,
    /// The standard deviation of the latency's logarithm.
    sigma: f64,
    /// Where random numbers begin.
    seed: u64,
}

fn main() {
    let options = Options::parse();
    let stub = Stub::start(StubOptions { seed: options.seed, ..StubOptions::default() }).unwrap();
    let median = Duration::from_secs_f64(options.median_ms / 1e3);
    stub.set_latency(Some(Latency { median, sigma: options.sigma }));
    println!("{}", stub.address());
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
