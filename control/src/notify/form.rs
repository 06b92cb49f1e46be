//! What a recipient is sent: the body in its form.

use serde_json::{Value, json};
use serin_config::{
    moment,
    notification::{Form, Recipient, Severity},
};

use super::message::{text, title};
use crate::journal::Entry;

/// The body.
pub(super) fn body(recipient: &Recipient, entry: &Entry, severity: Severity, id: &str) -> Vec<u8> {
    let body = match recipient.form {
        Form::Webhook => json!({
            "id": id,
            "severity": severity,
            "title": title(entry),
            "text": text(entry),
            "decision": entry,
        }),
        Form::Slack => slack(entry, severity),
        Form::Alertmanager => alert(entry, severity),
    };
    body.to_string().into_bytes()
}

/// The three characters that mean something in such a text are escaped, so that a reason can't mention everybody.
fn slack(entry: &Entry, severity: Severity) -> Value {
    let plain = |text: String| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mark = match severity {
        Severity::Info => ":large_blue_circle:",
        Severity::Warning => ":large_yellow_circle:",
        Severity::Critical => ":red_circle:",
    };
    json!({ "text": format!("{mark} *{}*\n{}", plain(title(entry)), plain(text(entry))) })
}

/// Alerts of the same labels are one, so what differs each time stands in the annotations.
fn alert(entry: &Entry, severity: Severity) -> Value {
    let mut labels = json!({
        "alertname": "SerinDecision",
        "severity": severity,
        "action": entry.action.label(),
    });
    if let Some(service) = &entry.service {
        labels["service"] = json!(service);
    }
    if let Some(rollout) = entry.rollout {
        labels["rollout"] = json!(rollout.to_string());
    }
    let annotations = json!({ "summary": title(entry), "description": text(entry) });
    let starts = moment::rfc3339_seconds(entry.at_ms);
    json!([{ "labels": labels, "annotations": annotations, "startsAt": starts }])
}
