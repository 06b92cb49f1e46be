//! Golden vectors: 50-digit values of every primitive that is built here, and fifteen sequences of windows with the
//! evidence after each. They were computed by an independent program; `tests/golden.json` is shared as it is.

use serde::Deserialize;

use crate::{
    block::{Block, Pair, Trials},
    error_rate::{self, ErrorRate, Tolerance},
    limit,
    mixture::{Cap, Restarts},
    non_inferiority::{self, NonInferiority},
    numerics::{ln_mean_exp, ln_sum_exp},
    ratio::Ratio,
};

#[derive(Deserialize)]
struct Golden {
    constants: Constants,
    primitives: Primitives,
    sequences: Vec<Sequence>,
}

#[derive(Deserialize)]
struct Constants {
    err_r: Vec<f64>,
    ni_er: Vec<f64>,
}

#[derive(Deserialize)]
struct Primitives {
    err_ln: Vec<ErrLn>,
    ni_err_ln: Vec<NiErrLn>,
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
    windows: Vec<(u64, u64, serde_json::Value, u64, u64, serde_json::Value)>,
    expected: Vec<[Option<f64>; 5]>,
    ratio_cs_95: [serde_json::Value; 2],
}

#[derive(Deserialize)]
struct Config {
    rho0: f64,
    a0: f64,
    clump: f64,
    rho1: f64,
    a1: f64,
    cap_err: f64,
    restart: u64,
    horizon: u64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../tests/golden.json")).unwrap()
}

fn counts(nc: u64, xc: u64, nb: u64, xb: u64) -> Pair {
    Pair { canary: Trials { requests: nc, bad: xc }, stable: Trials { requests: nb, bad: xb } }
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
        let restarts = Restarts { windows: config.restart, horizon: config.horizon, late_share: 0.0 };
        let cap = Cap { nats: config.cap_err, lifted_by_majority: true };
        let harmless = Tolerance { ratio: config.rho0, margin: config.a0 };
        let boundary = Tolerance { ratio: config.rho1, margin: config.a1 };
        let mut worse = ErrorRate::with(harmless, cap, config.clump, restarts);
        let mut proof = NonInferiority::with(boundary, config.clump);
        let (mut ratio, mut block) = (Ratio::new(), Block::default());
        assert_eq!(sequence.windows.len(), sequence.expected.len());
        for (number, ((nb, xb, _, nc, xc, _), row)) in
            (0_u64..).zip(sequence.windows.iter().zip(&sequence.expected))
        {
            if let Some(block) = block.add(counts(*nc, *xc, *nb, *xb)) {
                worse.observe(number, &block);
                proof.observe(&block);
                ratio.observe(&block);
            }
            assert_close(worse.ln_e(), row[0], &format!("{name} {number} ln_e_err"));
            assert_close(proof.ln_e(), row[3], &format!("{name} {number} ln_ni_err"));
        }
        // An end of the interval is an eighth-of-a-doubling's part of a grid point, so 1e-9 holds relative to it.
        let (lower, upper) = ratio.interval();
        let relative = |ours: f64, golden: f64| ours == golden || (ours / golden - 1.0).abs() < 1e-9;
        assert!(relative(lower, sequence.ratio_cs_95[0].as_f64().unwrap()), "{name} {lower}");
        match (upper, sequence.ratio_cs_95[1].as_f64()) {
            (Some(upper), Some(golden)) => assert!(relative(upper, golden), "{name} {upper}"),
            (None, None) => assert_eq!(sequence.ratio_cs_95[1], "inf"),
            (ours, golden) => panic!("{name}: {ours:?}, golden {golden:?}"),
        }
    }
}
