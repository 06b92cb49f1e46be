//! Percentages with four decimals, kept as integers: parts per million.

use std::fmt;

/// Parts per million in the whole.
pub const WHOLE_PPM: u32 = 1_000_000;

/// Why a text is not a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// The text has no `%` at its end.
    #[error("\"{0}\" has no unit: write a percentage such as \"10%\" or \"0.0001%\"")]
    NoUnit(String),
    /// The text before the `%` is not a number from 0 to 100.
    #[error("\"{0}\" is not a percentage from 0% to 100%")]
    OutOfRange(String),
    /// More decimals than a part per million can hold.
    #[error("\"{0}\" has more than four decimals: the smallest step is 0.0001%")]
    TooFine(String),
}

/// Reads `"12.5%"` as 125 000 parts per million. At most four decimals, 0 to 100 %.
pub fn parse_ppm(text: &str) -> Result<u32, PercentError> {
    let shown = || text.chars().take(40).collect::<String>();
    let number = text.trim().strip_suffix('%').ok_or_else(|| PercentError::NoUnit(shown()))?.trim_end();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || whole.is_empty() || whole.len() > 3 || number.ends_with('.') {
        return Err(PercentError::OutOfRange(shown()));
    }
    let significant = decimals.trim_end_matches('0');
    if significant.len() > 4 {
        return Err(PercentError::TooFine(shown()));
    }
    let padded = format!("{whole}{significant:0<4}");
    match padded.parse::<u32>() {
        Ok(ppm) if ppm <= WHOLE_PPM => Ok(ppm),
        _ => Err(PercentError::OutOfRange(shown())),
    }
}

/// Writes parts per million as a percentage, with no more decimals than needed.
pub fn fmt_ppm(ppm: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (whole, rest) = (ppm / 10_000, ppm % 10_000);
    if rest == 0 {
        return f.pad(&format!("{whole}%"));
    }
    let decimals = format!("{rest:04}");
    f.pad(&format!("{whole}.{}%", decimals.trim_end_matches('0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Shown(u32);
    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt_ppm(self.0, f)
        }
    }

    #[test]
    fn four_decimals_are_the_smallest_step() {
        assert_eq!(parse_ppm("0.0001%"), Ok(1));
        assert_eq!(parse_ppm("100%"), Ok(1_000_000));
        assert_eq!(parse_ppm("12.50 %"), Ok(125_000));
        assert!(matches!(parse_ppm("0.00001%"), Err(PercentError::TooFine(_))));
        assert!(matches!(parse_ppm("10"), Err(PercentError::NoUnit(_))));
        for bad in ["100.0001%", "-1%", "1e1%", "%", "1.%", ".5%", "1.2.3%", "+1%", "9999%"] {
            assert!(matches!(parse_ppm(bad), Err(PercentError::OutOfRange(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ppm in 0..=WHOLE_PPM) {
            prop_assert_eq!(parse_ppm(&Shown(ppm).to_string()), Ok(ppm));
        }
    }
}
