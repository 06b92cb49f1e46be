//! The policy of `serin judge`: that of a rollout, as far as windows alone can be judged by it.

use std::{str::FromStr, time::Duration};

use clap::Args;
use serin_config::{
    Weight,
    policy::{Preset, RolloutPolicy},
};
use serin_judge::lines::Run;

/// By which policy to judge. What is not given is as in a rollout that says nothing of it.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where the other values come from: cautious, balanced or fast
    #[arg(long, value_name = "PRESET", default_value = "balanced", value_parser = preset)]
    preset: Preset,
    /// The promised bound on the chance that a healthy canary is ever rolled back
    #[arg(long, value_name = "CHANCE", value_parser = chance)]
    alpha: Option<f64>,
    /// The accepted chance that a canary outside the promotion margin is promoted
    #[arg(long, value_name = "CHANCE", value_parser = chance)]
    beta: Option<f64>,
    /// No promotion sooner, such as 300s
    #[arg(long, value_name = "TIME", value_parser = time)]
    soak: Option<Duration>,
    /// For so long the tolerance in latency is wider, such as 120s
    #[arg(long, value_name = "TIME", value_parser = time)]
    warm_up: Option<Duration>,
    /// Harmless: an error rate up to this many times the baseline's (and --margin)
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    ratio: Option<f64>,
    /// Harmless: an error rate higher by so much, such as 0.005%
    #[arg(long, value_name = "SHARE")]
    margin: Option<Weight>,
    /// To be promoted, the error rate must be proven to be below this many times the baseline's (and --pass-margin)
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pass_ratio: Option<f64>,
    /// See --pass-ratio, such as 0.05%
    #[arg(long, value_name = "SHARE")]
    pass_margin: Option<Weight>,
    /// Leaves latencies out of account
    #[arg(long)]
    no_latency: bool,
    /// Routes that are compared each for itself, the busiest ones; those of the run by default
    #[arg(long, value_name = "NUMBER")]
    strata: Option<u16>,
    /// Sets a tenth of a nat aside for regressions that begin after the first hour, as rollouts do
    #[arg(long)]
    pub(super) late_starts: bool,
}

impl Options {
    /// The policy for a run.
    pub(super) fn policy(&self, run: &Run) -> RolloutPolicy {
        let mut policy = self.preset.policy();
        policy.false_alarm = self.alpha.unwrap_or(policy.false_alarm);
        policy.false_pass = self.beta.unwrap_or(policy.false_pass);
        policy.soak = self.soak.unwrap_or(policy.soak);
        policy.warm_up = self.warm_up.unwrap_or(policy.warm_up);
        policy.strata = self.strata.map_or(run.routes.len().min(policy.strata), usize::from).max(1);
        if let Some(errors) = &mut policy.guards.errors {
            errors.ratio = self.ratio.unwrap_or(errors.ratio);
            errors.margin = self.margin.unwrap_or(errors.margin);
            errors.pass_ratio = self.pass_ratio.unwrap_or(errors.pass_ratio);
            errors.pass_margin = self.pass_margin.unwrap_or(errors.pass_margin);
        }
        if self.no_latency {
            policy.guards.latency = None;
        }
        policy
    }
}

fn preset(text: &str) -> Result<Preset, String> {
    let found = Preset::ALL.into_iter().find(|preset| preset.label() == text);
    found.ok_or_else(|| "the presets are cautious, balanced and fast".into())
}

fn chance(text: &str) -> Result<f64, String> {
    let chance = f64::from_str(text).ok().filter(|chance| *chance > 0.0 && *chance <= 0.5);
    chance.ok_or_else(|| "a chance is a number above 0 and at most 0.5, such as 1e-4".into())
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = f64::from_str(text).ok().filter(|ratio| (1.0..=100.0).contains(ratio));
    ratio.ok_or_else(|| "a ratio is a number from 1 to 100, such as 1.5".into())
}

/// A duration as in the file; a number alone is seconds, since windows are.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration is a whole number and a unit: 500ms, 300s, 5m or 1h".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let millis = match &text[digits.len()..] {
        "ms" => Some(number),
        "" | "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    let most = Duration::from_secs(30 * 24 * 3600);
    millis.map(Duration::from_millis).filter(|time| *time <= most).ok_or_else(wrong)
}
