//! Golden vectors: 50-digit values of every primitive that is built here, and fifteen sequences of windows with the
//! evidence after each. They were computed by an independent program; `tests/golden.json` is shared as it is.

use std::collections::BTreeMap;

use serde::Deserialize;
use serin_config::{RouteName, policy::RolloutPolicy, wire::LatencyCounts};

use crate::{
    block::{Pair, Trials},
    comparison::Comparison,
    error_rate::{self, Tolerance},
    limit,
    mixture::{Cap, Restarts},
    non_inferiority,
    numerics::{ln_mean_exp, ln_sum_exp},
    scheme::{Ladder, Scheme},
    setup::Setup,
    templates,
    thresholds::{BINS, CUTS, Cuts, PERMILLE, PROOF_CUTS, Past, Shifts, Thresholds},
    window::{Arm, Pairing, Window},
};

#[derive(Deserialize)]
struct Golden {
    constants: Constants,
    primitives: Primitives,
    sequences: Vec<Sequence>,
}

#[derive(Deserialize)]
struct Constants {
    permille: Vec<u64>,
    odds: Vec<f64>,
    tail_k: Vec<usize>,
    tail_r: Vec<f64>,
    err_r: Vec<f64>,
    ni_er: Vec<f64>,
    ni_k: Vec<usize>,
    ni_r: Vec<f64>,
}

#[derive(Deserialize)]
struct Primitives {
    err_ln: Vec<ErrLn>,
    ni_err_ln: Vec<NiErrLn>,
    thresholds_templates: Vec<ThresholdsTemplates>,
    bins_ln: Vec<BinsLn>,
    beta_binomial_ln_e: Vec<BetaBinomial>,
    one_sample_ln_e: Vec<OneSample>,
    logsumexp: Vec<LogSumExp>,
}

#[derive(Deserialize)]
struct ErrLn {
    xc: u64,
    xb: u64,
    nc: u64,
    nb: u64,
    rho: f64,
    rho0: f64,
    a: f64,
    clump: f64,
    ln: f64,
}

#[derive(Deserialize)]
struct NiErrLn {
    xc: u64,
    xb: u64,
    nc: u64,
    nb: u64,
    rho: f64,
    rho1: f64,
    a1: f64,
    clump: f64,
    ln: f64,
}

type Hist = BTreeMap<u16, u32>;

#[derive(Deserialize)]
struct ThresholdsTemplates {
    hist: Hist,
    idx: [u16; CUTS],
    tail_counts: [u64; CUTS],
    total: u64,
    tails: [f64; CUTS],
    templates: Vec<Option<[f64; BINS]>>,
    canary_idx: [u16; CUTS],
    loose_idx: [u16; CUTS],
    ni_idx: [u16; CUTS],
}

#[derive(Deserialize)]
struct BinsLn {
    xc: [u64; BINS],
    xb: [u64; BINS],
    rho: [f64; BINS],
    ln: f64,
}

#[derive(Deserialize)]
struct BetaBinomial {
    xc: u64,
    xb: u64,
    pi: f64,
    kappa: f64,
    ln: f64,
}

#[derive(Deserialize)]
struct OneSample {
    x: u64,
    n: u64,
    p_star: f64,
    grid: Vec<f64>,
    ln: f64,
}

#[derive(Deserialize)]
struct LogSumExp {
    v: Vec<f64>,
    ln: f64,
}

#[derive(Deserialize)]
struct Sequence {
    name: String,
    config: Config,
    pre: Vec<Hist>,
    windows: Vec<(u64, u64, Hist, u64, u64, Hist)>,
    expected: Vec<[Option<f64>; 5]>,
    decision: String,
    decision_index: Option<usize>,
    ratio_cs_95: [serde_json::Value; 2],
}

#[derive(Deserialize)]
struct Config {
    alpha: f64,
    beta: f64,
    min_soak: usize,
    rho0: f64,
    a0: f64,
    clump: f64,
    rho1: f64,
    a1: f64,
    cap_err: f64,
    cap_lat: f64,
    exempt: f64,
    restart: u64,
    horizon: u64,
    gen_len: u64,
    refresh: u64,
    abs_ms: f64,
    tol_buckets: [u16; CUTS],
    ni_buckets: [u16; PROOF_CUTS.len()],
    warm: u64,
    loose_buckets: u16,
    v0_ms: f64,
    per_octave: u16,
    n_buckets: u16,
}

impl Config {
    fn scheme(&self) -> Scheme {
        Scheme::new(self.v0_ms * 1e3, self.per_octave, self.n_buckets).unwrap()
    }

