//! From which age on a request without an answer hangs: four times as long as all but one in a thousand of the stable
//! version's answers took to begin, and ten seconds at least.
//!
//! The measure is the stable version's, for both versions alike, and of the last minute or two: a service that is slow
//! by design, because its clients wait for news, is not taken for one that hangs. Its answers are counted with the time
//! that they really took, those too that were booked meanwhile, or the measure would never reach beyond itself.

use std::{collections::HashMap, time::Duration};

use serin_config::{ServiceName, limits::HANG_LEAST, wire::LatencyCounts};

/// Windows after which the older half of what is remembered is forgotten.
const WINDOWS_PER_HALF: u32 = 60;
/// All but one in a thousand.
const MEASURE: f64 = 0.999;
/// So many times the measure.
const TIMES: f64 = 4.0;

/// What is remembered of each service's stable version.
#[derive(Debug, Default)]
pub(crate) struct Hangs(HashMap<ServiceName, Memory>);

#[derive(Debug, Default)]
struct Memory {
    before: LatencyCounts,
    now: LatencyCounts,
    windows: u32,
}

impl Hangs {
    /// Answers of a stable version.
    pub(crate) fn note(&mut self, service: &ServiceName, headers: &LatencyCounts) {
        match self.0.get_mut(service) {
            Some(memory) => memory.now.merge(headers),
            None => {
                let memory = Memory { now: headers.clone(), ..Memory::default() };
                self.0.insert(service.clone(), memory);
            }
        }
    }

    /// A window of a service has ended: from which age on its requests hang.
    pub(crate) fn after(&mut self, service: &ServiceName) -> Duration {
        let Some(memory) = self.0.get_mut(service) else { return HANG_LEAST };
        let mut all = memory.before.clone();
        all.merge(&memory.now);
        memory.windows += 1;
        if memory.windows >= WINDOWS_PER_HALF {
            *memory = Memory { before: std::mem::take(&mut memory.now), ..Memory::default() };
        }
        let micros = all.quantile(MEASURE).map_or(0.0, |micros| micros * TIMES);
        Duration::try_from_secs_f64(micros / 1e6).unwrap_or(HANG_LEAST).max(HANG_LEAST)
    }

    /// Forgets services that are not compared any more.
    pub(crate) fn retain(&mut self, is_compared: impl Fn(&ServiceName) -> bool) {
        self.0.retain(|service, _| is_compared(service));
    }
}

#[cfg(test)]
mod tests {
    use serin_config::wire::bucket_of;

    use super::*;

    fn shop() -> ServiceName {
        ServiceName::try_new("shop").unwrap()
    }

    fn answers(ms: u64, count: u32) -> LatencyCounts {
        LatencyCounts(vec![(bucket_of(ms * 1_000), count)])
    }

    #[test]
    fn a_quick_service_hangs_after_ten_seconds_and_a_slow_one_after_four_times_its_slowest() {
        let mut hangs = Hangs::default();
        assert_eq!(hangs.after(&shop()), HANG_LEAST, "nothing is known");
        hangs.note(&shop(), &answers(20, 2_000));
        assert_eq!(hangs.after(&shop()), HANG_LEAST);
        hangs.note(&shop(), &answers(30_000, 2));
        assert_eq!(hangs.after(&shop()), HANG_LEAST, "one in a thousand is not all but one in a thousand");
        hangs.note(&shop(), &answers(30_000, 20));
        let after = hangs.after(&shop()).as_secs_f64();
        assert!((120.0..125.0).contains(&after), "{after}");
    }

    #[test]
    fn what_was_slow_is_forgotten_after_two_minutes_and_not_before_one() {
        let mut hangs = Hangs::default();
        hangs.note(&shop(), &answers(30_000, 50));
        let slow = (0..300).take_while(|_| {
            let slow = hangs.after(&shop()) > HANG_LEAST;
            hangs.note(&shop(), &answers(20, 10));
            slow
        });
        let windows = slow.count();
        assert!((60..=120).contains(&windows), "{windows}");
    }

    #[test]
    fn a_service_that_is_not_compared_is_forgotten() {
        let mut hangs = Hangs::default();
        hangs.note(&shop(), &answers(30_000, 50));
        hangs.retain(|_| false);
        assert_eq!(hangs.after(&shop()), HANG_LEAST);
    }
}
