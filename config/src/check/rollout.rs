//! How a rollout proceeds: rising steps to 100 %, and guards that can be met.

use std::time::Duration;

use super::{
    all,
    range::{within_if_any, within_or},
    section,
};
use crate::{
    limits::{LATENCY_MAX_US, STEP_DURATION_MAX, STEP_REQUESTS_MAX, STEPS_MAX},
    policy::{ErrorComparison, Guards, OnTimeout, RolloutPolicy, Step},
    problem::{Place, Problems, Reported},
    raw::{
        self,
        decode::{Element, List, Spanned, Switch},
    },
    weight::Weight,
};

/// Below 1e-6 no amount of traffic convicts in time; above 0.05 a rollback says little.
const FALSE_ALARM: std::ops::RangeInclusive<f64> = 1e-6..=0.05;
const FALSE_PASS: std::ops::RangeInclusive<f64> = 1e-4..=0.5;
const RATIO: std::ops::RangeInclusive<f64> = 1.0..=1000.0;

/// A whole policy; what the file leaves out has its default.
pub(super) fn check(raw: raw::Rollout, problems: &mut Problems) -> Result<RolloutPolicy, Reported> {
    let default = RolloutPolicy::default();
    let steps = match raw.steps.optional() {
        Ok(Some(steps)) => check_steps(steps, problems),
        Ok(None) => Ok(default.steps.clone()),
        Err(reported) => Err(reported),
    };
    let on_timeout = raw.on_timeout.or(OnTimeout::Hold);
    let guards = section(raw.guards).and_then(|raw| check_guards(raw, problems));
    let false_alarm = within_or(raw.false_alarm, FALSE_ALARM, default.false_alarm, problems);
    let false_pass = within_or(raw.false_pass, FALSE_PASS, default.false_pass, problems);
    Ok(RolloutPolicy {
        steps: steps?,
        on_timeout: on_timeout?,
        guards: guards?,
        false_alarm: false_alarm?,
        false_pass: false_pass?,
        ..default
    })
}

/// Rising weights; a last step at 100 % is added where the file stops short of it.
fn check_steps(
    Spanned { place, value: List(items) }: Spanned<List<raw::Step>>,
    problems: &mut Problems,
) -> Result<Vec<Step>, Reported> {
    if items.is_empty() {
        let right = "write [{ weight: 1% }, …], or leave \"steps\" out for the default";
        return Err(problems.add(&place, "there is no step", right));
    }
    let mut before: Option<Weight> = None;
    let each = items.into_iter().map(|item| check_step(item, &mut before, problems));
    let mut steps = all(each.collect())?;
    if steps.last().is_some_and(|last| last.weight < Weight::WHOLE) {
        steps.push(Step::at(Weight::WHOLE));
    }
    if steps.len() > STEPS_MAX {
        let wrong = format!("there are {} steps, the last at 100% included", steps.len());
        return Err(problems.add(&place, wrong, format!("write at most {STEPS_MAX}")));
    }
    Ok(steps)
}

