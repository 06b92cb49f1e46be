//! Times in which nothing goes forward: nights, weekends, the days before a holiday.
//!
//! They are told as people tell them, by the clock on the wall of some place, so a freeze that ends at eight ends at
//! eight also on the day on which the clocks change. Hence every question is answered by turning the instant into the
//! place's own date and time, and comparing those. The rules of all places are compiled in: a question has the same answer
//! on every machine.

use std::fmt;

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone, TimeZoneDatabase},
};
use serde::{Serialize, Serializer};

use crate::name::{FreezeName, ServiceName};

/// Minutes of a day.
pub const DAY: u16 = 24 * 60;
/// Minutes of a week.
pub const WEEK: u16 = 7 * DAY;

/// One freeze.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Freeze {
    /// Its name.
    pub name: FreezeName,
    /// What it holds; all services where it is empty.
    pub services: Vec<ServiceName>,
    /// When, on the clocks of `zone`.
    pub span: Span,
    /// Whose clocks count.
    pub zone: Zone,
}

/// A span of time on a wall clock; its end is not in it. One whose end comes before its beginning goes over midnight,
/// or over the end of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Every day, or every day in `days`, counted by the day on which it begins.
    Daily {
        /// Days of the week; empty for all.
        days: Vec<Day>,
        /// Minutes since midnight, below [`DAY`].
        from: u16,
        /// Minutes since midnight, up to [`DAY`]; not `from`.
        to: u16,
    },
    /// Once a week.
    Weekly {
        /// Minutes since Monday's midnight, below [`WEEK`].
        from: u16,
        /// The same, up to [`WEEK`]; not `from`.
        to: u16,
    },
    /// Once.
    Dated {
        /// When it begins.
        from: Date,
        /// When it is over; after `from`.
        to: Date,
    },
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    /// All, Monday first.
    pub const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];

    /// As the file says it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    fn before(self) -> Self {
        Self::ALL[(self as usize + 6) % 7]
    }
}

/// A date and a minute of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The year.
    pub year: i16,
    /// From 1.
    pub month: i8,
    /// From 1.
    pub day: i8,
    /// Minutes since midnight, below [`DAY`].
    pub minute: u16,
}

impl Date {
    /// The date, if there is such a day.
    pub fn try_new(year: i16, month: i8, day: i8, minute: u16) -> Option<Self> {
        let exists = jiff::civil::Date::new(year, month, day).is_ok() && minute < DAY;
        exists.then_some(Self { year, month, day, minute })
    }
}

/// Whose clocks count: a place of the IANA database, or a fixed distance from UTC.
#[derive(Clone)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), zone: TimeZone::UTC }
    }

    /// `Europe/Berlin`, `UTC` or `+05:30`; none if there is no such zone.
    pub fn try_new(text: &str) -> Option<Self> {
        if let Some(minutes) = offset(text) {
            let zone = TimeZone::fixed(Offset::from_seconds(minutes * 60).ok()?);
            return Some(Self { name: text.into(), zone });
        }
        let zone = TimeZoneDatabase::bundled().get(text).ok()?;
        Some(Self { name: zone.iana_name().unwrap_or(text).into(), zone })
    }

    fn wall_clock(&self, now_ms: u64) -> Option<(Date, Day)> {
        let instant = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?;
        let there = self.zone.to_datetime(instant);
        let minute = u16::from(there.hour().unsigned_abs()) * 60 + u16::from(there.minute().unsigned_abs());
        let date = Date { year: there.year(), month: there.month(), day: there.day(), minute };
        let day = Day::ALL.get(usize::from(there.weekday().to_monday_zero_offset().unsigned_abs()))?;
        Some((date, *day))
    }
}

/// `+05:30` in minutes.
fn offset(text: &str) -> Option<i32> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 14 && minutes < 60).then(|| sign * (i32::from(hours) * 60 + i32::from(minutes)))
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.name)
    }
}

impl Freeze {
    /// Whether it is about this service.
    pub fn covers(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|name| name.as_str() == service)
    }

    /// Whether it holds at that time, in milliseconds since 1970. A time that no calendar has is in no freeze.
    pub fn is_in_force(&self, now_ms: u64) -> bool {
        self.zone.wall_clock(now_ms).is_some_and(|(date, day)| self.span.contains(date, day))
    }
}

impl Span {
    fn contains(&self, date: Date, day: Day) -> bool {
        let minute = date.minute;
        match self {
            Self::Daily { days, from, to } => {
                let begins = |day: Day| days.is_empty() || days.contains(&day);
                if from < to {
                    begins(day) && (*from..*to).contains(&minute)
                } else {
                    begins(day) && minute >= *from || begins(day.before()) && minute < *to
                }
            }
            Self::Weekly { from, to } => {
                let minute = day as u16 * DAY + minute;
                if from < to { (*from..*to).contains(&minute) } else { minute >= *from || minute < *to }
            }
            Self::Dated { from, to } => (*from..*to).contains(&date),
        }
    }
}

