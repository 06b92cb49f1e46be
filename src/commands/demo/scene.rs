//! The scene: two versions of a service, and the configuration of the Serin in front of them.

use std::time::Duration;

use serin_config::{Address, Config, file};
use serin_loadtest::stub::{Latency, Stub, StubOptions};
use tempfile::TempDir;

use super::CanNot;

/// The service's name.
pub(super) const SERVICE: &str = "shop";

/// Errors of both versions from the start: no real service has none.
const USUAL_ERRORS_PPM: u32 = 500;
/// Errors of the failing canary: 3 %.
const BAD_ERRORS_PPM: u32 = 30_000;
const USUAL_LATENCY: Latency = Latency { median: Duration::from_millis(4), sigma: 0.4 };
const BAD_LATENCY: Latency = Latency { median: Duration::from_millis(60), sigma: 0.4 };

/// What becomes of the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    Failing,
    Slow,
    Good,
}

impl Story {
    /// What happens when the canary turns.
    pub(super) fn turn_sentence(self) -> &'static str {
        match self {
            Self::Failing => "the canary begins to fail 3 % of its requests",
            Self::Slow => "the canary becomes slow: its median rises to 60 ms",
            Self::Good => "the canary stays good",
        }
    }
}

/// Everything that runs besides Serin and the load.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) story: Story,
    pub(super) config: Config,
    stable: Stub,
    canary: Stub,
    _state: TempDir,
}

/// A path of the API below the demo's service.
pub(super) fn path(below: &str) -> String {
    format!("/v1/services/{SERVICE}/rollout{below}")
}

impl Scene {
    /// Starts both versions and writes the configuration.
    pub(super) fn build(story: Story) -> Result<Self, CanNot> {
        let version = |name: &str, seed| {
            let stub = Stub::start(StubOptions { version: name.into(), seed, ..StubOptions::default() })?;
            stub.set_error_ppm(USUAL_ERRORS_PPM);
            stub.set_latency(Some(USUAL_LATENCY));
            Ok::<_, std::io::Error>(stub)
        };
        let (stable, canary) = (version("v1", 1)?, version("v2", 2)?);
        let state = tempfile::tempdir()?;
        let text = text(stable.address(), canary.address());
        let config = file::load(&text, "the demo's file", state.path(), &NoSecrets)
            .map_err(|problems| problems.to_string())?;
        Ok(Self { story, config, stable, canary, _state: state })
    }

    /// Lets the canary become what the story says; false if it stays good.
    pub(super) fn turn(&self) -> bool {
        match self.story {
            Story::Failing => self.canary.set_error_ppm(BAD_ERRORS_PPM),
            Story::Slow => self.canary.set_latency(Some(BAD_LATENCY)),
            Story::Good => return false,
        }
        true
    }

    /// What is about to be seen.
    pub(super) fn introduction(&self, front: &Address, admin: &Address, api: &Address) -> String {
        format!(
            "\
Serin at {front} splits the service \"{SERVICE}\" between v1 (stable, {}) and v2 (canary, {}).
{} requests a second come in, whatever becomes of them. Metrics: http://{admin}/metrics, API: http://{api}/v1/services

",
            self.stable.address(),
            self.canary.address(),
            super::RATE,
        )
    }
}

fn text(stable: &Address, canary: &Address) -> String {
    format!(
        "\
listeners: [{{name: demo, address: '127.0.0.1:0'}}]
routes: [{{name: {SERVICE}, service: {SERVICE}}}]
services:
  {SERVICE}:
    versions:
      v1: {{endpoints: ['{stable}']}}
      v2: {{endpoints: ['{canary}']}}
    stable: v1
    canary: v2
    rollout:
      steps:
        - {{weight: 5%, min_requests: 200, min_duration: 4s}}
        - {{weight: 10%, min_requests: 200, min_duration: 4s}}
        - {{weight: 25%, min_requests: 200, min_duration: 4s}}
        - {{weight: 50%, min_requests: 200, min_duration: 4s}}
        - {{weight: 100%}}
      # A story has half a minute: there is no time for a soak, nor for the proof that v2 is no slower.
      soak: 15s
      guards:
        errors: {{pass_ratio: 2, pass_margin: 1%}}
        latency: {{proof: false}}
admin: {{address: '127.0.0.1:0'}}
control: {{address: '127.0.0.1:0', state: demo.redb}}
telemetry: {{debug_headers: true}}
limits: {{workers: 1, drain_deadline: 2s}}
"
    )
}

struct NoSecrets;

impl file::Secrets for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &std::path::Path) -> Result<String, String> {
        Err("the demo has no secrets".into())
    }
}
