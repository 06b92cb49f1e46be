//! One life of a proxy, and two processes: the one falls silent and leaves its windows, the other goes on with them.

use serin_config::limits::TAKEOVER_STORE_WAIT;
use tokio::{sync::oneshot, time::timeout};

use super::{Link, Order, Stance, Uplink, idle, keep, metrics};
use crate::{clock, legacy::Life};

impl Uplink {
    /// Falls silent, and tells what is left to another process; none if that can't be found out. From here on nothing is said,
    /// until [`Uplink::speak_again`].
    pub async fn leave_to_another(&self) -> Option<Life> {
        self.stance.send_replace(Stance::Silent);
        let (tell, told) = oneshot::channel();
        let asked = async {
            self.orders.send(Order::Leave(tell)).await.ok()?;
            told.await.ok()
        };
        timeout(TAKEOVER_STORE_WAIT, asked).await.ok().flatten()
    }

    /// Speaks again, since nobody took this process's place.
    pub fn speak_again(&self) {
        self.stance.send_replace(Stance::Speaks);
    }

    /// Goes on with the life of the process before, where it has left one, and begins to speak.
    pub async fn take_up(&self, life: Option<Life>) {
        let silent = *self.stance.borrow() == Stance::Silent;
        match life {
            Some(life) if silent => {
                let (tell, told) = oneshot::channel();
                // The task ends only with this process.
                if self.orders.send(Order::TakeUp(life, tell)).await.is_ok() {
                    let _ = told.await;
                }
            }
            // There was no plan to begin with, so this process had to ask for one, as a life of its own.
            Some(life) => metrics::lost(life.untold()),
            None => {}
        }
        if silent {
            self.speak_again();
        }
    }
}

impl Link {
    /// Waits while another process has the word. False where this one ends.
    pub(super) async fn may_speak(&mut self) -> bool {
        loop {
            let stance = *self.stance.borrow_and_update();
            match stance {
                Stance::Speaks => {
                    self.left = None;
                    return true;
                }
                Stance::Leaves => {
                    self.say_what_is_lost();
                    return false;
                }
                Stance::Silent => {}
            }
            tokio::select! {
                changed = self.stance.changed() => if changed.is_err() {
                    return false;
                },
                order = self.ordered.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return false,
                },
                () = idle(&mut self.inlet, &mut self.unkept, self.since) => return false,
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Leave(tell) => {
                while let Ok(report) = self.inlet.try_recv() {
                    if let serin_config::wire::Report::Window(window) = report {
                        keep(&mut self.unkept, window);
                    }
                }
                let life = self.unkept.leave(self.joining.epoch, clock::now());
                self.left = Some(life.sequence);
                // Who asked may have gone.
                let _ = tell.send(life);
            }
            Order::TakeUp(life, tell) => {
                let windows = life.windows.len();
                self.joining.epoch = life.epoch;
                let lost = self.unkept.go_on(life, clock::now());
                metrics::lost(lost);
                tracing::info!(
                    windows,
                    lost,
                    "the windows of the process before that no control plane has kept are told by this one"
                );
                let _ = tell.send(());
            }
        }
    }

    /// A process that has left its life counts on until its last request has ended, and nobody is told of that.
    fn say_what_is_lost(&self) {
        let Some(attempts) = self.left.map(|last| self.unkept.attempts_after(last)) else { return };
        if attempts > 0 {
            tracing::info!(
                attempts,
                "these ended here after the new process took over, and are in no window"
            );
        }
    }
}