impl fmt::Display for Freeze {
    /// `weekend (fri 16:00 to mon 08:00, Europe/Berlin)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.span, self.zone)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        match self {
            Self::Daily { days, from, to } => {
                if !days.is_empty() {
                    let days: Vec<_> = days.iter().map(|day| day.label()).collect();
                    write!(f, "{} ", days.join(" "))?;
                }
                write!(f, "{} to {}", clock(*from), clock(*to))
            }
            Self::Weekly { from, to } => {
                // The last minute's end is still Sunday.
                let day = |minute: u16| Day::ALL[usize::from(minute.min(WEEK - 1) / DAY)];
                let time = |minute: u16| clock(minute - day(minute) as u16 * DAY);
                write!(f, "{} {} to {} {}", day(*from).label(), time(*from), day(*to).label(), time(*to))
            }
            Self::Dated { from, to } => {
                let date = |date: &Date| {
                    format!("{:04}-{:02}-{:02} {}", date.year, date.month, date.day, clock(date.minute))
                };
                write!(f, "{} to {}", date(from), date(to))
            }
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn freeze(span: Span, zone: &str) -> Freeze {
        let zone = Zone::try_new(zone).unwrap();
        Freeze { name: FreezeName::try_new("quiet").unwrap(), services: vec![], span, zone }
    }

    /// Milliseconds since 1970 of an instant such as `2026-03-27T16:00:00Z`.
    fn at(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    fn weekend() -> Span {
        Span::Weekly { from: 4 * DAY + 16 * 60, to: 8 * 60 }
    }

    #[test]
    fn a_weekend_goes_over_the_end_of_the_week() {
        let freeze = freeze(weekend(), "UTC");
        let held = ["2026-11-20T16:00:00Z", "2026-11-22T23:59:59Z", "2026-11-23T07:59:59Z"];
        assert!(held.iter().all(|text| freeze.is_in_force(at(text))));
        let free = ["2026-11-20T15:59:59Z", "2026-11-23T08:00:00Z", "2026-11-25T12:00:00Z"];
        assert!(free.iter().all(|text| !freeze.is_in_force(at(text))));
        assert_eq!(freeze.to_string(), "quiet (fri 16:00 to mon 08:00, UTC)");
    }

    #[test]
    fn the_clock_on_the_wall_counts_when_clocks_change() {
        // Berlin goes from +01:00 to +02:00 in the night to Sunday, 2026-03-29.
        let freeze = freeze(weekend(), "Europe/Berlin");
        assert!(
            !freeze.is_in_force(at("2026-03-27T14:59:00Z")) && freeze.is_in_force(at("2026-03-27T15:00:00Z"))
        );
        assert!(
            freeze.is_in_force(at("2026-03-30T05:59:00Z")) && !freeze.is_in_force(at("2026-03-30T06:00:00Z"))
        );
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let nights = Span::Daily { days: vec![Day::Fri], from: 22 * 60, to: 6 * 60 };
        let freeze = freeze(nights, "+05:30");
        // 2026-11-20 is a Friday; 22:00 there is 16:30 in UTC.
        let held = ["2026-11-20T16:30:00Z", "2026-11-21T00:29:00Z"];
        assert!(held.iter().all(|text| freeze.is_in_force(at(text))));
        let free =
            ["2026-11-20T16:29:00Z", "2026-11-21T00:30:00Z", "2026-11-21T17:00:00Z", "2026-11-19T20:00:00Z"];
        assert!(free.iter().all(|text| !freeze.is_in_force(at(text))));
    }

    #[test]
    fn a_dated_freeze_is_there_once() {
        let date = |month, day, hour: u16| Date::try_new(2026, month, day, hour * 60).unwrap();
        let freeze = freeze(Span::Dated { from: date(12, 20, 0), to: date(12, 31, 8) }, "America/New_York");
        assert!(
            freeze.is_in_force(at("2026-12-20T05:00:00Z")) && freeze.is_in_force(at("2026-12-31T12:59:00Z"))
        );
        assert!(
            !freeze.is_in_force(at("2026-12-20T04:59:00Z"))
                && !freeze.is_in_force(at("2026-12-31T13:00:00Z"))
        );
        assert_eq!(Date::try_new(2026, 2, 29, 0), None);
    }

    #[test]
    fn a_zone_is_a_place_or_an_offset() {
        for text in ["UTC", "Europe/Berlin", "america/new_york", "+00:00", "-03:30", "+14:00"] {
            assert!(Zone::try_new(text).is_some(), "{text}");
        }
        for text in ["", "Berlin", "+1:00", "+15:00", "+01:60", "1:00", "Europe/Berlino"] {
            assert!(Zone::try_new(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_span_and_its_complement_share_out_the_week(
            from in 0..WEEK, to in 0..WEEK, now_ms in 0_u64..4_000_000_000_000,
        ) {
            prop_assume!(from != to);
            let span = freeze(Span::Weekly { from, to }, "Europe/London");
            let rest = freeze(Span::Weekly { from: to, to: from }, "Europe/London");
            prop_assert!(span.is_in_force(now_ms) != rest.is_in_force(now_ms));
        }
    }
}
