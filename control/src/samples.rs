//! A rollout for unit tests to begin with.

use serin_config::Generation;

use crate::{
    fixtures::{name, version, weight},
    rollout::{Rollout, State},
    watch::course::Course,
};

/// A rollout of `shop` at its first step, begun by plan 10.
pub(crate) fn begun() -> Rollout {
    Rollout {
        id: 1,
        service: name("shop"),
        canary: version("v2"),
        stable: version("v1"),
        rules: String::new(),
        weights: ["10%", "50%", "100%"].map(weight).to_vec(),
        mirrors: vec![],
        before: None,
        state: State::Running { step: 0 },
        halvings: 0,
        with: None,
        called_off: None,
        never_began: false,
        start_generation: Generation(10),
        step_generation: Generation(10),
        share_generation: Generation(10),
        urgent: false,
        started_ms: 0,
        step_began_ms: 0,
        ended_ms: None,
        course: Course::default(),
        verdict: None,
    }
}
