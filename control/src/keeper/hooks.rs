//! What webhooks say, and what becomes of it.
//!
//! An answer changes what is known, and is not stored. What it decides is a decision like any other: a denial is carried
//! out before it is stored, as whatever takes a canary out is; leave to begin waits for the store.

use serin_config::ServiceName;

use super::Keeper;
use crate::{
    access::Answer,
    hook::{Question, Said},
    planner,
};

impl Keeper {
    /// Takes what came of a call.
    pub(super) fn hear(&mut self, question: &Question, said: Said, now_ms: u64) -> Answer {
        planner::heard(&mut self.state, question, said, now_ms);
        planner::follow_hooks(&mut self.state, now_ms);
        self.look_at_hook(&question.service, now_ms);
        self.answer()
    }

    /// Does what webhooks have said, where that could not be done when they said it.
    pub(super) fn look_at_hooks(&mut self, now_ms: u64) {
        planner::follow_hooks(&mut self.state, now_ms);
        let names: Vec<ServiceName> = self.watches.keys().cloned().collect();
        for name in names {
            self.look_at_hook(&name, now_ms);
        }
    }

    fn look_at_hook(&mut self, name: &ServiceName, now_ms: u64) {
        if let Some(decision) = planner::hooked(&self.state, name, now_ms) {
            // A write that failed is logged and counted where it fails; the next second decides again.
            let _ = self.carry_out(decision, now_ms);
        }
    }
}
