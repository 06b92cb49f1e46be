//! `serin load compare`: Serin beside other proxies, in interleaved rounds on this machine.

mod measure;
mod running;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serin_loadtest::compare::{Peer, Rows, table};

use self::{
    measure::Bench,
    running::{Cores, Setup},
};
use super::{
    super::{can_not, print_on, raise_descriptor_limit},
    files::write_file,
};

/// What is compared, and for how long.
#[derive(Debug, Args)]
#[command(after_help = "\
Proxies have one worker on one core; the generator and the backends (nginx, and for gRPC
a part of serin) have another. All stay on loopback and end by
themselves. Serin has everything on: a sticky split, metrics, trace context. Who is not installed is left out: HAProxy, nginx
and Envoy come from the PATH.

Exit codes: 0 it was measured; 2 it could not be.")]
pub(super) struct Arguments {
    /// Rounds; of each figure the median counts
    #[arg(long, value_name = "NUMBER", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each measurement
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// The core of the proxies
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    proxy_core: usize,
    /// The core of the generator and the backends
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    load_core: usize,
    /// Only CPU time, throughput, memory and start-up
    #[arg(long)]
    short: bool,
    /// Writes the table (Markdown)
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Writes the table (JSON)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    raise_descriptor_limit();
    match compare(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => can_not(why),
    }
}

fn compare(arguments: &Arguments) -> Result<(), String> {
    let cores = Cores { proxy: arguments.proxy_core, load: arguments.load_core };
    cores.take_load()?;
    let setup = Setup::new(cores)?;
    let present: Vec<(Peer, String)> =
        Peer::ALL.into_iter().filter_map(|peer| Some((peer, setup.version(peer)?))).collect();
    for (peer, version) in &present {
        print_on(&format!("{}: {version}\n", peer.name()));
    }
    for peer in Peer::ALL.into_iter().filter(|peer| !present.iter().any(|(there, _)| there == peer)) {
        print_on(&format!("{}: not installed, left out\n", peer.name()));
    }
    let peers: Vec<Peer> = present.iter().map(|(peer, _)| *peer).collect();
    let mut rows = Rows::default();
    let mut bench = Bench::begin(&setup, peers, arguments.rounds, arguments.seconds)?;
    bench.starts(&mut rows)?;
    bench.requests(&mut rows)?;
    if !arguments.short {
        bench.added(&mut rows)?;
        bench.others(&mut rows)?;
    }
    let lines = rows.lines();
    let text = table::markdown(&lines);
    print_on(&format!("\n{text}"));
    if let Some(path) = &arguments.markdown {
        let versions: Vec<String> =
            present.iter().map(|(peer, version)| format!("- {}: {version}\n", peer.name())).collect();
        write_file(path, &format!("{}\n{text}", versions.concat()))?;
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&lines).map_err(|error| error.to_string())?;
        write_file(path, &(json + "\n"))?;
    }
    Ok(())
}
