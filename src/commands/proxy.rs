//! `serin proxy`: the proxy alone, told by a control plane that runs elsewhere.

use std::{process::ExitCode, sync::Arc};

use clap::Args;
use serin_config::{Config, Purpose, ServiceName, telemetry::INSTANCE_DEFAULT};
use serin_proxy::{Ending, Joining, Proxy, Setup, Uplink};

use super::{
    NO, can_not,
    config_file::{ConfigFile, LoadError},
    logging::Logging,
    raise_descriptor_limit,
    reload::{Reloader, Target},
    serving::unix_ms,
    shutdown::{Asked, Signals},
    systemd,
    watch::FileWatch,
};

/// What to serve, and how to talk about it.
#[derive(Debug, Args)]
#[command(after_help = "\
It serves as soon as it has a plan: the last one that it kept, or the first that the control plane tells. While no
control plane answers it goes on with the plan that it has.

Signals: SIGTERM and SIGINT let requests in flight end, then exit with 0; a second one exits at once.
         SIGUSR1 opens the access log again, after it was renamed.
Exit codes: 0 ended as asked; 1 the file has problems; 2 it could not start.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The name of this proxy, which no other of the fleet has [default: telemetry.instance, else the host's name]
    #[arg(long, value_name = "NAME", env = "SERIN_INSTANCE")]
    instance: Option<String>,
    #[command(flatten)]
    logging: Logging,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = arguments.logging.start() {
        return can_not(error);
    }
    // Workers have threads of their own; this runtime serves housekeeping and the stream to the control plane.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(serve(arguments));
            // Whoever asked twice to stop does not wait for what is still in flight.
            runtime.shutdown_background();
            code
        }
        Err(error) => can_not(format_args!("no runtime can be made: {error}")),
    }
}

async fn serve(arguments: &Arguments) -> ExitCode {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return can_not(format_args!("signals can't be listened to: {error}")),
    };
    let file = FileWatch::new(&arguments.file.path);
    let mut config = match arguments.file.load_for(Purpose::Proxy) {
        Ok(config) => config,
        Err(LoadError::Problems(problems)) => {
            can_not(problems);
            return ExitCode::from(NO);
        }
        Err(unreadable) => return can_not(unreadable),
    };
    let as_read = config.clone();
    match instance(arguments.instance.as_deref(), &config.telemetry.instance) {
        Ok(instance) => config.telemetry.instance = instance,
        Err(error) => return can_not(error),
    }
    let Some(connect) = config.control.connect.clone() else {
        return can_not("the file does not say where the control plane is (control.connect)");
    };
    raise_descriptor_limit();
    serin_proxy::install_metrics_recorder();
    let reader = arguments.file.clone();
    let epoch = unix_ms();
    let uplink = Uplink::start(Joining {
        connect,
        instance: config.telemetry.instance.clone(),
        epoch,
        version: env!("CARGO_PKG_VERSION"),
        read: Arc::new(move |text| reader.read_catalogue(text)),
    });
    let plans = tokio::select! {
        plans = uplink.plans() => plans,
        () = stopped(&mut signals) => {
            uplink.leave().await;
            return ExitCode::SUCCESS;
        }
    };
    let proxy = match start(&config, plans, &uplink, epoch) {
        Ok(proxy) => proxy,
        Err(error) => return can_not(error),
    };
    for (name, address) in proxy.listeners() {
        tracing::info!(listener = %name, %address, "serving");
    }
    tracing::info!(admin = %proxy.admin(), instance = config.telemetry.instance, "ready");
    systemd::ready();
    let reloader = Reloader::new(arguments.file.clone(), as_read);
    Life { proxy, uplink, signals, file, reloader }.live().await
}

fn start(
    config: &Config,
    plans: Arc<serin_proxy::PlanCell>,
    uplink: &Uplink,
    epoch: u64,
) -> Result<Proxy, Box<dyn std::error::Error>> {
    let inherited = systemd::sockets()?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(Proxy::start(Setup { config, plans, reports: uplink.reports(), epoch, version, inherited })?)
}

/// The name of this proxy: as it is given, else as the file has it, else the host's.
fn instance(given: Option<&str>, of_file: &str) -> Result<String, String> {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
    let (name, whence) = match given {
        Some(given) => (given.to_owned(), "--instance"),
        None if of_file != INSTANCE_DEFAULT => (of_file.to_owned(), "telemetry.instance"),
        None => (host().unwrap_or_default(), "the host's name"),
    };
    match ServiceName::try_new(&name) {
        Ok(_) => Ok(name),
        Err(error) => Err(format!("{whence} can't name this proxy: {error}; give it one with --instance")),
    }
}

/// A proxy that serves, and whatever may happen to it.
struct Life {
    proxy: Proxy,
    uplink: Uplink,
    signals: Signals,
    file: FileWatch,
    reloader: Reloader,
}

impl Life {
    async fn live(mut self) -> ExitCode {
        loop {
            let asked = tokio::select! {
                asked = self.signals.next() => asked,
                () = self.file.changed() => Asked::Reload,
            };
            match asked {
                Asked::Stop => break,
                Asked::Reload => {
                    self.file.note();
                    let status = self.reloader.reload(Target::Elsewhere).await;
                    self.proxy.note_reload(status);
                }
                Asked::ReopenLog => self.proxy.reopen_access_log(),
                Asked::Upgrade => tracing::warn!(
                    "serin proxy can't hand its sockets to a new process: start the new one with other sockets, or of a \
                     service manager, then stop this one"
                ),
            }
        }
        systemd::stopping();
        tracing::info!("draining: requests in flight may end");
        let Self { proxy, uplink, mut signals, .. } = self;
        tokio::select! {
            cut = proxy.drain(Ending::Stop) => match cut {
                0 => tracing::info!("drained, bye"),
                cut => tracing::warn!(connections = cut, "the drain deadline passed, connections were cut"),
            },
            () = stopped(&mut signals) => tracing::warn!("asked to stop again, not waiting any longer"),
        }
        uplink.leave().await;
        ExitCode::SUCCESS
    }
}

async fn stopped(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_named_by_its_command_line_else_its_file_else_its_host() {
        assert_eq!(instance(Some("edge-1"), "edge-2"), Ok("edge-1".into()));
        assert_eq!(instance(None, "edge-2"), Ok("edge-2".into()));
        assert_ne!(instance(None, INSTANCE_DEFAULT), Ok(INSTANCE_DEFAULT.into()));
        let refused = instance(Some("no name"), "edge-2").unwrap_err();
        assert!(refused.contains("--instance can't name this proxy"), "{refused}");
    }
}
