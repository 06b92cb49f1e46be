//! How the canary gets its traffic: what a strategy makes of the steps, and what it can't stand beside it.

use std::time::Duration;

use super::{range::within_or, steps::on_the_clock};
use crate::{
    limits::STEP_DURATION_MAX,
    policy::{BAKE_DEFAULT, Mounting, OnFail, OnNewCanary, OnTimeout, Step, Strategy},
    problem::{Place, Problems, Reported},
    raw::{
        self,
        decode::{Field, List, Spanned},
    },
    weight::Weight,
};

/// What the file says of the strategy.
pub(super) struct Shape {
    pub(super) strategy: Strategy,
    bake: Duration,
    /// Where the bake, or the strategy that brings one, is asked for.
    at: Option<Place>,
}

/// A strategy with the steps that it makes.
pub(super) struct Shaped {
    pub(super) strategy: Strategy,
    pub(super) bake: Duration,
    pub(super) steps: Vec<Step>,
}

impl Shape {
    pub(super) fn of(
        strategy: &Field<Strategy>,
        bake: &Field<Duration>,
        steps: Option<&Spanned<List<raw::Step>>>,
        problems: &mut Problems,
    ) -> Result<Self, Reported> {
        let at =
            bake.given().map(|given| &given.place).or(strategy.given().map(|given| &given.place)).cloned();
        let given_strategy = strategy.clone().or(Strategy::default());
        let default = if given_strategy == Ok(Strategy::BlueGreen) { BAKE_DEFAULT } else { Duration::ZERO };
        let time = within_or(bake.clone(), Duration::ZERO..=STEP_DURATION_MAX, default, problems);
        let strategy = given_strategy?;
        match (strategy, steps, strategy_place(strategy, bake, &at)) {
            (Strategy::BlueGreen, Some(steps), _) => {
                let right = "leave \"steps\" out, or write \"strategy: canary\"";
                Err(problems.add(
                    &steps.place,
                    "blue_green switches all of the traffic in one plan and has no steps",
                    right,
                ))
            }
            (Strategy::Ab, _, Some(bake)) => {
                let right = "leave \"bake\" out: approve the canary, and watch it with a rollout of its own";
                Err(problems.add(&bake, "an A/B test ends at its fixed time and is not baked", right))
            }
            (Strategy::Ab, steps, None) => {
                fixed_end(steps, at.as_ref(), problems).and_then(|()| Ok(Self { strategy, bake: time?, at }))
            }
            _ => Ok(Self { strategy, bake: time?, at }),
        }
    }

    /// The steps as the strategy has them. `watched`: whether there is a limit that holds without a stable version.
    pub(super) fn shaped(
        self,
        mut steps: Vec<Step>,
        watched: bool,
        problems: &mut Problems,
    ) -> Result<Shaped, Reported> {
        let Self { strategy, bake, at } = self;
        match strategy {
            Strategy::BlueGreen => steps = vec![Step::at(Weight::WHOLE)],
            Strategy::Ab => {
                let gate = |step: Step| Step { approval: true, ..on_the_clock(&step) };
                let gates =
                    steps.into_iter().map(|step| if step.weight < Weight::WHOLE { gate(step) } else { step });
                steps = gates.collect();
            }
            Strategy::Canary => {}
        }
        if let (false, false, Some(at)) = (bake.is_zero(), watched, at) {
            let wrong = "nothing could be seen: at 100% there is no stable traffic left to compare with";
            let right = "give guards.max_error_rate, guards.max_p99 or blast_radius.failed_requests, or write \"bake: 0s\"";
            return Err(problems.add(&at, wrong, right));
        }
        if !bake.is_zero() {
            let baking = on_the_clock(&Step { min_duration: bake, ..Step::at(Weight::WHOLE) });
            steps.insert(steps.len().saturating_sub(1), baking);
        }
        Ok(Shaped { strategy, bake, steps })
    }
}

/// Where an A/B test asks for a bake.
fn strategy_place(strategy: Strategy, bake: &Field<Duration>, at: &Option<Place>) -> Option<Place> {
    let asked = strategy == Strategy::Ab && bake.given().is_some();
    at.clone().filter(|_| asked)
}

