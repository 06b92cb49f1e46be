use super::*;

fn rate(per_second: f64) -> Rate {
    Rate::try_new(per_second).unwrap()
}

#[test]
fn what_is_not_a_rate_is_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, RATE_MAX * 1.01] {
        assert!(Rate::try_new(bad).is_err(), "{bad}");
    }
}

#[test]
fn constant_arrivals_do_not_drift() {
    let at = Schedule::Constant(rate(3000.0)).arrivals().nth(3_000_000).unwrap();
    assert_eq!(at, Duration::from_secs(1000));
}

#[test]
fn poisson_arrivals_have_the_mean_and_spread_of_exponential_gaps() {
    let times: Vec<f64> = Schedule::Poisson { rate: rate(1000.0), seed: 7 }
        .arrivals()
        .take(100_000)
        .map(|at| at.as_secs_f64())
        .collect();
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    // The standard error of the mean is 1e-3 / sqrt(1e5), of the deviation about 1.4 times that.
    assert!((mean - 1e-3).abs() < 5.0 * 3.2e-6, "{mean}");
    assert!((variance.sqrt() - 1e-3).abs() < 5.0 * 4.5e-6, "{}", variance.sqrt());
    assert!(gaps.iter().all(|gap| *gap >= 0.0));
}

#[test]
fn one_seed_gives_one_schedule() {
    let times = |seed| Schedule::Poisson { rate: rate(10.0), seed }.arrivals().take(50).collect::<Vec<_>>();
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
}

#[test]
fn a_stop_counts_requests_or_time() {
    let sent = |stop: Stop| {
        Schedule::Constant(rate(100.0))
            .arrivals()
            .enumerate()
            .take(10_000)
            .take_while(|(number, due)| stop.allows(*number as u64, *due))
            .count()
    };
    assert_eq!(sent(Stop::After(Duration::from_secs(2))), 200);
    assert_eq!(sent(Stop::Count(17)), 17);
    assert_eq!(sent(Stop::Never), 10_000);
}

fn stages(stages: &[(f64, f64, u64)]) -> Result<Stages, StagesError> {
    let stage = |(from, to, seconds): &(f64, f64, u64)| Stage {
        from: *from,
        to: *to,
        lasts: Duration::from_secs(*seconds),
    };
    Stages::try_new(stages.iter().map(stage).collect())
}

/// How many arrivals lie in each second.
fn by_second(schedule: &Schedule) -> Vec<usize> {
    let mut counts = Vec::new();
    for at in schedule.arrivals() {
        let second = usize::try_from(at.as_secs()).unwrap();
        counts.resize(counts.len().max(second + 1), 0);
        counts[second] += 1;
    }
    counts
}

#[test]
fn stages_ramp_hold_and_pause() {
    // A ramp has in each second the mean of its rates; nothing is due where the rate is zero.
    let stages = stages(&[(0.0, 100.0, 4), (100.0, 100.0, 2), (0.0, 0.0, 1), (40.0, 0.0, 2)]).unwrap();
    assert_eq!((stages.requests(), stages.lasts()), (440.0, Duration::from_secs(9)));
    let schedule = Schedule::Staged { stages, seed: None };
    let counts = by_second(&schedule);
    let expected = [12.5, 37.5, 62.5, 87.5, 100.0, 100.0, 0.0, 30.0, 10.0];
    assert_eq!(counts.iter().sum::<usize>(), 440);
    for (second, (count, expected)) in counts.iter().zip(expected).enumerate() {
        assert!((*count as f64 - expected).abs() <= 1.0, "second {second}: {count}, not {expected}");
    }
}

#[test]
fn independent_arrivals_keep_to_the_stages_in_the_mean() {
    let stages = stages(&[(0.0, 20_000.0, 5), (20_000.0, 20_000.0, 5)]).unwrap();
    let counts = by_second(&Schedule::Staged { stages, seed: Some(3) });
    for (second, count) in counts.iter().enumerate() {
        let expected = if second < 5 { 2_000.0 + 4_000.0 * second as f64 } else { 20_000.0 };
        // Five standard deviations of a Poisson count.
        assert!((*count as f64 - expected).abs() < 5.0 * f64::sqrt(expected), "second {second}: {count}");
    }
}

#[test]
fn what_are_no_stages_is_refused() {
    assert_eq!(stages(&[]), Err(StagesError::Count(0)));
    assert_eq!(stages(&[(-1.0, 1.0, 1)]), Err(StagesError::Rate(-1.0)));
    assert!(matches!(stages(&[(f64::NAN, 1.0, 1)]), Err(StagesError::Rate(_))));
    assert_eq!(stages(&[(1.0, 1.0, 1), (1.0, 1.0, 0)]), Err(StagesError::Length(2)));
    assert_eq!(stages(&[(0.0, 0.0, 10)]), Err(StagesError::Idle));
}
