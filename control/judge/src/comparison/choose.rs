//! Which routes are strata.
//!
//! They are chosen by requests, never by how these ended, so the choice can't favour a result. The busiest routes of the
//! time before the rollout come first; then, as long as there is room, whatever routes appear; the others are the rest.
//! A stratum that appears later gets its part of the capital that the strata have at that moment. Capital is moved,
//! never made: what is taken from those that are there is what the new ones get.

use std::cmp::{Ordering, Reverse};

use serin_config::{RouteName, limits::STRATA_MAX};

use super::{Comparison, mean_of};
use crate::{
    numerics::ln_add_exp,
    stratum::Stratum,
    window::{Pairing, Window},
};

impl Comparison {
    /// Takes a second from before the rollout: which routes are busy, and how long the stable version takes.
    /// Once the rollout has begun it changes nothing any more.
    pub(crate) fn pre(&mut self, window: &Window) {
        if self.started {
            return;
        }
        // More candidates than places, so that a route that is quiet in the first second is not passed over.
        let candidates = 2 * self.places();
        let buckets = self.ladder.scheme().count();
        for (name, pairing) in &window.routes {
            let at = match self.find(name) {
                Ok(at) => at,
                Err(at) if self.strata.len() < candidates => {
                    self.strata.insert(at, Stratum::new(Some(name.clone()), 0, 0, buckets));
                    at
                }
                Err(_) => self.rest(),
            };
            self.strata[at].remember(pairing);
        }
        self.turn();
    }

    fn places(&self) -> usize {
        self.setup.strata.clamp(1, STRATA_MAX)
    }

    /// Where the stratum of a route is, or would be.
    fn find(&self, name: &RouteName) -> Result<usize, usize> {
        self.strata.binary_search_by(|stratum| match stratum.name() {
            Some(mine) => mine.cmp(name),
            None => Ordering::Greater,
        })
    }

    /// Where the rest is; it begins if it is not there.
    pub(super) fn rest(&mut self) -> usize {
        if self.strata.last().is_none_or(|last| last.name().is_some()) {
            let phase = self.strata.len() as u64;
            self.strata.push(Stratum::new(None, phase, self.next, self.ladder.scheme().count()));
        }
        self.strata.len() - 1
    }

    /// Chooses the strata from what was before: the busiest routes, and names decide between equals.
    pub(super) fn start(&mut self) {
        self.started = true;
        let mut rank: Vec<(u64, usize)> = self
            .strata
            .iter()
            .enumerate()
            .filter(|(_, stratum)| stratum.name().is_some())
            .map(|(at, stratum)| (stratum.requests, at))
            .collect();
        rank.sort_unstable_by_key(|(requests, at)| (Reverse(*requests), *at));
        let mut dropped: Vec<usize> = rank.into_iter().skip(self.places()).map(|(_, at)| at).collect();
        dropped.sort_unstable();
        for at in dropped.into_iter().rev() {
            let stratum = self.strata.remove(at);
            let rest = self.rest();
            self.strata[rest].inherit(&stratum);
        }
        let share = -(self.strata.len().max(1) as f64).ln();
        for (phase, stratum) in (0_u64..).zip(&mut self.strata) {
            stratum.place(phase);
            stratum.ln_share = share;
        }
    }

    /// Counts what each stratum did; says whether all routes had theirs. Where there is no room for more, those without
    /// one of their own have the rest.
    pub(super) fn feed(&mut self, window: &Window) -> bool {
        let (setup, places) = (&self.setup, self.places());
        let has_rest = self.strata.last().is_some_and(|last| last.name().is_none());
        let named = self.strata.len() - usize::from(has_rest);
        let (named, rest) = self.strata.split_at_mut(named);
        let mut rest = rest.first_mut().filter(|_| named.len() >= places);
        let mut strata = named.iter_mut();
        let (mut candidate, mut known) = (strata.next(), 0);
        // Both are in the order of names.
        for (name, pairing) in &window.routes {
            while candidate.as_ref().is_some_and(|stratum| stratum.name() < Some(name)) {
                candidate = strata.next();
            }
            let own = candidate.take_if(|stratum| stratum.name() == Some(name));
            let is_own = own.is_some();
            if let Some(stratum) = own.or(rest.as_deref_mut()) {
                stratum.add(pairing, setup);
                known += 1;
            }
            if is_own {
                candidate = strata.next();
            }
        }
        known == window.routes.len()
    }

    /// Gives routes that have no stratum one of their own while there is room, the busiest first; the others are the
    /// rest. Counts what they did.
    pub(super) fn admit(&mut self, number: u64, window: &Window) {
        let mut strangers: Vec<(&RouteName, &Pairing)> =
            window.routes.iter().filter(|(name, _)| self.find(name).is_err()).collect();
        let named = self.strata.iter().filter(|stratum| stratum.name().is_some()).count();
        let room = self.places().saturating_sub(named).min(strangers.len());
        let before = self.strata.len();
        if room > 0 {
            let requests = |pairing: &Pairing| pairing.canary.judged.saturating_add(pairing.stable.judged);
            strangers.sort_by_key(|(name, pairing)| (Reverse(requests(pairing)), *name));
        }
        let rest_is_new =
            room < strangers.len() && self.strata.last().is_none_or(|last| last.name().is_some());
        let new = room + usize::from(rest_is_new);
        let ln_share = self.make_room(new);
        for (i, (name, pairing)) in strangers.into_iter().enumerate() {
            let at = if i < room {
                let at = self.find(name).unwrap_or_else(|at| at);
                let phase = (before + i) as u64;
                let mut stratum =
                    Stratum::new(Some(name.clone()), phase, number, self.ladder.scheme().count());
                stratum.ln_share = ln_share;
                self.strata.insert(at, stratum);
                at
            } else {
                let rest = self.rest();
                if rest_is_new && i == room {
                    self.strata[rest].restart(number);
                    self.strata[rest].ln_share = ln_share;
                }
                rest
            };
            self.strata[at].begin(number, &self.setup, &self.ladder);
            self.strata[at].add(pairing, &self.setup);
        }
    }

    /// Takes from the capital of all strata what `new` further ones get, and gives ln of the part of each.
    fn make_room(&mut self, new: usize) -> f64 {
        let (before, after) = (self.strata.len() as f64, (self.strata.len() + new) as f64);
        if new == 0 || before == 0.0 {
            return -after.max(1.0).ln();
        }
        if let [only] = &mut self.strata[..] {
            // Until now the evidence of all strata was that of the only one.
            only.take_over(&self.all, self.began);
        }
        let mut capital = f64::NEG_INFINITY;
        for stratum in &mut self.strata {
            let (errors, latency) =
                (stratum.processes.ln_e_errors(), stratum.processes.ln_e_latency(&self.setup));
            let own = mean_of(&self.setup, errors, latency);
            // Before its first block a process has all of its capital, though none of it is at stake.
            let own = if own == f64::NEG_INFINITY { 0.0 } else { own };
            capital = ln_add_exp(capital, stratum.ln_share + own);
            stratum.ln_share += (before / after).ln();
        }
        capital - after.ln()
    }
}
