//! `serin run`: proxy and control plane in one process, as a file says.

use std::{process::ExitCode, time::Duration};

use clap::Args;
use serin_config::{Config, Purpose, limits::TAKEOVER_STORE_WAIT};
use serin_proxy::{Ending, Legacy};

use super::{
    can_not,
    config_file::ConfigFile,
    daemon::{self, Begun, Threads},
    logging::Logging,
    reload::{Reloader, Target},
    serving::Serving,
    shutdown::{Asked, Signals},
    systemd,
    takeover::{self, Door, Heir, Successor},
    upgrade::Upgrade,
    watch::FileWatch,
};

/// What to run, and how to talk about it.
#[derive(Debug, Args)]
#[command(after_help = "\
Signals: SIGTERM and SIGINT let requests in flight end, then exit with 0; a second one exits at once.
         SIGHUP reads the file again, as does any change of it. A bad file changes nothing.
         SIGUSR1 opens the access log again, after it was renamed.
         SIGUSR2 starts the program anew, to take over from this process without losing a connection.
Exit codes: 0 ended as asked; 1 the file has problems; 2 it could not start.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    logging: Logging,
    /// Take over from the running serin with the same control.state, if there is one: its listening sockets are
    /// handed to this process, then it drains and ends
    #[arg(long)]
    takeover: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { file, logging, takeover } = arguments;
    daemon::run(file, logging, (Purpose::Run, Threads::One), |begun| serve(begun, *takeover))
}

async fn serve(begun: Begun, takeover: bool) -> ExitCode {
    let upgrade = Upgrade::new();
    let Begun { signals, file, changes, config } = begun;
    if config.control.etcd.is_some() {
        return can_not(
            "control.etcd is for control planes that share what they decide; serin run is one by itself and keeps its \
             state in control.state",
        );
    }
    let serving = match start(takeover, &config).await {
        Ok(serving) => serving,
        Err(error) => return can_not(error),
    };
    for (name, address) in serving.proxy.listeners() {
        tracing::info!(listener = %name, %address, "serving");
    }
    let control = serving.control().map(|control| control.address().to_string());
    tracing::info!(admin = %serving.proxy.admin(), control, "ready");
    systemd::ready();
    let door = Door::open(&config.control.state).inspect_err(|error| {
        tracing::warn!(%error, "no other process will be able to take over from this one");
    });
    let reloader = Reloader::new(file, config);
    Life { serving, signals, changes, reloader, upgrade, door: door.ok() }.live().await
}

/// Starts to serve, with sockets of another process where there are any.
async fn start(takeover: bool, config: &Config) -> Result<Serving, Box<dyn std::error::Error>> {
    let Some((predecessor, inherited)) = takeover::begin(takeover, &config.control.state).await? else {
        return Ok(Serving::start(config, systemd::sockets()?, Duration::ZERO).await?);
    };
    let serving = Serving::start(config, inherited, TAKEOVER_STORE_WAIT).await?;
    match predecessor.relieve().await {
        Ok(legacy) => {
            serving.proxy.take_up(&legacy.wires);
            Ok(serving)
        }
        Err(error) => {
            // It goes on, so this process must not.
            serving.stop(Ending::HandedOver).await;
            Err(error.into())
        }
    }
}

/// A process that serves, and whatever may happen to it.
struct Life {
    serving: Serving,
    signals: Signals,
    changes: FileWatch,
    reloader: Reloader,
    upgrade: Upgrade,
    door: Option<Door>,
}

enum Event {
    Asked(Asked),
    FileChanged,
    ControlBroke,
    Successor(Successor),
}

impl Life {
    async fn live(mut self) -> ExitCode {
        let mut broke = false;
        let ending = loop {
            let event = tokio::select! {
                asked = self.signals.next() => Event::Asked(asked),
                () = self.changes.changed() => Event::FileChanged,
                () = self.serving.broke(), if !broke => Event::ControlBroke,
                successor = takeover::next(self.door.as_ref()) => Event::Successor(successor),
            };
            match event {
                Event::Asked(Asked::Stop) => break Ending::Stop,
                Event::Asked(Asked::Reload) => {
                    self.changes.note();
                    self.reload().await;
                }
                Event::FileChanged => self.reload().await,
                Event::Asked(Asked::ReopenLog) => self.serving.proxy.reopen_access_log(),
                Event::Asked(Asked::Upgrade) => self.upgrade.start(),
                Event::ControlBroke => {
                    broke = true;
                    tracing::error!(
                        "a fault has ended the control plane: no rollout is watched and no weight can be changed \
                         until serin is restarted; traffic goes on with the last plan"
                    );
                }
                Event::Successor(successor) => {
                    if let Some(ending) = self.hand_over(successor).await {
                        break ending;
                    }
                }
            }
        };
        self.end(ending).await
    }

    async fn reload(&mut self) {
        let target = self.serving.control().map_or(Target::Stopped, Target::Control);
        let status = self.reloader.reload(target).await;
        self.serving.proxy.note_reload(status);
    }

    /// Hands over to a new process, or goes on: then there is no ending.
    async fn hand_over(&mut self, mut successor: Successor) -> Option<Ending> {
        let pid = successor.pid();
        tracing::info!(pid, "a new process takes over");
        let given = async {
            let proxy = &self.serving.proxy;
            successor.offer(proxy.sockets(), || proxy.wires()).await?;
            proxy.settle().await;
            self.serving.stop_deciding().await;
            let heir = successor.give().await? == Heir::Yes;
            let wires = self.serving.proxy.wires();
            successor.bye(heir.then_some(Legacy { wires, life: None })).await
        };
        let handed = tokio::select! {
            handed = given => handed,
            () = self.signals.stop() => return Some(Ending::Stop),
        };
        match handed {
            Ok(()) => {
                if let Some(pid) = pid {
                    systemd::main_process(pid);
                }
                return Some(Ending::HandedOver);
            }
            Err(error) => tracing::error!(%error, "not handed over, this process goes on"),
        }
        // The other one must be seen to be gone before its store is wanted.
        drop(successor);
        if let Err(error) = self.serving.decide_again(self.reloader.running()).await {
            tracing::error!(
                %error,
                "no rollout is watched and no weight can be changed until serin is restarted; traffic goes on with the \
                 last plan"
            );
        }
        None
    }

    async fn end(self, ending: Ending) -> ExitCode {
        let Self { serving, mut signals, door, .. } = self;
        match (ending, door) {
            (Ending::Stop, Some(door)) => door.remove(),
            (_, door) => drop(door),
        }
        if ending == Ending::Stop {
            systemd::stopping();
        }
        signals.drain(serving.stop(ending)).await;
        ExitCode::SUCCESS
    }
}