    fn comparison(&self) -> Comparison {
        assert_eq!(self.exempt, 0.5);
        let setup = Setup {
            harmless: Some(Tolerance { ratio: self.rho0, margin: self.a0 }),
            error_cap: Cap { nats: self.cap_err, lifted_by_majority: true },
            latency_cap: self.cap_lat,
            shifts: Shifts {
                tight: self.tol_buckets,
                loose: self.loose_buckets,
                proof: self.ni_buckets,
                min_us: self.abs_ms * 1e3,
            },
            warm_up: self.warm,
            restarts: Restarts { windows: self.restart, horizon: self.horizon, late_share: 0.0 },
            refresh: self.refresh,
            generation: self.gen_len,
            clump: self.clump,
            ..Setup::new(&RolloutPolicy::default(), self.scheme())
        };
        Comparison::with(setup, self.scheme(), &[Tolerance { ratio: self.rho1, margin: self.a1 }])
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../tests/golden.json")).unwrap()
}

fn counts(nc: u64, xc: u64, nb: u64, xb: u64) -> Pair {
    Pair { canary: Trials { requests: nc, bad: xc }, stable: Trials { requests: nb, bad: xb } }
}

fn latencies(hist: &Hist) -> LatencyCounts {
    LatencyCounts(hist.iter().map(|(bucket, n)| (*bucket, *n)).collect())
}

fn arm(n: u64, err: u64, hist: &Hist) -> Arm {
    Arm::counted(n, err).with_headers(latencies(hist))
}

fn window(stable: Arm, canary: Arm) -> Window {
    Window::of(&RouteName::try_new("r0").unwrap(), Pairing { canary, stable })
}

/// 1e-9 on logarithms, relative 1e-12 above 1e3; an absent value is −∞.
#[track_caller]
fn assert_close(ours: f64, golden: impl Into<Option<f64>>, what: &str) {
    let golden = golden.into().unwrap_or(f64::NEG_INFINITY);
    let near = (ours - golden).abs() <= 1e-9_f64.max(golden.abs() * 1e-12);
    assert!(ours == golden || near, "{what}: {ours}, golden {golden}");
}

#[test]
fn templates_are_those_of_the_golden_vectors() {
    let constants = golden().constants;
    assert_eq!(constants.err_r, error_rate::TEMPLATES);
    assert_eq!(constants.ni_er, non_inferiority::TEMPLATES);
    assert_eq!(constants.permille, PERMILLE);
    assert_eq!(constants.odds, templates::ODDS);
    assert_eq!(constants.tail_k, templates::STEP_CUTS);
    assert_eq!(constants.tail_r, templates::STEPS);
    assert_eq!(constants.ni_k, PROOF_CUTS);
    assert_eq!(constants.ni_r, templates::PROOF_STEPS);
}

#[test]
fn the_error_factor_is_golden() {
    for v in golden().primitives.err_ln {
        let tolerance = Tolerance { ratio: v.rho0, margin: v.a };
        let ln = tolerance.ln_factor(&counts(v.nc, v.xc, v.nb, v.xb), v.rho / v.rho0, v.clump);
        assert_close(ln, v.ln, "err_ln");
    }
}

#[test]
fn the_non_inferiority_factor_is_golden() {
    for v in golden().primitives.ni_err_ln {
        let boundary = Tolerance { ratio: v.rho1, margin: v.a1 };
        let ln = boundary.ln_factor(&counts(v.nc, v.xc, v.nb, v.xb), v.rho / v.rho1, v.clump);
        assert_close(ln, v.ln, "ni_err_ln");
    }
}

#[test]
fn cuts_and_templates_are_golden() {
    let config = &golden().sequences[0].config;
    let (scheme, shifts) = (config.scheme(), config.comparison().shifts());
    for v in golden().primitives.thresholds_templates {
        let mut past = Past::new(scheme.count());
        past.push(&latencies(&v.hist));
        let stable = past.cuts().unwrap();
        assert_eq!((stable.at, stable.above, stable.total), (v.idx, v.tail_counts, v.total));
        for (ours, golden) in stable.tails().into_iter().zip(v.tails) {
            assert_close(ours, golden, "tails");
        }
        let thresholds = Thresholds::from(Cuts::new(stable, &shifts, &Ladder::from(scheme)));
        assert_eq!((thresholds.cuts.tight, thresholds.cuts.loose), (v.canary_idx, v.loose_idx));
        assert_eq!(thresholds.cuts.proof, PROOF_CUTS.map(|cut| v.ni_idx[cut]));
        let ours = thresholds.templates.ratios();
        assert_eq!(ours.len(), v.templates.len());
        for (ours, golden) in ours.into_iter().zip(v.templates) {
            assert_eq!(ours.is_some(), golden.is_some());
            for (ours, golden) in ours.into_iter().flatten().zip(golden.into_iter().flatten()) {
                assert_close(ours, golden, "templates");
            }
        }
    }
}

#[test]
fn the_latency_factor_is_golden() {
    for v in golden().primitives.bins_ln {
        assert_close(templates::ln_factor(&v.xc, &v.xb, &v.rho), v.ln, "bins_ln");
    }
}

/// The closed form for the canary's share of all errors, with a prior of weight κ around the share π that it should have:
/// ln B(κπ + x_c, κ(1−π) + x_b) − ln B(κπ, κ(1−π)) − x_c·ln π − x_b·ln(1−π), by rising factorials.
fn beta_binomial(xc: u64, xb: u64, pi: f64, kappa: f64) -> f64 {
    let rising = |from: f64, steps: u64| (0..steps).map(|step| (from + step as f64).ln()).sum::<f64>();
    rising(kappa * pi, xc) + rising(kappa * (1.0 - pi), xb)
        - rising(kappa, xc + xb)
        - xc as f64 * pi.ln()
        - xb as f64 * (1.0 - pi).ln()
}

#[test]
fn the_closed_form_is_golden_and_the_mixture_of_ratios_is_as_sharp() {
    for v in golden().primitives.beta_binomial_ln_e {
        assert_close(beta_binomial(v.xc, v.xb, v.pi, v.kappa), v.ln, "beta_binomial_ln_e");
    }
    // The product bets on ten ratios instead of a continuum: with no tolerance, it comes to the same within a nat or two.
    let equal = Tolerance { ratio: 1.0, margin: 0.0 };
    for (xc, xb) in [(10, 60), (20, 20), (30, 190), (60, 190)] {
        let factors = equal.ln_factors(&(&counts(500, xc, 9_500, xb)).into(), &error_rate::TEMPLATES, 1.0);
        let (ours, closed) = (ln_mean_exp(&factors), beta_binomial(xc, xb, 0.05, 100.0));
        assert!(ours > closed - 2.0, "{xc} {xb}: {ours}, closed form {closed}");
    }
}

#[test]
fn the_limit_factor_is_golden() {
    for v in golden().primitives.one_sample_ln_e {
        let trials = Trials { requests: v.n, bad: v.x };
        let each: Vec<f64> = v.grid.iter().map(|p| limit::ln_factor(trials, v.p_star, *p)).collect();
        assert_close(ln_mean_exp(&each), v.ln, "one_sample_ln_e");
    }
}

#[test]
fn sums_of_exponentials_are_golden() {
    for v in golden().primitives.logsumexp {
        assert_close(ln_sum_exp(&v.v), v.ln, "logsumexp");
    }
}

#[test]
fn every_second_of_every_sequence_is_golden() {
    for sequence in golden().sequences {
        let (name, config) = (sequence.name, sequence.config);
        let mut comparison = config.comparison();
        for past in &sequence.pre {
            comparison.pre(&window(Arm::counted(0, 0).with_headers(latencies(past)), Arm::default()));
        }
        assert_eq!(sequence.windows.len(), sequence.expected.len());
        let (against, proven) = (-config.alpha.ln(), -config.beta.ln());
        let mut decision = ("continue", None);
        for (number, ((nb, xb, hb, nc, xc, hc), row)) in
            sequence.windows.iter().zip(&sequence.expected).enumerate()
        {
            comparison.observe(number as u64, &window(arm(*nb, *xb, hb), arm(*nc, *xc, hc)), 1.0);
            let proof = comparison.proof(0);
            let ours = [
                comparison.ln_e_errors(),
                comparison.ln_e_latency(),
                comparison.ln_e(),
                proof.ln_errors.unwrap(),
                proof.ln_latency.unwrap(),
            ];
            for (column, (ours, golden)) in ours.iter().zip(row).enumerate() {
                assert_close(*ours, *golden, &format!("{name}, window {number}, column {column}"));
            }
            if decision.1.is_none() {
                if ours[2] >= against {
                    decision = ("rollback", Some(number));
                } else if number + 1 >= config.min_soak && ours[3] >= proven && ours[4] >= proven {
                    decision = ("promote", Some(number));
                }
            }
        }
        assert_eq!(decision, (sequence.decision.as_str(), sequence.decision_index), "{name}");
        // An end of the interval is an eighth-of-a-doubling's part of a grid point, so 1e-9 holds relative to it.
        let (lower, upper) = comparison.ratio().interval();
        let relative = |ours: f64, golden: f64| ours == golden || (ours / golden - 1.0).abs() < 1e-9;
        assert!(relative(lower, sequence.ratio_cs_95[0].as_f64().unwrap()), "{name} {lower}");
        match (upper, sequence.ratio_cs_95[1].as_f64()) {
            (Some(upper), Some(golden)) => assert!(relative(upper, golden), "{name} {upper}"),
            (None, None) => assert_eq!(sequence.ratio_cs_95[1], "inf"),
            (ours, golden) => panic!("{name}: {ours:?}, golden {golden:?}"),
        }
    }
}
