//! What must hold, whatever fails. All of it in one place:
//!
//! 1. **No request fails because of it.** Each that a user sent is answered in time, with 200, or with 503 by the canary
//!    while that fails; and the canary was asked exactly as often as users were answered by it.
//! 2. **Generations only grow** on every proxy, over its lives too: it begins again with the plan that it had, unless that
//!    was less than a second old when it was killed.
//! 3. **One chain of writes.** Each commit in etcd was made by who led at that revision; terms and generations only grow.
//! 4. **What was served was decided.** The journal has no gaps, its generations never fall, and the canary answered only
//!    under plans that gave it a share.
//! 5. **Every window is counted once.** What a proxy counted is what its users asked, to the request. One that was killed
//!    loses at most what it had not told yet, or the control plane had not stored yet; one that was stopped loses nothing,
//!    unless the leader changed before the next checkpoint.
//! 6. **A canary that fails every request is out in time**: on every proxy that can be told, within the deadline while
//!    etcd has a majority; by the proxies' own trip-wires where it has none, after no more failures than they allow.
//! 7. **A good canary stays.** Nothing is rolled back before it fails.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use serde_json::Value;

use super::{
    leaders::Changes,
    schedule::{EDGES, Way},
    users::RATE,
    world::{NAMES, Past, TRIPS_AFTER, World},
};
use crate::harness::config::SERVICE;

/// Milliseconds within which what a control plane was told is stored, on a machine that does much else.
const STORED_MS: u64 = 8_000;
/// Requests of a second and a half that a proxy may have under way at once after it was paused for long; each may fail.
const UNDER_WAY: u64 = 60;

/// What is known of a round once it is over.
#[derive(Debug, Clone)]
pub(super) struct Round {
    pub(super) number: usize,
    pub(super) majority: bool,
    /// When the canary began to fail, and the same on the clock of the world, in milliseconds since 1970.
    pub(super) failed_at: u64,
    pub(super) failed_at_unix: u64,
    /// When a majority was there again, if it was away.
    pub(super) majority_at: Option<u64>,
    /// When the round was over.
    pub(super) over_at: u64,
    /// For each proxy, the last answer of the canary.
    pub(super) out_at: [u64; EDGES],
    /// And how many requests it had failed there, in the present life.
    pub(super) failures: [u64; EDGES],
}

impl Round {
    /// How long the canary went on failing, on proxies that nothing stood in the way of.
    pub(super) fn took(&self, world: &World) -> u64 {
        let free = (0..EDGES).filter(|edge| obstacle(world, *edge, self.failed_at, self.over_at).is_none());
        free.map(|edge| self.out_at[edge].saturating_sub(self.failed_at)).max().unwrap_or_default()
    }

    /// Law 6.
    pub(super) fn problems(&self, world: &World, within: u64) -> Vec<String> {
        let mut problems = Vec::new();
        for (edge, name) in NAMES.into_iter().enumerate() {
            let obstacle = obstacle(world, edge, self.failed_at, self.over_at);
            let from = obstacle.unwrap_or_default().max(self.failed_at);
            let deadline = match self.majority_at.filter(|_| !self.majority) {
                Some(back) if obstacle.is_none() => back,
                Some(back) => from.max(back) + within,
                None => from + within,
            };
            if self.out_at[edge] > deadline {
                problems.push(format!(
                    "law 6: round {}: {} served the canary until {} ms after it had begun to fail, {} ms after it could be told",
                    self.number,
                    name,
                    self.out_at[edge].saturating_sub(self.failed_at),
                    self.out_at[edge].saturating_sub(from),
                ));
            }
            let most = TRIPS_AFTER + UNDER_WAY;
            if self.failures[edge] > most {
                let failures = self.failures[edge];
                problems.push(format!("law 6: round {}: {name} let {failures} requests fail", self.number));
            }
        }
        problems
    }
}

/// Until when something stood in the way of a proxy, if anything did in that time or shortly before.
fn obstacle(world: &World, edge: usize, from: u64, to: u64) -> Option<u64> {
    let ends = world.obstacles[edge].iter().map(|(begin, end)| (*begin, end.unwrap_or(to)));
    ends.filter(|(begin, end)| *begin <= to && *end + 2_000 >= from).map(|(_, end)| end).max()
}

