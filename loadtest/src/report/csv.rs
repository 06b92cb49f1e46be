//! The record as tables for a spreadsheet: second by second.

use std::fmt::Write;

use super::{Record, text::QUANTILES};

/// One line a second: counts, and quantiles of good answers in microseconds.
pub fn seconds(record: &Record) -> String {
    let mut text = String::from("second,due,sent,missed,completed,failed");
    for (name, _) in QUANTILES {
        // Writing to a string can't fail.
        let _ = write!(text, ",{}_us", name.replace('.', "_"));
    }
    text.push('\n');
    for second in &record.seconds {
        let _ = write!(
            text,
            "{},{},{},{},{},{}",
            second.second, second.due, second.sent, second.missed, second.completed, second.failed
        );
        for (_, q) in QUANTILES {
            let value = second.latency_us.quantile(q).map(|us| us.to_string()).unwrap_or_default();
            let _ = write!(text, ",{value}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::tests::sample;

    #[test]
    fn each_second_has_its_line() {
        let text = seconds(&sample());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines[0],
            "second,due,sent,missed,completed,failed,p50_us,p90_us,p95_us,p99_us,p99_9_us,max_us"
        );
        assert!(lines[2].starts_with("2,100,100,0,100,1,"), "{}", lines[2]);
        assert!(lines.iter().all(|line| line.matches(',').count() == 11));
    }
}
