//! Endpoints and their requests in a world with a clock of its own: what share of the traffic each endpoint
//! gets when some of them are slow, fail, or come late. Every run is decided by its seed.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use super::{Account, Asked, Balancer, Ended, Tried, draw::Draws};

/// How an endpoint answers.
#[derive(Clone, Copy)]
struct Behaviour {
    latency_us: u64,
    fails: bool,
}

const fn good(latency_us: u64) -> Behaviour {
    Behaviour { latency_us, fails: false }
}

struct World {
    balancer: Balancer,
    accounts: Vec<Account>,
    behaviours: Vec<Behaviour>,
    draws: Draws,
    start: Instant,
    now_us: u64,
    /// When a request ends, which endpoint has it, and when it began.
    ends: BinaryHeap<Reverse<(u64, usize, u64)>>,
}

impl World {
    fn new(balancer: Balancer, behaviours: &[Behaviour], seed: u64) -> Self {
        let start = crate::test_start();
        let accounts = (0_u32..).zip(behaviours).map(|(id, _)| Account::new(id, start)).collect();
        let (behaviours, draws) = (behaviours.to_vec(), Draws::from(seed));
        Self { balancer, accounts, behaviours, draws, start, now_us: 0, ends: BinaryHeap::new() }
    }

    fn at(&self, us: u64) -> Instant {
        self.start + Duration::from_micros(us)
    }

    /// Serves `per_second` for a while, at random distances; hands back how many requests each endpoint got.
    fn run(&mut self, per_second: u64, time: Duration) -> Vec<u64> {
        let mut got = vec![0; self.accounts.len()];
        let ready: Vec<u32> = (0_u32..).zip(&self.accounts).map(|(at, _)| at).collect();
        let until = self.now_us + u64::try_from(time.as_micros()).unwrap();
        while self.now_us < until {
            // Twice the mean at most, and the mean on average.
            self.now_us += 1 + self.draws.below(usize::try_from(2_000_000 / per_second).unwrap()) as u64;
            self.end_until(self.now_us);
            let random = (self.draws.below(1 << 31) as u64) << 32 | self.draws.below(1 << 31) as u64;
            let asked =
                Asked { now: self.at(self.now_us), random: random << 1, key: None, tried: &Tried::default() };
            let at = self.balancer.pick(&self.accounts, &ready, &asked).unwrap();
            self.accounts[at].begin();
            got[at] += 1;
            // Up to a quarter more or less.
            let latency = self.behaviours[at].latency_us;
            let spread = self.draws.below(usize::try_from(latency / 2 + 1).unwrap()) as u64;
            self.ends.push(Reverse((self.now_us + latency * 3 / 4 + spread, at, self.now_us)));
        }
        got
    }

    fn end_until(&mut self, now_us: u64) {
        while let Some(Reverse((end, at, began))) =
            self.ends.peek().copied().filter(|next| next.0.0 <= now_us)
        {
            self.ends.pop();
            let (account, now) = (&self.accounts[at], self.at(end));
            account.answered(Duration::from_micros(end - began), now);
            account.end(if self.behaviours[at].fails { Ended::Badly } else { Ended::Well }, now);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn share(got: &[u64], at: usize) -> f64 {
    got[at] as f64 / got.iter().sum::<u64>() as f64
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn one_slow_endpoint_of_ten_gets_little_with_p2c_and_its_full_share_in_turn() {
    for seed in 0..5 {
        let mut behaviours = [good(5_000); 10];
        behaviours[3] = good(200_000);
        let slow = |balancer| share(&World::new(balancer, &behaviours, seed).run(1_000, MINUTE), 3);
        let p2c = slow(Balancer::p2c());
        assert!(p2c < 0.005, "{p2c}");
        let in_turn = slow(Balancer::round_robin(seed));
        assert!((in_turn - 0.1).abs() < 0.001, "{in_turn}");
    }
}

#[test]
fn an_endpoint_that_fails_in_no_time_gets_less_than_its_share_and_not_more() {
    for seed in 0..5 {
        let mut behaviours = [good(50_000); 5];
        behaviours[0] = Behaviour { latency_us: 200, fails: true };
        let p2c = share(&World::new(Balancer::p2c(), &behaviours, seed).run(500, MINUTE), 0);
        assert!(p2c < 0.01, "{p2c}");
        // What makes the difference: requests in flight alone draw almost everything to it.
        let least = share(&World::new(Balancer::LeastRequest, &behaviours, seed).run(500, MINUTE), 0);
        assert!(least > 0.3, "{least}");
    }
}

#[test]
fn an_endpoint_that_has_recovered_gets_its_share_back() {
    let mut world = World::new(Balancer::p2c(), &[good(5_000); 4], 7);
    world.behaviours[2] = Behaviour { latency_us: 300, fails: true };
    world.run(400, MINUTE);
    world.behaviours[2] = good(5_000);
    world.run(400, 3 * MINUTE);
    let after = share(&world.run(400, MINUTE), 2);
    assert!((0.2..0.3).contains(&after), "{after}");
}

#[test]
fn endpoints_that_are_alike_share_evenly() {
    for seed in 0..5 {
        for balancer in [Balancer::p2c(), Balancer::LeastRequest, Balancer::round_robin(3)] {
            let got = World::new(balancer, &[good(5_000); 8], seed).run(2_000, MINUTE);
            for at in 0..8 {
                assert!((share(&got, at) - 0.125).abs() < 0.02, "{got:?}");
            }
        }
    }
}

#[test]
fn an_endpoint_that_joins_is_expected_to_be_as_fast_as_the_others() {
    let mut world = World::new(Balancer::p2c(), &[good(1_000); 4], 11);
    world.run(1_000, MINUTE);
    let now = world.at(world.now_us);
    let newcomer = Account::new(4, now);
    newcomer.expect_latency(world.accounts[0].latency_us().unwrap(), now);
    world.accounts.push(newcomer);
    world.behaviours.push(good(1_000));
    let soon = share(&world.run(1_000, Duration::from_secs(5)), 4);
    assert!((0.12..0.28).contains(&soon), "{soon}");
}
