//! How a floating-point number is stored: as text, shortest form that reads back to the same bits.
//!
//! JSON has no infinity, and its readers may round the last digit; a rollout that is resumed must go on with the
//! very numbers that it had, −∞ included. Not-a-number is refused: no honest evidence contains one.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    parse(&String::deserialize(from)?)
}

fn parse<E: Error>(text: &str) -> Result<f64, E> {
    match text.parse::<f64>() {
        Ok(value) if !value.is_nan() => Ok(value),
        _ => Err(E::custom(format_args!(
            "stored evidence has \"{}\" where a number such as \"-1.5\" or \"-inf\" must stand",
            text.chars().take(40).collect::<String>()
        ))),
    }
}

/// The same for a list.
pub(crate) mod many {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(ToString::to_string))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        Vec::<String>::deserialize(from)?.iter().map(|text| super::parse(text)).collect()
    }
}

/// The same for a fixed number of them.
pub(crate) mod array {
    use serde::{Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer, const N: usize>(
        values: &[f64; N],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        super::many::serialize(values, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<[f64; N], D::Error> {
        let values = super::many::deserialize(from)?;
        let count = values.len();
        values.try_into().map_err(|_| {
            D::Error::custom(format_args!("stored evidence has {count} numbers where {N} must stand"))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Serialize, Deserialize)]
    struct Stored(#[serde(with = "super::many")] Vec<f64>);

    proptest! {
        #[test]
        fn every_number_reads_back_to_the_same_bits(values in proptest::collection::vec(any::<f64>().prop_filter("a number", |v| !v.is_nan()), 0..20)) {
            let mut values = values;
            values.extend([f64::NEG_INFINITY, f64::INFINITY, -0.0, f64::MIN_POSITIVE]);
            let text = serde_json::to_string(&Stored(values.clone())).unwrap();
            let back: Stored = serde_json::from_str(&text).unwrap();
            let bits = |all: &[f64]| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&values), bits(&back.0));
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused_by_name() {
        for bad in ["[\"NaN\"]", "[\"twelve\"]"] {
            let error = serde_json::from_str::<Stored>(bad).unwrap_err().to_string();
            assert!(error.contains("where a number"), "{error}");
        }
    }
}
