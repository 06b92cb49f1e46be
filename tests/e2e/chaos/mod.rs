//! Three control planes on three members of etcd, eight proxies and their users, while processes are killed, paused and
//! restarted and connections are cut: by a schedule that a seed draws ([`schedule`]), under laws that stand in one
//! place ([`laws`]).
//!
//! The test runs in rounds. In each a rollout is started, faults come for some seconds, and at a moment among further
//! faults the canary begins to fail every request. The round is over when no user gets to it any more and the
//! journal says why.
//!
//! A short run is part of all tests. `SERIN_CHAOS_MINUTES=10 SERIN_CHAOS_SEED=7 cargo test --test e2e chaos -- --nocapture`
//! is a long one; without a seed each of these has another, which is printed.

mod chain;
mod faults;
mod laws;
mod leaders;
mod schedule;
mod users;
mod world;

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use self::{
    faults::Wound,
    laws::{Ledger, Totals},
    schedule::{EDGES, Schedule, WITHOUT_MAJORITY_AFTER},
    world::{NAMES, PATIENCE, PREFIX, World},
};
use crate::harness::{alone, config::SERVICE, http};

/// Rounds of the short run, and its seed.
const SHORT: (usize, u64) = (3, 2_026);
/// Within which a failing canary is out of the fleet.
const WITHIN: Duration = Duration::from_secs(5);
/// The same in the short run, which may share the machine with a compiler.
const WITHIN_SHORT: Duration = Duration::from_secs(8);
/// A canary that has not answered for so long, at a dozen requests a second, is out.
const OUT_MS: u64 = 1_200;
const TICK: Duration = Duration::from_millis(20);

/// How long, and by which seed.
struct Run {
    seed: u64,
    until: Box<dyn Fn(usize) -> bool>,
    within: Duration,
    churn: std::ops::Range<u64>,
}

impl Run {
    fn asked_for() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
        let seed = number("SERIN_CHAOS_SEED");
        match number("SERIN_CHAOS_MINUTES") {
            Some(minutes) => {
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
                let end = Instant::now() + Duration::from_secs(60 * minutes);
                let until = Box::new(move |_: usize| Instant::now() < end);
                Self { seed: seed.unwrap_or(now), until, within: WITHIN, churn: 5..14 }
            }
            None => Self {
                seed: seed.unwrap_or(SHORT.1),
                until: Box::new(|rounds: usize| rounds < SHORT.0),
                within: WITHIN_SHORT,
                churn: 3..5,
            },
        }
    }
}

#[test]
fn whatever_fails_users_are_served_one_leads_all_is_counted_once_and_a_failing_canary_is_out_in_time() {
    // Alone, since it measures time, and processes come back to the ports that they had.
    let _machine = alone();
    let run = Run::asked_for();
    println!("seed {}", run.seed);
    let mut world = World::start(run.seed);
    let mut schedule = Schedule::new(run.seed, run.churn.clone());
    let (mut rounds, mut problems) = (Vec::new(), Vec::new());
    while (run.until)(rounds.len()) {
        let drawn = schedule.round();
        let round = world.round(rounds.len() + 1, &drawn);
        let found = round.problems(&world, u64::try_from(run.within.as_millis()).unwrap());
        found.iter().for_each(|problem| world.log.say(&format!("!! {problem}")));
        problems.extend(found);
        rounds.push(round);
    }
    world.settle();
    world.drain_all();
    let ledgers = world.counted();
    let journal = world.journal();
    let links = chain::read(world.cluster.clients()[0], PREFIX);

    problems.extend(laws::users(&world));
    problems.extend(laws::generations(&world));
    problems.extend(chain::problems(&links).into_iter().map(|problem| format!("law 3: {problem}")));
    problems.extend(laws::journal(&world, &journal));
    problems.extend(laws::windows(&ledgers));
    problems.extend(laws::rollbacks(&rounds, &journal));
    summarise(&world, &rounds, &ledgers, &links, journal.len());
    assert!(problems.is_empty(), "seed {}:\n{}", run.seed, problems.join("\n"));
}

