//! `serin rollout status`: how far the rollout is, on one screen.

use std::{fmt::Write, process::ExitCode};

use clap::Args;
use serin_config::{Weight, moment, policy::share_text};
use serin_control::status::RolloutStatus;

use super::{
    super::{
        client::{Outcome, plain},
        print,
        steer::Wait,
    },
    OfService, wait,
};

/// Whose rollout, and whether to wait for its end.
#[derive(Debug, Args)]
#[command(after_help = wait::EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    of: OfService,
    #[command(flatten)]
    patience: Wait,
}

pub(super) async fn run(arguments: &Arguments) -> Outcome {
    let Arguments { of: OfService { service, access }, patience: Wait { wait, timeout } } = arguments;
    let api = access.api()?;
    let (rollout, code) = if *wait {
        wait::for_end(&api, service, timeout.0).await?
    } else {
        let answer = api.get(&super::path(service, "")).await?;
        if access.output.is_json() {
            super::print_json(&answer);
            return Ok(ExitCode::SUCCESS);
        }
        (answer.read()?, ExitCode::SUCCESS)
    };
    if access.output.is_json() {
        let value = serde_json::to_value(&rollout).unwrap_or_default();
        print(&format!("{value:#}\n"));
    } else {
        print(&told(service.0.as_str(), &rollout));
    }
    Ok(code)
}

fn told(service: &str, rollout: &RolloutStatus) -> String {
    let RolloutStatus { id, canary, stable, summary, .. } = rollout;
    let mut text = format!("Rollout {id} of {service}: {canary} against {stable}, {summary}.\n");
    let _ = writeln!(text, "{canary} has {}; {}", traffic(rollout), steps(rollout));
    let _ = write!(text, "It began at {}", moment::rfc3339_seconds(rollout.started_ms));
    let _ = match rollout.ended_ms {
        Some(ended) => writeln!(text, " and ended at {}.", moment::rfc3339_seconds(ended)),
        None => {
            writeln!(text, ", its present step at {}.", moment::rfc3339_seconds(rollout.step_began_ms))
        }
    };
    if rollout.live && rollout.webhooks.is_none() {
        let _ = writeln!(text, "Which webhooks are asked is known to the control plane that leads only.");
    }
    for asked in rollout.asked() {
        let _ = writeln!(text, "{}", plain(&asked.summary));
    }
    for line in rollout.explained() {
        let _ = writeln!(text, "{}", plain(&line));
    }
    text
}

/// What the canary has now.
fn traffic(rollout: &RolloutStatus) -> String {
    let Some(mirror) = rollout.mirror else { return format!("{} of the traffic", rollout.weight) };
    let observed = rollout.copied.map(|copied| {
        let share = format!("{:.2}%", copied.share * 100.0);
        format!(" ({share} of {} requests were copied, those of other methods included)", copied.requests)
    });
    format!("copies of {mirror} of the requests, whose answers nobody gets{}", observed.unwrap_or_default())
}

/// What the canary gets at a step.
pub(in crate::commands) fn at(rollout: &RolloutStatus, step: usize) -> String {
    let weight = rollout.steps.get(step).copied().unwrap_or(Weight::WHOLE);
    share_text(weight, rollout.mirrors.get(step).copied().unwrap_or(Weight::ZERO))
}

/// The steps, the present one in brackets.
pub(in crate::commands) fn steps(rollout: &RolloutStatus) -> String {
    let present = rollout.state.step();
    let shares = (0..rollout.steps.len()).map(|step| match present {
        Some(present) if present == step => format!("[{}]", at(rollout, step)),
        _ => at(rollout, step),
    });
    let mut shares: Vec<String> = shares.collect();
    if rollout.steps.last() != Some(&Weight::WHOLE) {
        shares.push(Weight::WHOLE.to_string());
    }
    format!("steps {}", shares.join(" → "))
}
