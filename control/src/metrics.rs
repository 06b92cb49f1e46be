//! The names of all metrics of the control plane, and the only place that writes them.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use serin_config::ServiceName;
use serin_judge::{SelfTest, Verdict};

use crate::{fleet::registry::FleetCounts, journal::Entry, state::State};

const UP: &str = "serin_control_up";
const LEADS: &str = "serin_control_leads";
const DECISIONS: &str = "serin_control_decisions_total";
const WINDOWS_RECEIVED: &str = "serin_control_windows_received_total";
const WINDOWS_DUPLICATE: &str = "serin_control_windows_duplicate_total";
const WINDOWS_LOST: &str = "serin_control_windows_lost_total";
const WINDOWS_LATE: &str = "serin_control_windows_late_total";
const WINDOWS_JUDGED: &str = "serin_control_windows_judged_total";
const NOTIFICATIONS: &str = "serin_control_notifications_total";
const WEBHOOKS: &str = "serin_control_webhook_calls_total";
const BEATS: &str = "serin_control_beats_received_total";
const WINDOWS_MALFORMED: &str = "serin_control_windows_malformed_total";
const PROXIES: &str = "serin_control_proxies";
const DUPLICATES: &str = "serin_control_proxy_duplicates";
const UNACKNOWLEDGED: &str = "serin_control_rollback_unacknowledged";
const STORE_ERRORS: &str = "serin_control_store_errors_total";
const AUDIT_LOST: &str = "serin_control_audit_lost_total";
const SPLIT: &str = "serin_split_weight_ratio";
const STEP: &str = "serin_rollout_step";

const EVIDENCE: &str = "serin_rollout_evidence_nats";
const THRESHOLD: &str = "serin_rollout_evidence_threshold_nats";
const STRATA: &str = "serin_rollout_strata";
const ATTENTION: &str = "serin_rollout_attention";
const SELF_TEST_SECONDS: &str = "serin_judge_self_test_seconds";
const SELF_TEST_ALARMS: &str = "serin_judge_self_test_alarms";
const SELF_TEST_SUSPICIONS: &str = "serin_judge_self_test_suspicions";

/// Counts what became of telling a recipient.
pub(crate) fn notifications(recipient: &str, outcome: &'static str, n: u64) {
    counter!(NOTIFICATIONS, "recipient" => recipient.to_string(), "outcome" => outcome).increment(n);
}

/// Counts what came of asking a webhook.
pub(crate) fn webhook(webhook: &serin_config::WebhookName, outcome: &'static str) {
    counter!(WEBHOOKS, "webhook" => webhook.to_string(), "outcome" => outcome).increment(1);
}

/// Shows everything anew. Each second, since whoever collects metrics may be installed after the first
/// decision, and would otherwise wait for the next one.
pub(crate) fn refresh(now: &State) {
    describe();
    gauge!(UP).set(1.0);
    state(None, now);
}

/// Shows whether this one of several control planes leads; to follow is no fault.
pub(crate) fn leads(leads: bool) {
    gauge!(UP).set(1.0);
    describe_gauge!(
        LEADS,
        "Whether this one of several control planes leads; not there where it is the only one."
    );
    gauge!(LEADS).set(f64::from(u8::from(leads)));
}

/// Shows that nobody decides any more.
pub(crate) fn down() {
    gauge!(UP).set(0.0);
}

