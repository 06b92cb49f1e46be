//! A plan for people: two tables, and what would help where a step can't be decided in its time.

use std::fmt::Write;

use serin_config::{
    Weight,
    policy::{Step, share_text},
};

use super::{Bad, Foresight, Good, Help, Plan, Regression, StepPlan};
use crate::{
    phrase::{duration, grouped, millis, percent, significant},
    verdict::Lacking,
};

const STEP: usize = 8;
const CELL: usize = 17;

/// The whole plan.
pub(super) fn tell(foresight: &Foresight, plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write_all(foresight, plan, &mut text);
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn write_all(foresight: &Foresight, plan: &Plan, to: &mut String) -> std::fmt::Result {
    let traffic = &foresight.traffic;
    let (rps, failing) = (significant(traffic.rps), percent(traffic.error_rate));
    let (p50, p99) = (millis(traffic.p50.as_secs_f64() * 1e3), millis(traffic.p99.as_secs_f64() * 1e3));
    writeln!(
        to,
        "{rps} requests a second, of which {failing} fail; p50 {p50}, p99 {p99}.\n\
         Medians of {} simulated rollouts; the traffic is steady there, so take these for the times of a good day.\n",
        plan.rehearsals
    )?;
    write_good(foresight, plan, to)?;
    write_bad(plan, traffic.error_rate, to)?;
    let helps = plan.steps.iter().zip(&foresight.policy.steps);
    for (step, help, policy) in helps.filter_map(|(plan, step)| Some((plan, plan.help.as_ref()?, step))) {
        writeln!(to, "\n{}", helped(step, help, policy))?;
    }
    if foresight.policy.copies_first() {
        writeln!(
            to,
            "\nIn steps with copies no user gets an answer of the canary, and its errors alone are judged: one that is only slow is found by its \
             users.\nWhich requests are copied depends on their methods; here all of them are."
        )?;
    }
    if plan.false_alarms > 0 {
        let (out, all) = (plan.false_alarms, plan.rehearsals);
        writeln!(to, "\n{out} of {all} good canaries were rolled back.")?;
    }
    if plan.spent > 0 {
        let (out, all) = (plan.spent, plan.rehearsals);
        writeln!(
            to,
            "\nblast_radius ended {out} of {all} good rollouts: at {failing} failing, a good canary spends it as well. Raise it, or \
             leave it to the guards."
        )?;
    }
    Ok(())
}

fn write_good(foresight: &Foresight, plan: &Plan, to: &mut String) -> std::fmt::Result {
    let wide = width(plan);
    writeln!(to, "A good version")?;
    writeln!(
        to,
        "  {:<wide$}{:<CELL$}{:<CELL$}{:<CELL$}it waits last for",
        "step", "canary", "passes after", "with"
    )?;
    for (step, policy) in plan.steps.iter().zip(&foresight.policy.steps) {
        let rate = format!("{}/s", significant(step.rps));
        let (passes, with) = match step.good.seconds {
            Some(seconds) => (duration(seconds), format!("{} requests", grouped(step.good.requests))),
            None => (format!("not in {}", duration(policy.max_duration.as_secs())), "-".into()),
        };
        let waited = waits(&step.good);
        writeln!(to, "  {:<wide$}{rate:<CELL$}{passes:<CELL$}{with:<CELL$}{waited}", label(step))?;
    }
    match plan.seconds {
        Some(seconds) => writeln!(to, "  100% is reached after {}.\n", duration(seconds)),
        None => writeln!(to, "  100% is not reached in the time of the steps.\n"),
    }
}

/// A step, by what the canary gets in it.
fn label(step: &StepPlan) -> String {
    share_text(step.weight, step.mirror.unwrap_or(Weight::ZERO))
}

/// The column of the steps.
fn width(plan: &Plan) -> usize {
    plan.steps.iter().map(|step| label(step).len() + 2).fold(STEP, usize::max)
}

/// What a step waits for, named by the fields that ask for it.
fn waits(good: &Good) -> String {
    let each = good.waited_for.iter().map(|lacking| match lacking {
        Lacking::NoCanaryTraffic { .. } | Lacking::NoStableTraffic { .. } => "traffic",
        Lacking::MinRequests { .. } => "min_requests",
        Lacking::MinDuration { .. } => "min_duration",
        Lacking::NonInferiority { .. } => "proof: no more errors",
        Lacking::NoSlower { .. } => "proof: no slower",
        Lacking::Soak { .. } => "soak",
        Lacking::Score { .. } => "points",
        Lacking::ShareOff { .. } => "the canary's share",
        Lacking::Suspect { .. } => "a suspicion to pass",
        Lacking::OverLimit { .. } | Lacking::BothVersionsBreach { .. } => "a limit that is breached",
    });
    let mut each: Vec<_> = each.collect();
    each.dedup();
    let each = if each.is_empty() { "nothing".into() } else { each.join(", ") };
    if 2 * good.by_time > good.passed { format!("{each} (goes on unproven: on_timeout)") } else { each }
}

fn write_bad(plan: &Plan, error_rate: f64, to: &mut String) -> std::fmt::Result {
    let regressions = plan.steps.first().map_or(&[][..], |step| &step.bad);
    if regressions.is_empty() {
        return Ok(());
    }
    writeln!(
        to,
        "A version that turns bad at a step: time until it is out, users who were worse off (errors before: {})",
        percent(error_rate)
    )?;
    let wide = width(plan);
    write!(to, "  {:<wide$}", "step")?;
    for bad in regressions {
        let title = match bad.regression {
            Regression::Errors { to } => format!("errors {}", percent(to)),
            Regression::Latency { by } => format!("latency × {by}"),
            Regression::Tail { by } => format!("p99 × {by}"),
        };
        write!(to, "{title:<CELL$}")?;
    }
    writeln!(to)?;
    for step in &plan.steps {
        write!(to, "  {:<wide$}", label(step))?;
        for bad in &step.bad {
            write!(to, "{:<CELL$}", cell(bad))?;
        }
        writeln!(to)?;
    }
    let goes = |bad: &Bad| bad.seconds.is_none() && bad.seen > 0;
    if plan.steps.iter().any(|step| step.bad.iter().any(goes)) {
        writeln!(
            to,
            "  (no: most are not taken out within an hour; users are those of that hour, or until 100%)"
        )?;
    }
    Ok(())
}

fn cell(bad: &Bad) -> String {
    let harmed = grouped(bad.harmed);
    match bad.seconds {
        Some(seconds) if seconds < 10.0 => format!("{} s, {harmed}", significant(seconds)),
        Some(seconds) => format!("{}, {harmed}", duration(whole(seconds))),
        None if bad.seen == 0 => "-".into(),
        None => format!("no, {harmed}"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(seconds: f64) -> u64 {
    seconds.round() as u64
}

/// Why a step is not decided, and each thing that would let it be.
fn helped(step: &StepPlan, help: &Help, policy: &Step) -> String {
    let (weight, time) = (label(step), duration(policy.max_duration.as_secs()));
    let rate = significant(step.rps);
    let soaks = !help.lacking.is_empty()
        && help.lacking.iter().all(|lacking| matches!(lacking, Lacking::Soak { .. }));
    let why = match help.requests {
        _ if soaks => format!(
            "The step at {weight} waits for the soak, which is longer than its max_duration of {time}."
        ),
        Some(requests) => format!(
            "The step at {weight} can't be decided in its max_duration of {time}: it needs some {} requests of the canary, \
             which gets {rate} a second.",
            significant(requests as f64)
        ),
        None => format!(
            "The step at {weight} can't be decided in its max_duration of {time}, in which the canary gets {rate} requests \
             a second."
        ),
    };
    let min_requests = help.lacking.iter().any(|lacking| matches!(lacking, Lacking::MinRequests { .. }));
    let slower = help.lacking.iter().any(|lacking| matches!(lacking, Lacking::NoSlower { .. }));
    let ways = [
        help.weight.map(|weight| match step.mirror {
            Some(_) => format!("a mirror of {weight}"),
            None => format!("a weight of {weight}"),
        }),
        help.max_duration.map(|seconds| format!("a max_duration of {}", duration(seconds))),
        help.margin.map(|margin| format!("pass: {{ margin: {margin} }}")),
        min_requests.then(|| "a lower min_requests".into()),
        slower.then(|| "guards.latency without proof".into()),
    ];
    let ways: Vec<_> = ways.into_iter().flatten().collect();
    if ways.is_empty() { why } else { format!("{why} What helps: {}.", ways.join(", or ")) }
}
