//! What a recipient is sent: the body in its form.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use serin_config::{
    mail::{Mail, MailAddress},
    moment,
    notification::{Form, Severity},
};

use super::message::{text, title};
use crate::journal::Entry;

/// The body of a request.
pub(super) fn body(form: Form, entry: &Entry, severity: Severity, id: &str) -> Vec<u8> {
    let body = match form {
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

/// A whole message (RFC 5322). Its text is carried as base64, so that no line of it is long, or means anything to whoever
/// passes it on; the id is the same each time it is sent.
pub(super) fn message(mail: &Mail, entry: &Entry, severity: Severity, id: &str) -> String {
    let subject = format!("[{}] {}", severity.label(), title(entry));
    // Names and states have no other characters.
    let subject: String = subject.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    let to: Vec<&str> = mail.to.iter().map(MailAddress::as_str).collect();
    let headers = [
        format!("Date: {}", moment::rfc5322(entry.at_ms)),
        format!("From: {}", mail.from),
        format!("To: {}", to.join(",\r\n ")),
        format!("Message-ID: <{id}@{}>", mail.from.domain()),
        format!("Subject: {subject}"),
        "Auto-Submitted: auto-generated".into(),
        "MIME-Version: 1.0".into(),
        "Content-Type: text/plain; charset=utf-8".into(),
        "Content-Transfer-Encoding: base64".into(),
    ];
    let at = moment::rfc3339_seconds(entry.at_ms);
    let text = format!("{}\r\n{}\r\n\r\nat {at}, decision {}\r\n", title(entry), text(entry), entry.sequence);
    let encoded = STANDARD.encode(text);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).filter_map(|line| str::from_utf8(line).ok()).collect();
    format!("{}\r\n\r\n{}\r\n", headers.join("\r\n"), lines.join("\r\n"))
}
