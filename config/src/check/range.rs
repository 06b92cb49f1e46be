//! Values within bounds.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    duration,
    problem::{Problems, Reported},
    raw::decode::{Field, Spanned},
    weight::Weight,
};

/// A value that messages can show.
pub(super) trait Shown: PartialOrd + Copy {
    fn show(self) -> String;
}

impl Shown for u64 {
    fn show(self) -> String {
        self.to_string()
    }
}

impl Shown for f64 {
    fn show(self) -> String {
        self.to_string()
    }
}

impl Shown for Duration {
    fn show(self) -> String {
        duration::show(self)
    }
}

impl Shown for Weight {
    fn show(self) -> String {
        self.to_string()
    }
}

/// The value if it is within `range`.
pub(super) fn within<T: Shown>(
    given: &Spanned<T>,
    range: RangeInclusive<T>,
    problems: &mut Problems,
) -> Result<T, Reported> {
    if range.contains(&given.value) {
        return Ok(given.value);
    }
    let right = format!("write a value from {} to {}", range.start().show(), range.end().show());
    Err(problems.add(&given.place, format!("{} is out of range", given.value.show()), right))
}

/// The value of a field if it is within `range`; `default` where the file has none.
pub(super) fn within_or<T: Shown>(
    field: Field<T>,
    range: RangeInclusive<T>,
    default: T,
    problems: &mut Problems,
) -> Result<T, Reported> {
    match field.optional()? {
        Some(given) => within(&given, range, problems),
        None => Ok(default),
    }
}

/// The value of a field without a default if it is within `range`.
pub(super) fn within_if_any<T: Shown>(
    field: Field<T>,
    range: RangeInclusive<T>,
    problems: &mut Problems,
) -> Result<Option<T>, Reported> {
    field.optional()?.map(|given| within(&given, range, problems)).transpose()
}