/// Law 1.
pub(super) fn users(world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut of_canary, mut failed) = (0, 0);
    for Past { edge, report, walk, .. } in &world.past {
        let name = NAMES[*edge];
        problems.extend(walk.problems.iter().map(|problem| format!("law 1 or 2: {name}: {problem}")));
        for version in report.tally.versions() {
            let canary = &*version.version == "v2";
            let may = |status: u16| status == 200 || canary && status == 503;
            let other: BTreeMap<_, _> =
                version.statuses().into_iter().filter(|(status, _)| !may(*status)).collect();
            if !other.is_empty() || !version.errors().is_empty() {
                problems.push(format!(
                    "law 1: {name}: {} answered {other:?}, {:?}",
                    version.version,
                    version.errors()
                ));
            }
            if canary {
                of_canary += version.total();
                failed += version.statuses().get(&503).copied().unwrap_or_default();
            }
        }
        // Those that waited for a connection when their users were told to end were never sent.
        if report.progress.missed > 0 && report.progress.sent != report.progress.completed {
            problems.push(format!("law 1: {name}: {:?}", report.progress));
        }
    }
    let asked = (world.stubs[1].requests(), world.stubs[1].failures());
    if asked != (of_canary, failed) {
        problems.push(format!(
            "law 1: the canary was asked and failed {asked:?}, users saw {:?}",
            (of_canary, failed)
        ));
    }
    problems
}

/// Law 2, over lives; within one life, it is the walk's own.
pub(super) fn generations(world: &World) -> Vec<String> {
    let mut problems = Vec::new();
    for (edge, name) in NAMES.into_iter().enumerate() {
        let lives: Vec<&Past> = world.past.iter().filter(|past| past.edge == edge).collect();
        for pair in lives.windows(2) {
            let Some((kept, at)) = pair[0].kept else { continue };
            let settled =
                pair[0].walk.plans.iter().filter(|(_, first)| **first + 1_000 < at).map(|(plan, _)| *plan);
            let first = pair[1].walk.plans.keys().next().copied();
            let least = settled.max().unwrap_or_default().max(kept);
            if first.is_some_and(|first| first < least) {
                problems.push(format!("law 2: {name} began again with plan {first:?} after {least}"));
            }
        }
    }
    problems
}

/// Law 4. `entries` are the whole journal, the oldest first.
pub(super) fn journal(world: &World, entries: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let number = |entry: &Value, name: &str| entry[name].as_u64().unwrap();
    for pair in entries.windows(2) {
        if number(&pair[1], "sequence") != number(&pair[0], "sequence") + 1 {
            problems.push(format!("law 4: a gap in the journal: {pair:?}"));
        }
        if number(&pair[1], "generation") < number(&pair[0], "generation") {
            problems.push(format!("law 4: the journal went back: {pair:?}"));
        }
    }
    let decided = entries.iter().filter(|entry| entry["service"] == SERVICE && !entry["to"].is_null());
    let shares: BTreeMap<u64, bool> =
        decided.map(|entry| (number(entry, "generation"), has_share(&entry["to"]))).collect();
    for (edge, sight) in world.sights.iter().enumerate() {
        for under in sight.canary_under.lock().unwrap().iter() {
            let in_force = shares.range(..=under).next_back();
            if !in_force.is_some_and(|(_, share)| *share) {
                let name = NAMES[edge];
                problems.push(format!(
                    "law 4: {name} served the canary under plan {under}, which gave it nothing"
                ));
            }
        }
    }
    problems
}

fn has_share(split: &Value) -> bool {
    split["v2"].as_str().is_some_and(|share| share != "0%")
}

/// Law 7.
pub(super) fn rollbacks(rounds: &[Round], entries: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let at = |entry: &Value| entry["at_ms"].as_u64().unwrap();
    for entry in entries.iter().filter(|entry| entry["action"] == "roll_back" || entry["action"] == "abort") {
        // By the rollout's start it is known to which round it belongs.
        let earlier = |other: &&Value| {
            other["action"] == "start" && other["sequence"].as_u64() < entry["sequence"].as_u64()
        };
        let round = entries.iter().filter(earlier).count();
        let good = rounds
            .iter()
            .find(|known| known.number == round)
            .is_some_and(|known| at(entry) < known.failed_at_unix);
        if good {
            problems.push(format!("law 7: round {round}: a good canary was taken out: {}", entry["reason"]));
        }
    }
    problems
}

