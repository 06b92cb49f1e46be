//! What proxies tell, and what becomes of it: trips at once, seconds when they are complete, beats as they come.

use serin_config::{
    ServiceName,
    wire::{Beat, EventReport, TripCause, WindowReport},
};

use serin_judge::{Guard, SelfTest, Verdict};

use super::Keeper;
use crate::{align::Second, collect::Arrival, metrics, planner, watch::Watch};

impl Keeper {
    /// Takes a window. Gives whether that completed a second.
    pub(super) fn take_window(&mut self, report: WindowReport, now_ms: u64) -> bool {
        let mut complete = false;
        match self.collector.take(&report, now_ms) {
            Arrival::Duplicate => metrics::windows(0, 1, 0),
            Arrival::New { lost } => {
                metrics::windows(1, 0, lost);
                if let Some(seat) = &self.seat {
                    seat.heard(&report, now_ms);
                }
                let trips = report.trips.clone();
                let mut aligned = self.aligner.take(report, now_ms);
                if let Some(seat) = &self.seat {
                    seat.spares().put(std::mem::take(&mut aligned.spent));
                }
                metrics::late(u64::from(aligned.late));
                if let Some(late) = aligned.left_out.as_deref() {
                    self.settled.left_out(late);
                    self.collector.show(late.at, &late.cells);
                }
                // What tripped the wire is in this window: it is judged first, so that the verdict knows of it.
                self.judge(&aligned.seconds, now_ms);
                complete = !aligned.seconds.is_empty();
                for trip in &trips {
                    let known = self
                        .verdicts
                        .get(&trip.service)
                        .cloned()
                        .or_else(|| self.known(&trip.service, now_ms));
                    let verdict = known.map(|verdict| tripped(verdict, trip.cause));
                    if let Some(decision) = planner::trip(&self.state, trip, verdict.as_ref(), now_ms) {
                        // A write that failed is logged and counted where it fails; it is tried again.
                        let _ = self.carry_out(decision, now_ms);
                    }
                }
            }
        }
        complete
    }

    /// Takes seconds that are complete, each judged before the next.
    pub(super) fn judge(&mut self, seconds: &[Second], now_ms: u64) {
        for second in seconds {
            // First: what is decided on it is stored together with that it was judged.
            self.settled.second(second);
            self.judged.extend(second.windows.iter().map(|window| window.ended_ms));
            for sheet in &second.sheets {
                self.collector.show(second.at, &sheet.cells);
            }
            self.shares.take(second);
            for (name, watch) in &mut self.watches {
                let service = self.state.plan.catalogue().service(name.as_str());
                if let (Some(rollout), Some(service)) = (self.state.live(name.as_str()), service) {
                    watch.observe(rollout, service, second, now_ms);
                }
            }
            self.past.take(second, &self.state.plan);
            self.self_tests.take(second, &self.state.plan);
            self.look_at_all(now_ms);
        }
    }

    /// Takes a quarter of a second of one proxy; it is judged with those of the others. Gives whether that decided
    /// something.
    pub(super) fn take_beat(&mut self, beat: &Beat, now_ms: u64) -> bool {
        for counts in beat.counts.chunk_by(|a, b| a.service == b.service) {
            let Some(name) = counts.first().map(|count| &count.service) else { continue };
            if let (Some(watch), Some(rollout)) = (self.watches.get_mut(name), self.state.live(name.as_str()))
            {
                watch.beat(rollout, beat.generation, counts);
            }
        }
        let beats = self.pulse.take(now_ms);
        (self.pulse.is_over(now_ms) || self.aligner.has_at_most(beats, now_ms)) && self.feel_pulse(now_ms)
    }

    /// A quarter of a second of all proxies is over. Gives whether that decided something.
    pub(super) fn feel_pulse(&mut self, now_ms: u64) -> bool {
        self.pulse.begin();
        let before = self.state.plan.generation();
        let names: Vec<ServiceName> = self.watches.keys().cloned().collect();
        for name in names {
            let (Some(rollout), Some(service), Some(watch)) = (
                self.state.live(name.as_str()),
                self.state.plan.catalogue().service(name.as_str()),
                self.watches.get_mut(&name),
            ) else {
                continue;
            };
            // All else can wait for the second to be over.
            if watch.pulse() && watch.is_lost(rollout, service) {
                self.look_at(&name, now_ms);
            }
        }
        self.state.plan.generation() != before
    }

    /// Takes counts of a business event; without a rollout there is nothing to compare.
    pub(super) fn take_events(&mut self, report: &EventReport) {
        let rollout = self.state.live(report.service.as_str());
        if let (Some(rollout), Some(watch)) = (rollout, self.watches.get_mut(&report.service)) {
            watch.tell(rollout, report);
        }
    }

    /// Asks for a verdict on each rollout in progress, and does what it says.
    pub(super) fn look_at_all(&mut self, now_ms: u64) {
        let names: Vec<ServiceName> = self.watches.keys().cloned().collect();
        for name in names {
            self.look_at(&name, now_ms);
        }
    }

    fn look_at(&mut self, name: &ServiceName, now_ms: u64) {
        let (Some(rollout), Some(service), Some(watch)) = (
            self.state.live(name.as_str()),
            self.state.plan.catalogue().service(name.as_str()),
            self.watches.get_mut(name),
        ) else {
            return;
        };
        let Some(look) = watch.look(rollout, service, now_ms) else { return };
        let decision = look.event.and_then(|(event, reason)| {
            planner::judge(&self.state, name, event, &look.verdict, &reason, now_ms)
        });
        self.verdicts.insert(name.clone(), look.verdict);
        if let Some(decision) = decision {
            // A write that failed is logged and counted where it fails; the next look decides again.
            let _ = self.carry_out(decision, now_ms);
        }
    }

    /// Shows the evidence of every rollout in progress as metrics.
    pub(super) fn show_evidence(&self) {
        for (service, _) in self.state.plan.services() {
            let watch = self.watches.get(&service.name);
            let verdict = self.verdicts.get(&service.name).filter(|_| watch.is_some());
            let standing = self.self_tests.of(&service.name);
            let suspicions = watch.map(Watch::self_test).unwrap_or_default().suspicions;
            let self_test = SelfTest { suspicions, ..standing };
            let doubt =
                self.state.live(service.name.as_str()).is_some_and(|rollout| rollout.state.wants_attention());
            metrics::evidence(&service.name, verdict, &self_test, doubt);
        }
    }
}

/// A proxy counts what its canary costs as it happens, the judge a second later: where a proxy says that a bound is
/// spent, it is.
fn tripped(verdict: Verdict, cause: TripCause) -> Verdict {
    match cause {
        TripCause::Fault => verdict,
        TripCause::FailedRequests => verdict.spent_on(Guard::FailedRequests),
        TripCause::AddedLatency => verdict.spent_on(Guard::AddedLatency),
    }
}
