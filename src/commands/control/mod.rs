//! `serin control`: the control plane alone, for proxies that run elsewhere.

mod admin;

use std::process::ExitCode;

use clap::Args;
use serin_config::{Config, Purpose};
use serin_control::{ControlPlane, Handle};

use super::{
    can_not,
    config_file::ConfigFile,
    daemon::{self, Begun, Threads},
    instance::instance,
    logging::Logging,
    reload::{Reloader, Target},
    serving::unix_ms,
    shutdown::{Asked, Signals},
    systemd,
    watch::FileWatch,
};

/// What to decide about, and how to talk about it.
#[derive(Debug, Args)]
#[command(after_help = "\
Signals: SIGTERM and SIGINT end it; its proxies serve on with the last plan.
         SIGHUP reads the file again, as does any change of it. A bad file changes nothing.
Exit codes: 0 ended as asked; 1 the file has problems; 2 it could not start.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    logging: Logging,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { file, logging } = arguments;
    daemon::run(file, logging, (Purpose::Control, Threads::Cores), serve)
}

async fn serve(begun: Begun) -> ExitCode {
    let Begun { signals, file, changes, mut config } = begun;
    let as_read = config.clone();
    match instance(None, &config.telemetry.instance) {
        Ok(name) => config.telemetry.instance = name,
        // It leads and follows under any name; it is only told apart by it.
        Err(error) => tracing::warn!("{error}"),
    }
    serin_proxy::install_metrics_recorder();
    let started = start(&config).await;
    let (control, admin) = match started {
        Ok(started) => started,
        Err(error) => return can_not(error),
    };
    let fleet = control.fleet_address().map(|address| address.to_string());
    if fleet.is_none() {
        tracing::warn!("no proxy can connect: the file has no control.fleet");
    }
    tracing::info!(api = %control.address(), fleet, admin = %admin.address(), "ready");
    systemd::ready();
    let reloader = Reloader::new(file, as_read);
    Life { control, admin, signals, changes, reloader }.live().await
}

async fn start(config: &Config) -> Result<(Handle, admin::Admin), Box<dyn std::error::Error>> {
    let cannot = |error: &dyn std::error::Error| format!("the control plane can't start: {error}");
    let plane = ControlPlane::open(config, unix_ms()).map_err(|error| cannot(&error))?;
    let admin = admin::Admin::bind(&config.admin.address).await?;
    // Every proxy is elsewhere: nobody is told in this process.
    let control = plane.serve(Box::new(|_| {})).await.map_err(|error| cannot(&error))?;
    Ok((control, admin))
}

/// A control plane that decides, and whatever may happen to it.
struct Life {
    control: Handle,
    admin: admin::Admin,
    signals: Signals,
    changes: FileWatch,
    reloader: Reloader,
}

enum Event {
    Asked(Asked),
    FileChanged,
    Broke,
}

impl Life {
    async fn live(mut self) -> ExitCode {
        loop {
            let event = tokio::select! {
                asked = self.signals.next() => Event::Asked(asked),
                () = self.changes.changed() => Event::FileChanged,
                () = self.control.broke() => Event::Broke,
            };
            match event {
                Event::Asked(Asked::Stop) => break,
                Event::Asked(Asked::Reload) => {
                    self.changes.note();
                    self.reload().await;
                }
                Event::FileChanged => self.reload().await,
                // There is no access log here, and no connection of a user that would have to be handed over.
                Event::Asked(Asked::ReopenLog | Asked::Upgrade) => {
                    tracing::info!("serin control has no access log, and is upgraded by a restart");
                }
                Event::Broke => {
                    tracing::error!(
                        "a fault has ended the control plane: it has to be started again; proxies serve on with the last plan"
                    );
                    // Whoever supervises it starts it again; others may lead meanwhile.
                    return ExitCode::from(super::CAN_NOT);
                }
            }
        }
        systemd::stopping();
        self.admin.unready();
        self.control.shutdown().await;
        tracing::info!("stopped, bye");
        ExitCode::SUCCESS
    }

    async fn reload(&mut self) {
        self.reloader.reload(Target::Control(&self.control)).await;
    }
}
