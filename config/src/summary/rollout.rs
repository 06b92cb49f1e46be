//! The lines on how a canary is rolled out, and what it is judged by.

use std::fmt::{self, Write};

use super::join;
use crate::{
    duration::show,
    outcome::Outcome,
    policy::{
        Actions, BlastRadius, BothWorse, Copying, CountedBy, Direction, ErrorComparison, ErrorWeights,
        Guards, Margin, Mode, Mounting, OnFail, OnNewCanary, OnTimeout, RolloutPolicy, Step, Strategy, Until,
    },
    weight::Weight,
};

/// The whole policy: what is always said, then what is not as it always is.
pub(super) fn write(policy: &RolloutPolicy, to: &mut String) -> fmt::Result {
    // The last step is all of the traffic: the end, and no gate.
    let gates = policy.steps.split_last().map_or(&[][..], |(_, gates)| gates);
    // At all of the traffic there may be a bake, which is told apart.
    let below = gates.iter().take_while(|step| step.weight < Weight::WHOLE).count();
    let gates = &gates[..below];
    write_steps(gates, to)?;
    match policy.strategy {
        Strategy::Canary => {}
        Strategy::BlueGreen => writeln!(to, "  strategy  blue/green: one plan there, one back")?,
        Strategy::Ab => writeln!(to, "  strategy  A/B: no verdict ends it before its time")?,
    }
    if policy.copies_first() {
        writeln!(to, "  copies    {}", copying(&policy.mirror))?;
    }
    if !policy.bake.is_zero() {
        writeln!(to, "  bake      {} at 100%, against its limits", show(policy.bake))?;
    }
    if let OnFail::Hold { reason } = &policy.on_fail {
        writeln!(to, "  rollback  held: {reason}")?;
    }
    if policy.on_new_canary == OnNewCanary::Supersede {
        writeln!(to, "  newer     another canary in the file ends the rollout")?;
    }
    writeln!(to, "  preset    {}, {}", policy.preset.label(), patience(policy))?;
    let then = match policy.on_timeout {
        OnTimeout::Hold => "hold",
        OnTimeout::Promote => "promote",
        OnTimeout::Rollback => "roll back",
    };
    writeln!(to, "  time up   {then}")?;
    let (alarm, pass) = (policy.false_alarm, policy.false_pass);
    writeln!(to, "  guards    {}; false alarm {alarm}, false pass {pass}", guards(&policy.guards))?;
    if let Some(needed) = needed(&policy.guards, gates) {
        writeln!(to, "  to pass   {needed}")?;
    }
    let Actions { mounting, both_worse } = policy.actions;
    let mounting = if mounting == Mounting::Lower { "lower" } else { "hold" };
    let both = if both_worse == BothWorse::Rollback { "roll back" } else { "hold" };
    writeln!(to, "  actions   {mounting} while evidence mounts, {both} where both versions are worse")?;
    if let Some(bounds) = blast_radius(&policy.blast_radius) {
        writeln!(to, "  at most   {bounds} (blast_radius)")?;
    }
    let mode = mode(policy.mode);
    let weights = weights(&policy.error_weights);
    if !(mode.is_empty() && weights.is_empty()) {
        let both = if mode.is_empty() || weights.is_empty() { "" } else { "; " };
        writeln!(to, "  judged    {mode}{both}{weights}")?;
    }
    Ok(())
}

fn write_steps(gates: &[Step], to: &mut String) -> fmt::Result {
    let alike =
        |a: &Step, b: &Step| Step { weight: b.weight, pass: b.pass, ..a.clone() } == *b && a.mirror.is_none();
    match gates {
        [] => writeln!(to, "  rollout   100% at once"),
        [first, rest @ ..] if rest.iter().all(|step| alike(step, first)) => {
            let weights: Vec<_> = gates.iter().map(|step| step.weight).collect();
            writeln!(to, "  rollout   {} → 100%, each {}", join(&weights, " → "), conditions(first))
        }
        _ => {
            for (i, step) in gates.iter().enumerate() {
                let title = if i == 0 { "rollout" } else { "" };
                writeln!(to, "  {title:<9} {}: {}", step.share(), conditions(step))?;
            }
            writeln!(to, "            then 100%")
        }
    }
}

fn copying(Copying { methods, max_in_flight, max_body, timeout }: &Copying) -> String {
    let (methods, timeout) = (join(methods, ", "), show(*timeout));
    format!(
        "{methods}; at most {max_in_flight} at once, bodies up to {max_body} bytes, {timeout} each; errors alone are judged"
    )
}

