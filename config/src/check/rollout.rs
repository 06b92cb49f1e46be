//! How a rollout proceeds: a preset, and what the file says otherwise.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    all, guards,
    range::{within_if_any, within_or},
    section, steer,
    steps::{self, Terms},
    strategy, switched,
};
use crate::{
    limits::{
        BLAST_REQUESTS_MAX, PROBE_DURATION_MAX, PROBE_DURATION_MIN, PROBE_RATE_MAX, STEP_DURATION_MAX,
        STRATA_MAX, WARM_UP_MAX,
    },
    name::EventName,
    outcome::Outcome,
    policy::{
        Actions, BlastRadius, ErrorComparison, ErrorWeights, Guards, Mode, Mounting, OnFail, OnNewCanary,
        Preset, Probe, RolloutPolicy, SCORE_FAIL_BELOW_DEFAULT, SCORE_PASS_FROM_DEFAULT, Strategy,
    },
    problem::{Place, Problems, Reported},
    raw::{
        self,
        choice::ModeName,
        decode::{Field, Named, Spanned, Switch},
    },
};

/// Below 1e-6 no amount of traffic convicts in time; above 0.05 a rollback says little.
const FALSE_ALARM: RangeInclusive<f64> = 1e-6..=0.05;
const FALSE_PASS: RangeInclusive<f64> = 1e-4..=0.5;
const SHORTEST: Duration = Duration::from_millis(1);

/// A whole policy; what the file leaves out has the preset's default. `events` are those that the service
/// counts, or nothing where that is not known.
pub(super) fn check(
    raw: raw::Rollout,
    events: Option<&[EventName]>,
    problems: &mut Problems,
) -> Result<RolloutPolicy, Reported> {
    let preset = raw.preset.or(Preset::default());
    let on_fail = strategy::on_fail(raw.rollback, problems);
    let holds = on_fail.as_ref().is_ok_and(|on_fail| *on_fail != OnFail::RollBack);
    if holds {
        let (actions, blast_radius) = (&raw.actions, &raw.blast_radius);
        strategy::nothing_takes_it_out(&raw.on_timeout, actions, blast_radius, &raw.on_new_canary, problems);
    }
    let shape = strategy::Shape::of(&raw.strategy, &raw.bake, raw.steps.given(), problems);
    let default = preset.unwrap_or_default().policy();
    let margins_given = raw.guards.given().is_some_and(|guards| gives_margins(&guards.value.errors));
    let guards = section(raw.guards).and_then(|raw| guards::check(raw, default.preset, events, problems));
    // Where the guards are wrong, the steps may be wrong by themselves all the same.
    let errors = guards.as_ref().map_or(default.guards.errors, |guards| guards.errors);
    let full = errors.as_ref().map(ErrorComparison::pass);
    let clock = raw.strategy.given().is_some_and(|given| given.value == Strategy::Ab);
    let terms = Terms { preset: default.preset, full, given: margins_given, clock };
    let steps = steps::check(raw.steps, &terms, problems);
    let mirror = steer::copying(raw.mirror, problems);
    let on_timeout = raw.on_timeout.or(default.on_timeout);
    let false_alarm = within_or(raw.false_alarm, FALSE_ALARM, default.false_alarm, problems);
    let false_pass = within_or(raw.false_pass, FALSE_PASS, default.false_pass, problems);
    let soak = within_or(raw.soak, Duration::ZERO..=STEP_DURATION_MAX, default.soak, problems);
    let warm_up = within_or(raw.warm_up, Duration::ZERO..=WARM_UP_MAX, default.warm_up, problems);
    let strata = within_or(raw.strata, 1..=STRATA_MAX as u64, default.strata as u64, problems);
    let probe = probe(raw.probe, default.preset.probe(), problems);
    let calm = matches!(shape, Ok(strategy::Shape { strategy: Strategy::BlueGreen | Strategy::Ab, .. }));
    let mounting = if holds || calm { Mounting::Hold } else { default.actions.mounting };
    let actions = section(raw.actions).and_then(|raw| actions(raw, Actions { mounting, ..default.actions }));
    let blast_radius = section(raw.blast_radius).and_then(|raw| blast_radius(raw, problems));
    let watched = |guards: &Guards, blast: &BlastRadius| {
        guards.max_error_rate.is_some() || guards.max_p99.is_some() || blast.failed_requests.is_some()
    };
    // Where either is wrong, nothing is said of what it would come to.
    let watched = guards.as_ref().ok().zip(blast_radius.as_ref().ok()).is_none_or(|(a, b)| watched(a, b));
    let steps = steps.and_then(|steps| shape?.shaped(steps, watched, problems));
    let on_new_canary = raw.on_new_canary.or(OnNewCanary::default());
    let mode = mode(raw.mode, raw.score, problems);
    let compares = guards.as_ref().is_ok_and(|guards| guards.errors.is_some());
    let error_weights = error_weights(raw.error_weights, compares, problems);
    let strategy::Shaped { strategy, bake, steps } = steps?;
    Ok(RolloutPolicy {
        preset: preset?,
        steps,
        mirror: mirror?,
        on_timeout: on_timeout?,
        guards: guards?,
        false_alarm: false_alarm?,
        false_pass: false_pass?,
        soak: soak?,
        warm_up: warm_up?,
        strata: usize::try_from(strata?).unwrap_or(default.strata),
        probe: probe?,
        actions: actions?,
        blast_radius: blast_radius?,
        mode: mode?,
        error_weights: error_weights?,
        strategy,
        bake,
        on_fail: on_fail?,
        on_new_canary: on_new_canary?,
    })
}

