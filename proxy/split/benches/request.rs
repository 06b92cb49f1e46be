//! What the decisions on one request cost: its path, its route, its version, its limit, its count.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a bench fails by panicking")]

use std::{hint::black_box, net::IpAddr, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use serin_config::{
    Catalogue, Host, Outcome, PathMatch, Route, RouteName, Service, ServiceName, Split, Sticky, Version,
    VersionName, Weight,
    matching::{Pattern, ValueMatch},
    rate_limit::{LimitKey, RateLimit},
};
use serin_split::{
    Matcher, Salt, Table, Tally,
    matcher::Asked,
    path, pick,
    rate::{Buckets, Rate},
    tally::Timing,
};

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn service() -> Service {
    let name = |text: &str| VersionName::try_new(text).unwrap();
    let version = |text: &str| Version::new(name(text), vec!["127.0.0.1:1".parse().unwrap()]);
    let service = ServiceName::try_new("shop").unwrap();
    Service {
        canary: Some(name("v2")),
        ..Service::new(service, vec![version("v1"), version("v2")], name("v1"))
    }
}

/// So many prefixes on one host, and what is asked for besides.
fn routes(count: usize, change: impl Fn(&mut Route)) -> Matcher {
    let service = service();
    let route = |i: usize| {
        let mut route = Route::new(RouteName::try_new(&format!("r{i}")).unwrap(), service.name.clone());
        route.host = Host::Exact("shop.example".into());
        route.path = PathMatch::Prefix(if i == 0 { "/".into() } else { format!("/area/{i}") });
        change(&mut route);
        route
    };
    let catalogue = Catalogue::try_new((0..count).map(route).collect(), vec![service.clone()]).unwrap();
    Matcher::new(catalogue.routes())
}

fn find(matcher: &Matcher, path: &str, headers: &HeaderMap) -> Option<usize> {
    matcher.find(&Asked {
        host: black_box("shop.example:8080"),
        path: black_box(path),
        method: &Method::GET,
        query: Some("page=7"),
        headers,
        client: &|| CLIENT,
        identity: None,
    })
}

fn matching(c: &mut Criterion) {
    let mut headers = HeaderMap::new();
    headers.insert("x-beta", HeaderValue::from_static("no"));
    let mut group = c.benchmark_group("route");
    for count in [1, 8, 100, 1_000] {
        let plain = routes(count, |_| {});
        group.bench_function(BenchmarkId::new("prefix", count), |b| {
            b.iter(|| find(&plain, "/area/5/items/42", &headers));
        });
    }
    let conditions = routes(8, |route| {
        route.conditions.headers = vec![("x-beta".into(), ValueMatch::Exact("yes".into()))];
    });
    group.bench_function("8 prefixes with a header that is another", |b| {
        b.iter(|| find(&conditions, "/area/5/items/42", &headers));
    });
    let regexes = routes(1, |route| {
        route.path = PathMatch::Regex(Pattern::try_new("/area/[0-9]+/items/[0-9]+").unwrap());
    });
    group.bench_function("a regular expression", |b| {
        b.iter(|| find(&regexes, "/area/5/items/42", &headers));
    });
    group.finish();
    c.bench_function("path in normal form", |b| b.iter(|| path::normalise(black_box("/area/5/items/42"))));
    c.bench_function("path with dots", |b| b.iter(|| path::normalise(black_box("/area/5/../items/%34%32"))));
}

fn picking(c: &mut Criterion) {
    let name = |text: &str| VersionName::try_new(text).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("cookie", HeaderValue::from_static("theme=dark; uid=0123456789abcdef; last=1"));
    for (what, sticky) in [("random", Sticky::Random), ("cookie", Sticky::Cookie("uid".into()))] {
        let service = Service { sticky, ..service() };
        let split = Split::canary_and_stable(name("v2"), Weight::from_ppm(50_000).unwrap(), name("v1"));
        let (table, salt) = (Table::new(&service, &split), Salt::of_service("shop"));
        let mut random = 1_u64;
        c.bench_function(&format!("version by {what}"), |b| {
            b.iter(|| {
                random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
                pick(&service, &table, salt, black_box(&headers), CLIENT, random)
            });
        });
    }
}

fn limiting(c: &mut Criterion) {
    let limit = RateLimit { requests_per_second: 1e6, burst: 1_000_000, key: LimitKey::Route };
    let rate = Rate::new(&limit);
    for (what, buckets) in [("a route", Buckets::one(rate)), ("a client", Buckets::many(rate, 7))] {
        let mut now = 0;
        c.bench_function(&format!("limit of {what}"), |b| {
            b.iter(|| {
                now += 1_000;
                buckets.take_for(black_box(CLIENT), now)
            });
        });
    }
}

fn counting(c: &mut Criterion) {
    let mut tally = Tally::default();
    c.bench_function("count of one attempt", |b| {
        let mut micros = 1_u64;
        b.iter(|| {
            micros = micros % 50_000 + 37;
            let timing = Timing { headers: Some(micros), total: micros * 2, own: Some(20) };
            tally.record(Outcome::Ok, black_box(timing));
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .sample_size(20);
    targets = matching, picking, limiting, counting
}
criterion_main!(benches);
