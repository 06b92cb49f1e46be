//! Whole numbers in JSON. JSON knows no integers, so 7.0 is 7: some clients write every number so.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IntoDeserializer, Unexpected, Visitor, value::U64Deserializer},
};

/// Up to here every whole number has a form of its own as a floating-point number.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Reads a number.
pub(super) fn number<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    made(Number::deserialize(from)?)
}

/// Reads a number, or null.
pub(super) fn maybe<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<Number>::deserialize(from)?.map(made).transpose()
}

fn made<'de, T: Deserialize<'de>, E: Error>(Number(number): Number) -> Result<T, E> {
    let from: U64Deserializer<E> = number.into_deserializer();
    T::deserialize(from)
}

struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0")
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole, and in range"
                )]
                if number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number) {
                    return Ok(Number(number as u64));
                }
                Err(E::invalid_value(Unexpected::Float(number), &self))
            }
        }
        from.deserialize_any(Whole)
    }
}

#[cfg(test)]
mod tests {
    use serin_config::Generation;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Form {
        #[serde(deserialize_with = "number")]
        count: u64,
        #[serde(default, deserialize_with = "maybe")]
        generation: Option<Generation>,
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written_and_no_other_is() {
        let read = |text: &str| serde_json::from_str::<Form>(text);
        let form = read(r#"{"count": 7.0, "generation": 8.0}"#).unwrap();
        assert_eq!((form.count, form.generation), (7, Some(Generation(8))));
        let form = read(&format!(r#"{{"count": {}, "generation": null}}"#, u64::MAX)).unwrap();
        assert_eq!((form.count, form.generation), (u64::MAX, None));
        assert_eq!(read(r#"{"count": 1e3}"#).unwrap().count, 1_000);
        for odd in ["7.5", "-1", "-1.0", "1e300", "\"7\"", "true"] {
            assert!(read(&format!(r#"{{"count": {odd}}}"#)).is_err(), "{odd}");
        }
    }
}
