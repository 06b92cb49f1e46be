//! Budgets, from a file.

use std::collections::BTreeMap;

use serde::Serialize;
use serin_config::{
    document,
    percent::parse_ppm,
    problem::{Place, Problems, Reported},
    raw::{
        decode::{Field, Leaf, Spanned},
        load as raw,
    },
    weight::Weight,
};

use super::metric::Metric;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing is wrong.
    Pass,
    /// Somebody should look.
    Warn,
    /// It must not go on.
    Block,
}

/// What one metric may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricBudget {
    /// The value that must not be exceeded; for throughput the one that must be reached.
    pub limit: Option<f64>,
    /// A smaller change for the worse does not count: a part of the baseline's value, for the error rate a share of all
    /// requests.
    pub min_effect: f64,
    /// What it means.
    pub severity: Level,
}

/// What one process may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ComponentBudget {
    /// Microseconds of CPU time for each request.
    pub cpu_us_per_request: Option<f64>,
    /// Bytes in RAM.
    pub memory_bytes: Option<u64>,
    /// Milliseconds to the first answer.
    pub start_up_ms: Option<f64>,
    /// More growth than this part of the baseline's value counts.
    pub growth: f64,
    /// What it means.
    pub severity: Level,
}

/// All of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Budgets {
    /// The accepted chance that equal releases are told apart.
    pub significance: f64,
    /// From which part of a budget on its use is a warning.
    pub warn_at: f64,
    metrics: BTreeMap<Metric, MetricBudget>,
    components: BTreeMap<String, ComponentBudget>,
}

/// One in two hundred, of all metrics together: blocks of one run are not quite independent, and one in a hundred is what is promised.
const SIGNIFICANCE: f64 = 0.005;
/// Nine tenths.
const WARN_AT: f64 = 0.9;
/// Two in a hundred: less is seldom worth a look, and often the machine's doing.
const MIN_EFFECT: f64 = 0.02;
/// One request in ten thousand.
const MIN_EFFECT_ERRORS: f64 = 0.0001;
/// A tenth: what a process uses is one figure a run, without a spread to tell chance by.
const GROWTH: f64 = 0.1;

impl Default for Budgets {
    fn default() -> Self {
        Self {
            significance: SIGNIFICANCE,
            warn_at: WARN_AT,
            metrics: BTreeMap::new(),
            components: BTreeMap::new(),
        }
    }
}

impl MetricBudget {
    fn of(metric: Metric) -> Self {
        let min_effect = if metric == Metric::ErrorRate { MIN_EFFECT_ERRORS } else { MIN_EFFECT };
        Self { limit: None, min_effect, severity: Level::Block }
    }
}

impl Default for ComponentBudget {
    fn default() -> Self {
        Self {
            cpu_us_per_request: None,
            memory_bytes: None,
            start_up_ms: None,
            growth: GROWTH,
            severity: Level::Block,
        }
    }
}

impl Budgets {
    /// Reads the text of a file, which the user calls `name`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(name: &str, text: &str) -> Result<Self, Problems> {
        document::read(name, text, check)
    }

    /// What a metric may be.
    pub fn metric(&self, metric: Metric) -> MetricBudget {
        self.metrics.get(&metric).copied().unwrap_or_else(|| MetricBudget::of(metric))
    }

    /// What a process may use.
    pub fn component(&self, name: &str) -> ComponentBudget {
        self.components.get(name).copied().unwrap_or_default()
    }

    /// Whose budgets there are.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }
}

fn check(raw: raw::Budgets, _top: &Place, problems: &mut Problems) -> Result<Budgets, Reported> {
    let mut budgets = Budgets::default();
    let mut wrong = None;
    match raw.significance.optional() {
        Ok(Some(Spanned { value, .. })) if value > 0.0 && value < 0.5 => budgets.significance = value,
        Ok(Some(Spanned { value, place })) => {
            let said = format!("{value} is not a chance that anybody accepts");
            wrong = Some(problems.add(&place, said, "write a number above 0 and below 0.5, such as 0.01"));
        }
        Ok(None) => {}
        Err(reported) => wrong = Some(reported),
    }
    budgets.warn_at = raw
        .warn_at
        .or(Weight::WHOLE)
        .map_or(WARN_AT, |part| if part == Weight::WHOLE { WARN_AT } else { part.fraction() });
    for entry in raw.metrics.optional()?.into_iter().flat_map(|named| named.value.0) {
        let Some(metric) = Metric::named(&entry.text) else {
            let names: Vec<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
            let said = format!("\"{}\" is not a metric", entry.text);
            wrong = Some(problems.add(&entry.place, said, format!("write one of {}", names.join(", "))));
            continue;
        };
        match entry.value.and_then(|raw| check_metric(metric, raw, problems)) {
            Ok(budget) => drop(budgets.metrics.insert(metric, budget)),
            Err(reported) => wrong = Some(reported),
        }
    }
    for entry in raw.components.optional()?.into_iter().flat_map(|named| named.value.0) {
        match entry.value.and_then(|raw| check_component(raw.value, problems)) {
            Ok(budget) => drop(budgets.components.insert(entry.text, budget)),
            Err(reported) => wrong = Some(reported),
        }
    }
    wrong.map_or(Ok(budgets), Err)
}