/// Under which name the canary of the shared service stands among the totals.
pub(super) const CANARY: &str = "canary";

/// What the control plane has counted of a service in all.
pub(super) type Totals = BTreeMap<String, u64>;

/// What one proxy's ledger has, and what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) asked: u64,
    pub(super) counted: u64,
    /// How many may be missing.
    pub(super) may_miss: u64,
}

/// Law 5, in figures: for each proxy, and for the service that all share.
pub(super) fn ledgers(world: &World, totals: &Totals) -> (Vec<Ledger>, Ledger) {
    let changes = world.leaders.changes();
    let mut shared = Ledger { asked: 0, counted: 0, may_miss: 0 };
    let ledgers = (0..EDGES).map(|edge| {
        let lives = || world.past.iter().filter(move |past| past.edge == edge);
        let asked = lives().map(|past| past.walk.answers.len() as u64).sum();
        let mut may_miss = 0;
        for gone in world.gone.iter().filter(|gone| gone.edge == edge) {
            let calm = calm(&changes, gone.at) && unhindered(world, edge, gone.at);
            let told_too_late = match gone.way {
                Way::Stop if calm => continue,
                // The window that is being filled, and the one before that may be on its way.
                Way::Kill if calm => 2_500,
                Way::Stop | Way::Kill | Way::Pause => 1_000 * (gone.waiting + 3),
            };
            let since = gone.at.saturating_sub(told_too_late);
            let lost =
                lives().flat_map(|past| &past.walk.answers).filter(|at| (since..=gone.at).contains(*at));
            may_miss += lost.count() as u64;
            // The canary has a fifth of it, by chance up to twice that. What had waited while the proxy was paused came
            // all at once.
            shared.may_miss += (0.4 * RATE * (told_too_late as f64 + 4_000.0) / 1_000.0) as u64;
        }
        let counted = totals.get(&format!("ledger-{}", NAMES[edge])).copied().unwrap_or_default();
        Ledger { asked, counted, may_miss }
    });
    let ledgers: Vec<Ledger> = ledgers.collect();
    // Of the service that all share, the canary alone: what the stable version does in place of a canary that a trip-wire
    // has taken out is set aside, since it would be compared with nothing.
    shared.asked = world.past.iter().map(|past| past.report.tally.total_of("v2")).sum();
    shared.counted = totals.get(CANARY).copied().unwrap_or_default();
    (ledgers, shared)
}

/// Whether nothing stood in the way of a proxy shortly before, so that what it had to tell was told and stored.
fn unhindered(world: &World, edge: usize, at: u64) -> bool {
    let mut ended = world.obstacles[edge].iter().filter_map(|(_, end)| *end);
    !ended.any(|end| end < at && end + STORED_MS > at)
}

/// Whether one led before and for long enough after.
fn calm(changes: &Changes, at: u64) -> bool {
    let before = changes.iter().rev().find(|(when, _)| *when <= at).and_then(|(_, leader)| *leader);
    before.is_some()
        && !changes.iter().any(|(when, _)| (at.saturating_sub(2_000)..=at + STORED_MS).contains(when))
}

/// Law 5.
pub(super) fn windows((ledgers, shared): &(Vec<Ledger>, Ledger)) -> Vec<String> {
    let named = NAMES.into_iter().zip(ledgers).chain([(CANARY, shared)]);
    named
        .filter(|(_, ledger)| {
            ledger.counted > ledger.asked || ledger.asked - ledger.counted > ledger.may_miss
        })
        .map(|(name, ledger)| format!("law 5: {name}: {ledger:?}"))
        .collect()
}

/// Sets the failures of the present round to nothing.
pub(super) fn forget_failures(world: &World) {
    world.sights.iter().for_each(|sight| sight.failures.store(0, Relaxed));
}
