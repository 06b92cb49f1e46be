//! What it costs to look at a head before the HTTP library does: once for every request over HTTP/1.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serin_split::framing::Framer;

/// As a browser sends it, 300 bytes.
const HEAD: &[u8] = b"GET /catalogue/items?page=2&sort=price HTTP/1.1\r\nhost: shop.example\r\n\
user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
accept: text/html,application/xhtml+xml\r\naccept-encoding: gzip, br\r\nconnection: keep-alive\r\n\
cookie: session=0af7651916cd43dd8448eb211c80319c\r\n\r\n";

fn head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    group.throughput(Throughput::Bytes(HEAD.len() as u64));
    group.bench_function("head", |bencher| {
        let mut framer = Framer::default();
        bencher.iter(|| black_box(framer.take(black_box(HEAD))));
    });
    group.finish();
}

criterion_group!(benches, head);
criterion_main!(benches);