fn check_metric(
    metric: Metric,
    raw: Spanned<raw::MetricBudget>,
    problems: &mut Problems,
) -> Result<MetricBudget, Reported> {
    let raw = raw.value;
    let mut budget = MetricBudget::of(metric);
    let is_least = metric == Metric::Throughput;
    let (limit, other) = if is_least { (raw.min, raw.max) } else { (raw.max, raw.min) };
    if let Some(other) = other.optional()? {
        let right = if is_least { "write min" } else { "write max" };
        return Err(problems.add(&other.place, format!("{metric} has no such budget"), right));
    }
    if let Some(limit) = limit.optional()? {
        budget.limit = Some(check_limit(metric, &limit, problems)?);
    }
    if let Some(effect) = raw.min_effect.optional()? {
        budget.min_effect = effect.value.fraction();
    }
    budget.severity = severity(raw.severity, problems)?;
    Ok(budget)
}

/// A metric's limit, in its unit.
pub(crate) fn check_limit(
    metric: Metric,
    limit: &Spanned<String>,
    problems: &mut Problems,
) -> Result<f64, Reported> {
    let Spanned { place, value: text } = limit;
    match metric {
        Metric::ErrorRate => match parse_ppm(text) {
            Ok(ppm) => Ok(f64::from(ppm) / 1e6),
            Err(error) => Err(problems.add(place, error.to_string(), "write a percentage such as 0.1%")),
        },
        Metric::Throughput => match text.parse::<f64>() {
            Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
            _ => {
                let said = format!("\"{text}\" is not a rate");
                Err(problems.add(place, said, "write requests a second, such as 1900"))
            }
        },
        _ => latency(text).ok_or_else(|| {
            problems.add(place, format!("\"{text}\" is not a latency"), "write one such as 800us, 50ms or 2s")
        }),
    }
}

/// Microseconds. Files write durations in whole milliseconds, which is too coarse here.
fn latency(text: &str) -> Option<f64> {
    if let Some(number) = text.strip_suffix("us").or(text.strip_suffix("µs")) {
        return number.trim().parse().ok().filter(|us| *us > 0.0 && *us < 6e7);
    }
    let time = std::time::Duration::read(text).ok()?;
    (!time.is_zero()).then_some(time.as_secs_f64() * 1e6)
}

fn check_component(raw: raw::ComponentBudget, problems: &mut Problems) -> Result<ComponentBudget, Reported> {
    let mut budget = ComponentBudget::default();
    if let Some(cpu) = raw.cpu_us_per_request.optional()? {
        if cpu.value.is_nan() || cpu.value <= 0.0 {
            let said = format!("{} is not a time that a request takes", cpu.value);
            return Err(problems.add(&cpu.place, said, "write microseconds, such as 40"));
        }
        budget.cpu_us_per_request = Some(cpu.value);
    }
    budget.memory_bytes = raw.memory.optional()?.map(|memory| memory.value.0);
    budget.start_up_ms = raw.start_up.optional()?.map(|time| time.value.as_secs_f64() * 1e3);
    if let Some(growth) = raw.growth.optional()? {
        budget.growth = growth.value.fraction();
    }
    budget.severity = severity(raw.severity, problems)?;
    Ok(budget)
}

fn severity(raw: Field<String>, problems: &mut Problems) -> Result<Level, Reported> {
    let Some(Spanned { place, value }) = raw.optional()? else { return Ok(Level::Block) };
    match value.as_str() {
        "warn" => Ok(Level::Warn),
        "block" => Ok(Level::Block),
        _ => Err(problems.add(&place, format!("\"{value}\" is not a severity"), "write warn or block")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_what_the_file_says_and_defaults_otherwise() {
        let text = "significance: 0.05\nwarn_at: 80%\nmetrics:\n  p99: { max: 50ms, min_effect: 3%, severity: warn }\n  \
                    p50: { max: 800us }\n  error_rate: { max: 0.1% }\n  throughput: { min: 1900 }\ncomponents:\n  \
                    proxy: { cpu_us_per_request: 40, memory: 64MiB, start_up: 200ms, growth: 5% }\n";
        let budgets = Budgets::read("budgets.yaml", text).unwrap();
        assert_eq!((budgets.significance, budgets.warn_at), (0.05, 0.8));
        let p99 = budgets.metric(Metric::P99);
        assert_eq!((p99.limit, p99.min_effect, p99.severity), (Some(50_000.0), 0.03, Level::Warn));
        assert_eq!(budgets.metric(Metric::P50).limit, Some(800.0));
        assert_eq!(budgets.metric(Metric::ErrorRate).limit, Some(0.001));
        assert_eq!(budgets.metric(Metric::Throughput).limit, Some(1900.0));
        assert_eq!(budgets.metric(Metric::P999), MetricBudget::of(Metric::P999));
        let proxy = budgets.component("proxy");
        assert_eq!(
            (proxy.memory_bytes, proxy.start_up_ms, proxy.growth),
            (Some(64 << 20), Some(200.0), 0.05)
        );
        assert_eq!(Budgets::read("empty", "{}").unwrap(), Budgets::default());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_its_place() {
        let text = "significance: 2\nmetrics:\n  p98: { max: 1s }\n  p99: { min: 1s }\n  p50: { max: 5 }\n  \
                    error_rate: { max: 1 }\ncomponents:\n  proxy: { severity: fatal }\n";
        let lines = Budgets::read("b.yaml", text).unwrap_err().lines().join("\n");
        for part in [
            "significance: 2 is not a chance",
            "\"p98\" is not a metric",
            "p99 has no such budget",
            "\"5\" is not a latency",
            "error_rate.max",
            "\"fatal\" is not a severity",
        ] {
            assert!(lines.contains(part), "{part} is missing in:\n{lines}");
        }
    }
}
