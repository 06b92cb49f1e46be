//! Plots as SVG: lines over one axis, with ticks that a person would have chosen.

use std::fmt::Write;

/// How an axis goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Each tenfold is as long as the next; values of zero or less stand at the lower end.
    Logarithmic,
}

/// An axis: what it is of, how it goes, and how its values are written.
pub(crate) struct Axis<'a> {
    pub(crate) name: &'a str,
    pub(crate) scale: Scale,
    pub(crate) show: fn(f64) -> String,
    /// Where ticks must stand; chosen where there are none.
    pub(crate) ticks: &'a [f64],
}

/// A line of a plot.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Lines have their colours from the page's style, by number.
const COLOURS: usize = 6;

/// A plot with its legend. Names are text, and written as such.
pub(crate) fn plot(title: &str, x: &Axis<'_>, y: &Axis<'_>, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let across = Range::of(points().map(|point| point.0), x);
    let up = Range::of(points().map(|point| point.1), y);
    let place = |(at, value): (f64, f64)| {
        (
            LEFT + across.part(at) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - up.part(value) * (HEIGHT - TOP - BOTTOM),
        )
    };
    let mut svg = format!(
        "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(title),
        escaped(title)
    );
    for tick in &across.ticks {
        let (left, _) = place((*tick, up.low));
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{left:.1} {TOP}V{:.1}\"/><text x=\"{left:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 16.0,
            escaped(&(x.show)(*tick))
        );
    }
    for tick in &up.ticks {
        let (_, top) = place((across.low, *tick));
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {top:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            top + 4.0,
            escaped(&(y.show)(*tick))
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let mut path = String::new();
        for (at, point) in line.points.iter().enumerate() {
            let (left, top) = place(*point);
            let _ = write!(path, "{}{left:.1} {top:.1}", if at == 0 { 'M' } else { 'L' });
        }
        let _ = writeln!(svg, "<path class=\"line c{}\" d=\"{path}\"/>", number % COLOURS);
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></svg>",
        (WIDTH + LEFT) / 2.0,
        HEIGHT - 8.0,
        escaped(x.name)
    );
    let _ = write!(svg, "<p class=\"legend\"><span>{}:</span>", escaped(y.name));
    for (number, line) in lines.iter().enumerate() {
        let _ = write!(svg, " <span class=\"c{}\">{}</span>", number % COLOURS, escaped(&line.name));
    }
    svg.push_str("</p></figure>\n");
    svg
}

struct Range {
    low: f64,
    high: f64,
    scale: Scale,
    ticks: Vec<f64>,
}

impl Range {
    fn of(values: impl Iterator<Item = f64>, axis: &Axis<'_>) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let counted = finite.filter(|value| axis.scale == Scale::Linear || *value > 0.0);
        let bounds = counted.fold(None, |bounds: Option<(f64, f64)>, value| {
            Some(bounds.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let (least, most) = bounds.unwrap_or((1.0, 1.0));
        let (low, high, mut ticks) = match axis.scale {
            Scale::Linear => linear(least.min(0.0), most),
            Scale::Logarithmic => logarithmic(least, most),
        };
        if !axis.ticks.is_empty() {
            ticks = axis.ticks.iter().copied().filter(|tick| (low..=high).contains(tick)).collect();
        }
        Self { low, high, scale: axis.scale, ticks }
    }

    /// Where a value stands, from 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
        };
        part.clamp(0.0, 1.0)
    }
}

/// From the least to the most in steps of 1, 2 or 5 times a power of ten, about five of them.
fn linear(least: f64, most: f64) -> (f64, f64, Vec<f64>) {
    let span = if most > least { most - least } else { 1.0 };
    let power = 10_f64.powf((span / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| span / step <= 6.0);
    let step = step.unwrap_or(span);
    let first = (least / step).floor() * step;
    let mut ticks = vec![first];
    while ticks.last().is_some_and(|last| *last < least + span - step * 1e-9) {
        ticks.push(first + step * ticks.len() as f64);
    }
    (first, ticks.last().copied().unwrap_or(most), ticks)
}

/// Whole tenfolds around the values.
fn logarithmic(least: f64, most: f64) -> (f64, f64, Vec<f64>) {
    let (first, mut last) = (least.log10().floor(), most.log10().ceil());
    if last <= first {
        last = first + 1.0;
    }
    let mut ticks = Vec::new();
    let mut power = first;
    while power <= last {
        ticks.push(10_f64.powf(power));
        power += 1.0;
    }
    (10_f64.powf(first), 10_f64.powf(last), ticks)
}

/// Text within HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_that_hold_all_values() {
        assert_eq!(linear(0.0, 23.0), (0.0, 25.0, vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0]));
        assert_eq!(linear(0.0, 1.0).1, 1.0);
        assert_eq!(linear(0.0, 0.0).2.len(), 6);
        assert_eq!(logarithmic(120.0, 45_000.0).2, [100.0, 1_000.0, 10_000.0, 100_000.0]);
        assert_eq!(logarithmic(100.0, 100.0).2, [100.0, 1_000.0]);
    }

    #[test]
    fn a_plot_without_values_is_still_a_plot_and_names_are_only_text() {
        let axis = Axis { name: "x", scale: Scale::Logarithmic, show: |v| v.to_string(), ticks: &[] };
        let line = Line { name: "<script>".into(), points: Vec::new() };
        let svg = plot("a & b", &axis, &axis, &[line]);
        assert!(svg.contains("&lt;script&gt;") && svg.contains("a &amp; b") && !svg.contains("NaN"), "{svg}");
    }
}