fn describe() {
    describe_gauge!(UP, "Whether the control plane decides: 0 after a fault in it, until a restart.");
    describe_counter!(DECISIONS, "Decisions of the control plane, by service and action.");
    describe_counter!(WINDOWS_RECEIVED, "Windows of counts that were taken from proxies.");
    describe_counter!(WINDOWS_DUPLICATE, "Windows that had been taken before, and were dropped.");
    describe_counter!(WINDOWS_LOST, "Windows that never arrived: gaps in a proxy's sequence.");
    describe_counter!(
        WINDOWS_LATE,
        "Windows that came too late for their second, and were left out of the evidence."
    );
    describe_counter!(
        WINDOWS_JUDGED,
        "Windows that are in a verdict, by how many seconds (within) it came after the window's end at most: each counts under all that it is within."
    );
    describe_counter!(
        BEATS,
        "Beats of proxies with a process of their own that came, whether or not they were of use."
    );
    describe_counter!(
        NOTIFICATIONS,
        "Decisions told to recipients, by outcome: told, failed (and tried again, where that is of use), skipped."
    );
    describe_counter!(
        WEBHOOKS,
        "Calls of webhooks that are asked around steps, by what came of them: allow, deny, wait, failed."
    );
    describe_counter!(WINDOWS_MALFORMED, "Windows and beats that can't be, and were left out.");
    describe_gauge!(
        PROXIES,
        "Proxies with a process of their own: connected, behind (connected, without the plan in force), away."
    );
    describe_gauge!(
        DUPLICATES,
        "Proxies that are refused, since another one that started later has their name: they serve on with the plan that they had."
    );
    describe_gauge!(
        UNACKNOWLEDGED,
        "Proxies that had not said within a second that the newest rollback is in force."
    );
    describe_counter!(STORE_ERRORS, "Writes to the store that failed.");
    describe_counter!(
        AUDIT_LOST,
        "Refused requests to the API that are not in the audit log: too many at once, or nobody led for too long."
    );
    describe_gauge!(SPLIT, "The share of a version in its service's traffic, 0 to 1.");
    describe_gauge!(STEP, "The step of the rollout in progress, from 1; 0 while none is.");
    describe_gauge!(
        EVIDENCE,
        "Natural logarithm of the evidence in the rollout in progress: against the canary, or that it may be promoted."
    );
    describe_gauge!(THRESHOLD, "Where that evidence decides.");
    describe_gauge!(STRATA, "Routes that are judged each for itself in the rollout in progress.");
    describe_gauge!(
        ATTENTION,
        "1 while a rollout is held because something is wrong: not shown to be the canary's own, or not safe to go back from."
    );
    describe_gauge!(
        SELF_TEST_SECONDS,
        "Seconds since the start in which a slice of the stable version was judged against the rest of it."
    );
    describe_gauge!(
        SELF_TEST_ALARMS,
        "How often that slice was found guilty: false alarms, since it is the same version."
    );
    describe_gauge!(
        SELF_TEST_SUSPICIONS,
        "How often that slice looked worse at 20 to 1 in the rollout in progress, so that more proof is asked for since."
    );
    for name in [
        WINDOWS_RECEIVED,
        WINDOWS_DUPLICATE,
        WINDOWS_LOST,
        WINDOWS_LATE,
        WINDOWS_MALFORMED,
        BEATS,
        STORE_ERRORS,
        AUDIT_LOST,
    ] {
        counter!(name).increment(0);
    }
}

pub(crate) fn decided(entry: &Entry) {
    let service = entry.service.as_ref().map(ToString::to_string).unwrap_or_default();
    counter!(DECISIONS, "service" => service, "action" => entry.action.label()).increment(1);
}

pub(crate) fn windows(received: u64, duplicate: u64, lost: u64) {
    counter!(WINDOWS_RECEIVED).increment(received);
    counter!(WINDOWS_DUPLICATE).increment(duplicate);
    counter!(WINDOWS_LOST).increment(lost);
}

pub(crate) fn late(windows: u64) {
    counter!(WINDOWS_LATE).increment(windows);
}

/// Delays from a window's end to the verdict on its second that are told apart, in seconds: the edges of the buckets.
const DELAYS: [(&str, u64); 16] = [
    ("0.01", 10),
    ("0.025", 25),
    ("0.05", 50),
    ("0.1", 100),
    ("0.15", 150),
    ("0.2", 200),
    ("0.25", 250),
    ("0.3", 300),
    ("0.4", 400),
    ("0.5", 500),
    ("0.75", 750),
    ("1", 1_000),
    ("1.5", 1_500),
    ("2.5", 2_500),
    ("5", 5_000),
    ("+Inf", u64::MAX),
];

