//! The proxy itself: it serves by the plans that a control plane elsewhere tells, and tells what it counts.

use std::{process::ExitCode, sync::Arc};

use serin_config::{Config, Purpose, ServiceName, telemetry::INSTANCE_DEFAULT};
use serin_proxy::{Ending, Joining, Proxy, Setup, Uplink};

use super::{
    super::{
        can_not,
        config_file::ConfigFile,
        daemon::{self, Begun, Threads},
        reload::{Reloader, Target},
        serving::unix_ms,
        shutdown::{Asked, Signals},
        systemd,
        watch::FileWatch,
    },
    Serving,
};

pub(super) fn run(file: &ConfigFile, options: &Serving) -> ExitCode {
    let instance = options.instance.as_deref();
    daemon::run(file, &options.logging, (Purpose::Proxy, Threads::One), |begun| serve(begun, instance))
}

async fn serve(begun: Begun, given: Option<&str>) -> ExitCode {
    let Begun { mut signals, file, changes, mut config } = begun;
    let as_read = config.clone();
    match instance(given, &config.telemetry.instance) {
        Ok(instance) => config.telemetry.instance = instance,
        Err(error) => return can_not(error),
    }
    let Some(connect) = config.control.connect.clone() else {
        return can_not("the file does not say where the control plane is (control.connect)");
    };
    serin_proxy::install_metrics_recorder();
    let reader = file.clone();
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
        () = signals.stop() => {
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
    let reloader = Reloader::new(file, as_read);
    Life { proxy, uplink, signals, changes, reloader }.live().await
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
    changes: FileWatch,
    reloader: Reloader,
}

impl Life {
    async fn live(mut self) -> ExitCode {
        loop {
            let asked = tokio::select! {
                asked = self.signals.next() => asked,
                () = self.changes.changed() => Asked::Reload,
            };
            match asked {
                Asked::Stop => break,
                Asked::Reload => {
                    self.changes.note();
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
        let Self { proxy, uplink, mut signals, .. } = self;
        signals.drain(proxy.drain(Ending::Stop)).await;
        uplink.leave().await;
        ExitCode::SUCCESS
    }
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