impl World {
    /// One round.
    fn round(&mut self, number: usize, drawn: &schedule::Round) -> laws::Round {
        self.settle();
        laws::forget_failures(self);
        let majority = if drawn.majority { "" } else { ", without a majority" };
        self.log.say(&format!("-- round {number}{majority}; asks control-{}", drawn.asked + 1));
        self.start_rollout(drawn.asked);
        self.wait("the canary is served everywhere", |world| {
            let now = world.clock.now();
            world.sights.iter().all(|sight| sight.canary_at.load(Relaxed) + 1_000 > now)
        });
        let begun = Instant::now();
        let mut events = drawn.events.iter().peekable();
        let mut wounds: Vec<(Instant, Wound)> = Vec::new();
        let mut failed: Option<(u64, u64)> = None;
        let mut majority_at = None;
        loop {
            while let Some(event) = events.next_if(|event| begun.elapsed() >= event.at) {
                let ends = begun + event.at + event.lasts;
                wounds.extend(self.strike(event.fault).map(|wound| (ends, wound)));
            }
            while let Some(at) = wounds.iter().position(|(ends, _)| Instant::now() >= *ends) {
                let (_, wound) = wounds.swap_remove(at);
                if !drawn.majority && failed.is_some() && matches!(wound, Wound::Member(..)) {
                    majority_at.get_or_insert(self.clock.now());
                }
                self.heal(wound);
            }
            self.look_for_returned();
            if failed.is_none() && begun.elapsed() >= drawn.fails_at {
                self.log.say("the canary fails every request from now on");
                laws::forget_failures(self);
                let unix = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
                failed = Some((self.clock.now(), u64::try_from(unix).unwrap()));
                self.stubs[1].set_error_ppm(1_000_000);
            }
            if let Some((failed_at, failed_at_unix)) = failed {
                let healed = events.peek().is_none() && wounds.is_empty();
                let given_up = begun.elapsed() > drawn.fails_at + WITHOUT_MAJORITY_AFTER + PATIENCE;
                if given_up || healed && self.canary_is_out(failed_at) && self.rollout_is_over() {
                    self.stubs[1].set_error_ppm(0);
                    let round = laws::Round {
                        number,
                        majority: drawn.majority,
                        failed_at,
                        failed_at_unix,
                        majority_at,
                        over_at: self.clock.now(),
                        out_at: std::array::from_fn(|edge| self.sights[edge].canary_at.load(Relaxed)),
                        failures: std::array::from_fn(|edge| self.sights[edge].failures.load(Relaxed)),
                    };
                    self.log.say(&format!("the canary was out after {} ms", round.took(self)));
                    return round;
                }
            }
            std::thread::sleep(TICK);
        }
    }

    /// Whether all proxies serve, and none the canary.
    fn canary_is_out(&self, failed_at: u64) -> bool {
        let now = self.clock.now();
        self.all_edges_are_up()
            && self.sights.iter().all(|sight| {
                let (canary, any) = (sight.canary_at.load(Relaxed), sight.answered_at.load(Relaxed));
                canary.max(failed_at) + OUT_MS < now && any + 200 > now
            })
    }

    fn rollout_is_over(&self) -> bool {
        self.ask_leader(&format!("/v1/services/{SERVICE}/rollout"))
            .is_some_and(|rollout| rollout["live"] == false)
    }

    /// What the leader says, if there is one and it answers.
    fn ask_leader(&self, path: &str) -> Option<Value> {
        let api = self.planes[self.leaders.now()?].api;
        let reply = http::call_within(Duration::from_secs(2), api, "GET", path, None).ok()?;
        (reply.status == 200 && reply.header("x-serin-role") == "leader").then(|| reply.json())
    }

    /// Waits until one leads and everybody follows it.
    fn settle(&mut self) {
        self.wait("one leads and all proxies follow it", |world| {
            world.look_for_returned();
            let Some(told) = world.ask_leader("/v1/proxies") else { return false };
            let proxies = told["proxies"].as_array().unwrap();
            let follow = |proxy: &&Value| proxy["connected"] == true && proxy["acknowledged"] == true;
            proxies.iter().filter(follow).count() == EDGES
        });
    }

