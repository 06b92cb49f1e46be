//! The record as one page that needs no network: tables, and plots of latency by percentile, latency over time,
//! throughput and failures.

use super::{
    Record,
    plot::{Axis, Line, Scale, escaped, plot},
    record::{Group, Second, sum},
    text::{micros, summary},
};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1b;--ground:#fff;--grid:#ddd;--0:#0b62a4;--1:#c2410c;--2:#15803d;--3:#7e22ce;--4:#a16207;--5:#0f766e}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--ground:#161616;--grid:#3a3a3a;--0:#69b3ff;--1:#ff9b66;--2:#6fd08c;--3:#cfa5ff;--4:#e6c35c;--5:#5fd3c6}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:60rem;margin:2rem auto;padding:0 1rem}
pre{overflow-x:auto;font-size:13px}figure{margin:2rem 0}figcaption{font-weight:600}svg{width:100%;height:auto}
svg text{font-size:12px;fill:var(--ink)}.grid{stroke:var(--grid);fill:none}.line{fill:none;stroke-width:1.6}
.legend{font-size:13px;margin:.2rem 0 0 4.5rem}
path.c0{stroke:var(--0)}path.c1{stroke:var(--1)}path.c2{stroke:var(--2)}path.c3{stroke:var(--3)}path.c4{stroke:var(--4)}path.c5{stroke:var(--5)}
span.c0{color:var(--0)}span.c1{color:var(--1)}span.c2{color:var(--2)}span.c3{color:var(--3)}span.c4{color:var(--4)}span.c5{color:var(--5)}";

/// Versions that have a line of their own.
const VERSIONS_SHOWN: usize = 5;
/// Seconds that are drawn one by one; of more, each point is the mean of as many as it takes.
const POINTS_MAX: usize = 900;

/// The page.
pub fn page(record: &Record) -> String {
    document(&format!("Load on {}", record.facts.target), &body(record))
}

/// What stands on it.
pub(crate) fn body(record: &Record) -> String {
    format!(
        "<p>Begun {}, with Serin {}; {} connections at most, {} s of warm-up left out.</p>\n<pre>{}</pre>\n{}{}{}{}",
        escaped(&record.facts.started),
        escaped(&record.facts.serin),
        record.facts.connections,
        record.facts.warm_up_seconds,
        escaped(&summary(record)),
        by_percentile(record),
        over_time(record),
        throughput(record),
        failures(record),
    )
}

/// A page with this title and body, which loads nothing and runs nothing.
pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>{body}</body></html>\n",
        title = escaped(title),
    )
}

/// Latency by percentile: across, one minus the quantile, each tenfold as wide as the next, so that the tail can be seen.
fn by_percentile(record: &Record) -> String {
    let good = || record.groups.iter().filter(|group| !group.failed);
    let mut lines = vec![percentiles("all", &sum(good()))];
    for version in record.names(|group| &group.version).into_iter().take(VERSIONS_SHOWN) {
        let of = |group: &&Group| group.version == version;
        let latency = sum(good().filter(of));
        if !version.is_empty() && !latency.is_empty() {
            lines.push(percentiles(version, &latency));
        }
    }
    let x = Axis {
        name: "percentile",
        scale: Scale::Logarithmic,
        show: |beyond| if beyond <= 1.0 { "0 %".into() } else { format!("{} %", 100.0 - 100.0 / beyond) },
        ticks: &[1.0, 2.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0],
    };
    plot("Latency by percentile", &x, &latency_axis(), &lines)
}

fn percentiles(name: &str, latency: &hdrhistogram::Histogram<u64>) -> Line {
    // Beyond one request in so many there is nothing left to see.
    let most = (latency.len() as f64).max(2.0);
    let mut points = Vec::new();
    let mut beyond = 1.0;
    while beyond <= most && !latency.is_empty() {
        points.push((beyond, latency.value_at_quantile(1.0 - 1.0 / beyond) as f64));
        beyond *= 1.12;
    }
    Line { name: name.to_owned(), points }
}

fn latency_axis<'a>() -> Axis<'a> {
    Axis {
        name: "latency from the due time",
        scale: Scale::Logarithmic,
        show: |us| micros(us.round() as u64),
        ticks: &[],
    }
}

fn seconds_axis<'a>() -> Axis<'a> {
    Axis { name: "seconds from the start", scale: Scale::Linear, show: |s| format!("{s}"), ticks: &[] }
}

/// Points of a line over the seconds; of many seconds the mean of neighbours.
fn points(record: &Record, value: impl Fn(&Second) -> Option<f64>) -> Vec<(f64, f64)> {
    let each = record.seconds.len().div_ceil(POINTS_MAX).max(1);
    let group = |seconds: &[Second]| {
        let values: Vec<f64> = seconds.iter().filter_map(&value).collect();
        let at = seconds.first()?.second as f64;
        (!values.is_empty()).then(|| (at, values.iter().sum::<f64>() / values.len() as f64))
    };
    record.seconds.chunks(each).filter_map(group).collect()
}

fn over_time(record: &Record) -> String {
    let line = |name: &str, q: f64| Line {
        name: name.to_owned(),
        points: points(record, |second| second.latency_us.quantile(q).map(|us| us as f64)),
    };
    let lines = [line("p50", 0.5), line("p90", 0.9), line("p99", 0.99), line("max", 1.0)];
    plot("Latency over time", &seconds_axis(), &latency_axis(), &lines)
}

fn counts_axis<'a>(name: &'a str) -> Axis<'a> {
    Axis { name, scale: Scale::Linear, show: |n| format!("{n}"), ticks: &[] }
}

fn throughput(record: &Record) -> String {
    let line = |name: &str, value: fn(&Second) -> u64| Line {
        name: name.to_owned(),
        points: points(record, |second| Some(value(second) as f64)),
    };
    let lines = [line("due", |s| s.due), line("sent", |s| s.sent), line("ended", |s| s.completed)];
    plot("Throughput", &seconds_axis(), &counts_axis("requests a second"), &lines)
}

fn failures(record: &Record) -> String {
    let mut lines = vec![
        Line { name: "failed".into(), points: points(record, |s| Some(s.failed as f64)) },
        Line { name: "never left".into(), points: points(record, |s| Some(s.missed as f64)) },
    ];
    for version in record.names(|group| &group.version).into_iter().take(VERSIONS_SHOWN - 1) {
        if !version.is_empty() {
            let failed = |second: &Second| {
                Some(second.versions.get(version).map_or(0.0, |(_, failed)| *failed as f64))
            };
            lines.push(Line { name: format!("failed by {version}"), points: points(record, failed) });
        }
    }
    plot("Failures", &seconds_axis(), &counts_axis("requests a second"), &lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::record::tests::sample;

    #[test]
    fn the_page_has_its_plots_and_asks_nobody_for_anything() {
        let page = page(&sample());
        for title in ["Latency by percentile", "Latency over time", "Throughput", "Failures"] {
            assert!(page.contains(&format!("<figcaption>{title}</figcaption>")), "{title}");
        }
        assert_eq!(page.matches("<svg").count(), 4);
        assert!(page.contains("failed by v2"));
        // The target's own URL is text; nothing is loaded.
        assert!(!page.contains("src=") && !page.contains("href=") && !page.contains("<script"));
        assert!(page.contains("/&lt;&amp;&gt;") && !page.contains("NaN"));
    }
}
