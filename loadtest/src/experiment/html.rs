//! An experiment as one page that needs no network: its table, its score over time, and the page of its load.

use super::{Outcome, text::table};
use crate::report::{
    Record,
    html::{body, document},
    plot::{Axis, Line, Scale, escaped, plot},
};

/// Faults that have a line of their own.
const FAULTS_SHOWN: usize = 5;

/// The page.
pub fn page(outcome: &Outcome, record: &Record) -> String {
    let text = format!(
        "<pre>{}</pre>\n{}<h2>Its load</h2>\n{}",
        escaped(&table(outcome)),
        score(outcome),
        body(record)
    );
    document(&format!("Experiment on {}", record.facts.target), &text)
}

fn score(outcome: &Outcome) -> String {
    let all = outcome.seconds.iter().map(|moment| (moment.second as f64, moment.score));
    let mut lines = vec![Line { name: "score".into(), points: all.collect() }];
    for phase in outcome.phases.iter().filter(|phase| phase.score.is_some()).take(FAULTS_SHOWN) {
        let within = |second: u64| second > phase.from_second && second <= phase.to_second;
        let own = outcome.seconds.iter().filter(|moment| within(moment.second));
        let points = own.map(|moment| (moment.second as f64, moment.score)).collect();
        lines.push(Line { name: format!("under {}", phase.name), points });
    }
    let x =
        Axis { name: "seconds from the start", scale: Scale::Linear, show: |s| format!("{s}"), ticks: &[] };
    let y = Axis {
        name: "1 normal, 0 as bad as it may be",
        scale: Scale::Linear,
        show: |score| format!("{score:.2}"),
        ticks: &[0.0, 0.25, 0.5, 0.75, 1.0],
    };
    plot("Score over time", &x, &y, &lines)
}
