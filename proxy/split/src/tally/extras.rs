//! What a comparison of versions needs to know of attempts besides how they ended.

use serin_config::{EventName, Outcome, limits::ERRING_CLIENTS_MAX, outcome::OutcomeCounts};

use super::{
    Timing,
    recorder::{Latencies, Recorder},
};

/// Counts since the last drain.
#[derive(Debug, Default)]
pub(super) struct Extras {
    booked: u64,
    late: Recording,
    control: Recording,
    erring: Erring,
    events: Vec<(EventName, u64)>,
}

#[derive(Debug, Default)]
struct Recording {
    outcomes: OutcomeCounts,
    headers: Recorder,
}

/// What a drain takes out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra {
    /// Attempts that wait for their answer and have done so for too long; each is here once.
    pub booked: u64,
    /// Attempts without fault that have ended and were booked before; they are among those that were judged.
    pub late: Part,
    /// Attempts in the negative control; they are among those that were judged.
    pub control: Part,
    /// Whose attempts failed.
    pub erring: Erring,
    /// Events that answers named.
    pub events: Vec<(EventName, u64)>,
}

/// Counts of a part of the attempts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// How they ended.
    pub outcomes: OutcomeCounts,
    /// Time to the answer's head, of those that did not fail.
    pub headers: Latencies,
}

/// Clients whose attempts failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erring {
    /// The hash of each client's key; one may stand several times. At most [`ERRING_CLIENTS_MAX`]: further ones are
    /// left out, in a second in which nearly nothing can have gone well.
    pub keys: Vec<u64>,
    /// Failures of requests without a key. Each of them was split for itself, and so is a client of its own.
    pub keyless: u64,
}

impl Extras {
    pub(super) fn book(&mut self) {
        self.booked += 1;
    }

    pub(super) fn record_late(&mut self, outcome: Outcome, timing: Timing) {
        if !outcome.is_failure() {
            self.late.record(outcome, timing);
        }
    }

    pub(super) fn note_control(&mut self, outcome: Outcome, timing: Timing) {
        self.control.record(outcome, timing);
    }

    pub(super) fn note_erring(&mut self, client: Option<u64>) {
        match client {
            Some(key) if self.erring.keys.len() < ERRING_CLIENTS_MAX => self.erring.keys.push(key),
            Some(_) => {}
            None => self.erring.keyless += 1,
        }
    }

    pub(super) fn note_events<'a>(&mut self, events: impl Iterator<Item = &'a EventName>) {
        for event in events {
            match self.events.iter_mut().find(|(name, _)| name == event) {
                Some((_, count)) => *count += 1,
                None => self.events.push((event.clone(), 1)),
            }
        }
    }

    pub(super) fn drain(&mut self) -> Option<Box<Extra>> {
        let extra = Extra {
            booked: std::mem::take(&mut self.booked),
            late: self.late.drain(),
            control: self.control.drain(),
            erring: std::mem::take(&mut self.erring),
            events: std::mem::take(&mut self.events),
        };
        (extra != Extra::default()).then(|| Box::new(extra))
    }
}

impl Recording {
    /// The same attempts have a part in the latencies as with all others.
    fn record(&mut self, outcome: Outcome, timing: Timing) {
        self.outcomes.add(outcome);
        if outcome.counts() && !outcome.is_failure() {
            self.headers.add(timing.headers.unwrap_or(timing.total));
        }
    }

    fn drain(&mut self) -> Part {
        Part { outcomes: std::mem::take(&mut self.outcomes), headers: self.headers.drain() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(headers: u64) -> Timing {
        Timing { headers: Some(headers), total: headers + 1, own: None }
    }

    #[test]
    fn nothing_noted_is_nothing_drained() {
        let mut extras = Extras::default();
        assert_eq!(extras.drain(), None);
        extras.note_control(Outcome::Ok, timing(5));
        assert_eq!(extras.drain().unwrap().control.headers.sum_us, 5);
        assert_eq!(extras.drain(), None);
    }

    #[test]
    fn failures_have_no_part_in_the_latencies_of_the_control() {
        let mut extras = Extras::default();
        for outcome in [Outcome::Ok, Outcome::Http5xx, Outcome::ClientCancel] {
            extras.note_control(outcome, timing(7));
        }
        let control = extras.drain().unwrap().control;
        assert_eq!((control.outcomes.judged(), control.outcomes.failed(), control.headers.sum_us), (2, 1, 7));
    }

    #[test]
    fn clients_are_listed_up_to_a_bound_and_failures_without_a_key_are_counted() {
        let mut extras = Extras::default();
        (0..ERRING_CLIENTS_MAX as u64 + 5).for_each(|key| extras.note_erring(Some(key)));
        extras.note_erring(None);
        let erring = extras.drain().unwrap().erring;
        assert_eq!((erring.keys.len(), erring.keyless), (ERRING_CLIENTS_MAX, 1));
    }

    #[test]
    fn events_are_counted_by_name() {
        let (mut extras, name) = (Extras::default(), |text: &str| EventName::try_new(text).unwrap());
        let (order, login) = (name("order"), name("login"));
        extras.note_events([&order, &login].into_iter());
        extras.note_events([&order].into_iter());
        assert_eq!(extras.drain().unwrap().events, [(order, 2), (login, 1)]);
    }
}
