//! A fleet of simulated proxies in one process, each with a connection and a stream of its own, for the question of
//! how many proxies one control plane can have. `loadtest/compare/fleet-scale` runs it and measures the control
//! plane; the messages are those of `config/proto/serin/v1/fleet.proto`.
//!
//! It runs until its input ends. Then each proxy waits until its windows are kept, leaves, and what was told is
//! printed as JSON: how often, and how many requests of each version, to be compared with what the control plane has
//! counted.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for measurements, which may end with a panic"
)]

mod proxy;
mod traffic;
mod wire;

use std::{collections::BTreeMap, io::Read, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, ValueEnum};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use proxy::{Fleet, live};
use traffic::Traffic;

/// Where in a second the windows of proxies end.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Phases {
    /// At half past each second of the wall clock, as `serin proxy` has it.
    Together,
    /// Each at a random time of its own.
    Apart,
}

/// A fleet of simulated proxies.
#[derive(Debug, Parser)]
struct Arguments {
    /// The control plane's listener for proxies, in clear
    #[arg(long)]
    address: SocketAddr,
    /// How many proxies there are
    #[arg(long)]
    proxies: usize,
    /// How many services each reports
    #[arg(long, default_value_t = 50)]
    services: usize,
    /// Requests a second to each service, at each proxy
    #[arg(long, default_value_t = 50)]
    rate: usize,
    /// Where in a second windows end
    #[arg(long, value_enum, default_value = "together")]
    phases: Phases,
    /// Leaves out the beats between windows
    #[arg(long)]
    no_beats: bool,
    /// Sends all beats, whether or not the control plane wants them, as proxies of older releases do
    #[arg(long)]
    all_beats: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (tell, stop) = watch::channel(false);
    let fleet = Arc::new(Fleet {
        address: arguments.address,
        traffic: Traffic::new(arguments.services, arguments.rate),
        beats: !arguments.no_beats,
        older: arguments.all_beats,
        stop,
    });
    let mut random = SmallRng::seed_from_u64(7);
    let mut proxies = JoinSet::new();
    for number in 0..arguments.proxies {
        let phase = match arguments.phases {
            Phases::Together => Duration::from_millis(500),
            Phases::Apart => Duration::from_millis(random.random_range(0..1_000)),
        };
        proxies.spawn(live(fleet.clone(), number, phase));
        // They come over two seconds, not all in one instant.
        tokio::time::sleep(Duration::from_secs(2) / u32::try_from(arguments.proxies).unwrap()).await;
    }
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        tell.send_replace(true);
    });
    let (mut windows, mut beats, mut plans, mut lag) = (0, 0, 0, Duration::ZERO);
    let (mut requests, mut broke) = (vec![0_u64; 2 * arguments.services], BTreeMap::<String, u64>::new());
    while let Some(told) = proxies.join_next().await {
        let told = told.unwrap();
        (windows, beats, plans) = (windows + told.windows, beats + told.beats, plans + told.plans);
        lag = lag.max(told.lag);
        requests.iter_mut().zip(told.requests).for_each(|(sum, n)| *sum += n);
        if let Some(why) = told.broke {
            *broke.entry(why).or_default() += 1;
        }
    }
    let mut by_service = BTreeMap::<String, BTreeMap<&str, u64>>::new();
    for ((service, version), n) in fleet.traffic.keys().zip(requests) {
        by_service.entry(service.to_string()).or_default().insert(version, n);
    }
    println!(
        "{}",
        json!({ "windows": windows, "beats": beats, "plans": plans, "lag_ms": u64::try_from(lag.as_millis()).unwrap(),
            "broke": broke, "requests": by_service })
    );
    ExitCode::from(u8::from(!broke.is_empty()))
}
