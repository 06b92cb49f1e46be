//! The text form of Prometheus metrics, read back.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Metrics(Vec<(String, BTreeMap<String, String>, f64)>);

impl Metrics {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| sample(line).unwrap_or_else(|| panic!("not a sample: {line}"))).collect())
    }

    /// The sum of all samples of that name that carry these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carries = |own: &BTreeMap<String, String>| {
            labels.iter().all(|(key, value)| own.get(*key).is_some_and(|own| own == value))
        };
        self.0.iter().filter(|(own, theirs, _)| own == name && carries(theirs)).map(|(_, _, n)| n).sum()
    }

    /// Attempts of a version that ended in this way.
    pub(crate) fn outcome(&self, version: &str, outcome: &str) -> f64 {
        self.sum("serin_requests_total", &[("version", version), ("outcome", outcome)])
    }

    /// All attempts of a version.
    pub(crate) fn requests(&self, version: &str) -> f64 {
        self.sum("serin_requests_total", &[("version", version)])
    }
}

fn sample(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (name_and_labels, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = name_and_labels.split_once('{') else {
        return Some((name_and_labels.into(), BTreeMap::new(), value));
    };
    let mut found = BTreeMap::new();
    // Names in Serin can't contain quotes, commas or braces, so labels split at their quotes.
    for label in labels.strip_suffix('}')?.split("\",").filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once("=\"")?;
        found.insert(key.trim().into(), value.trim_end_matches('"').into());
    }
    Some((name.into(), found, value))
}

#[test]
fn samples_are_read_with_and_without_labels() {
    let metrics = Metrics::parse(
        "# TYPE a counter\na{version=\"v1\",outcome=\"ok\"} 3\na{version=\"v1\",outcome=\"http_5xx\"} 2\nb 1.5e1\n",
    );
    assert_eq!(metrics.sum("a", &[("version", "v1")]), 5.0);
    assert_eq!(metrics.sum("a", &[("outcome", "ok")]), 3.0);
    assert_eq!(metrics.sum("b", &[]), 15.0);
}
