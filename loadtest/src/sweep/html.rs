//! A sweep as one page that needs no network.

use super::{Findings, Level, text::summary};
use crate::report::{
    html::document,
    plot::{Axis, Line, Scale, escaped, plot},
    text::micros,
};

/// The page; `about` says what was swept.
pub fn page(about: &str, found: &Findings) -> String {
    let body =
        format!("<pre>{}</pre>\n{}{}", escaped(&summary(found)), by_connections(found), by_rate(found));
    document(&format!("Sweep of {about}"), &body)
}

fn by_connections(found: &Findings) -> String {
    let measured = found.closed.iter().map(|level| (level.asked, level.throughput)).collect();
    let mut lines = vec![Line { name: "measured".into(), points: measured }];
    if let (Some(curve), Some(last)) = (found.curve, found.closed.last()) {
        let steps = 60;
        let points = (0..=steps).map(|step| last.asked.powf(f64::from(step) / f64::from(steps)));
        lines.push(Line {
            name: "scalability law".into(),
            points: points.map(|n| (n, curve.at(n))).collect(),
        });
    }
    let x = Axis {
        name: "connections that ask as fast as they are answered",
        scale: Scale::Logarithmic,
        show: |n| format!("{n:.0}"),
        ticks: &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0],
    };
    plot("Throughput by connections", &x, &rate_axis("requests a second"), &lines)
}

fn by_rate(found: &Findings) -> String {
    let line = |name: &str, of: fn(&Level) -> Option<u64>| Line {
        name: name.into(),
        points: found.open.iter().filter_map(|level| Some((level.asked, of(level)? as f64))).collect(),
    };
    let y =
        Axis { name: "latency", scale: Scale::Logarithmic, show: |us| micros(us.round() as u64), ticks: &[] };
    let lines = [line("p50", |level| level.p50_us), line("p99", |level| level.p99_us)];
    plot("Latency by rate", &rate_axis("requests a second that were due"), &y, &lines)
}

fn rate_axis(name: &str) -> Axis<'_> {
    Axis { name, scale: Scale::Linear, show: |rate| format!("{rate:.0}"), ticks: &[] }
}
