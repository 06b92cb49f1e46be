//! Who leads, asked of every control plane ten times a second.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{schedule::PLANES, users::Clock};
use crate::harness::http;

const PERIOD: Duration = Duration::from_millis(100);
/// Who does not answer within this does not lead as far as anybody can see.
const WAIT: Duration = Duration::from_millis(400);

/// Each change of who leads: when, and who from then on.
pub(super) type Changes = Vec<(u64, Option<usize>)>;

/// Asks until it is dropped.
pub(super) struct Leaders {
    changes: Arc<Mutex<Changes>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Leaders {
    pub(super) fn watch(apis: [SocketAddr; PLANES], clock: Clock) -> Self {
        let (changes, stop) = (Arc::<Mutex<Changes>>::default(), Arc::<AtomicBool>::default());
        let (told, stopped) = (changes.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut last = None;
            while !stopped.load(Relaxed) {
                // Who led before is asked first: one that does not know yet that it leads no more is believed until then.
                let mut order = last.into_iter().chain((0..PLANES).filter(|plane| Some(*plane) != last));
                let now = order.find(|plane| leads(apis[*plane]));
                if now != last {
                    told.lock().unwrap().push((clock.now(), now));
                    last = now;
                }
                std::thread::sleep(PERIOD);
            }
        });
        Self { changes, stop, thread: Some(thread) }
    }

    pub(super) fn now(&self) -> Option<usize> {
        self.changes.lock().unwrap().last().and_then(|(_, leader)| *leader)
    }

    pub(super) fn changes(&self) -> Changes {
        self.changes.lock().unwrap().clone()
    }

    /// How often another one led than before.
    pub(super) fn failovers(&self) -> usize {
        let changes = self.changes();
        let leaders: Vec<usize> = changes.iter().filter_map(|(_, leader)| *leader).collect();
        leaders.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

fn leads(api: SocketAddr) -> bool {
    let reply = http::call_within(WAIT, api, "GET", "/v1/plan", None);
    reply.is_ok_and(|reply| reply.status == 200 && reply.header("x-serin-role") == "leader")
}

impl Drop for Leaders {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
