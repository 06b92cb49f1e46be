//! Frames of HTTP/2: a meter judges the same however the bytes are cut, and never more mildly for being shown more.

#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use serin_split::{abuse::Meter, frames::PREFACE};

fuzz_target!(|data: &[u8]| {
    let Some((&cut, bytes)) = data.split_first() else { return };
    // Time stands still: no second ends within a run.
    let start = Instant::now();
    let judge = |piece: usize| {
        let mut meter = Meter::new(start);
        meter.received(PREFACE, 0, || start).expect("a preface is no abuse");
        let judged = bytes.chunks(piece).try_for_each(|piece| meter.received(piece, 0, || start));
        (judged, judged.is_ok().then(|| meter.last_stream()))
    };
    assert_eq!(judge(usize::from(cut).max(1)), judge(bytes.len().max(1)));
});
