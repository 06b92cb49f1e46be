//! Taking a changed file: all of it, or nothing.

use serin_config::{Config, wire::ReloadStatus};
use serin_control::Handle;

use super::{
    config_file::{ConfigFile, LoadError},
    serving::unix_ms,
    systemd,
};

/// Who takes routes and services.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    /// The control plane of this process.
    Control(&'a Handle),
    /// It has stopped.
    Stopped,
    /// A control plane elsewhere: the file has neither routes nor services.
    Elsewhere,
}

/// Reads the file again when asked, and remembers how that went.
#[derive(Debug)]
pub(super) struct Reloader {
    file: ConfigFile,
    running: Config,
    status: ReloadStatus,
}

impl Reloader {
    pub(super) fn new(file: ConfigFile, running: Config) -> Self {
        Self { file, running, status: ReloadStatus::default() }
    }

    /// The configuration that runs.
    pub(super) fn running(&self) -> &Config {
        &self.running
    }

    /// Reads the file and puts its routes and services in force. A file that can't be taken whole changes
    /// nothing; why stands in the log, in a metric and on the admin listener. The service manager is told that it begins
    /// and that it is over: whoever asked it for a reload waits for that.
    pub(super) async fn reload(&mut self, target: Target<'_>) -> ReloadStatus {
        systemd::reloading();
        let taken = self.take(target).await;
        systemd::ready();
        match taken {
            Ok(generation) => {
                self.status.succeeded += 1;
                self.status.last_success_ms = unix_ms();
                self.status.problems.clear();
                tracing::info!(
                    generation = generation.map(tracing::field::display),
                    "configuration reloaded"
                );
            }
            Err(problems) => {
                self.status.failed += 1;
                for problem in &problems {
                    tracing::error!(%problem, "configuration not reloaded, the last good one stays");
                }
                self.status.problems = problems;
            }
        }
        self.status.clone()
    }

    /// The plan that is in force by it, where that is decided here.
    async fn take(&mut self, target: Target<'_>) -> Result<Option<serin_config::Generation>, Vec<String>> {
        let config = self.file.load_for(self.running.purpose).map_err(|error| match error {
            LoadError::Problems(problems) => problems.to_string().lines().map(Into::into).collect(),
            unreadable => vec![unreadable.to_string()],
        })?;
        let fixed = fixed_differences(&self.running, &config);
        if !fixed.is_empty() {
            return Err(fixed);
        }
        let control = match target {
            Target::Control(control) => control,
            Target::Stopped => return Err(vec!["the control plane has stopped: restart serin".into()]),
            Target::Elsewhere => {
                self.running = config;
                return Ok(None);
            }
        };
        let refused = |refused: serin_control::ReloadRefused| vec![refused.to_string()];
        let plan = control.reload(config.catalogue.clone()).await.map_err(refused)?;
        // Routes and services may have been refused, terms can't be.
        control.take_terms(config.terms.clone()).await.map_err(refused)?;
        control.take_recipients(config.notifications.clone());
        self.running = config;
        Ok(Some(plan.generation()))
    }
}

/// What only a restart can change.
fn fixed_differences(running: &Config, wanted: &Config) -> Vec<String> {
    let sections = [
        ("listeners", running.listeners == wanted.listeners),
        ("admin", running.admin == wanted.admin),
        ("control", running.control == wanted.control),
        ("telemetry", running.telemetry == wanted.telemetry),
        ("limits", running.limits == wanted.limits),
    ];
    let changed = sections.into_iter().filter(|(_, same)| !same);
    changed
        .map(|(section, _)| {
            format!(
                "{section}: a change of this section needs a restart; routes and services can be reloaded"
            )
        })
        .collect()
}
