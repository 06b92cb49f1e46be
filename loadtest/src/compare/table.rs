//! The table of a comparison.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Peer;
use crate::{columns, middle::median};

/// One figure of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// Whether values are told apart by their difference: they may be near zero, where a ratio says nothing.
    pub by_difference: bool,
}

impl Measure {
    /// One of which less is better.
    pub fn less(name: &str, unit: &'static str) -> Self {
        Self { name: name.into(), unit, more_is_better: false, by_difference: false }
    }

    /// One of which less is better, and that may be near zero or below it.
    pub fn difference(name: &str, unit: &'static str) -> Self {
        Self { by_difference: true, ..Self::less(name, unit) }
    }

    /// One of which more is better.
    pub fn more(name: &str, unit: &'static str) -> Self {
        Self { more_is_better: true, ..Self::less(name, unit) }
    }
}

/// Everything that was measured: by measure and proxy, a value for each round.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    order: Vec<Measure>,
    values: BTreeMap<(usize, Peer), Vec<f64>>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub measure: String,
    /// Its unit.
    pub unit: &'static str,
    /// By the proxy's name: the median of its rounds.
    pub medians: BTreeMap<&'static str, f64>,
    /// By the other's name: Serin's value over the other's, round by round; the median, the least and the most.
    pub ratios: BTreeMap<&'static str, (f64, f64, f64)>,
    /// The same for what is told apart by difference: Serin's value less the other's, in the unit.
    pub differences: BTreeMap<&'static str, (f64, f64, f64)>,
}

impl Rows {
    /// Adds a proxy's value of a round.
    pub fn push(&mut self, measure: &Measure, peer: Peer, value: f64) {
        let at = self.order.iter().position(|known| known == measure).unwrap_or_else(|| {
            self.order.push(measure.clone());
            self.order.len() - 1
        });
        self.values.entry((at, peer)).or_default().push(value);
    }

    /// The lines, in the order in which they were first measured.
    pub fn lines(&self) -> Vec<Row> {
        let line = |(at, measure): (usize, &Measure)| {
            let of = |peer: Peer| self.values.get(&(at, peer)).map(Vec::as_slice).unwrap_or_default();
            let own = of(Peer::Serin);
            let mut row = Row {
                measure: measure.name.clone(),
                unit: measure.unit,
                medians: BTreeMap::new(),
                ratios: BTreeMap::new(),
                differences: BTreeMap::new(),
            };
            for peer in Peer::ALL {
                let values = of(peer);
                row.medians.extend(median(values).map(|value| (peer.name(), value)));
                if peer == Peer::Serin {
                    continue;
                }
                let pairs = own.iter().zip(values);
                if measure.by_difference {
                    let spread = spread(pairs.map(|(own, other)| own - other));
                    row.differences.extend(spread.map(|spread| (peer.name(), spread)));
                } else {
                    let pairs = pairs.filter(|(_, other)| **other > 0.0);
                    row.ratios.extend(
                        spread(pairs.map(|(own, other)| own / other)).map(|spread| (peer.name(), spread)),
                    );
                }
            }
            row
        };
        self.order.iter().enumerate().map(line).collect()
    }
}

/// The median, the least and the most.
fn spread(values: impl Iterator<Item = f64>) -> Option<(f64, f64, f64)> {
    let values: Vec<f64> = values.collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    median(&values).map(|middle| (middle, least, most))
}

/// The table in Markdown, for a file and for a terminal. A ratio has no unit; a difference has.
pub fn markdown(rows: &[Row]) -> String {
    let peers: Vec<&str> = Peer::ALL
        .iter()
        .map(|peer| peer.name())
        .filter(|name| rows.iter().any(|row| row.medians.contains_key(name)))
        .collect();
    let mut cells: Vec<Vec<String>> = Vec::new();
    let mut head = vec!["measure".to_owned()];
    head.extend(peers.iter().map(|name| (*name).to_owned()));
    head.extend(peers.iter().skip(1).map(|name| format!("Serin / {name}")));
    cells.push(head);
    for row in rows {
        let mut line = vec![format!("{}, {}", row.measure, row.unit)];
        line.extend(peers.iter().map(|name| row.medians.get(name).map_or("-".into(), |value| shown(*value))));
        line.extend(peers.iter().skip(1).map(|name| {
            match (row.ratios.get(name), row.differences.get(name)) {
                (Some((middle, least, most)), _) => format!("{middle:.2} ({least:.2} to {most:.2})"),
                (None, Some((middle, least, most))) => {
                    format!("{middle:+.0} {} ({least:+.0} to {most:+.0})", row.unit)
                }
                (None, None) => "-".into(),
            }
        }));
        cells.push(line);
    }
    columns::markdown(&cells)
}

/// Three significant digits, and thousands as they are.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let (cpu, mut rows) = (Measure::less("CPU time a request", "µs"), Rows::default());
        // The machine was half as fast in the second round; the ratios don't care.
        for (own, other) in [(18.0, 15.0), (36.0, 30.0), (19.0, 15.0)] {
            rows.push(&cpu, Peer::Serin, own);
            rows.push(&cpu, Peer::Haproxy, other);
        }
        let lines = rows.lines();
        let (middle, least, most) = lines[0].ratios["HAProxy"];
        assert!(
            (middle - 1.2).abs() < 1e-9 && (least - 1.2).abs() < 1e-9 && (most - 19.0 / 15.0).abs() < 1e-9
        );
        assert_eq!(lines[0].medians["Serin"], 19.0);
        let text = markdown(&lines);
        assert!(
            text.contains("| CPU time a request, µs |") && text.contains("1.20 (1.20 to 1.27) |"),
            "{text}"
        );
    }

    #[test]
    fn what_may_be_near_zero_is_told_apart_by_its_difference() {
        let (added, mut rows) = (Measure::difference("p99 added", "µs"), Rows::default());
        for (own, other) in [(-2.0, 1.0), (5.0, 0.0), (4.0, 3.0)] {
            rows.push(&added, Peer::Serin, own);
            rows.push(&added, Peer::Haproxy, other);
        }
        let lines = rows.lines();
        assert!(lines[0].ratios.is_empty());
        assert_eq!(lines[0].differences["HAProxy"], (1.0, -3.0, 5.0));
        assert!(markdown(&lines).contains("| +1 µs (-3 to +5) |"), "{}", markdown(&lines));
    }

    #[test]
    fn who_was_not_measured_has_no_column_and_no_ratio() {
        let mut rows = Rows::default();
        rows.push(&Measure::more("handshakes", "1/s"), Peer::Serin, 900.0);
        let text = markdown(&rows.lines());
        assert!(!text.contains("HAProxy"), "{text}");
    }
}
