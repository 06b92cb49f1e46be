//! A process that a load starts, so that its start-up can be told: from its start to the first answer of the target.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use serin_loadtest::{Load, Pace, Stop, Target, process::Process};
use tokio::time::sleep;

use super::watched::Named;

/// How often it is asked whether it answers: what start-up is told to.
const ASKED_EVERY: Duration = Duration::from_millis(1);
/// How long one of these answers may take.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How long it may take to end in peace.
const END_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What to start, under which name.
#[derive(Debug, Clone)]
pub(super) struct Start {
    name: String,
    command: String,
}

impl Start {
    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl std::str::FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, command)) if !name.trim().is_empty() && !command.trim().is_empty() => {
                Ok(Self { name: name.trim().into(), command: command.into() })
            }
            _ => Err(format!("\"{text}\" is not NAME=COMMAND, such as \"proxy=serin run -c serin.yaml\"")),
        }
    }
}

/// One that runs, with all that it has started; it ends with this.
#[derive(Debug)]
pub(super) struct Started {
    child: Child,
    name: String,
    /// From its start to the first answer.
    pub(super) took: Duration,
}

impl Start {
    /// Starts it, and waits until the target answers below 500, at most so long.
    ///
    /// # Errors
    /// It can't be started, ends, or does not answer; or somebody else answers there.
    pub(super) async fn start(&self, target: &Target, within: Duration) -> Result<Started, String> {
        if answers(target).await {
            return Err(format!(
                "somebody answers before \"{}\" is started: end that process, or leave --start out",
                self.name
            ));
        }
        let mut shell = Command::new("sh");
        // A group of its own: what the shell starts shall end with it, and a Ctrl-C is for the load.
        shell.arg("-c").arg(&self.command).process_group(0).stdin(Stdio::null());
        // The load's own words are on standard output.
        shell.stdout(Stdio::from(io::stderr()));
        let begun = Instant::now();
        let child = shell.spawn().map_err(|error| format!("sh can't be started: {error}"))?;
        let mut started = Started { child, name: self.name.clone(), took: Duration::ZERO };
        while !answers(target).await {
            if let Some(status) = started.ended()? {
                return Err(format!("\"{}\" has ended ({status}) before it answered", self.name));
            }
            if begun.elapsed() > within {
                let within = serin_config::duration::show(within);
                return Err(format!("\"{}\" does not answer within {within} from its start", self.name));
            }
            sleep(ASKED_EVERY).await;
        }
        started.took = begun.elapsed();
        Ok(started)
    }
}

impl Started {
    /// What is watched of it.
    pub(super) fn named(&self) -> Result<Named, String> {
        let process = Process::of(self.child.id());
        process
            .map(|process| Named::new(&self.name, process))
            .map_err(|error| format!("\"{}\" has ended: {error}", self.name))
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|error| error.to_string())
    }

    /// Ends it in peace, or at once where that takes too long.
    pub(super) async fn end(mut self) {
        self.tell(Signal::TERM);
        let deadline = Instant::now() + END_WAIT;
        while Instant::now() < deadline && matches!(self.ended(), Ok(None)) {
            sleep(LOOK_EVERY).await;
        }
    }

    fn tell(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // One that has ended already is no problem.
        let _ = group.map(|group| kill_process_group(group, signal));
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // After a peaceful end nobody is left in the group but who did not heed it.
        self.tell(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Whether one request is answered below 500.
async fn answers(target: &Target) -> bool {
    let load =
        Load::new(target.clone(), Pace::Closed { connections: 1 }, Stop::Count(1)).timeout(ANSWER_WAIT);
    let Ok(running) = load.start() else { return false };
    running.report().await.is_ok_and(|report| report.tally.total() == 1 && report.tally.failed() == 0)
}
