//! The steps of a rollout: they rise to 100 %, and what each asks for can be had.

use std::time::Duration;

use super::{all, range::within_or};
use crate::{
    limits::{STEP_DURATION_MAX, STEP_REQUESTS_MAX, STEPS_MAX},
    policy::{Margin, Preset, Step, Until},
    problem::{Place, Problems, Reported},
    raw::{
        self,
        decode::{Element, Field, List, Spanned},
    },
    weight::Weight,
};

pub(super) const RATIO: std::ops::RangeInclusive<f64> = 1.0..=1000.0;

/// What steps are made of that don't say it themselves.
pub(super) struct Terms {
    pub(super) preset: Preset,
    /// The margin that promotion asks for; none where errors are not compared.
    pub(super) full: Option<Margin>,
    /// Whether the file gives that margin, so that it holds for all steps.
    pub(super) given: bool,
    /// Whether all of them are on the clock.
    pub(super) clock: bool,
}

/// Rising weights; a last step at 100 % is added where the file stops short of it.
pub(super) fn check(
    field: Field<List<raw::Step>>,
    terms: &Terms,
    problems: &mut Problems,
) -> Result<Vec<Step>, Reported> {
    let mut steps = match field.optional()? {
        Some(given) => written(given, terms, problems)?,
        None => {
            let weights = terms.preset.weights().iter().filter_map(|ppm| Weight::from_ppm(*ppm));
            weights.map(|weight| terms.preset.step(weight)).collect()
        }
    };
    if let (Some(full), false) = (terms.full, terms.given) {
        crate::policy::step::graduate(&mut steps, full);
    }
    Ok(steps)
}

fn written(
    Spanned { place, value: List(items) }: Spanned<List<raw::Step>>,
    terms: &Terms,
    problems: &mut Problems,
) -> Result<Vec<Step>, Reported> {
    if items.is_empty() {
        let right = "write [{ weight: 1% }, …], or leave \"steps\" out for the default";
        return Err(problems.add(&place, "there is no step", right));
    }
    let mut before = Before::default();
    let each = items.into_iter().map(|item| step(item, &mut before, terms, problems));
    let mut steps = all(each.collect())?;
    let first = steps.iter().find(|step| step.mirror.is_none());
    // An A/B test, which is on the clock, has no copies at all, and says so.
    let copied = before.copies.is_some() && !terms.clock;
    if copied && first.is_none_or(|first| first.weight == Weight::WHOLE) {
        let wrong = "copies show neither what writes do nor how fast the canary is, and after them it would have everything";
        let right = "write a step between them and 100%, such as { weight: 5% }";
        return Err(problems.add(&place, wrong, right));
    }
    if steps.last().is_some_and(|last| last.weight < Weight::WHOLE) {
        steps.push(terms.preset.step(Weight::WHOLE));
    }
    if steps.len() > STEPS_MAX {
        let wrong = format!("there are {} steps, the last at 100% included", steps.len());
        return Err(problems.add(&place, wrong, format!("write at most {STEPS_MAX}")));
    }
    Ok(steps)
}

fn step(
    item: Element<raw::Step>,
    before: &mut Before,
    terms: &Terms,
    problems: &mut Problems,
) -> Result<Step, Reported> {
    let Spanned { place, value: raw } = item?;
    let (weight, mirror) = match raw.mirror.optional()? {
        Some(mirror) => (Ok(Weight::ZERO), before.copied(&mirror, raw.weight, problems).map(Some)),
        None => {
            let right = "write the canary's share during the step, such as \"weight: 5%\"";
            let weight = raw.weight.required("weight", &place, problems, right);
            (weight.and_then(|given| before.rising(&given, problems)), Ok(None))
        }
    };
    let default = terms.preset.step(Weight::WHOLE);
    let conditions = [
        raw.min_requests.given().map(|given| given.place.clone()),
        raw.min_duration.given().map(|given| given.place.clone()),
        raw.max_duration.given().map(|given| given.place.clone()),
        raw.pass.given().map(|given| given.place.clone()),
        raw.until.given().map(|given| given.place.clone()),
        raw.approval.given().map(|given| given.place.clone()),
    ];
    if let (Ok(Weight::WHOLE), Some(condition)) = (&weight, conditions.into_iter().flatten().next()) {
        let right = "put the conditions on the step before it; at 100% there is no stable traffic left to compare with";
        return Err(problems.add(&condition, "the step at 100% is the end and waits for nothing", right));
    }
    let until = raw.until.or(Until::default());
    let unused = [
        raw.min_requests.given().map(|given| given.place.clone()),
        raw.max_duration.given().map(|given| given.place.clone()),
        raw.pass.given().map(|given| given.place.clone()),
    ];
    if let (Ok(Until::Time), Some(unused)) = (until, unused.into_iter().flatten().next()) {
        let right = "leave it out, or write \"until: pass\"";
        return Err(problems.add(
            &unused,
            "a step until time ends at its min_duration and asks for nothing else",
            right,
        ));
    }
    let approval = raw.approval.or(false);
    let requests = within_or(raw.min_requests, 1..=STEP_REQUESTS_MAX, default.min_requests, problems);
    let longest = raw.max_duration.given().map(|max| max.place.clone());
    let shortest = raw.min_duration.given().map(|min| min.place.clone());
    let min = within_or(raw.min_duration, Duration::ZERO..=STEP_DURATION_MAX, default.min_duration, problems);
    let clock = terms.clock || matches!(until, Ok(Until::Time));
    let unit = Duration::from_millis(1);
    let max = within_or(raw.max_duration, unit..=STEP_DURATION_MAX, default.max_duration, problems);
    let durations = min.and_then(|min| {
        let max = max?;
        // One on the clock has no time to run out of.
        if min > max && !clock {
            let at = longest.or(shortest).unwrap_or(place);
            let wrong = "max_duration is shorter than min_duration";
            let shown = crate::duration::show(min);
            return Err(problems.add(&at, wrong, format!("write a max_duration of {shown} or more")));
        }
        Ok((min, max))
    });
    let pass = margin(raw.pass, terms, problems);
    let (weight, min_requests, (min_duration, max_duration)) = (weight?, requests?, durations?);
    let step = Step {
        weight,
        mirror: mirror?,
        min_requests,
        min_duration,
        max_duration,
        pass: pass?,
        until: until?,
        approval: approval?,
    };
    Ok(if step.until == Until::Time { on_the_clock(&step) } else { step })
}

