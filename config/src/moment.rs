//! Moments as text: RFC 3339 and RFC 5322, always in UTC. The only calendar that is known here.

/// `2026-11-21T13:05:09.123456Z`, of microseconds since 1970.
pub fn rfc3339_micros(since_1970: u64) -> String {
    format!("{}.{:06}Z", to_the_second(since_1970 / 1_000_000), since_1970 % 1_000_000)
}

/// `2026-11-21T13:05:09Z`, of milliseconds since 1970.
pub fn rfc3339_seconds(since_1970: u64) -> String {
    format!("{}Z", to_the_second(since_1970 / 1_000))
}

/// `Sat, 21 Nov 2026 13:05:09 +0000`, of milliseconds since 1970: the date of an e-mail.
pub fn rfc5322(since_1970: u64) -> String {
    /// The first day of 1970 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (since_1970 / 86_400_000, since_1970 / 1_000 % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let of_week = DAYS.iter().cycle().nth((days % 7) as usize).unwrap_or(&"Thu");
    let of_year = MONTHS.iter().cycle().nth((month - 1) as usize).unwrap_or(&"Jan");
    format!("{of_week}, {day} {of_year} {year:04} {hour:02}:{minute:02}:{second:02} +0000")
}

fn to_the_second(since_1970: u64) -> String {
    let (days, second) = (since_1970 / 86_400, since_1970 % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The date of a day since 1970. Years are counted from March, so that the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_e_mail_has_its_day_of_the_week() {
        assert_eq!(rfc5322(1_795_266_309_999), "Sat, 21 Nov 2026 13:05:09 +0000");
        assert_eq!(rfc5322(0), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(rfc5322(1_709_164_800_000), "Thu, 29 Feb 2024 00:00:00 +0000");
    }

    #[test]
    fn a_time_is_written_as_rfc_3339_has_it() {
        for (seconds, micros, text) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, 0, "2000-03-01T00:00:00.000000Z"),
            (1_709_164_800, 0, "2024-02-29T00:00:00.000000Z"),
            (1_735_689_599, 1, "2024-12-31T23:59:59.000001Z"),
            (1_795_266_309, 123_456, "2026-11-21T13:05:09.123456Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339_micros(seconds * 1_000_000 + micros), text);
        }
        assert_eq!(rfc3339_seconds(1_795_266_309_999), "2026-11-21T13:05:09Z");
    }
}
