//! How numbers are said: grouped, rounded to what matters, with their units.

use crate::block::Trials;

/// `7301` as `7 301`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A share of 0 to 1 as a percentage with two significant digits. What is not all is never said to be all.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        p if p <= 0.0 => "0 %".into(),
        p if p >= 100.0 => "100 %".into(),
        p if p >= 99.5 => "over 99 %".into(),
        p if p < 1e-4 => "under 0.0001 %".into(),
        p => format!("{} %", significant(p)),
    }
}

/// `37 of 812 requests (4.6 %)`, with ` requests` as the noun; left empty where the sentence has named it before.
pub(crate) fn share(trials: Trials, noun: &str) -> String {
    let (bad, all) = (grouped(trials.bad), grouped(trials.requests));
    match trials.rate() {
        Some(rate) => format!("{bad} of {all}{noun} ({})", percent(rate)),
        None => "none (it had no requests)".into(),
    }
}

/// Evidence as odds, from its natural logarithm.
pub(crate) fn odds(ln_e: Option<f64>) -> String {
    match ln_e.map(f64::exp) {
        Some(e) if e > 1e15 => "over 10^15 to 1".into(),
        Some(e) if e >= 1.0 => format!("{} to 1", significant(e)),
        _ => "less than 1 to 1".into(),
    }
}

/// Seconds in the largest unit that keeps two digits, to the nearest.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", nearest(seconds, 60)),
        7_200..172_800 => format!("{} h", nearest(seconds, 3_600)),
        _ => format!("{} days", nearest(seconds, 86_400)),
    }
}

fn nearest(seconds: u64, unit: u64) -> u64 {
    seconds.saturating_add(unit / 2) / unit
}

/// So many seconds after "the last" or "the same".
pub(crate) fn seconds(number: u64) -> String {
    if number == 1 { "second".into() } else { format!("{number} seconds") }
}

/// Milliseconds as a person writes them.
pub(crate) fn millis(ms: f64) -> String {
    if ms >= 1_000.0 { format!("{} s", trimmed(ms / 1_000.0, 2)) } else { format!("{} ms", significant(ms)) }
}

/// Two significant digits above zero; all of them from 10 to 100 on, grouped from 1 000 on.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and it is positive"
)]
pub(crate) fn significant(value: f64) -> String {
    if value <= 0.0 {
        return "0".into();
    }
    let magnitude = value.log10().floor();
    if magnitude >= 2.0 {
        let unit = 10_f64.powf(magnitude - 1.0);
        return grouped(((value / unit).round() * unit).round() as u64);
    }
    trimmed(value, (1.0 - magnitude).max(0.0) as usize)
}

fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_with_what_matters() {
        assert_eq!(grouped(7_301), "7 301");
        assert_eq!(grouped(812), "812");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(percent(37.0 / 812.0), "4.6 %");
        assert_eq!(percent(3.0 / 7301.0), "0.041 %");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.9999), "over 99 %");
        assert_eq!(percent(1e-9), "under 0.0001 %");
        assert_eq!(odds(Some(21_345_f64.ln())), "21 000 to 1");
        assert_eq!(odds(Some(10_000_f64.ln())), "10 000 to 1");
        assert_eq!(odds(Some(900.0)), "over 10^15 to 1");
        assert_eq!(odds(Some(-2.0)), "less than 1 to 1");
        assert_eq!(odds(None), "less than 1 to 1");
        assert_eq!(significant(0.0), "0");
        assert_eq!(significant(2.0), "2");
        assert_eq!(duration(119), "119 s");
        assert_eq!(
            (duration(121), duration(601), duration(5_370)),
            ("2 min".into(), "10 min".into(), "90 min".into())
        );
        assert_eq!((seconds(1), seconds(7)), ("second".into(), "7 seconds".into()));
        assert_eq!(millis(500.0), "500 ms");
        assert_eq!(millis(1_500.0), "1.5 s");
    }
}
