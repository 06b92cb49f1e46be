//! The pacer: a thread that sleeps to the next due time and hands over every request that is due.
//!
//! It is a thread, not a task, because the runtime's timers count whole milliseconds: at 1 000 requests a
//! second a task would send each of them up to a millisecond late. It never waits for the lanes; a request
//! that finds the way full is missed, and counted.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::sync::mpsc;

use crate::{
    bounds::PACER_TICK,
    cancel::Cancel,
    load::Share,
    recorder::PacerCounts,
    schedule::{Schedule, Stop},
};

#[expect(clippy::too_many_arguments, reason = "the parts of a load that its pacer's thread needs, each once")]
/// Hands over due times until the stop or the token says that there are no more.
pub(crate) fn pace_due(
    schedule: &Schedule,
    share: Share,
    stop: Stop,
    start: Instant,
    counts_from: Instant,
    cancel: &Cancel,
    counts: &Arc<PacerCounts>,
    lanes: &mpsc::Sender<Instant>,
) {
    let mut now = start;
    let own = schedule.arrivals().enumerate().skip(share.at).step_by(share.of.max(1));
    for (number, offset) in own {
        if !stop.allows(number as u64, offset) {
            return;
        }
        let due = start + offset;
        if due > now {
            now = Instant::now();
        }
        if due > now {
            // Sleeping at least a tick lets requests that are close together leave together.
            if cancel.sleep_until(due.max(now + PACER_TICK)) {
                return;
            }
            now = Instant::now();
        }
        let counted = u64::from(due >= counts_from);
        counts.due.fetch_add(counted, Ordering::Relaxed);
        match lanes.try_send(due) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                counts.missed.fetch_add(counted, Ordering::Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return,
        }
    }
}
