//! The record for a terminal.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::{
    Record,
    record::{Group, Second, sum},
};
use crate::columns::columns;

/// The quantiles that tables show, with their names.
pub const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// Microseconds as people read them: three digits and a unit.
pub fn micros(us: u64) -> String {
    let us = us as f64;
    match us {
        _ if us < 1_000.0 => format!("{us:.0} µs"),
        _ if us < 1_000_000.0 => format!("{} ms", digits(us / 1_000.0)),
        _ => format!("{} s", digits(us / 1_000_000.0)),
    }
}

/// Three significant digits.
fn digits(value: f64) -> String {
    match value {
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A share in percent, with as many digits as it takes to see that it is not zero.
pub fn percent(part: u64, of: u64) -> String {
    if of == 0 {
        return "-".into();
    }
    let share = part as f64 * 100.0 / of as f64;
    match share {
        _ if part == 0 => "0 %".into(),
        _ if share < 0.01 => format!("{share:.4} %"),
        _ => format!("{share:.2} %"),
    }
}

/// The heads of the columns of live progress.
pub fn progress_head() -> String {
    format!(
        "{:>7} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9}\n",
        "second", "sent/s", "ended/s", "failed", "missed", "p50", "p99", "max"
    )
}

/// One second of live progress.
pub fn progress_line(second: &Second) -> String {
    let at = |q| second.latency_us.quantile(q).map_or("-".into(), micros);
    format!(
        "{:>7} {:>9} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9}\n",
        second.second,
        second.sent,
        second.completed,
        second.failed,
        second.missed,
        at(0.5),
        at(0.99),
        at(1.0)
    )
}

/// The whole, as a few tables.
pub fn summary(record: &Record) -> String {
    let mut text = String::new();
    let facts = &record.facts;
    let progress = &record.progress;
    // Writing to a string can't fail.
    let _ = writeln!(text, "{} over {}: {}", facts.target, facts.protocol, facts.pace);
    let _ = writeln!(
        text,
        "{} requests in {:.2} s, {:.1} a second; {} failed ({}).",
        record.total(),
        record.elapsed_seconds,
        record.throughput(),
        record.failed(),
        percent(record.failed(), record.total()),
    );
    let _ = writeln!(
        text,
        "Of {} that were due, {} never left, {} left late, {} were sent twice; {} connections were opened.",
        progress.due, progress.missed, progress.late, progress.resent, progress.connections,
    );
    if let Some(warning) = behind(record) {
        let _ = writeln!(text, "{warning}");
    }
    text.push('\n');
    let mut rows = vec![row("all good answers", &record.latency())];
    let requests = record.names(|group| &group.request);
    for request in &requests {
        for version in record.names(|group| &group.version) {
            let of = |group: &&Group| group.request == *request && group.version == version;
            for group in record.groups.iter().filter(of) {
                let version = if version.is_empty() { "-" } else { version };
                let name = if requests.len() > 1 {
                    format!("{request}  {version}  {}", group.outcome)
                } else {
                    format!("{version}  {}", group.outcome)
                };
                rows.push(row(&name, &sum(std::iter::once(group))));
            }
        }
    }
    let mut head = vec!["".to_owned(), "requests".into(), "mean".into()];
    head.extend(QUANTILES.iter().map(|(name, _)| (*name).to_owned()));
    rows.insert(0, head);
    text.push_str(&columns(&rows));
    for (name, component) in &record.components {
        let mut said = Vec::new();
        said.extend(component.cpu_us_per_request.map(|us| format!("{us:.1} µs of CPU time a request")));
        said.extend(component.cpu_seconds.map(|s| format!("{s:.2} s of CPU time")));
        said.extend(
            component.memory_bytes.map(|bytes| format!("{:.1} MiB at most", bytes as f64 / 1048576.0)),
        );
        said.extend(component.start_up_ms.map(|ms| format!("{ms:.0} ms from start to first answer")));
        let _ = writeln!(text, "\n{name}: {}", said.join(", "));
    }
    text
}

/// Says so where the generator was not able to keep to its schedule: then it measured itself.
pub fn behind(record: &Record) -> Option<String> {
    let progress = &record.progress;
    let (missed, late) = (progress.missed, progress.late);
    if missed == 0 && late * 100 <= progress.sent {
        return None;
    }
    let lag = record.lag_us.quantile(0.99).map_or("-".into(), micros);
    Some(format!(
        "The schedule was not kept: {missed} never left, and {} of those that did were late (99 % left within {lag} of \
         their time). Latencies count from the time at which each was due. Give more connections, more threads or \
         a lower rate, unless the target is what held them up.",
        percent(late, progress.sent),
    ))
}

fn row(name: &str, latency: &Histogram<u64>) -> Vec<String> {
    let at = |q: f64| if latency.is_empty() { "-".into() } else { micros(latency.value_at_quantile(q)) };
    let mean = if latency.is_empty() { "-".into() } else { micros(latency.mean() as u64) };
    let mut row = vec![name.to_owned(), latency.len().to_string(), mean];
    row.extend(QUANTILES.iter().map(|(_, q)| at(*q)));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::tests::sample;

    #[test]
    fn a_summary_says_what_was_asked_what_came_and_how_long_it_took() {
        let text = summary(&sample());
        for part in [
            "300 requests in 3.00 s, 100.0 a second; 3 failed (1.00 %).",
            "Of 300 that were due, 0 never left",
            "all good answers",
            "v2  timeout",
            "v1  200",
            "p99.9",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        assert!(!text.contains("not kept"));
    }

    #[test]
    fn a_schedule_that_was_not_kept_is_said_so() {
        let mut record = sample();
        record.progress.missed = 7;
        assert!(summary(&record).contains("The schedule was not kept: 7 never left"));
    }

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let shown = [1, 999, 1_000, 12_345, 999_000, 1_500_000, 60_000_000].map(micros);
        assert_eq!(shown, ["1 µs", "999 µs", "1.00 ms", "12.3 ms", "999 ms", "1.50 s", "60.0 s"]);
        assert_eq!(
            (percent(0, 5), percent(1, 100_000), percent(1, 3)),
            ("0 %".into(), "0.0010 %".into(), "33.33 %".into())
        );
    }
}