/// Whether the file says itself what promotion must prove.
fn gives_margins(errors: &Field<Switch<raw::ErrorComparison>>) -> bool {
    matches!(
        errors.given(),
        Some(Spanned { value: Switch::On(errors), .. })
            if errors.pass_ratio.given().is_some() || errors.pass_margin.given().is_some()
    )
}

fn probe(
    field: Field<Switch<raw::Probe>>,
    default: Probe,
    problems: &mut Problems,
) -> Result<Option<Probe>, Reported> {
    switched(field, default, |raw, _| {
        let rate = within_or(raw.rate, 1..=PROBE_RATE_MAX, default.rate.into(), problems);
        let durations = PROBE_DURATION_MIN..=PROBE_DURATION_MAX;
        let duration = within_or(raw.duration, durations, default.duration, problems);
        Ok(Probe { rate: u32::try_from(rate?).unwrap_or(default.rate), duration: duration? })
    })
}

fn actions(raw: raw::Actions, default: Actions) -> Result<Actions, Reported> {
    let (mounting, both_worse) = (raw.mounting.or(default.mounting), raw.both_worse.or(default.both_worse));
    Ok(Actions { mounting: mounting?, both_worse: both_worse? })
}

fn blast_radius(raw: raw::BlastRadius, problems: &mut Problems) -> Result<BlastRadius, Reported> {
    let failed_requests = within_if_any(raw.failed_requests, 1..=BLAST_REQUESTS_MAX, problems);
    let added_latency = within_if_any(raw.added_latency, SHORTEST..=STEP_DURATION_MAX, problems);
    Ok(BlastRadius { failed_requests: failed_requests?, added_latency: added_latency? })
}

/// The mode; points belong to `score` alone.
fn mode(name: Field<ModeName>, score: Field<raw::Score>, problems: &mut Problems) -> Result<Mode, Reported> {
    let (name, score) = (name.or(ModeName::Evidence), score.optional());
    let (name, score) = (name?, score?);
    match (name, score) {
        (ModeName::Score, None) => {
            Ok(Mode::Score { fail_below: SCORE_FAIL_BELOW_DEFAULT, pass_from: SCORE_PASS_FROM_DEFAULT })
        }
        (ModeName::Score, Some(Spanned { place, value })) => points(value, &place, problems),
        (_, Some(Spanned { place, .. })) => {
            let right = "write \"mode: score\", or leave \"score\" out";
            Err(problems.add(&place, "there are points in mode score only", right))
        }
        (ModeName::Evidence, None) => Ok(Mode::Evidence),
        (ModeName::Any, None) => Ok(Mode::Any),
        (ModeName::All, None) => Ok(Mode::All),
    }
}

fn points(raw: raw::Score, place: &Place, problems: &mut Problems) -> Result<Mode, Reported> {
    let fail_below = within_or(raw.fail_below, 1..=100, SCORE_FAIL_BELOW_DEFAULT.into(), problems);
    let pass_from = within_or(raw.pass_from, 1..=100, SCORE_PASS_FROM_DEFAULT.into(), problems);
    let (fail_below, pass_from) = (fail_below?, pass_from?);
    if pass_from < fail_below {
        let wrong = format!("a canary with {pass_from} points would pass and fail at once");
        return Err(problems.add(place, wrong, format!("write a pass_from of {fail_below} or more")));
    }
    let small = |points: u64| u8::try_from(points).unwrap_or(100);
    Ok(Mode::Score { fail_below: small(fail_below), pass_from: small(pass_from) })
}

/// What the file says of some kinds; the others count as ever.
fn error_weights(
    field: Field<Named<Outcome, f64>>,
    compares: bool,
    problems: &mut Problems,
) -> Result<ErrorWeights, Reported> {
    let mut weights = ErrorWeights::default();
    let Some(Spanned { place, value: Named(entries) }) = field.optional()? else { return Ok(weights) };
    let each = entries.into_iter().map(|entry| {
        let weight = entry.value.and_then(|given| thousandths(&given, problems));
        Ok((entry.name?.value, weight?))
    });
    for (outcome, weight) in all(each.collect())? {
        weights.0[outcome.index()] = weight;
    }
    if compares && weights.0 == [0; Outcome::COUNT] {
        let right = "give a kind of failure a weight above 0, or write \"guards: { errors: off }\"";
        return Err(problems.add(&place, "no failure counts at all", right));
    }
    Ok(weights)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
fn thousandths(given: &Spanned<f64>, problems: &mut Problems) -> Result<u16, Reported> {
    let wrong = |wrong: String, problems: &mut Problems| {
        let right = "write a number from 0 to 1 with at most three decimals, such as 0.1";
        Err(problems.add(&given.place, wrong, right))
    };
    let scaled = given.value * 1000.0;
    if !(0.0..=1000.0).contains(&scaled) {
        return wrong(format!("{} is more than a whole failure", given.value), problems);
    }
    if (scaled - scaled.round()).abs() > 1e-6 {
        return wrong(format!("{} has more than three decimals", given.value), problems);
    }
    Ok(scaled.round() as u16)
}