fn check_step(
    item: Element<raw::Step>,
    before: &mut Option<Weight>,
    problems: &mut Problems,
) -> Result<Step, Reported> {
    let Spanned { place, value: raw } = item?;
    let right = "write the canary's share during the step, such as \"weight: 5%\"";
    let weight = raw.weight.required("weight", &place, problems, right);
    let weight = weight.and_then(|given| rising(&given, before, problems));
    let default = Step::at(Weight::WHOLE);
    let conditions = [
        raw.min_requests.given().map(|given| given.place.clone()),
        raw.min_duration.given().map(|given| given.place.clone()),
        raw.max_duration.given().map(|given| given.place.clone()),
    ];
    if let (Ok(Weight::WHOLE), Some(condition)) = (&weight, conditions.into_iter().flatten().next()) {
        let right = "put the conditions on the step before it; at 100% there is no stable traffic left to compare with";
        return Err(problems.add(&condition, "the step at 100% is the end and waits for nothing", right));
    }
    let requests = within_or(raw.min_requests, 1..=STEP_REQUESTS_MAX, default.min_requests, problems);
    let longest = raw.max_duration.given().map(|max| max.place.clone());
    let shortest = raw.min_duration.given().map(|min| min.place.clone());
    let min = within_or(raw.min_duration, Duration::ZERO..=STEP_DURATION_MAX, default.min_duration, problems);
    let unit = Duration::from_millis(1);
    let max = within_or(raw.max_duration, unit..=STEP_DURATION_MAX, default.max_duration, problems);
    let durations = min.and_then(|min| {
        let max = max?;
        if min > max {
            let at = longest.or(shortest).unwrap_or(place);
            let wrong = "max_duration is shorter than min_duration";
            let shown = crate::duration::show(min);
            return Err(problems.add(&at, wrong, format!("write a max_duration of {shown} or more")));
        }
        Ok((min, max))
    });
    let (weight, min_requests, (min_duration, max_duration)) = (weight?, requests?, durations?);
    Ok(Step { weight, min_requests, min_duration, max_duration, pass: None })
}

fn rising(
    given: &Spanned<Weight>,
    before: &mut Option<Weight>,
    problems: &mut Problems,
) -> Result<Weight, Reported> {
    let (weight, place) = (given.value, &given.place);
    if weight == Weight::ZERO {
        let right = "write a share above 0%: a canary without requests gives no evidence";
        return Err(problems.add(place, "a step at 0% shows nothing", right));
    }
    if let Some(last) = *before
        && weight <= last
    {
        let wrong = format!("the steps must rise, and {weight} comes after {last}");
        return Err(problems.add(
            place,
            wrong,
            format!("write a share above {last}, or put the steps in order"),
        ));
    }
    *before = Some(weight);
    Ok(weight)
}

fn check_guards(raw: raw::Guards, problems: &mut Problems) -> Result<Guards, Reported> {
    let errors = match raw.errors.optional() {
        Ok(None) => Ok(Some(ErrorComparison::default())),
        Ok(Some(Spanned { value: Switch::Off, .. })) => Ok(None),
        Ok(Some(Spanned { place, value: Switch::On(raw) })) => {
            check_comparison(raw, &place, problems).map(Some)
        }
        Err(reported) => Err(reported),
    };
    let nearly = |ppm| Weight::from_ppm(ppm).unwrap_or(Weight::WHOLE);
    let rates = nearly(1)..=nearly(Weight::WHOLE.ppm() - 1);
    let max_error_rate = within_if_any(raw.max_error_rate, rates, problems);
    // What takes longer than the longest latency that is measured can't be told apart from it.
    let latencies = Duration::from_millis(1)..=Duration::from_micros(LATENCY_MAX_US);
    let max_p99 = within_if_any(raw.max_p99, latencies, problems);
    Ok(Guards { errors: errors?, max_error_rate: max_error_rate?, max_p99: max_p99?, ..Guards::default() })
}

fn check_comparison(
    raw: raw::ErrorComparison,
    place: &Place,
    problems: &mut Problems,
) -> Result<ErrorComparison, Reported> {
    let default = ErrorComparison::default();
    let ratio = within_or(raw.ratio, RATIO, default.ratio, problems);
    let pass_ratio = within_or(raw.pass_ratio, RATIO, default.pass_ratio, problems);
    let (margin, pass_margin) = (raw.margin.or(default.margin), raw.pass_margin.or(default.pass_margin));
    let (ratio, pass_ratio, margin, pass_margin) = (ratio?, pass_ratio?, margin?, pass_margin?);
    if pass_ratio <= 1.0 && pass_margin == Weight::ZERO {
        return Err(problems.add(
            place,
            "a canary that is merely as good as the stable version could never pass",
            "write a pass_ratio above 1 or a pass_margin above 0%",
        ));
    }
    Ok(ErrorComparison { ratio, margin, pass_ratio, pass_margin })
}
