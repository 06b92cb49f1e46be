//! How many frames of each kind a client of HTTP/2 may send.
//!
//! A frame of a few bytes can cost its receiver a thousand times more than its sender. What an honest client
//! sends is in proportion: it opens windows because data came, cancels what it has asked for, says its
//! settings once. So each kind has an allowance for each second, which grows with what the client was sent or
//! asked for, and a connection that goes beyond it is closed. The numbers are those of proxies that have stood
//! in the open for years.
//!
//! A second begins when the one before has ended and an allowance is spent: until then no clock is read. A
//! burst may thus be twice as large as the allowance, which does no harm.

use std::time::{Duration, Instant};

use crate::frames::{Frame, Frames, kind};

const SECOND: Duration = Duration::from_secs(1);
const CONTROL_MAX: u32 = 100;
const SETTINGS_MAX: u32 = 50;
/// The HTTP library's own bound for a list of fields that fits.
const CONTINUATIONS_MAX: u32 = 5;
/// What a client may say for each frame of data that it was sent.
const WINDOW_UPDATES_PER_DATA: u32 = 10;
const PRIORITIES_PER_STREAM: u32 = 10;
/// Rapid reset (CVE-2023-44487): so many streams given up before their answer, of so many opened, and at
/// least half of them.
const GIVEN_UP_MAX: u32 = 50;
const OPENED_MIN: u32 = 100;

/// In what way a client goes beyond what is fair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Abuse {
    /// Streams are opened and given up before their answer.
    RapidReset,
    /// More resets than streams.
    ResetFlood,
    /// PING without end.
    PingFlood,
    /// SETTINGS without end.
    SettingsFlood,
    /// PRIORITY without end.
    PriorityFlood,
    /// Windows are opened that nobody has used.
    WindowUpdateFlood,
    /// DATA that brings nothing.
    EmptyDataFlood,
    /// A list of header fields without end.
    ContinuationFlood,
    /// The HTTP library's own limits, such as on streams that the client made it reset (CVE-2025-8671).
    LibraryLimit,
    /// A stream's answer is not read.
    WindowStall,
    /// A head drips.
    SlowHead,
    /// A body does not come.
    SlowBody,
    /// The socket is not read.
    SlowReader,
}

impl Abuse {
    /// All of them, each at its own number.
    pub const ALL: [Self; 13] = [
        Self::RapidReset,
        Self::ResetFlood,
        Self::PingFlood,
        Self::SettingsFlood,
        Self::PriorityFlood,
        Self::WindowUpdateFlood,
        Self::EmptyDataFlood,
        Self::ContinuationFlood,
        Self::LibraryLimit,
        Self::WindowStall,
        Self::SlowHead,
        Self::SlowBody,
        Self::SlowReader,
    ];

    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::RapidReset => "rapid_reset",
            Self::ResetFlood => "reset_flood",
            Self::PingFlood => "ping_flood",
            Self::SettingsFlood => "settings_flood",
            Self::PriorityFlood => "priority_flood",
            Self::WindowUpdateFlood => "window_update_flood",
            Self::EmptyDataFlood => "empty_data_flood",
            Self::ContinuationFlood => "continuation_flood",
            Self::LibraryLimit => "library_limit",
            Self::WindowStall => "window_stall",
            Self::SlowHead => "slow_head",
            Self::SlowBody => "slow_body",
            Self::SlowReader => "slow_reader",
        }
    }
}

/// Counts the frames of one connection.
#[derive(Debug)]
pub struct Meter {
    received: Frames,
    sent: Frames,
    now: Counts,
    /// DATA sent in the second before: what it makes the client say may come late.
    data_before: u32,
    began: Instant,
    last_stream: u32,
    continuations: u32,
    given_up: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    data_sent: u32,
    opened: u32,
    given_up: u32,
    resets: u32,
    pings: u32,
    settings: u32,
    priorities: u32,
    window_updates: u32,
    empty_data: u32,
}

impl Meter {
    /// For a connection that begins now, with the client's preface.
    pub fn new(now: Instant) -> Self {
        Self {
            received: Frames::of_client(),
            sent: Frames::of_server(),
            now: Counts::default(),
            data_before: 0,
            began: now,
            last_stream: 0,
            continuations: 0,
            given_up: 0,
        }
    }

