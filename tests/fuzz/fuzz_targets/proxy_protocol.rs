//! Headers of the PROXY protocol: the reader asks for what there is, stops at the end, and never asks for nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serin_config::limits::PROXY_HEADER_BYTES_MAX;
use serin_split::proxy_protocol::{Step, read};

fuzz_target!(|data: &[u8]| {
    // All at once may be anything.
    let _ = read(data);
    // As a connection does it: never more than was asked for.
    let mut have = 0;
    loop {
        match read(&data[..have]) {
            Ok(Step::Need(more)) => {
                assert!(more > 0, "asked for nothing");
                assert!(have + more <= PROXY_HEADER_BYTES_MAX, "asked for too much");
                if have + more > data.len() {
                    return;
                }
                have += more;
            }
            Ok(Step::Done(source)) => {
                assert_eq!(read(&data[..have]), Ok(Step::Done(source)));
                return;
            }
            Err(_) => return,
        }
    }
});
