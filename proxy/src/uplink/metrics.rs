//! The names of all metrics of the stream to the control plane, and the only place that writes them.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};

const CONNECTED: &str = "serin_proxy_control_connected";
const DISCONNECTED: &str = "serin_proxy_control_disconnected_seconds";
const NAME_TAKEN: &str = "serin_proxy_control_name_taken";
const WAITING: &str = "serin_proxy_control_windows_waiting";
const LOST: &str = "serin_proxy_control_windows_lost_total";
const REFUSED: &str = "serin_proxy_plans_refused_total";

/// Names all of them, so that they are there before anything happens.
pub(super) fn describe() {
    describe_gauge!(CONNECTED, "Whether there is a stream to the control plane.");
    describe_gauge!(
        DISCONNECTED,
        "Seconds since there was a stream to the control plane; 0 while there is one."
    );
    describe_gauge!(
        NAME_TAKEN,
        "Whether the control plane refuses this proxy, since another one that started later has its name: it serves on with the plan that it had."
    );
    describe_gauge!(WAITING, "Windows that the control plane has not said to have kept.");
    describe_counter!(
        LOST,
        "Windows that were given up, since no control plane took them for too long, or in a hand-over for want of room."
    );
    describe_counter!(REFUSED, "Plans of the control plane that could not be put in force.");
    counter!(LOST).increment(0);
    counter!(REFUSED).increment(0);
}

/// Whether there is a stream, and since when there is none.
pub(super) fn connected(now: bool, without: Duration) {
    gauge!(CONNECTED).set(f64::from(u8::from(now)));
    gauge!(DISCONNECTED).set(without.as_secs_f64());
}

/// Whether the control plane refuses this proxy for its name.
pub(super) fn name_taken(taken: bool) {
    gauge!(NAME_TAKEN).set(f64::from(u8::from(taken)));
}

/// How many windows wait to be kept.
pub(super) fn waiting(windows: usize) {
    gauge!(WAITING).set(windows as f64);
}

/// So many windows were given up.
pub(super) fn lost(windows: u64) {
    counter!(LOST).increment(windows);
}

/// A plan could not be put in force.
pub(super) fn refused() {
    counter!(REFUSED).increment(1);
}