    fn wait(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
            std::thread::sleep(TICK);
        }
        if begun.elapsed() > Duration::from_secs(3) {
            self.log.say(&format!("{what} after {:.1} s", begun.elapsed().as_secs_f64()));
        }
    }

    /// Asks a control plane, whoever leads, until it is done.
    fn start_rollout(&mut self, asked: usize) {
        let (api, path) = (self.planes[asked].api, format!("/v1/services/{SERVICE}/rollout"));
        self.wait("the rollout starts", |_| {
            let body = json!({ "action": "start" });
            let Ok(reply) = http::call_within(Duration::from_secs(4), api, "POST", &path, Some(&body)) else {
                return false;
            };
            // What was asked before may have been done although its answer was lost.
            let again = reply.status == 409 && reply.body.contains("rollout-in-progress");
            assert!(again || reply.status == 200 || reply.status >= 500, "{}: {}", reply.status, reply.body);
            again || reply.status == 200
        });
    }

    /// What was counted, as soon as nothing is missing; or nothing but what may be, and nothing more has come for longer
    /// than windows wait to be stored.
    fn counted(&mut self) -> (Vec<Ledger>, Ledger) {
        let begun = Instant::now();
        let mut last = (Instant::now(), None);
        loop {
            if let Some(totals) = self.totals() {
                let ledgers = laws::ledgers(self, &totals);
                let missing = |ledger: &Ledger| ledger.counted != ledger.asked;
                let complete = !ledgers.0.iter().any(missing) && !missing(&ledgers.1);
                if last.1.as_ref() != Some(&totals) {
                    last = (Instant::now(), Some(totals));
                }
                let quiet =
                    last.0.elapsed() > Duration::from_millis(6_500) && laws::windows(&ledgers).is_empty();
                if complete || quiet || begun.elapsed() > PATIENCE {
                    return ledgers;
                }
            }
            assert!(begun.elapsed() < 2 * PATIENCE, "nobody tells what was counted");
            std::thread::sleep(10 * TICK);
        }
    }

    fn totals(&self) -> Option<Totals> {
        let services = self.ask_leader("/v1/services?limit=100")?;
        let of_service = |service: &Value| {
            let versions = service["versions"].as_array().unwrap().iter();
            let of_version = |version: &Value| {
                let name = match version["version"].as_str() {
                    Some("v2") => laws::CANARY,
                    _ => service["name"].as_str().unwrap(),
                };
                (name.to_owned(), version["total"]["requests"].as_u64().unwrap())
            };
            versions.map(of_version).collect::<Vec<_>>()
        };
        Some(services["services"].as_array().unwrap().iter().flat_map(of_service).collect())
    }

    /// The whole journal, the oldest entry first.
    fn journal(&self) -> Vec<Value> {
        let api = self.planes[self.leaders.now().expect("one leads")].api;
        let reply = http::get_with(api, "/v1/journal", &[("accept", "application/x-ndjson")]).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn summarise(
    world: &World,
    rounds: &[laws::Round],
    (ledgers, shared): &(Vec<Ledger>, Ledger),
    links: &[chain::Link],
    entries: usize,
) {
    let say = |text: String| world.log.say(&text);
    let failed: u64 = world.past.iter().map(|past| past.report.tally.failed()).sum();
    say(format!(
        "{} requests to {SERVICE}, {failed} of them failed by the canary; {} walked",
        world.past.iter().map(|past| past.report.tally.total()).sum::<u64>(),
        ledgers.iter().map(|ledger| ledger.asked).sum::<u64>(),
    ));
    for with in [true, false] {
        let mut took: Vec<u64> =
            rounds.iter().filter(|round| round.majority == with).map(|round| round.took(world)).collect();
        took.sort_unstable();
        let word = if with { "with" } else { "without" };
        say(format!("milliseconds until the canary was out {word} a majority: {took:?}"));
    }
    let terms = links.iter().map(|link| link.term).collect::<std::collections::BTreeSet<_>>().len();
    let last = links.last().map_or(0, |link| link.generation);
    say(format!(
        "{} failovers seen, {terms} terms, {} commits in etcd up to plan {last}, {entries} entries in the journal",
        world.leaders.failovers(),
        links.len(),
    ));
    for (name, ledger) in NAMES.into_iter().zip(ledgers).chain([(laws::CANARY, shared)]) {
        let Ledger { asked, counted, may_miss } = ledger;
        let lives = world.gone.iter().filter(|gone| NAMES[gone.edge] == name).count() + 1;
        say(format!("{name}: asked {asked}, counted {counted}, may miss {may_miss}; {lives} lives"));
    }
}
