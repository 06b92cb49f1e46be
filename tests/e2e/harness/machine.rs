//! Who may use the machine at the same time: tests run side by side, but for those that measure.
//!
//! A test that is [`alone`] waits until no other one runs, and others that come meanwhile do not wait for it: they would stand
//! idle beside a long one that it waits for. Since there are few tests and none begins anew, it gets its turn. While it
//! waits it has one of the threads on which tests are run; so there are more threads than tests may run side by side, or a
//! few that wait would leave one long test to itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Tests at the same time, however many threads there are; most wait more than they work.
const SIDE_BY_SIDE: usize = 3;
/// Those among them that start many processes each.
const CROWDS: usize = 2;

#[derive(Default)]
struct Use {
    running: usize,
    crowds: usize,
    measuring: bool,
}

static NOW: Mutex<Use> = Mutex::new(Use { running: 0, crowds: 0, measuring: false });
static CHANGED: Condvar = Condvar::new();

/// What a test holds while it runs. A test that failed leaves the machine in order.
pub(crate) struct Machine(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Alone,
    Beside,
    Crowd,
}

/// Takes the machine for one test, since it measures time or loads every core.
pub(crate) fn alone() -> Machine {
    let mut now = when(|now| now.running == 0 && !now.measuring);
    now.measuring = true;
    Machine(Kind::Alone)
}

/// Runs beside other tests of this kind, but not beside one that is [`alone`].
pub(crate) fn beside() -> Machine {
    let mut now = when(|now| !now.measuring && now.running < SIDE_BY_SIDE);
    now.running += 1;
    Machine(Kind::Beside)
}

/// The same for a test that starts many processes: no more than two of these at once.
pub(crate) fn crowd() -> Machine {
    let mut now = when(|now| !now.measuring && now.running < SIDE_BY_SIDE && now.crowds < CROWDS);
    now.running += 1;
    now.crowds += 1;
    Machine(Kind::Crowd)
}

fn when(free: impl Fn(&Use) -> bool) -> MutexGuard<'static, Use> {
    let now = NOW.lock().unwrap_or_else(PoisonError::into_inner);
    CHANGED.wait_while(now, |now| !free(now)).unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Machine {
    fn drop(&mut self) {
        let mut now = NOW.lock().unwrap_or_else(PoisonError::into_inner);
        match self.0 {
            Kind::Alone => now.measuring = false,
            Kind::Beside => now.running -= 1,
            Kind::Crowd => {
                now.running -= 1;
                now.crowds -= 1;
            }
        }
        CHANGED.notify_all();
    }
}
