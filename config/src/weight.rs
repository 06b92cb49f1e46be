//! Weights in parts per million, and the split: weights that sum to the whole.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    name::VersionName,
    percent::{PercentError, WHOLE_PPM, fmt_ppm, parse_ppm},
};

/// A share of traffic, 0 to 1 000 000 parts per million. Text form: a percentage such as `"2.5%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Weight(u32);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const WHOLE: Self = Self(WHOLE_PPM);

    /// Takes parts per million; `None` above 1 000 000.
    pub const fn from_ppm(ppm: u32) -> Option<Self> {
        if ppm <= WHOLE_PPM { Some(Self(ppm)) } else { None }
    }

    /// Parts per million.
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// What is left of the whole.
    pub const fn complement(self) -> Self {
        Self(WHOLE_PPM - self.0)
    }

    /// As a fraction from 0.0 to 1.0, for arithmetic that is not a decision.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE_PPM)
    }
}

impl std::str::FromStr for Weight {
    type Err = PercentError;
    fn from_str(text: &str) -> Result<Self, PercentError> {
        parse_ppm(text).map(Self)
    }
}

impl TryFrom<String> for Weight {
    type Error = PercentError;
    fn try_from(text: String) -> Result<Self, PercentError> {
        text.parse()
    }
}

impl From<Weight> for String {
    fn from(weight: Weight) -> String {
        weight.to_string()
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_ppm(self.0, f)
    }
}

/// Why weights are not a split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The weights don't sum to 100 %.
    #[error("the weights sum to {}, not to 100%", Ppm(*.0))]
    Sum(u64),
    /// A version stands twice.
    #[error("version \"{0}\" stands twice")]
    Twice(VersionName),
    /// There is no weight at all.
    #[error("a split needs at least one version")]
    Empty,
}

struct Ppm(u64);
impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            write!(f, "{whole}%")
        } else {
            write!(f, "{whole}.{}%", format!("{rest:04}").trim_end_matches('0'))
        }
    }
}

/// The weights of a service's versions; they sum to 100 %. Order is kept: the canary stands first, so that
/// its interval of buckets begins at zero and a higher weight only ever adds users to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(VersionName, Weight)>", into = "Vec<(VersionName, Weight)>")]
pub struct Split(Vec<(VersionName, Weight)>);

impl Split {
    /// Takes the weights in the order in which they claim buckets.
    pub fn try_new(weights: Vec<(VersionName, Weight)>) -> Result<Self, SplitError> {
        if weights.is_empty() {
            return Err(SplitError::Empty);
        }
        for (i, (version, _)) in weights.iter().enumerate() {
            if weights[..i].iter().any(|(earlier, _)| earlier == version) {
                return Err(SplitError::Twice(version.clone()));
            }
        }
        let sum: u64 = weights.iter().map(|(_, weight)| u64::from(weight.ppm())).sum();
        if sum == u64::from(WHOLE_PPM) { Ok(Self(weights)) } else { Err(SplitError::Sum(sum)) }
    }

    /// Everything to one version.
    pub fn whole(version: VersionName) -> Self {
        Self(vec![(version, Weight::WHOLE)])
    }

    /// The canary at `weight`, the stable version at the rest.
    pub fn canary_and_stable(canary: VersionName, weight: Weight, stable: VersionName) -> Self {
        debug_assert_ne!(canary, stable);
        Self(vec![(canary, weight), (stable, weight.complement())])
    }

    /// The weight of a version; zero where it has none.
    pub fn of(&self, version: &VersionName) -> Weight {
        self.0.iter().find(|(name, _)| name == version).map_or(Weight::ZERO, |(_, weight)| *weight)
    }

    /// Versions and weights, in the order in which they claim buckets.
    pub fn iter(&self) -> impl Iterator<Item = (&VersionName, Weight)> {
        self.0.iter().map(|(name, weight)| (name, *weight))
    }
}

impl TryFrom<Vec<(VersionName, Weight)>> for Split {
    type Error = SplitError;
    fn try_from(weights: Vec<(VersionName, Weight)>) -> Result<Self, SplitError> {
        Self::try_new(weights)
    }
}

impl From<Split> for Vec<(VersionName, Weight)> {
    fn from(split: Split) -> Self {
        split.0
    }
}

impl fmt::Display for Split {
    /// `canary 10% · stable 90%`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (version, weight)) in self.iter().enumerate() {
            write!(f, "{}{version} {weight}", if i == 0 { "" } else { " · " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> VersionName {
        VersionName::try_new(text).unwrap()
    }

    #[test]
    fn a_split_that_does_not_sum_to_the_whole_can_not_exist() {
        let weights =
            |a: &str, b: &str| vec![(version("a"), a.parse().unwrap()), (version("b"), b.parse().unwrap())];
        assert!(Split::try_new(weights("10%", "90%")).is_ok());
        assert_eq!(
            Split::try_new(weights("10%", "90.0001%")).unwrap_err().to_string(),
            "the weights sum to 100.0001%, not to 100%"
        );
        assert_eq!(Split::try_new(weights("0%", "0%")), Err(SplitError::Sum(0)));
    }

    #[test]
    fn a_version_stands_once_in_a_split() {
        let twice = vec![(version("a"), Weight::WHOLE), (version("a"), Weight::ZERO)];
        assert_eq!(Split::try_new(twice), Err(SplitError::Twice(version("a"))));
    }

    #[test]
    fn a_split_read_from_json_is_checked() {
        let split: Split = serde_json::from_str(r#"[["a","10%"],["b","90%"]]"#).unwrap();
        assert_eq!(serde_json::to_string(&split).unwrap(), r#"[["a","10%"],["b","90%"]]"#);
        assert!(serde_json::from_str::<Split>(r#"[["a","10%"]]"#).is_err());
    }

    #[test]
    fn a_split_shows_the_canary_first() {
        let split = Split::canary_and_stable(version("v2"), Weight::from_ppm(25_000).unwrap(), version("v1"));
        assert_eq!(split.to_string(), "v2 2.5% · v1 97.5%");
    }
}
