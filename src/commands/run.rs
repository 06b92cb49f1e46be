//! `serin run`: proxy and control plane in one process, as a file says.

use std::process::ExitCode;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    NO, can_not,
    config_file::{ConfigFile, LoadError},
    logging::{self, LogFormat},
    reload::Reloader,
    serving::Serving,
    shutdown::{Asked, Signals},
    watch::FileWatch,
};

/// What to run, and how to talk about it.
#[derive(Debug, Args)]
#[command(after_help = "\
Signals: SIGTERM and SIGINT let requests in flight end, then exit with 0; a second one exits at once.
         SIGHUP reads the file again, as does any change of it. A bad file changes nothing.
Exit codes: 0 ended as asked; 1 the file has problems; 2 it could not start.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// What to log: error, warn, info, debug, trace, or target=level
    #[arg(long, value_name = "FILTER", default_value = "info", env = "SERIN_LOG")]
    log: String,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Err(error) = logging::start(arguments.log_format, &arguments.log) {
        return can_not(error);
    }
    // Workers have threads of their own; this runtime serves housekeeping and the control plane's API.
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
    // Both before the file is read: a SIGHUP, or a change of the file, is not lost from here on.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return can_not(format_args!("signals can't be listened to: {error}")),
    };
    let mut file = FileWatch::new(&arguments.file.path);
    let config = match arguments.file.load() {
        Ok(config) => config,
        Err(LoadError::Problems(problems)) => {
            can_not(problems);
            return ExitCode::from(NO);
        }
        Err(unreadable) => return can_not(unreadable),
    };
    raise_descriptor_limit();
    let serving = match Serving::start(&config).await {
        Ok(serving) => serving,
        Err(error) => return can_not(error),
    };
    for (name, address) in serving.proxy.listeners() {
        tracing::info!(listener = %name, %address, "serving");
    }
    tracing::info!(admin = %serving.proxy.admin(), control = %serving.control.address(), "ready");
    let mut broke = false;
    let mut reloader = Reloader::new(arguments.file.clone(), config);
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            () = file.changed() => Asked::Reload,
            () = serving.control.broke(), if !broke => {
                broke = true;
                tracing::error!(
                    "a fault has ended the control plane: no rollout is watched and no weight can be changed until \
                     serin is restarted; traffic goes on with the last plan"
                );
                continue;
            }
        };
        match asked {
            Asked::Reload => reloader.reload(&serving).await,
            Asked::Stop => break,
        }
    }
    tracing::info!("draining: requests in flight may end");
    tokio::select! {
        cut = serving.stop() => match cut {
            0 => tracing::info!("drained, bye"),
            cut => tracing::warn!(connections = cut, "the drain deadline passed, connections were cut"),
        },
        () = stopped_again(&mut signals) => tracing::warn!("asked to stop again, not waiting any longer"),
    }
    ExitCode::SUCCESS
}

async fn stopped_again(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

/// Each connection needs two file descriptors; the soft limit of most systems is 1024.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of file descriptors could not be raised");
    }
}