    /// The highest stream that the client has opened.
    pub fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Bytes went to the client.
    pub fn sent(&mut self, bytes: &[u8]) {
        let counts = &mut self.now;
        self.sent.walk(bytes, |frame| {
            if frame.kind == kind::DATA {
                counts.data_sent = counts.data_sent.saturating_add(1);
            }
        });
    }

    /// Bytes came from the client, which has so far given up so many requests before their answer. The clock
    /// is read only where an allowance is spent.
    pub fn received(
        &mut self,
        bytes: &[u8],
        given_up: u64,
        clock: impl Fn() -> Instant,
    ) -> Result<(), Abuse> {
        let newly = u32::try_from(given_up.saturating_sub(self.given_up)).unwrap_or(u32::MAX);
        self.given_up = given_up;
        self.now.given_up = self.now.given_up.saturating_add(newly);
        let mut frames = std::mem::take(&mut self.received);
        let mut judged = Ok(());
        frames.walk(bytes, |frame| {
            if judged.is_ok() {
                judged = self.frame(frame, &clock);
            }
        });
        self.received = frames;
        judged
    }

    fn frame(&mut self, frame: Frame, clock: &impl Fn() -> Instant) -> Result<(), Abuse> {
        self.count(frame);
        let Some(abuse) = self.spent() else { return Ok(()) };
        let now = clock();
        if now.saturating_duration_since(self.began) < SECOND || abuse == Abuse::ContinuationFlood {
            return Err(abuse);
        }
        (self.began, self.data_before) = (now, self.now.data_sent);
        self.now = Counts::default();
        self.count(frame);
        Ok(())
    }

    fn count(&mut self, frame: Frame) {
        let counts = &mut self.now;
        let counter = match frame.kind {
            kind::HEADERS => {
                self.continuations = 0;
                if frame.stream <= self.last_stream {
                    // Trailers.
                    return;
                }
                self.last_stream = frame.stream;
                &mut counts.opened
            }
            kind::CONTINUATION => &mut self.continuations,
            kind::RST_STREAM => &mut counts.resets,
            kind::PING if !frame.is_ack() => &mut counts.pings,
            kind::SETTINGS if !frame.is_ack() => &mut counts.settings,
            kind::PRIORITY => &mut counts.priorities,
            kind::WINDOW_UPDATE => &mut counts.window_updates,
            kind::DATA if frame.is_empty() => &mut counts.empty_data,
            _ => return,
        };
        *counter = counter.saturating_add(1);
    }

