//! One load on several threads, for targets that are faster than one core can ask.
//!
//! Each thread takes its share of the schedule's requests, number by number, and of the connections; what they count
//! is added second by second. The whole is then the same schedule, not several of a lower rate that drift apart.

use crate::{
    bounds::THREADS_MAX,
    load::{Load, LoadError, Pace, Running, Share},
    measure::{Report, Snapshot},
    schedule::Stop,
};

/// A load that runs on one or several threads.
#[derive(Debug)]
pub struct Crowd {
    running: Vec<Running>,
    /// The last second that all of them told of.
    second: u64,
    /// What some of them have told of the next one, and how many that are.
    gathered: Option<Snapshot>,
    told: usize,
    cancelled: bool,
}

impl Crowd {
    /// Starts the load on so many threads: 1 to [`THREADS_MAX`], at most one for each connection.
    ///
    /// # Errors
    /// One of them can't be started.
    pub fn start(load: &Load, threads: usize) -> Result<Self, LoadError> {
        let connections = load.connections().max(1);
        let of = threads.clamp(1, THREADS_MAX).min(connections);
        let share = |whole: usize, at: usize| whole / of + usize::from(at < whole % of);
        let running = Vec::with_capacity(of);
        let mut crowd = Self { running, second: 0, gathered: None, told: 0, cancelled: false };
        for at in 0..of {
            let own = share(connections, at);
            let part = match load.pace() {
                Pace::Open(schedule) | Pace::Share(schedule, _) => {
                    let pace = Pace::Share(schedule.clone(), Share { at, of });
                    load.clone().connections_max(own).paced(pace)
                }
                Pace::Closed { .. } => {
                    let part = load.clone().paced(Pace::Closed { connections: own });
                    match load.stop() {
                        Stop::Count(count) => {
                            let count = usize::try_from(count).unwrap_or(usize::MAX);
                            part.stopped(Stop::Count(share(count, at) as u64))
                        }
                        Stop::After(_) | Stop::Never => part,
                    }
                }
            };
            match part.start() {
                Ok(running) => crowd.running.push(running),
                Err(error) => {
                    crowd.cancel();
                    return Err(error);
                }
            }
        }
        Ok(crowd)
    }

    /// The next second's counts of all threads; none after the last. Whoever gives up waiting for it loses nothing: what
    /// some threads have told is kept until the others have.
    pub async fn snapshot(&mut self) -> Option<Snapshot> {
        let wanted = self.second + 1;
        while let Some(running) = self.running.get_mut(self.told) {
            match running.snapshot().await {
                // One that was dropped there is missing here.
                Some(snapshot) if snapshot.second < wanted => continue,
                None => {}
                Some(snapshot) => match &mut self.gathered {
                    None => self.gathered = Some(snapshot),
                    Some(all) => {
                        all.window.merge(&snapshot.window);
                        all.progress.add(snapshot.progress);
                    }
                },
            }
            self.told += 1;
        }
        self.told = 0;
        let all = self.gathered.take();
        self.second = all.as_ref().map_or(wanted, |all| all.second.max(wanted));
        all
    }

    /// Sends no further request; those in flight end as they may.
    pub fn cancel(&mut self) {
        self.cancelled = true;
        self.running.iter().for_each(Running::cancel);
    }

    /// Whether that was asked.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Waits for the last request.
    ///
    /// # Errors
    /// A thread died.
    pub async fn report(self) -> Result<Report, LoadError> {
        let mut all: Option<Report> = None;
        for running in self.running {
            let report = running.report().await?;
            match &mut all {
                None => all = Some(report),
                Some(all) => all.merge(&report),
            }
        }
        all.ok_or(LoadError::Died)
    }
}
