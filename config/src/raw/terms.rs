//! The terms of all rollouts, as they are written.

use serde_json::{Value, json};

use super::{
    decode::{Fault, Leaf, List},
    leaf::choice_leaf,
    record::record,
};
use crate::{
    freeze::{DAY, Date, Day, Zone},
    name::ServiceName,
    problem::{nearest, shown},
};

record! {
    /// A time in which no canary's share rises; rollbacks are made as ever. It begins at from and is over at to, both of
    /// one form.
    pub struct Freeze {
        /// HH:MM (every day), DAY HH:MM (every week; mon to sun) or YYYY-MM-DD HH:MM (once).
        required @ from: Moment,
        /// As from; 24:00 is the end of a day. One that is before from is on the next day, or in the next week.
        required @ to: Moment,
        /// Whose clocks count: a place such as Europe/Berlin, UTC, or an offset such as +02:00. Default: UTC.
        @ zone: Zone,
        /// Of a freeze of every day: the days on which it begins. Default: all.
        @ days: List<Day>,
        /// What is held. Default: all services.
        @ services: List<ServiceName>,
    }
}

/// A time on a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Minutes since midnight, up to 24:00.
    Daily(u16),
    /// A day of the week, and minutes since its midnight, up to 24:00.
    Weekly(Day, u16),
    /// A date.
    Dated(Date),
}

const MOMENT_FORM: &str =
    "write HH:MM, DAY HH:MM or YYYY-MM-DD HH:MM, such as \"22:00\", \"fri 16:00\" or \"2026-12-20 00:00\"";

fn clock(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    let parsed =
        (digits(hours) && digits(minutes)).then(|| hours.parse::<u16>().ok().zip(minutes.parse().ok()));
    let (hours, minutes): (u16, u16) = parsed.flatten()?;
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

fn date(text: &str, minute: u16) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let form = year.len() == 4 && month.len() == 2 && day.len() == 2 && parts.next().is_none();
    form.then(|| Date::try_new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?, minute)).flatten()
}

impl Leaf for Moment {
    const EXPECTED: &'static str = "a time such as 22:00, fri 16:00 or 2026-12-20 00:00";
    fn read(text: &str) -> Result<Self, Fault> {
        let read = match text.split_once(' ') {
            None => clock(text).map(Self::Daily),
            Some((before, time)) => clock(time.trim_start()).and_then(|minute| {
                let day = Day::ALL.into_iter().find(|day| day.label() == before);
                day.map(|day| Self::Weekly(day, minute)).or_else(|| date(before, minute).map(Self::Dated))
            }),
        };
        read.ok_or_else(|| Fault::new(format!("\"{}\" is not a time", shown(text)), MOMENT_FORM))
    }
    fn schema() -> Value {
        json!({
            "type": "string",
            "pattern": "^((mon|tue|wed|thu|fri|sat|sun|[0-9]{4}-[0-9]{2}-[0-9]{2}) +)?[0-9]{2}:[0-9]{2}$",
            "examples": ["22:00", "fri 16:00", "2026-12-20 00:00"],
        })
    }
}

impl Leaf for Zone {
    const EXPECTED: &'static str = "a time zone such as Europe/Berlin";
    fn read(text: &str) -> Result<Self, Fault> {
        Self::try_new(text).ok_or_else(|| {
            let right = "write a place of the IANA database such as Europe/Berlin, or UTC, or an offset such as +02:00";
            Fault::new(format!("\"{}\" is not a time zone", shown(text)), right)
        })
    }
    fn schema() -> Value {
        json!({ "type": "string", "examples": ["Europe/Berlin", "UTC", "+02:00"] })
    }
}

choice_leaf!(
    Day,
    "mon, tue, wed, thu, fri, sat or sun",
    "a day of the week",
    [
        ("mon", Self::Mon),
        ("tue", Self::Tue),
        ("wed", Self::Wed),
        ("thu", Self::Thu),
        ("fri", Self::Fri),
        ("sat", Self::Sat),
        ("sun", Self::Sun)
    ]
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_of_three_forms() {
        assert_eq!(Moment::read("07:30"), Ok(Moment::Daily(450)));
        assert_eq!(Moment::read("24:00"), Ok(Moment::Daily(DAY)));
        assert_eq!(Moment::read("sun 00:01"), Ok(Moment::Weekly(Day::Sun, 1)));
        let christmas = Date::try_new(2026, 12, 24, 720).unwrap();
        assert_eq!(Moment::read("2026-12-24 12:00"), Ok(Moment::Dated(christmas)));
        let wrong = [
            "",
            "7:30",
            "24:01",
            "12:60",
            "so 12:00",
            "2026-02-30 12:00",
            "2026-12-24 24:00",
            "26-12-24 12:00",
            "+1:30",
        ];
        for wrong in wrong {
            assert!(Moment::read(wrong).unwrap_err().right.contains("fri 16:00"), "{wrong}");
        }
    }
}
