//! Gates for pipelines: two records in, `pass`, `warn` or `block` out, with every figure that led to it.
//!
//! Three questions are asked. Does the candidate keep its budgets? Is it worse than the baseline, more surely than chance
//! explains and by more than anybody minds ([`permute`])? And was the load what it should have been, so that the answers mean
//! anything? The worst answer counts.

pub mod budget;
pub mod history;
pub mod metric;
pub mod permute;
mod same;
pub mod text;

use serde::Serialize;

pub use self::{
    budget::{Budgets, Level},
    metric::Metric,
    same::Different,
};
use self::{
    budget::{ComponentBudget, MetricBudget},
    permute::{Block, Blocks},
};
use crate::report::{Component, Record, Second};

/// Seconds of a block: long enough that what happens in one says little of the next.
const BLOCK_SECONDS: usize = 5;
/// With fewer blocks than this of each run no chance is told: the least that could be would still be too large.
const BLOCKS_MIN: usize = 5;
/// A load that missed more of its schedule than this measured something else.
const MISSED_MAX: f64 = 0.001;

/// What was found of one figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Which: a metric's name, or a component's with what it used.
    pub subject: String,
    /// In the baseline.
    pub baseline: Option<f64>,
    /// In the candidate.
    pub candidate: Option<f64>,
    /// Both, for people.
    pub shown: (String, String),
    /// By which part of the baseline's value it is worse; below zero where it is better.
    pub worse_by: Option<f64>,
    /// The chance of such a difference between equal releases, corrected for the number of metrics.
    pub chance: Option<f64>,
    /// The part of the budget that the candidate uses; above 1 it is spent.
    pub budget_used: Option<f64>,
    /// How bad that is.
    pub level: Level,
    /// Why, in a sentence; empty where it passes.
    pub why: String,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gate {
    /// The worst of the findings.
    pub result: Level,
    /// The accepted chance that equal releases are told apart.
    pub significance: f64,
    /// Figure by figure.
    pub findings: Vec<Finding>,
}

/// Compares a candidate with a baseline, and with budgets.
///
/// # Errors
/// The records are of different loads: nothing follows from them.
pub fn judge(baseline: &Record, candidate: &Record, budgets: &Budgets) -> Result<Gate, Different> {
    same::check(baseline, candidate)?;
    let metrics: Vec<Metric> = Metric::ALL
        .into_iter()
        // Where the schedule fixes the rate, throughput is not the target's doing.
        .filter(|metric| {
            *metric != Metric::Throughput
                || baseline.facts.rate.is_none()
                || budgets.metric(*metric).limit.is_some()
        })
        .collect();
    let blocks: Vec<Blocks> = metrics.iter().map(|metric| blocks(*metric, baseline, candidate)).collect();
    let enough = blocks.iter().all(|blocks| blocks.baseline.len().min(blocks.candidate.len()) >= BLOCKS_MIN);
    let chances = if enough { permute::chances(&blocks) } else { None };
    let mut findings = vec![kept(candidate), long_enough(enough)];
    for (at, metric) in metrics.into_iter().enumerate() {
        let chance = chances.as_ref().and_then(|chances| chances.get(at).copied());
        findings.push(of_metric(metric, baseline, candidate, chance, budgets));
    }
    for name in names(baseline, candidate, budgets) {
        let budget = budgets.component(&name);
        let (before, now) = (baseline.components.get(&name), candidate.components.get(&name));
        findings.extend(of_component(&name, before, now, budget, budgets.warn_at));
    }
    let result = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Pass);
    Ok(Gate { result, significance: budgets.significance, findings })
}

/// Whether the load kept to its schedule.
fn kept(candidate: &Record) -> Finding {
    let progress = &candidate.progress;
    let share = if progress.due > 0 { progress.missed as f64 / progress.due as f64 } else { 0.0 };
    let bad = share > MISSED_MAX;
    Finding {
        subject: "schedule".into(),
        baseline: None,
        candidate: Some(share),
        shown: ("-".into(), format!("{} of {} missed", progress.missed, progress.due)),
        worse_by: None,
        chance: None,
        budget_used: None,
        level: if bad { Level::Warn } else { Level::Pass },
        why: if bad {
            "requests that never left have no latency: what is below is too good".into()
        } else {
            String::new()
        },
    }
}