fn conditions(step: &Step) -> String {
    let (min, max) = (show(step.min_duration), show(step.max_duration));
    let approved = if step.approval { ", then an approval" } else { "" };
    match step.until {
        Until::Pass => format!("at least {} requests and {min}, {max} at most{approved}", step.min_requests),
        Until::Time => format!("{min} on the clock{approved}"),
    }
}

/// How slowly it begins, and how long it looks.
fn patience(policy: &RolloutPolicy) -> String {
    let probe = policy.probe.map_or_else(
        || "no probe".into(),
        |probe| format!("probe {} a second for {}", probe.rate, show(probe.duration)),
    );
    let warm_up = match policy.warm_up {
        std::time::Duration::ZERO => String::new(),
        time => format!(", warm-up {}", show(time)),
    };
    format!("{probe}, soak {}{warm_up}", show(policy.soak))
}

fn guards(Guards { errors, latency, max_error_rate, max_p99, events }: &Guards) -> String {
    let errors = errors.map(|e| format!("errors ≤ {} × stable + {}", e.ratio, e.margin));
    let latency = latency.map(|l| {
        // Four decimals are what the file can say.
        let percent = (l.tolerance * 1e6).round() / 1e4;
        format!("latency ≤ stable + {percent}%, at least {}", show(l.min_difference))
    });
    let rate = max_error_rate.map(|rate| format!("errors < {rate}"));
    let p99 = max_p99.map(|time| format!("p99 ≤ {}", show(time)));
    let events = events.iter().map(|guard| {
        let way = match guard.bad {
            Direction::More => "more",
            Direction::Fewer => "fewer",
        };
        let pushed = if guard.counted_by == CountedBy::Push { " (pushed)" } else { "" };
        format!("{}{pushed} not {way} than {} ×", guard.event, guard.ratio)
    });
    let all: Vec<_> = [errors, latency, rate, p99].into_iter().flatten().chain(events).collect();
    if all.is_empty() {
        return "none: nothing is compared, and a step passes on its requests and its time alone".into();
    }
    all.join("; ")
}

/// What must be proven, step by step where it differs.
fn needed(guards: &Guards, gates: &[Step]) -> Option<String> {
    let errors = guards.errors.as_ref().map(ErrorComparison::pass).map(|full| {
        let margin = |step: &Step| step.pass.unwrap_or(full);
        let mut each = Vec::new();
        let mut before: Option<Margin> = None;
        for step in gates {
            let asked = margin(step);
            if before != Some(asked) {
                // Between both lies a canary that is neither found guilty nor ever proven good.
                let tight = full_is_wider(guards, &asked)
                    .then_some(" (tighter than what is harmless: may never be proven)");
                let tight = tight.unwrap_or_default();
                each.push(format!("at {} {} × stable + {}{tight}", step.share(), asked.ratio, asked.margin));
            }
            before = Some(asked);
        }
        format!("errors ≤ {}", each.join(", "))
    });
    let latency = guards.latency.filter(|latency| latency.proof).map(|_| "no slower".to_owned());
    let all: Vec<_> = errors.into_iter().chain(latency).collect();
    (!all.is_empty() && !gates.is_empty()).then(|| all.join("; "))
}

/// Whether the guard takes for harmless what this margin does not accept.
fn full_is_wider(guards: &Guards, asked: &Margin) -> bool {
    let wider = |errors: &ErrorComparison| errors.ratio > asked.ratio || errors.margin > asked.margin;
    guards.errors.as_ref().is_some_and(wider)
}

fn blast_radius(BlastRadius { failed_requests, added_latency }: &BlastRadius) -> Option<String> {
    let failed = failed_requests.map(|n| format!("{n} failed requests"));
    let added = added_latency.map(|time| format!("{} of added latency", show(time)));
    let all: Vec<_> = failed.into_iter().chain(added).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn mode(mode: Mode) -> String {
    match mode {
        Mode::Evidence => String::new(),
        Mode::Any => "by any one guard".into(),
        Mode::All => "by all guards together".into(),
        Mode::Score { fail_below, pass_from } => {
            format!("by points: fails below {fail_below}, may pass from {pass_from}")
        }
    }
}

/// The kinds that don't count as they always do.
fn weights(weights: &ErrorWeights) -> String {
    let usual = ErrorWeights::default();
    let changed = Outcome::ALL.into_iter().filter(|outcome| weights.of(*outcome) != usual.of(*outcome));
    let each = changed
        .map(|outcome| format!("{} counts {}", outcome.label(), f64::from(weights.of(outcome)) / 1000.0));
    each.collect::<Vec<_>>().join(", ")
}
