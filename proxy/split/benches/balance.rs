//! What one choice of an endpoint costs, with few endpoints and many.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench measures with the real clock")]

use std::{hint::black_box, sync::Arc, time::Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use serin_split::balance::{Account, Asked, Balancer, Ended, Ring, Tried};

struct Endpoint(Account);

impl AsRef<Account> for Endpoint {
    fn as_ref(&self) -> &Account {
        &self.0
    }
}

fn picks(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick");
    for count in [1_u32, 2, 10, 100] {
        let start = Instant::now();
        let all: Vec<_> = (0..count).map(|id| Endpoint(Account::new(id, start))).collect();
        for endpoint in &all {
            endpoint.0.begin();
            endpoint.0.answered(std::time::Duration::from_millis(2), start);
            endpoint.0.end(Ended::Well, start);
        }
        let ready: Vec<u32> = (0..count).collect();
        let ring = Ring::new((0..count).map(|host| format!("10.0.0.{host}:80")));
        for (name, balancer) in [
            ("p2c", Balancer::p2c()),
            ("least_request", Balancer::LeastRequest),
            ("round_robin", Balancer::round_robin(1)),
            ("ring_hash", Balancer::RingHash(Arc::new(ring))),
        ] {
            group.bench_function(BenchmarkId::new(name, count), |b| {
                let mut random = 1_u64;
                let now = Instant::now();
                b.iter(|| {
                    random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
                    let asked = Asked { now, random, key: Some(random), tried: &Tried::default() };
                    balancer.pick(black_box(&all), black_box(&ready), &asked)
                });
            });
        }
    }
    group.finish();
    c.bench_function("account of one attempt", |b| {
        let account = Account::new(0, Instant::now());
        let now = Instant::now();
        b.iter(|| {
            account.begin();
            account.answered(black_box(std::time::Duration::from_millis(2)), now);
            account.end(Ended::Well, now);
        });
    });
}

criterion_group!(benches, picks);
criterion_main!(benches);
