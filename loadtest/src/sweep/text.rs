//! A sweep for a terminal.

use std::fmt::Write;

use super::{Findings, Level, Next};
use crate::report::text::{micros, percent};

/// The heads of the columns of levels.
pub fn head() -> String {
    format!("{:>22} {:>10} {:>9} {:>9} {:>9}  {}\n", "asked", "answered/s", "failed", "p50", "p99", "used")
}

/// One level, as it was measured.
pub fn line(next: Next, level: &Level) -> String {
    let asked = match next {
        Next::Connections(1) => "1 connection".to_owned(),
        Next::Connections(connections) => format!("{connections} connections"),
        Next::Rate(rate) => format!("{rate:.0} requests/s"),
    };
    let at = |us: Option<u64>| us.map_or("-".into(), micros);
    let mut used =
        format!("machine {:.0} %, generator {:.2} cores", level.used.machine * 100.0, level.used.generator);
    for (name, cores, _) in &level.used.components {
        // Writing to a string can't fail.
        let _ = write!(used, ", {name} {cores:.2} cores");
    }
    format!(
        "{asked:>22} {:>10.0} {:>9} {:>9} {:>9}  {used}\n",
        level.throughput,
        percent(level.failed, level.due),
        at(level.p50_us),
        at(level.p99_us)
    )
}

/// What was found.
pub fn summary(found: &Findings) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\nmost:   {:.0} requests a second", found.most);
    let _ = match found.knee {
        Some(knee) => writeln!(
            text,
            "knee:   {knee:.0} requests a second, {:.0} % of the most: beyond it answers queue, fail, or stay away",
            knee * 100.0 / found.most.max(f64::MIN_POSITIVE)
        ),
        None => writeln!(text, "knee:   none was found: answers did not keep their pace at any rate"),
    };
    let _ = writeln!(text, "limit:  {}", found.limit);
    if let Some(curve) = found.curve {
        let _ = write!(
            text,
            "curve:  {:.0} requests a second of one connection, contention {:.4}, coherence {:.6} (R² {:.3})",
            curve.lambda, curve.sigma, curve.kappa, curve.r_squared
        );
        let _ = match curve.best() {
            Some(best) => writeln!(text, "; the most with {best:.0} connections"),
            None => writeln!(text, "; more connections get no less"),
        };
    }
    text
}