/// A step that lasts its time. It does not run out of it: what is suspicious then is waited for, not timed out.
pub(super) fn on_the_clock(step: &Step) -> Step {
    Step { min_requests: 1, max_duration: STEP_DURATION_MAX, pass: None, until: Until::Time, ..step.clone() }
}

/// What the steps so far have come to.
#[derive(Default)]
struct Before {
    /// The last share of users.
    weight: Option<Weight>,
    /// The last share of copies.
    copies: Option<Weight>,
}

impl Before {
    fn rising(&mut self, given: &Spanned<Weight>, problems: &mut Problems) -> Result<Weight, Reported> {
        let (weight, place) = (given.value, &given.place);
        if weight == Weight::ZERO {
            let right = "write a share above 0%, or \"mirror: 10%\" for copies: a canary without requests gives no evidence";
            return Err(problems.add(place, "a step at 0% shows nothing", right));
        }
        must_rise(given, self.weight, problems)?;
        self.weight = Some(weight);
        Ok(weight)
    }

    /// A step that copies requests; `weight` is what it says of users.
    fn copied(
        &mut self,
        given: &Spanned<Weight>,
        weight: Field<Weight>,
        problems: &mut Problems,
    ) -> Result<Weight, Reported> {
        if let Some(Spanned { place, .. }) = weight.optional()?.filter(|weight| weight.value > Weight::ZERO) {
            let wrong = "a step gives the canary copies or users, so that it is clear by which it is judged";
            let right = "leave \"weight\" out, and write a step of its own for it";
            return Err(problems.add(&place, wrong, right));
        }
        let place = &given.place;
        if given.value == Weight::ZERO {
            let right = "write a share above 0%: without copies there is no evidence";
            return Err(problems.add(place, "a mirror of 0% shows nothing", right));
        }
        if self.weight.is_some() {
            let wrong = "the canary has users already, who show more than copies do";
            return Err(problems.add(place, wrong, "put the steps with mirror before those with weight"));
        }
        must_rise(given, self.copies, problems)?;
        self.copies = Some(given.value);
        Ok(given.value)
    }
}

fn must_rise(given: &Spanned<Weight>, last: Option<Weight>, problems: &mut Problems) -> Result<(), Reported> {
    let share = given.value;
    let Some(last) = last.filter(|last| share <= *last) else { return Ok(()) };
    let wrong = format!("the steps must rise, and {share} comes after {last}");
    Err(problems.add(&given.place, wrong, format!("write a share above {last}, or put the steps in order")))
}

/// A margin of a step's own.
fn margin(
    field: Field<raw::Margin>,
    terms: &Terms,
    problems: &mut Problems,
) -> Result<Option<Margin>, Reported> {
    let Some(Spanned { place, value: raw }) = field.optional()? else { return Ok(None) };
    let Some(full) = terms.full else {
        let right = "leave \"pass\" out, or switch guards.errors on";
        return Err(problems.add(&place, "errors are not compared, so nothing can be proven of them", right));
    };
    let ratio = within_or(raw.ratio, RATIO, full.ratio, problems);
    let margin = raw.margin.or(full.margin);
    let margin = Margin { ratio: ratio?, margin: margin? };
    reachable(&margin, ("ratio", "margin"), &place, problems).map(|()| Some(margin))
}

/// What a canary that is merely as good as the stable version can prove.
pub(super) fn reachable(
    margin: &Margin,
    (ratio_name, margin_name): (&str, &str),
    place: &Place,
    problems: &mut Problems,
) -> Result<(), Reported> {
    if margin.ratio > 1.0 || margin.margin > Weight::ZERO {
        return Ok(());
    }
    let wrong = "a canary that is merely as good as the stable version could never pass";
    let right = format!("write a {ratio_name} above 1 or a {margin_name} above 0%");
    Err(problems.add(place, wrong, right))
}
