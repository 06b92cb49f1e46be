//! The curve of a service under more and more users: the universal scalability law (Gunther, *Guerrilla Capacity Planning*,
//! chapter 4),
//!
//! `X(N) = λN / (1 + σ(N-1) + κN(N-1))`,
//!
//! where `λ` is what one user gets, `σ` the part of the work that is done one after the other, and `κ` what it costs to
//! keep things consistent among those at work. The most is got from `N* = √((1-σ)/κ)` users; more of them get less.

use serde::Serialize;

/// A curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Curve {
    /// Requests a second of one connection.
    pub lambda: f64,
    /// Contention: 0 to 1.
    pub sigma: f64,
    /// Coherence: 0 or more.
    pub kappa: f64,
    /// How much of the variation it explains, at most 1.
    pub r_squared: f64,
}

impl Curve {
    /// Requests a second with so many connections.
    pub fn at(&self, connections: f64) -> f64 {
        let others = connections - 1.0;
        self.lambda * connections / (1.0 + self.sigma * others + self.kappa * connections * others)
    }

    /// With how many connections the most is got; none where it only grows.
    pub fn best(&self) -> Option<f64> {
        (self.kappa > 0.0 && self.sigma < 1.0).then(|| ((1.0 - self.sigma) / self.kappa).sqrt().max(1.0))
    }

    /// The curve through measured points (connections, requests a second); none with fewer than three.
    ///
    /// Turned over, the law is linear in `1/λ`, `σ/λ` and `κ/λ`. Least squares of that would weigh the slow points
    /// most, so each has the weight of its throughput (to the fourth power, as the error of `N/X` is that of `X` times `N/X²`).
    /// Where contention or coherence would be negative it is left out: a service that gains by company has a cache that warms up,
    /// or points that scatter.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let points: Vec<(f64, f64)> = points.iter().copied().filter(|(n, x)| *n >= 1.0 && *x > 0.0).collect();
        if points.len() < 3 {
            return None;
        }
        let (mut contention, mut coherence) = (true, true);
        loop {
            let [one, sigma, kappa] = solve(&points, contention, coherence)?;
            match (sigma < 0.0 && contention, kappa < 0.0 && coherence) {
                // The one that is further off first.
                (true, true) if sigma < kappa => contention = false,
                (_, true) => coherence = false,
                (true, false) => contention = false,
                (false, false) if one > 0.0 => {
                    let curve =
                        Self { lambda: 1.0 / one, sigma: sigma / one, kappa: kappa / one, r_squared: 0.0 };
                    return Some(Self { r_squared: curve.explains(&points), ..curve });
                }
                (false, false) => return None,
            }
        }
    }

    fn explains(&self, points: &[(f64, f64)]) -> f64 {
        let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
        let all: f64 = points.iter().map(|point| (point.1 - mean).powi(2)).sum();
        let left: f64 = points.iter().map(|point| (point.1 - self.at(point.0)).powi(2)).sum();
        if all > 0.0 { 1.0 - left / all } else { 1.0 }
    }
}

/// Weighted least squares of `N/X = a + b(N-1) + cN(N-1)`, with b or c left out where they are not wanted.
fn solve(points: &[(f64, f64)], with_b: bool, with_c: bool) -> Option<[f64; 3]> {
    let wanted = [true, with_b, with_c];
    let mut normal = [[0.0; 4]; 3];
    for (n, x) in points {
        let row = [1.0, n - 1.0, n * (n - 1.0)];
        let weight = (x * x / n).powi(2);
        for i in 0..3 {
            for j in 0..3 {
                normal[i][j] += weight * row[i] * row[j];
            }
            normal[i][3] += weight * row[i] * n / x;
        }
    }
    for (at, wanted) in wanted.iter().enumerate() {
        if !wanted {
            normal[at] = [0.0; 4];
            normal[at][at] = 1.0;
            for (other, row) in normal.iter_mut().enumerate() {
                if other != at {
                    row[at] = 0.0;
                }
            }
        }
    }
    eliminate(normal)
}

/// Gauss's elimination with the largest pivot.
fn eliminate(mut rows: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        let pivot = rows[column];
        if pivot[column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        for (at, row) in rows.iter_mut().enumerate() {
            if at != column {
                let times = row[column] / pivot[column];
                row.iter_mut().zip(pivot).for_each(|(value, pivot)| *value -= times * pivot);
            }
        }
    }
    Some([0, 1, 2].map(|at| rows[at][3] / rows[at][at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(curve: Curve) -> Vec<(f64, f64)> {
        [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0].map(|n| (n, curve.at(n))).to_vec()
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-6 * b.abs().max(1e-3)
    }

    #[test]
    fn a_curve_is_found_again_from_its_points() {
        for (sigma, kappa) in [(0.05, 0.0002), (0.0, 0.001), (0.1, 0.0), (0.0, 0.0)] {
            let curve = Curve { lambda: 1_000.0, sigma, kappa, r_squared: 1.0 };
            let found = Curve::through(&points(curve)).unwrap();
            assert!(close(found.lambda, 1_000.0) && close(found.r_squared, 1.0), "{found:?}");
            assert!((found.sigma - sigma).abs() < 1e-9 && (found.kappa - kappa).abs() < 1e-9, "{found:?}");
        }
    }

    #[test]
    fn the_most_is_got_where_the_curve_turns() {
        let curve = Curve { lambda: 1_000.0, sigma: 0.05, kappa: 0.0002, r_squared: 1.0 };
        let best = curve.best().unwrap();
        assert!((best - 68.9).abs() < 0.1, "{best}");
        assert!(curve.at(best) > curve.at(best - 5.0) && curve.at(best) > curve.at(best + 5.0));
        assert_eq!(Curve { kappa: 0.0, ..curve }.best(), None);
    }

    #[test]
    fn a_service_that_gains_by_company_has_no_negative_contention() {
        let points =
            [(1.0, 900.0), (2.0, 2_100.0), (4.0, 4_300.0), (8.0, 8_500.0), (16.0, 9_000.0), (32.0, 8_800.0)];
        let curve = Curve::through(&points).unwrap();
        assert!(curve.sigma >= 0.0 && curve.kappa >= 0.0, "{curve:?}");
        assert_eq!(Curve::through(&points[..2]), None);
    }
}
