//! Windows that the control plane has not said to have kept, in their order, and how far they were told over the
//! present stream.
//!
//! A window is let go when it is kept, not when it was sent: a control plane that took it may end before it has
//! stored what follows from it. What is told twice is counted once there, by its number. There is room for some
//! minutes; then the oldest goes, and if nobody ever took it, it is lost and counted.
//!
//! Those of a process that this one takes the place of come first, and this one's are numbered on from there: it is the same
//! life of the proxy.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serin_config::{limits::UPLINK_WINDOWS_MAX, wire::WindowReport};

use crate::legacy::{LeftWindow, Life};

#[derive(Debug)]
struct Waiting {
    window: WindowReport,
    /// When it came.
    since: Instant,
    /// Whether any stream took it.
    told: bool,
}

/// The windows that wait.
#[derive(Debug, Default)]
pub(super) struct Unkept {
    /// The life that they belong to, where the control plane has said so.
    life: Option<u64>,
    /// How many windows of it are of the processes before this one.
    before: u64,
    /// The number of the last one.
    last: u64,
    windows: VecDeque<Waiting>,
    /// How many of them, from the oldest, the present stream has taken.
    sent: usize,
}

impl Unkept {
    /// The control plane takes this process for another life than it took itself for. What was told as part of the one
    /// before is not told again: it would be counted twice.
    pub(super) fn live_as(&mut self, epoch: u64) {
        self.life = Some(epoch);
        self.windows.retain(|waiting| !waiting.told);
        self.windows.iter_mut().for_each(|waiting| waiting.window.epoch = epoch);
        self.sent = 0;
    }

    /// Adds a window. Gives whether another one was lost by that.
    pub(super) fn push(&mut self, mut window: WindowReport, now: Instant) -> bool {
        window.epoch = self.life.unwrap_or(window.epoch);
        window.sequence += self.before;
        self.last = window.sequence;
        let mut lost = false;
        if self.windows.len() >= UPLINK_WINDOWS_MAX {
            lost = self.windows.pop_front().is_some_and(|oldest| !oldest.told);
            self.sent = self.sent.saturating_sub(1);
        }
        self.windows.push_back(Waiting { window, since: now, told: false });
        lost
    }

    /// What is left to a process that goes on with this life.
    pub(super) fn leave(&self, epoch: u64, now: Instant) -> Life {
        let left = self.windows.iter().map(|Waiting { window, since, told }| LeftWindow {
            window: window.clone(),
            waited_ms: in_ms(now.saturating_duration_since(*since)),
            told: *told,
        });
        Life { epoch, sequence: self.last, windows: left.collect(), lost: 0 }
    }

    /// Goes on with the life of the process before: its windows come first, and those that wait already are numbered on from
    /// its last. Gives how many windows are lost: that it lost on the way, or that have no room.
    pub(super) fn go_on(&mut self, life: Life, now: Instant) -> u64 {
        let Life { epoch, sequence, windows, mut lost } = life;
        for Waiting { window, .. } in &mut self.windows {
            (window.epoch, window.sequence) = (epoch, window.sequence + sequence);
        }
        let left = windows.into_iter().map(|LeftWindow { window, waited_ms, told }| {
            let since = now.checked_sub(Duration::from_millis(waited_ms)).unwrap_or(now);
            Waiting { window: WindowReport { epoch, ..window }, since, told }
        });
        let own = std::mem::take(&mut self.windows);
        self.windows = left.chain(own).collect();
        (self.life, self.before, self.last, self.sent) = (Some(epoch), sequence, self.last + sequence, 0);
        while self.windows.len() > UPLINK_WINDOWS_MAX {
            lost += u64::from(self.windows.pop_front().is_some_and(|oldest| !oldest.told));
        }
        lost
    }

    /// Attempts in windows with a number above this one.
    pub(super) fn attempts_after(&self, sequence: u64) -> u64 {
        let later = self.windows.iter().filter(|waiting| waiting.window.sequence > sequence);
        later.flat_map(|waiting| &waiting.window.cells).map(|cell| cell.outcomes.total()).sum()
    }