/// One step, with its time.
fn fixed_end(
    steps: Option<&Spanned<List<raw::Step>>>,
    at: Option<&Place>,
    problems: &mut Problems,
) -> Result<(), Reported> {
    const RIGHT: &str = "write one step such as \"steps: [{ weight: 50%, min_duration: 168h }]\"";
    let Some(Spanned { place, value: List(steps) }) = steps else {
        // A strategy that is not written is canary.
        let Some(at) = at else { return Ok(()) };
        return Err(problems.add(at, "an A/B test needs a share and a fixed end", RIGHT));
    };
    let [Ok(Spanned { value: step, .. })] = steps.as_slice() else {
        // What is wrong with a step is reported with the steps.
        return match steps.iter().find_map(|step| step.as_ref().err()) {
            Some(reported) => Err(*reported),
            None => Err(problems.add(place, format!("an A/B test has one step, not {}", steps.len()), RIGHT)),
        };
    };
    if let Some(mirror) = step.mirror.given() {
        let wrong = "an A/B test compares users, and copies have none";
        return Err(problems.add(&mirror.place, wrong, RIGHT));
    }
    match step.min_duration {
        Field::Absent => Err(problems.add(place, "an A/B test without a min_duration has no end", RIGHT)),
        _ => Ok(()),
    }
}

/// What a failing guard does.
pub(super) fn on_fail(field: Field<raw::Rollback>, problems: &mut Problems) -> Result<OnFail, Reported> {
    const RIGHT: &str =
        "write why going back does more harm, such as \"rollback: { hold: v41 can't read what v42 writes }\"";
    let Some(Spanned { place, value }) = field.optional()? else { return Ok(OnFail::RollBack) };
    let reason = value.hold.required("hold", &place, problems, RIGHT)?;
    let text = reason.value.trim();
    if text.is_empty()
        || text.chars().any(char::is_control)
        || text.chars().count() > crate::limits::REASON_CHARS_MAX
    {
        let wrong = "the reason is empty, too long or not on one line";
        return Err(problems.add(&reason.place, wrong, RIGHT));
    }
    Ok(OnFail::Hold { reason: text.into() })
}

/// Where rollbacks are held, nothing else in the rollout may take the canary out, or lower its share.
pub(super) fn nothing_takes_it_out(
    on_timeout: &Field<OnTimeout>,
    actions: &Field<raw::Actions>,
    blast_radius: &Field<raw::BlastRadius>,
    on_new_canary: &Field<OnNewCanary>,
    problems: &mut Problems,
) {
    const WRONG: &str = "rollbacks of this service are held, and this would take users away from the canary";
    if let Some(Spanned { place, value: OnTimeout::Rollback }) = on_timeout.given() {
        problems.add(place, WRONG, "write hold or promote, or leave \"rollback\" out");
    }
    if let Some(Spanned { place, value: Mounting::Lower }) =
        actions.given().and_then(|actions| actions.value.mounting.given())
    {
        problems.add(place, WRONG, "write \"mounting: hold\", or leave \"rollback\" out");
    }
    if let Some(Spanned { place, .. }) = blast_radius.given() {
        problems.add(place, WRONG, "leave \"blast_radius\" out, or leave \"rollback\" out");
    }
    if let Some(Spanned { place, value: OnNewCanary::Supersede }) = on_new_canary.given() {
        problems.add(place, WRONG, "write \"on_new_canary: refuse\", or leave \"rollback\" out");
    }
}

/// The proxies' trip-wire takes a canary out as well, and is off where rollbacks are held.
pub(super) fn no_tripwire(place: &Place, problems: &mut Problems) -> Reported {
    let wrong = "rollbacks of this service are held, and a trip-wire would take the canary out";
    problems.add(place, wrong, "write \"tripwire: off\", or leave \"rollout.rollback\" out")
}

/// An A/B test compares users, so each must stay with its version.
pub(super) fn users_stay(
    strategy: Strategy,
    sticky: &crate::service::Sticky,
    place: &Place,
    problems: &mut Problems,
) -> Result<(), Reported> {
    use crate::service::Sticky;
    if strategy != Strategy::Ab || matches!(sticky, Sticky::Cookie(_) | Sticky::Header(_)) {
        return Ok(());
    }
    let wrong = "an A/B test needs users that stay with their version";
    Err(problems.add(place, wrong, "write \"sticky: { cookie: NAME }\" or \"sticky: { header: NAME }\""))
}
