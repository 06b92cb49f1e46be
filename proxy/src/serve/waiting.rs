//! Attempts of one version on one worker whose answer has not begun: a list, so that those that hang can be booked
//! before they end.
//!
//! An attempt takes a place when it goes out and leaves it when its answer begins or it ends: a few stores each. Once
//! a second the worker goes through the list ([`Waiting::book`]). Places are used again, so the list is as long as
//! the most attempts that ever waited at once, which the version's bulkhead bounds.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Instant,
};

use serin_split::Tally;

/// The list.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    places: RefCell<Vec<Place>>,
    /// The first of the free places; each knows the next.
    free: Cell<Option<usize>>,
}

#[derive(Debug)]
enum Place {
    /// With the next one that is free.
    Free(Option<usize>),
    Taken {
        since: Instant,
        tally: Rc<RefCell<Tally>>,
        booked: bool,
    },
}

impl Waiting {
    /// An attempt that began at `since` waits; it is counted in `tally`. Returns its place.
    pub(crate) fn enter(&self, since: Instant, tally: Rc<RefCell<Tally>>) -> usize {
        let mut places = self.places.borrow_mut();
        let taken = Place::Taken { since, tally, booked: false };
        match self.free.get().and_then(|at| Some((at, places.get_mut(at)?))) {
            Some((at, place)) => {
                if let Place::Free(next) = std::mem::replace(place, taken) {
                    self.free.set(next);
                }
                at
            }
            None => {
                places.push(taken);
                places.len() - 1
            }
        }
    }

    /// The attempt at a place waits no more. Whether it was booked.
    pub(crate) fn leave(&self, at: usize) -> bool {
        let mut places = self.places.borrow_mut();
        let Some(place @ Place::Taken { .. }) = places.get_mut(at) else { return false };
        let left = std::mem::replace(place, Place::Free(self.free.replace(Some(at))));
        matches!(left, Place::Taken { booked: true, .. })
    }

    /// Books each attempt that began at or before `began_by`, once.
    pub(crate) fn book(&self, began_by: Instant) {
        for place in self.places.borrow_mut().iter_mut() {
            if let Place::Taken { since, tally, booked: booked @ false } = place
                && *since <= began_by
            {
                *booked = true;
                tally.borrow_mut().book();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    fn booked(tally: &Rc<RefCell<Tally>>) -> u64 {
        tally.borrow_mut().drain().and_then(|drained| drained.extra).map_or(0, |extra| extra.booked)
    }

    #[test]
    fn what_waits_for_too_long_is_booked_once_and_knows_it() {
        let (waiting, tally, start) = (Waiting::default(), Rc::default(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let (old, young) = (waiting.enter(at(0), Rc::clone(&tally)), waiting.enter(at(5), Rc::clone(&tally)));
        waiting.book(at(4));
        assert_eq!(booked(&tally), 1);
        waiting.book(at(4));
        assert_eq!(booked(&tally), 0);
        assert!(waiting.leave(old) && !waiting.leave(young));
        waiting.book(at(9));
        assert_eq!(booked(&tally), 0, "nobody waits");
    }

    #[test]
    fn places_are_used_again_and_begin_anew() {
        let (waiting, tally, now) = (Waiting::default(), Rc::<RefCell<Tally>>::default(), clock::now());
        let places: Vec<_> = (0..3).map(|_| waiting.enter(now, tally.clone())).collect();
        waiting.book(now);
        for at in &places {
            assert!(waiting.leave(*at) && !waiting.leave(*at), "a place is left once");
        }
        let again: Vec<_> = (0..3).map(|_| waiting.enter(now, tally.clone())).collect();
        let sorted = |mut places: Vec<usize>| {
            places.sort_unstable();
            places
        };
        assert_eq!(
            (sorted(places), again.iter().any(|at| waiting.leave(*at))),
            (sorted(again.clone()), false)
        );
    }
}
