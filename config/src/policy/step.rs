//! One weight of a rollout, and what must be seen at it before the next.
//!
//! What a step must prove fits what the next one risks. The proof that a canary fails hardly more than the stable version
//! takes thousands of its requests, at 1 % of the traffic an hour's; and all that follows there is 5 %. So the
//! steps ahead of small ones ask for less ([`graduated`]), and the first that leads beyond 10 % asks for the full
//! proof. Evidence *against* the canary is gathered with the same tight tolerance from the first request on.

use std::time::Duration;

use serde::Serialize;

use crate::weight::Weight;

/// Requests of the canary that a step judges, unless it says otherwise.
pub const STEP_MIN_REQUESTS_DEFAULT: u64 = 500;
/// How long a step lasts at least, unless it says otherwise.
pub const STEP_MIN_DURATION_DEFAULT: Duration = Duration::from_secs(10);
/// How long a step waits for evidence, unless it says otherwise.
pub const STEP_MAX_DURATION_DEFAULT: Duration = Duration::from_secs(3600);

/// Up to this next weight, in parts per million, a step proves the wide margin: 401 flawless requests do.
const WIDE_UP_TO: u32 = 50_000;
/// Up to this one the middle one: 2 000 do.
const MIDDLE_UP_TO: u32 = 100_000;

/// One weight, and what must be seen at it before the next.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The canary's share during the step; nothing where requests are copied.
    pub weight: Weight,
    /// The share of the stable version's requests that the canary gets copies of; none in a step with users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Weight>,
    /// Requests of the canary, or copies, that must have been judged in this step.
    pub min_requests: u64,
    /// The step lasts at least this long.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub min_duration: Duration,
    /// After this, [`RolloutPolicy::on_timeout`](super::RolloutPolicy::on_timeout) says what is done.
    #[serde(serialize_with = "crate::duration::serialize")]
    pub max_duration: Duration,
    /// What the canary must be proven to be better than before the next step; none for the margins of
    /// [`ErrorComparison`](super::ErrorComparison). Early steps may ask for less: what comes next exposes few
    /// users. A wider margin than that also asks for no proof that the canary is no slower.
    pub pass: Option<Margin>,
    /// What ends it.
    #[serde(skip_serializing_if = "Until::is_pass")]
    pub until: Until,
    /// Whether somebody must approve before the rollout leaves it.
    #[serde(skip_serializing_if = "is_false")]
    pub approval: bool,
}

/// What ends a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Evidence: its requests, its time, and every proof that the guards ask for.
    #[default]
    Pass,
    /// The clock: [`Step::min_duration`], whatever traffic there was. Guards are watched as ever, and while one is
    /// suspicious the step lasts on.
    Time,
}

impl Until {
    fn is_pass(&self) -> bool {
        *self == Self::Pass
    }
}

/// What is at its default stays out of the text by which a rollout's rules are told apart: a release that learns a
/// new field must not take every rollout in progress for one under other rules.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands the field over as it is")]
pub(super) fn is_false(value: &bool) -> bool {
    !*value
}

impl Step {
    /// A step at `weight` with the default conditions.
    pub const fn at(weight: Weight) -> Self {
        Self {
            weight,
            mirror: None,
            min_requests: STEP_MIN_REQUESTS_DEFAULT,
            min_duration: STEP_MIN_DURATION_DEFAULT,
            max_duration: STEP_MAX_DURATION_DEFAULT,
            pass: None,
            until: Until::Pass,
            approval: false,
        }
    }

    /// What the canary gets in it, for people: `5%`, or `copies of 5%`.
    pub fn share(&self) -> String {
        share_text(self.weight, self.mirror.unwrap_or(Weight::ZERO))
    }
}

/// What a canary gets, for people: its share of users, or of what share of them it gets copies.
pub fn share_text(weight: Weight, mirror: Weight) -> String {
    if mirror > Weight::ZERO { format!("copies of {mirror}") } else { weight.to_string() }
}

/// Not inferior: an error rate below `ratio` × the stable version's + `margin`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Margin {
    /// At least 1.
    pub ratio: f64,
    /// A share of the requests.
    pub margin: Weight,
}

impl Margin {
    /// The wider of both, in ratio and in margin.
    fn wider(self, other: Self) -> Self {
        Self { ratio: self.ratio.max(other.ratio), margin: self.margin.max(other.margin) }
    }
}

/// What a step must prove, by default, before one at `next`: none where it is `full`. Never less than `full`
/// allows already.
pub(crate) fn graduated(next: Weight, full: Margin) -> Option<Margin> {
    let margins = [(WIDE_UP_TO, 10_000), (MIDDLE_UP_TO, 2_000)];
    let (_, ppm) = margins.into_iter().find(|(up_to, _)| next.ppm() <= *up_to)?;
    let margin = Margin { ratio: 2.0, margin: Weight::from_ppm(ppm)? }.wider(full);
    (margin != full).then_some(margin)
}

/// Gives each step that has no margin of its own the graduated one.
pub(crate) fn graduate(steps: &mut [Step], full: Margin) {
    let next: Vec<_> = steps.iter().skip(1).map(|step| step.weight).collect();
    for (step, next) in steps.iter_mut().zip(next) {
        step.pass = step.pass.or_else(|| graduated(next, full));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(text: &str) -> Weight {
        text.parse().unwrap()
    }

    fn full() -> Margin {
        Margin { ratio: 1.5, margin: weight("0.05%") }
    }

    #[test]
    fn what_a_step_must_prove_fits_what_the_next_one_risks() {
        let margin = |next| graduated(weight(next), full()).map(|m| (m.ratio, m.margin.to_string()));
        assert_eq!(margin("2%"), Some((2.0, "1%".into())));
        assert_eq!(margin("5%"), Some((2.0, "1%".into())));
        assert_eq!(margin("5.0001%"), Some((2.0, "0.2%".into())));
        assert_eq!(margin("10%"), Some((2.0, "0.2%".into())));
        assert_eq!(margin("10.0001%"), None);
        assert_eq!(margin("100%"), None);
    }

    #[test]
    fn an_early_step_never_asks_for_more_than_a_late_one() {
        let loose = Margin { ratio: 3.0, margin: weight("5%") };
        assert_eq!(graduated(weight("5%"), loose), None);
        let mixed = Margin { ratio: 1.5, margin: weight("0.5%") };
        let middle = graduated(weight("10%"), mixed).unwrap();
        assert_eq!((middle.ratio, middle.margin), (2.0, weight("0.5%")));
    }

    #[test]
    fn a_margin_of_a_steps_own_stays_and_the_last_step_has_none() {
        let own = Margin { ratio: 1.1, margin: weight("0.01%") };
        let mut steps = [
            Step::at(weight("1%")),
            Step { pass: Some(own), ..Step::at(weight("5%")) },
            Step::at(weight("10%")),
        ];
        graduate(&mut steps, full());
        assert_eq!(steps[0].pass.unwrap().margin, weight("1%"));
        assert_eq!((steps[1].pass, steps[2].pass), (Some(own), None));
    }
}