    /// The windows of this life up to that number are kept.
    pub(super) fn kept(&mut self, epoch: u64, sequence: u64) {
        let kept = |waiting: &Waiting| waiting.window.epoch == epoch && waiting.window.sequence <= sequence;
        while self.windows.front().is_some_and(kept) {
            self.windows.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// A new stream begins: all of them have to be told again.
    pub(super) fn begin_again(&mut self) {
        self.sent = 0;
    }

    /// The next one to be told, and for how long it has waited.
    pub(super) fn next(&mut self, now: Instant) -> Option<(&WindowReport, Duration)> {
        let waiting = self.windows.get_mut(self.sent)?;
        (waiting.told, self.sent) = (true, self.sent + 1);
        Some((&waiting.window, now.saturating_duration_since(waiting.since)))
    }

    /// Whether there is one to be told.
    pub(super) fn has_more(&self) -> bool {
        self.sent < self.windows.len()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }
}

pub(super) fn in_ms(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serin_config::Generation;

    use super::*;

    fn window(sequence: u64) -> WindowReport {
        WindowReport {
            proxy: "p".into(),
            epoch: 1,
            sequence,
            ended_ms: sequence * 1_000,
            age_ms: 0,
            generation: Generation(1),
            began_under: Generation(1),
            probing: vec![],
            cells: vec![],
            trips: vec![],
            unready: vec![],
            copies: vec![],
        }
    }

    fn told(unkept: &mut Unkept, now: Instant) -> Vec<u64> {
        let mut told = Vec::new();
        while let Some((window, _)) = unkept.next(now) {
            told.push(window.sequence);
        }
        told
    }

    #[test]
    fn what_is_not_kept_is_told_again_over_the_next_stream() {
        let (mut unkept, now) = (Unkept::default(), Instant::now());
        for sequence in 1..=4 {
            assert!(!unkept.push(window(sequence), now));
        }
        assert_eq!(told(&mut unkept, now), [1, 2, 3, 4]);
        unkept.kept(1, 2);
        unkept.push(window(5), now);
        assert_eq!(told(&mut unkept, now), [5]);
        unkept.begin_again();
        assert_eq!(told(&mut unkept, now), [3, 4, 5]);
        unkept.kept(2, 9);
        assert_eq!(unkept.len(), 3, "that is another life");
        unkept.kept(1, 9);
        assert_eq!((unkept.len(), unkept.has_more()), (0, false));
        unkept.push(window(6), now);
        assert_eq!(told(&mut unkept, now), [6]);
    }

    #[test]
    fn in_another_life_what_was_told_before_is_not_told_again() {
        let (mut unkept, now) = (Unkept::default(), Instant::now());
        unkept.push(window(1), now);
        unkept.next(now);
        unkept.push(window(2), now);
        unkept.live_as(7);
        unkept.push(window(3), now);
        let mut lives = Vec::new();
        while let Some((window, _)) = unkept.next(now) {
            lives.push((window.epoch, window.sequence));
        }
        assert_eq!(lives, [(7, 2), (7, 3)]);
        unkept.kept(1, 9);
        assert_eq!(unkept.len(), 2, "that is the life before");
        unkept.kept(7, 3);
        assert_eq!(unkept.len(), 0);
    }

    #[test]
    fn who_takes_over_tells_what_was_left_and_counts_on_in_the_same_life() {
        let (mut before, mut after, now) = (Unkept::default(), Unkept::default(), Instant::now());
        (1..=4).for_each(|sequence| assert!(!before.push(window(sequence), now)));
        before.kept(1, 2);
        before.next(now);
        let mut of_another = window(1);
        of_another.epoch = 9;
        after.push(of_another, now);
        assert_eq!(after.go_on(before.leave(1, now), now + Duration::from_secs(2)), 0);
        let mut second = window(2);
        second.epoch = 9;
        after.push(second, now);
        let mut lives = Vec::new();
        while let Some((window, _)) = after.next(now) {
            lives.push((window.epoch, window.sequence));
        }
        assert_eq!(lives, [(1, 3), (1, 4), (1, 5), (1, 6)]);
        // And from there to a third.
        after.kept(1, 6);
        let left = after.leave(1, now);
        assert_eq!((left.sequence, left.windows.len()), (6, 0));
    }

    #[test]
    fn what_has_no_room_after_a_hand_over_is_lost_and_counted() {
        let (mut before, mut after, now) = (Unkept::default(), Unkept::default(), Instant::now());
        let most = UPLINK_WINDOWS_MAX as u64;
        (1..=most).for_each(|sequence| assert!(!before.push(window(sequence), now)));
        before.next(now);
        (1..=3).for_each(|sequence| assert!(!after.push(window(sequence), now)));
        let left = before.leave(1, now + Duration::from_secs(5));
        assert_eq!(after.go_on(left, now + Duration::from_secs(6)), 2, "the first was told");
        assert_eq!(after.len(), UPLINK_WINDOWS_MAX);
        let (first, age) = after.next(now + Duration::from_secs(7)).unwrap();
        assert_eq!((first.sequence, age), (4, Duration::from_secs(6)));
    }

    #[test]
    fn a_window_knows_how_long_it_has_waited() {
        let (mut unkept, now) = (Unkept::default(), Instant::now());
        unkept.push(window(1), now);
        let (_, age) = unkept.next(now + Duration::from_secs(7)).unwrap();
        assert_eq!(age, Duration::from_secs(7));
    }

    #[test]
    fn the_oldest_goes_first_and_is_lost_only_if_nobody_took_it() {
        let (mut unkept, now) = (Unkept::default(), Instant::now());
        let most = UPLINK_WINDOWS_MAX as u64;
        (1..=most).for_each(|sequence| assert!(!unkept.push(window(sequence), now)));
        assert!(unkept.push(window(most + 1), now), "nobody took the first");
        assert_eq!(told(&mut unkept, now).first(), Some(&2));
        assert!(!unkept.push(window(most + 2), now), "the second was taken");
        assert_eq!((told(&mut unkept, now), unkept.len()), (vec![most + 2], UPLINK_WINDOWS_MAX));
    }
}