/// Counts windows whose second was judged now; `ended` is when they ended, all in milliseconds since 1970.
pub(crate) fn judged(ended: &[u64], now_ms: u64) {
    for (edge, most) in DELAYS {
        let within = ended.iter().filter(|ended| now_ms.saturating_sub(**ended) <= most).count();
        counter!(WINDOWS_JUDGED, "within" => edge).increment(within as u64);
    }
}

pub(crate) fn audit_lost(times: u64) {
    counter!(AUDIT_LOST).increment(times);
}

pub(crate) fn malformed() {
    counter!(WINDOWS_MALFORMED).increment(1);
}

/// A beat came.
pub(crate) fn beat() {
    counter!(BEATS).increment(1);
}

/// Shows how many proxies there are.
pub(crate) fn proxies(counts: FleetCounts) {
    let shown = [("connected", counts.connected), ("behind", counts.behind), ("away", counts.away)];
    for (state, proxies) in shown {
        gauge!(PROXIES, "state" => state).set(proxies as f64);
    }
    gauge!(DUPLICATES).set(counts.duplicates as f64);
}

/// Shows how many proxies have not followed the newest rollback in time.
pub(crate) fn unacknowledged(proxies: usize) {
    gauge!(UNACKNOWLEDGED).set(proxies as f64);
}

pub(crate) fn store_failed() {
    counter!(STORE_ERRORS).increment(1);
}

/// Shows the splits and steps in force; versions and services that are gone fall to zero.
pub(crate) fn state(old: Option<&State>, new: &State) {
    if let Some(old) = old.filter(|old| !std::sync::Arc::ptr_eq(old.plan.catalogue(), new.plan.catalogue())) {
        for (service, _) in old.plan.services() {
            gauge!(STEP, "service" => service.name.to_string()).set(0.0);
            for version in &service.versions {
                weight(&service.name, &version.name, 0.0);
            }
        }
    }
    for (service, split) in new.plan.services() {
        for version in &service.versions {
            weight(&service.name, &version.name, split.of(&version.name).fraction());
        }
        let step = new.live(service.name.as_str()).and_then(|rollout| rollout.state.step());
        gauge!(STEP, "service" => service.name.to_string()).set(step.map_or(0.0, |step| (step + 1) as f64));
    }
}

/// Shows the evidence of a service's rollout; without one all falls to zero.
pub(crate) fn evidence(service: &ServiceName, verdict: Option<&Verdict>, test: &SelfTest, attention: bool) {
    let name = || service.to_string();
    let against = verdict.map(|verdict| verdict.against);
    let sides = [
        ("canary_worse", against),
        ("errors_accepted", verdict.and_then(|verdict| verdict.non_inferiority)),
        ("latency_accepted", verdict.and_then(|verdict| verdict.no_slower)),
    ];
    for (side, proof) in sides {
        let (ln_e, threshold) =
            proof.map_or((0.0, 0.0), |proof| (proof.ln_e.unwrap_or(0.0), proof.ln_threshold));
        gauge!(EVIDENCE, "service" => name(), "evidence" => side).set(ln_e);
        gauge!(THRESHOLD, "service" => name(), "evidence" => side).set(threshold);
    }
    gauge!(STRATA, "service" => name()).set(verdict.map_or(0.0, |verdict| verdict.strata.len() as f64));
    gauge!(ATTENTION, "service" => name()).set(f64::from(u8::from(attention)));
    gauge!(SELF_TEST_SECONDS, "service" => name()).set(test.seconds as f64);
    gauge!(SELF_TEST_ALARMS, "service" => name()).set(test.alarms as f64);
    gauge!(SELF_TEST_SUSPICIONS, "service" => name()).set(test.suspicions as f64);
}

fn weight(service: &serin_config::ServiceName, version: &serin_config::VersionName, share: f64) {
    gauge!(SPLIT, "service" => service.to_string(), "version" => version.to_string()).set(share);
}