    /// The first allowance that is spent.
    fn spent(&self) -> Option<Abuse> {
        let counts = &self.now;
        let data = counts.data_sent.saturating_add(self.data_before);
        let beyond =
            |count: u32, per: u32, of: u32| count > CONTROL_MAX.saturating_add(per.saturating_mul(of));
        let rapid = counts.given_up >= GIVEN_UP_MAX
            && counts.opened >= OPENED_MIN
            && counts.given_up.saturating_mul(2) >= counts.opened;
        let checks = [
            (self.continuations > CONTINUATIONS_MAX, Abuse::ContinuationFlood),
            (rapid, Abuse::RapidReset),
            (beyond(counts.resets, 1, counts.opened), Abuse::ResetFlood),
            // Some clients measure the path with a ping behind data.
            (beyond(counts.pings, 1, data), Abuse::PingFlood),
            (counts.settings > SETTINGS_MAX, Abuse::SettingsFlood),
            (beyond(counts.priorities, PRIORITIES_PER_STREAM, counts.opened), Abuse::PriorityFlood),
            (
                beyond(counts.window_updates, WINDOW_UPDATES_PER_DATA, data.saturating_add(counts.opened)),
                Abuse::WindowUpdateFlood,
            ),
            (beyond(counts.empty_data, 0, 0), Abuse::EmptyDataFlood),
        ];
        checks.into_iter().find_map(|(spent, abuse)| spent.then_some(abuse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::PREFACE;

    fn frame(kind: u8, flags: u8, stream: u32, length: u32) -> Vec<u8> {
        let mut bytes = Frame { length, kind, flags, stream }.header().to_vec();
        bytes.resize(9 + length as usize, 0);
        bytes
    }

    struct Client {
        meter: Meter,
        began: Instant,
        at: Duration,
    }

    impl Client {
        fn new() -> Self {
            let began = crate::test_start();
            let mut client = Self { meter: Meter::new(began), began, at: Duration::ZERO };
            client.send(PREFACE, 0).unwrap();
            client
        }

        fn send(&mut self, bytes: &[u8], given_up: u64) -> Result<(), Abuse> {
            let now = self.began + self.at;
            self.meter.received(bytes, given_up, || now)
        }

        /// Sends it this often, and tells how often it was let through.
        fn flood(&mut self, bytes: &[u8], times: usize) -> (usize, Result<(), Abuse>) {
            for done in 0..times {
                if let Err(abuse) = self.send(bytes, 0) {
                    return (done, Err(abuse));
                }
            }
            (times, Ok(()))
        }
    }

    #[test]
    fn a_flood_of_any_control_frame_ends_the_connection() {
        for (kind, length, allowed, abuse) in [
            (kind::RST_STREAM, 4, 100, Abuse::ResetFlood),
            (kind::PING, 8, 100, Abuse::PingFlood),
            (kind::SETTINGS, 6, 50, Abuse::SettingsFlood),
            (kind::PRIORITY, 5, 100, Abuse::PriorityFlood),
            (kind::WINDOW_UPDATE, 4, 100, Abuse::WindowUpdateFlood),
            (kind::DATA, 0, 100, Abuse::EmptyDataFlood),
            (kind::CONTINUATION, 1, 5, Abuse::ContinuationFlood),
        ] {
            let mut client = Client::new();
            assert_eq!(client.flood(&frame(kind, 0, 1, length), 1_000), (allowed, Err(abuse)));
        }
    }

    #[test]
    fn the_same_frames_at_a_fair_pace_are_fine_for_ever() {
        let mut client = Client::new();
        for _ in 0..100 {
            for (kind, length) in [(kind::RST_STREAM, 4), (kind::PING, 8), (kind::WINDOW_UPDATE, 4)] {
                assert_eq!(client.flood(&frame(kind, 0, 1, length), 50).1, Ok(()));
            }
            client.at += SECOND;
        }
    }

    #[test]
    fn acknowledgements_and_ends_are_not_counted() {
        let mut client = Client::new();
        assert_eq!(client.flood(&frame(kind::PING, 1, 0, 8), 10_000).1, Ok(()));
        assert_eq!(client.flood(&frame(kind::SETTINGS, 1, 0, 0), 10_000).1, Ok(()));
        assert_eq!(client.flood(&frame(kind::DATA, 1, 1, 0), 10_000).1, Ok(()));
        assert_eq!(client.flood(&frame(kind::DATA, 0, 1, 1), 10_000).1, Ok(()));
    }

    #[test]
    fn who_reads_much_may_open_windows_often() {
        let mut client = Client::new();
        for _ in 0..1_000 {
            client.meter.sent(&frame(kind::DATA, 0, 1, 100));
            assert_eq!(client.flood(&frame(kind::WINDOW_UPDATE, 0, 1, 4), 4).1, Ok(()));
            assert_eq!(client.flood(&frame(kind::PING, 0, 0, 8), 1).1, Ok(()));
        }
    }

    #[test]
    fn streams_that_are_given_up_at_once_are_counted_and_a_few_are_fine() {
        let ask = |client: &mut Client, streams: u32, every: u32| {
            let mut given_up = 0;
            for n in 0..streams {
                let id = client.meter.last_stream()
                    + if n == 0 && client.meter.last_stream() == 0 { 1 } else { 2 };
                client.send(&frame(kind::HEADERS, 5, id, 10), given_up)?;
                if n % every == 0 {
                    given_up += 1;
                    client.send(&frame(kind::RST_STREAM, 0, id, 4), given_up)?;
                }
            }
            Ok(())
        };
        let mut client = Client::new();
        assert_eq!(ask(&mut client, 1_000, 1), Err(Abuse::RapidReset));
        assert!(client.meter.last_stream() < 250, "{}", client.meter.last_stream());
        assert_eq!(ask(&mut Client::new(), 1_000, 3), Ok(()), "a third is given up");
        assert_eq!(
            ask(&mut Client::new(), 90, 1),
            Ok(()),
            "few streams, such as those of a page that was left"
        );
    }

    #[test]
    fn each_has_its_own_number_and_label() {
        for (number, abuse) in Abuse::ALL.into_iter().enumerate() {
            assert_eq!(abuse as usize, number);
        }
        let mut labels: Vec<_> = Abuse::ALL.map(Abuse::label).into();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Abuse::ALL.len());
    }
}