/// Whether there are enough seconds to tell chance by.
fn long_enough(enough: bool) -> Finding {
    let least = BLOCKS_MIN * BLOCK_SECONDS + 1;
    Finding {
        subject: "length".into(),
        baseline: None,
        candidate: None,
        shown: ("-".into(), "-".into()),
        worse_by: None,
        chance: None,
        budget_used: None,
        level: if enough { Level::Pass } else { Level::Warn },
        why: if enough {
            String::new()
        } else {
            format!(
                "one of the loads is shorter than {least} s, so only budgets were asked: a minute of each tells more"
            )
        },
    }
}

fn of_metric(
    metric: Metric,
    baseline: &Record,
    candidate: &Record,
    chance: Option<f64>,
    budgets: &Budgets,
) -> Finding {
    let (before, now) = (metric.of(baseline), metric.of(candidate));
    let budget = budgets.metric(metric);
    let shown = |value: Option<f64>| value.map_or("-".into(), |value| metric.show(value));
    let mut finding = Finding {
        subject: metric.name().into(),
        baseline: before,
        candidate: now,
        shown: (shown(before), shown(now)),
        worse_by: None,
        chance,
        budget_used: None,
        level: Level::Pass,
        why: String::new(),
    };
    let Some(now) = now else {
        // Without one good answer there is no latency; that all failed is said by the error rate.
        return finding;
    };
    if let Some(before) = before {
        compare(&mut finding, metric, before, now, &budget, budgets.significance);
    }
    if let Some(limit) = budget.limit {
        let used = if metric == Metric::Throughput {
            limit / now.max(f64::MIN_POSITIVE)
        } else {
            now / limit.max(f64::MIN_POSITIVE)
        };
        spend(&mut finding, used, &metric.show(limit), budget.severity, budgets.warn_at);
    }
    finding
}

fn compare(
    finding: &mut Finding,
    metric: Metric,
    before: f64,
    now: f64,
    budget: &MetricBudget,
    significance: f64,
) {
    let worse = if metric == Metric::Throughput { before - now } else { now - before };
    let relative = if before > 0.0 { Some(worse / before) } else { None };
    finding.worse_by = relative;
    let counts = match metric {
        Metric::ErrorRate => worse >= budget.min_effect,
        _ => relative.is_some_and(|part| part >= budget.min_effect),
    };
    if let Some(chance) = finding.chance.filter(|chance| counts && *chance <= significance) {
        finding.level = budget.severity;
        let by = match (metric, relative) {
            (Metric::ErrorRate, _) | (_, None) => metric.show(worse),
            (_, Some(part)) => format!("{:.1} %", part * 100.0),
        };
        finding.why = format!("worse by {by}; between equal releases the chance of that is {chance:.4}");
    }
}

/// Adds what the use of a budget says.
fn spend(finding: &mut Finding, used: f64, limit: &str, severity: Level, warn_at: f64) {
    finding.budget_used = Some(used);
    let (level, why) = match used {
        _ if used > 1.0 => (severity, format!("the budget of {limit} is spent ({:.0} %)", used * 100.0)),
        _ if used >= warn_at => {
            (Level::Warn, format!("{:.0} % of the budget of {limit} are used", used * 100.0))
        }
        _ => return,
    };
    finding.level = finding.level.max(level);
    if !finding.why.is_empty() {
        finding.why.push_str("; ");
    }
    finding.why.push_str(&why);
}

/// How a figure of a component is written for people.
type Show = fn(f64) -> String;

