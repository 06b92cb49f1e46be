//! The proxy itself: it serves by the plans that a control plane elsewhere tells, and tells what it counts.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use serin_config::Purpose;
use serin_proxy::{Ending, Inherited, Joining, Legacy, Proxy, Setup, Uplink};

use super::{
    super::{
        can_not,
        config_file::ConfigFile,
        daemon::{self, Begun, Threads},
        instance::instance,
        reload::{Reloader, Target},
        serving::unix_ms,
        shutdown::{Asked, Signals},
        systemd,
        takeover::{self, Door, Heir, Predecessor, Successor, TakeoverError},
        upgrade::Upgrade,
        watch::FileWatch,
    },
    Serving,
};

pub(super) fn run(file: &ConfigFile, options: &Serving) -> ExitCode {
    daemon::run(file, &options.logging, (Purpose::Proxy, Threads::One), |begun| serve(begun, options))
}

async fn serve(begun: Begun, options: &Serving) -> ExitCode {
    let upgrade = Upgrade::new();
    let Begun { mut signals, file, changes, mut config } = begun;
    let as_read = config.clone();
    match instance(options.instance.as_deref(), &config.telemetry.instance) {
        Ok(instance) => config.telemetry.instance = instance,
        Err(error) => return can_not(error),
    }
    let Some(connect) = config.control.connect.clone() else {
        return can_not("the file does not say where the control plane is (control.connect)");
    };
    serin_proxy::install_metrics_recorder();
    let state = state(&connect.cache, &config.telemetry.instance);
    // Its stream would end that of the other one, before it is known whether this process can even listen.
    if !options.takeover
        && let Some(owner) = takeover::owner(&state).await
    {
        return can_not(format_args!(
            "a proxy called \"{}\" runs already ({owner}): take over from it with --takeover, or give this one another name \
             with --instance",
            config.telemetry.instance
        ));
    }
    let (predecessor, inherited) = match inherited(options.takeover, &state).await {
        Ok(inherited) => inherited,
        Err(error) => return can_not(error),
    };
    let reader = file.clone();
    let epoch = unix_ms();
    let uplink = Uplink::start(Joining {
        connect,
        instance: config.telemetry.instance.clone(),
        epoch,
        version: VERSION,
        read: Arc::new(move |text| reader.read_catalogue(text)),
        heir: predecessor.is_some(),
    });
    let plans = tokio::select! {
        plans = uplink.plans() => plans,
        () = signals.stop() => {
            uplink.leave().await;
            return ExitCode::SUCCESS;
        }
    };
    let setup =
        Setup { config: &config, plans, reports: uplink.reports(), epoch, version: VERSION, inherited };
    let proxy = match Proxy::start(setup) {
        Ok(proxy) => proxy,
        Err(error) => return can_not(error),
    };
    if let Some(predecessor) = predecessor {
        match predecessor.relieve().await {
            Ok(Legacy { wires, life }) => {
                proxy.take_up(&wires);
                uplink.take_up(life).await;
            }
            Err(error) => {
                // It goes on, so this process must not.
                proxy.drain(Ending::HandedOver).await;
                uplink.leave().await;
                return can_not(error);
            }
        }
    }
    for (name, address) in proxy.listeners() {
        tracing::info!(listener = %name, %address, "serving");
    }
    tracing::info!(admin = %proxy.admin(), instance = config.telemetry.instance, "ready");
    systemd::ready();
    let door = Door::open(&state).inspect_err(|error| {
        tracing::warn!(%error, "no other process will be able to take over from this one");
    });
    let reloader = Reloader::new(file, as_read);
    Life { proxy, uplink, signals, changes, reloader, upgrade, door: door.ok() }.live().await
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The sockets of the process before, if there is one, or of the service manager.
async fn inherited(
    takeover: bool,
    state: &Path,
) -> Result<(Option<Predecessor>, Inherited), Box<dyn std::error::Error>> {
    Ok(match takeover::begin(takeover, state).await? {
        Some((predecessor, inherited)) => (Some(predecessor), inherited),
        None => (None, systemd::sockets()?),
    })
}

/// What a proxy of this name goes on from: several may keep their plan in one file.
fn state(cache: &Path, instance: &str) -> PathBuf {
    let mut path = cache.as_os_str().to_owned();
    path.push(".");
    path.push(instance);
    path.into()
}

/// A proxy that serves, and whatever may happen to it.
struct Life {
    proxy: Proxy,
    uplink: Uplink,
    signals: Signals,
    changes: FileWatch,
    reloader: Reloader,
    upgrade: Upgrade,
    door: Option<Door>,
}

enum Event {
    Asked(Asked),
    Successor(Successor),
}

impl Life {
    async fn live(mut self) -> ExitCode {
        let ending = loop {
            let event = tokio::select! {
                asked = self.signals.next() => Event::Asked(asked),
                () = self.changes.changed() => Event::Asked(Asked::Reload),
                successor = takeover::next(self.door.as_ref()) => Event::Successor(successor),
            };
            match event {
                Event::Asked(Asked::Stop) => break Ending::Stop,
                Event::Asked(Asked::Reload) => {
                    self.changes.note();
                    let status = self.reloader.reload(Target::Elsewhere).await;
                    self.proxy.note_reload(status);
                }
                Event::Asked(Asked::ReopenLog) => self.proxy.reopen_access_log(),
                Event::Asked(Asked::Upgrade) => self.upgrade.start(),
                Event::Successor(successor) => {
                    if let Some(ending) = self.hand_over(successor).await {
                        break ending;
                    }
                }
            }
        };
        self.end(ending).await
    }

    /// Hands over to a new process, or goes on as before: then there is no ending.
    async fn hand_over(&mut self, mut successor: Successor) -> Option<Ending> {
        let pid = successor.pid();
        tracing::info!(pid, "a new process takes over");
        let given = give(&self.proxy, &self.uplink, &mut successor);
        let handed = tokio::select! {
            handed = given => handed,
            () = self.signals.stop() => return Some(Ending::Stop),
        };
        match handed {
            Ok(()) => {
                if let Some(pid) = pid {
                    systemd::main_process(pid);
                }
                Some(Ending::HandedOver)
            }
            Err(error) => {
                tracing::error!(%error, "not handed over, this process goes on");
                self.uplink.speak_again();
                None
            }
        }
    }

    async fn end(self, ending: Ending) -> ExitCode {
        let Self { proxy, uplink, mut signals, door, .. } = self;
        match (ending, door) {
            (Ending::Stop, Some(door)) => door.remove(),
            (_, door) => drop(door),
        }
        if ending == Ending::Stop {
            systemd::stopping();
        }
        signals.drain(proxy.drain(ending)).await;
        uplink.leave().await;
        ExitCode::SUCCESS
    }
}

/// Gives a new process everything, the word last. After an error this one goes on.
async fn give(proxy: &Proxy, uplink: &Uplink, successor: &mut Successor) -> Result<(), TakeoverError> {
    successor.offer(proxy.sockets(), || proxy.wires()).await?;
    // It begins with the plan that is in force here, and never with an older one.
    uplink.save().await?;
    let heir = successor.give().await?;
    // The name is the successor's from now on: nothing is told under it here.
    proxy.settle().await;
    let life = uplink.leave_to_another().await;
    if heir == Heir::Yes {
        return successor.bye(Some(Legacy { wires: proxy.wires(), life })).await;
    }
    let windows = life.map_or(0, |life| life.untold());
    tracing::warn!(
        windows,
        "the new process is of a release that takes no windows and trips: so many windows are lost, and canaries that are out \
         here have to trip anew there"
    );
    successor.bye(None).await
}
