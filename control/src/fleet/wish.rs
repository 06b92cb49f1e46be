//! Which proxies are asked for beats. Pure: numbers and names come in.
//!
//! A beat is for the question whether the canary of a rollout is dead, so without a rollout nobody is asked for any. During one
//! a few hundred proxies answer the question as well as thousands ([`super::budget`]), and what the others tell would be dropped
//! as it comes, at four messages a second each. So of a larger fleet about as many are asked as are heard: each second others,
//! since a service may have its traffic at a few proxies alone.
//!
//! A proxy that was told nothing sends all, as older releases do; what is asked for is told anew at the beginning of each
//! stream, so a new leader asks by itself.

use std::hash::{DefaultHasher, Hash, Hasher};

use serin_config::limits::FLEET_BEATS_MAX;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// Whether there is a rollout in progress.
    rolling: bool,
    /// How many proxies there are.
    proxies: u64,
    /// How often others were asked.
    round: u64,
}

impl Wish {
    /// From now on there is a rollout in progress, or none. Gives whether that is new.
    pub(super) fn follow(&mut self, rolling: bool) -> bool {
        std::mem::replace(&mut self.rolling, rolling) != rolling
    }

    /// A second has passed, and there are so many proxies now. Gives whether others are asked.
    pub(super) fn turn(&mut self, proxies: usize) -> bool {
        let before = *self;
        self.proxies = proxies as u64;
        self.round += u64::from(self.rolling && self.chooses());
        self.rolling && *self != before && (self.chooses() || before.chooses())
    }

    /// Whether anybody is asked.
    pub(super) fn rolling(&self) -> bool {
        self.rolling
    }

    /// Whether this one is.
    pub(super) fn wants(&self, proxy: &str) -> bool {
        self.rolling && (!self.chooses() || self.rank(proxy) < FLEET_BEATS_MAX)
    }

    fn chooses(&self) -> bool {
        self.proxies > FLEET_BEATS_MAX
    }

    /// A number below that of proxies, another one in each round.
    fn rank(&self, proxy: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (proxy, self.round).hash(&mut hasher);
        hasher.finish() % self.proxies.max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(number: usize) -> Vec<String> {
        (0..number).map(|number| format!("proxy-{number:04}")).collect()
    }

    fn asked(wish: &Wish, names: &[String]) -> usize {
        names.iter().filter(|name| wish.wants(name)).count()
    }

    #[test]
    fn without_a_rollout_nobody_is_asked_and_during_one_all_of_a_small_fleet_are() {
        let names = names(256);
        let mut wish = Wish::default();
        wish.turn(names.len());
        assert_eq!(asked(&wish, &names), 0);
        assert!(wish.follow(true) && !wish.follow(true), "it is told once");
        assert_eq!(asked(&wish, &names), 256);
        assert!(!wish.turn(256) && !wish.turn(12), "nobody need hear of that");
        assert_eq!(asked(&wish, &names), 256);
        assert!(wish.follow(false));
        assert_eq!(asked(&wish, &names), 0);
        assert!(!wish.turn(12));
    }

    #[test]
    fn of_a_large_fleet_as_many_are_asked_as_are_heard_and_each_has_its_turn() {
        let names = names(2_000);
        let mut wish = Wish::default();
        wish.follow(true);
        let mut had = BTreeSet::new();
        for _ in 0..60 {
            assert!(wish.turn(names.len()));
            let asked = asked(&wish, &names);
            assert!((200..=320).contains(&asked), "{asked}");
            had.extend(names.iter().filter(|name| wish.wants(name)));
        }
        assert!(had.len() > 1_950, "{}", had.len());
        assert!(wish.turn(10), "a fleet that has become small is asked whole");
        assert_eq!(asked(&wish, &names[..10]), 10);
    }
}