fn of_component(
    name: &str,
    before: Option<&Component>,
    now: Option<&Component>,
    budget: ComponentBudget,
    warn_at: f64,
) -> Vec<Finding> {
    type Read = fn(&Component) -> Option<f64>;
    let rows: [(&str, Read, Option<f64>, Show); 3] = [
        (
            "CPU time a request",
            |c| c.cpu_us_per_request,
            budget.cpu_us_per_request,
            |us| format!("{us:.1} µs"),
        ),
        (
            "memory",
            |c| c.memory_bytes.map(|bytes| bytes as f64),
            budget.memory_bytes.map(|bytes| bytes as f64),
            |bytes| format!("{:.1} MiB", bytes / 1_048_576.0),
        ),
        ("start-up", |c| c.start_up_ms, budget.start_up_ms, |ms| format!("{ms:.0} ms")),
    ];
    let mut findings = Vec::new();
    for (what, read, limit, show) in rows {
        let (before, now) = (before.and_then(read), now.and_then(read));
        if now.is_none() && limit.is_none() && before.is_none() {
            continue;
        }
        let shown = |value: Option<f64>| value.map_or("-".into(), show);
        let mut finding = Finding {
            subject: format!("{name}: {what}"),
            baseline: before,
            candidate: now,
            shown: (shown(before), shown(now)),
            worse_by: before
                .zip(now)
                .filter(|(before, _)| *before > 0.0)
                .map(|(before, now)| now / before - 1.0),
            chance: None,
            budget_used: None,
            level: Level::Pass,
            why: String::new(),
        };
        if let Some(growth) = finding.worse_by.filter(|growth| *growth > budget.growth) {
            finding.level = budget.severity;
            finding.why =
                format!("grown by {:.1} %, where {:.0} % are allowed", growth * 100.0, budget.growth * 100.0);
        }
        match (limit, now) {
            (Some(limit), Some(now)) => {
                spend(&mut finding, now / limit, &show(limit), budget.severity, warn_at);
            }
            (Some(limit), None) => {
                finding.level = Level::Warn;
                finding.why = format!("there is a budget of {}, and nothing was measured", show(limit));
            }
            (None, _) => {}
        }
        findings.push(finding);
    }
    findings
}

/// Components of whom anything is known or wanted.
fn names(baseline: &Record, candidate: &Record, budgets: &Budgets) -> Vec<String> {
    let known = baseline.components.keys().chain(candidate.components.keys()).map(String::as_str);
    let mut names: Vec<String> = known.chain(budgets.components()).map(ToOwned::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// What the blocks of both runs counted of a metric.
fn blocks(metric: Metric, baseline: &Record, candidate: &Record) -> Blocks {
    let count: Box<dyn Fn(&Second) -> Block> = match metric.quantile() {
        Some(q) => {
            // Of both runs together, as one of them would be as good a guess as the other.
            let mut both = baseline.latency();
            // They have the same constant bounds, so adding can't fail.
            let _ = both.add(candidate.latency());
            let threshold = both.value_at_quantile(q);
            Box::new(move |second| {
                let beyond: u64 =
                    second.latency_us.iter().filter(|(us, _)| *us > threshold).map(|(_, n)| n).sum();
                Block { hits: beyond as f64, of: second.latency_us.total() as f64 }
            })
        }
        None if metric == Metric::ErrorRate => {
            Box::new(|second| Block { hits: second.failed as f64, of: second.completed as f64 })
        }
        // Less is worse: what is missing of it counts.
        None => Box::new(|second| Block { hits: -(second.completed as f64), of: 1.0 }),
    };
    let of = |record: &Record| -> Vec<Block> {
        // The last second is a part of one, and the answers that came after the end.
        let seconds = record.seconds.len().saturating_sub(1);
        let whole = &record.seconds[..seconds];
        let sum = |chunk: &[Second]| {
            chunk.iter().map(&count).fold(Block::default(), |sum, block| Block {
                hits: sum.hits + block.hits,
                of: sum.of + block.of,
            })
        };
        whole.chunks_exact(BLOCK_SECONDS).map(sum).collect()
    };
    Blocks { baseline: of(baseline), candidate: of(candidate) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
