//! The judge: whatever is counted, there is an answer with numbers in it, the short one is the long one's, and what is
//! stored and read back goes on with the same bits.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serin_config::{
    EventName, RouteName, Weight,
    policy::{BlastRadius, Direction, EventGuard, Mode, Preset, RolloutPolicy, Step},
    wire::LatencyCounts,
};
use serin_judge::{Arm, Evidence, Pair, Pairing, State, Trials, Window, explain};

const ROUTES: [&str; 4] = ["a", "b", "c", "d"];
const LONG: Duration = Duration::from_secs(600);

/// Reads numbers off the bytes; zeros after the last.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// Mostly small, at times near the ends.
    fn count(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=199 => u64::from(small),
            200..=239 => u64::from(self.byte()) << (self.byte() % 57),
            240..=250 => (1 << 63) - u64::from(self.byte()),
            _ => u64::MAX - u64::from(self.byte()),
        }
    }

    fn arm(&mut self) -> Arm {
        let (judged, failed) = (self.count(), self.count());
        let shape = self.byte();
        let headers = (0..shape % 4).map(|_| {
            let bucket = u16::from_le_bytes([self.byte(), self.byte() % 4]);
            (bucket, u32::try_from(self.count()).unwrap_or(u32::MAX))
        });
        let headers = LatencyCounts(headers.collect());
        let mut arm = Arm::counted(judged, failed).with_headers(headers);
        if shape & 16 != 0 {
            arm.clients = Some(self.count());
        }
        if shape & 32 != 0 {
            arm.charged = self.count();
        }
        if shape & 64 != 0 {
            arm.events.push((event(), self.count()));
        }
        arm
    }

    fn pairing(&mut self) -> Pairing {
        Pairing { canary: self.arm(), stable: self.arm() }
    }

    fn window(&mut self) -> Window {
        let shape = self.byte();
        let mut window = Window::default();
        for (i, name) in ROUTES.iter().enumerate() {
            if shape & (1 << i) != 0 {
                window.routes.insert(RouteName::try_new(name).expect("a name"), self.pairing());
            }
        }
        if shape & 16 != 0 {
            window.control = self.pairing();
        }
        if shape & 32 != 0 {
            window.share = Weight::from_ppm(u32::from(self.byte()) * 3_922);
        }
        window
    }

    fn trials(&mut self) -> Trials {
        Trials { requests: self.count(), bad: self.count() }
    }
}

fn event() -> EventName {
    EventName::try_new("order").expect("a name")
}

fn policy(bytes: &mut Bytes<'_>) -> RolloutPolicy {
    let shape = bytes.byte();
    let preset = [Preset::Cautious, Preset::Balanced, Preset::Fast][usize::from(shape % 3)];
    let mut policy = RolloutPolicy { preset, strata: usize::from(shape % 5).max(1), ..RolloutPolicy::default() };
    policy.mode = match shape >> 6 {
        0 => Mode::Evidence,
        1 => Mode::Any,
        2 => Mode::All,
        _ => Mode::Score { fail_below: bytes.byte() % 101, pass_from: bytes.byte() % 101 },
    };
    if shape & 16 != 0 {
        policy.guards.max_error_rate = Weight::from_ppm(u32::from(bytes.byte()) * 3_921);
        policy.guards.max_p99 = Some(Duration::from_millis(u64::from(bytes.byte())));
        policy.guards.events = vec![EventGuard { event: event(), bad: Direction::Fewer, ratio: 1.0 }];
        policy.warm_up = Duration::from_secs(u64::from(bytes.byte() % 20));
    }
    if shape & 32 != 0 {
        policy.blast_radius =
            BlastRadius { failed_requests: Some(bytes.count()), added_latency: Some(Duration::from_millis(bytes.count())) };
    }
    policy
}

fn take(evidence: &mut Evidence, bytes: &mut Bytes<'_>) {
    match bytes.byte() % 8 {
        0 => evidence.pre(&bytes.window()),
        1 => evidence.begin_step(),
        2 | 3 => {
            let probing = bytes.byte() & 1 == 1;
            evidence.beat(Pair { canary: bytes.trials(), stable: bytes.trials() }, probing);
        }
        4 => {
            // A stretch of the same seconds: what grows has time to.
            let (times, window) = (bytes.byte(), bytes.window());
            (0..times).for_each(|_| evidence.observe(&window));
        }
        _ => evidence.observe(&bytes.window()),
    }
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let policy = policy(&mut bytes);
    let ppm = u32::from(bytes.byte()) * 3_922;
    let step = Step::at(Weight::from_ppm(ppm).unwrap_or(Weight::WHOLE));
    let stored_at = usize::from(bytes.byte());
    let mut evidence = Evidence::new(&policy);
    let mut resumed: Option<Evidence> = None;
    for i in 0..200 {
        if bytes.0.is_empty() {
            break;
        }
        if i == stored_at {
            let text = serde_json::to_string(&evidence).expect("evidence can be stored");
            resumed = Some(serde_json::from_str(&text).expect("stored evidence can be read"));
        }
        let before = bytes.0;
        take(&mut evidence, &mut bytes);
        if let Some(resumed) = &mut resumed {
            take(resumed, &mut Bytes(before));
        }
        let judgement = evidence.judge(&step, LONG);
        assert!(!judgement.ln_e.is_nan() && judgement.ln_e < f64::INFINITY, "{judgement:?}");
        let verdict = evidence.verdict(&step, LONG);
        assert_eq!((judgement.state, judgement.advice, judgement.culprit), (verdict.state, verdict.advice, verdict.culprit));
        assert_eq!(verdict.state == State::Insufficient, !verdict.lacking.is_empty());
        assert!(!explain(&verdict, "v2", "v1").is_empty());
    }
    if let Some(resumed) = resumed {
        assert_eq!(evidence, resumed);
    }
});
