//! The JSON Schemas of what goes in and what comes out.
//!
//! Forms that are read are closed, as their readers are. What is told is open: whoever reads it must let pass what it
//! does not know, since an answer may say more in a later release.

use serde_json::{Map, Value, json};
use serin_config::{
    Role,
    limits::{
        API_ENTRIES_MAX, API_SERVICES_MAX, NAME_LENGTH_MAX, REPEAT_KEY_BYTES_MAX, TOKEN_LIFE_DEFAULT,
        TOKEN_LIFE_MAX, TOKEN_LIFE_MIN,
    },
};

use super::change::GENERATION_DIGITS_MAX;

/// A reference to one of [`all`].
pub(super) fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

macro_rules! references {
    ($($function:ident: $name:literal),* $(,)?) => {$(
        pub(super) fn $function() -> Value {
            of($name)
        }
    )*};
}

references! {
    applied: "Applied",
    applied_to_group: "AppliedToGroup",
    audit_page: "AuditPage",
    delete_freeze: "DeleteFreeze",
    delete_token: "DeleteToken",
    events: "Events",
    events_taken: "EventsTaken",
    explanation: "Explanation",
    freeze_list: "FreezeList",
    group: "Group",
    group_list: "GroupList",
    journal_page: "JournalPage",
    made_freeze: "MadeFreeze",
    made_token: "MadeToken",
    new_freeze: "NewFreeze",
    new_token: "NewToken",
    plan: "Plan",
    proxy_page: "ProxyPage",
    rollout: "Rollout",
    rollout_page: "RolloutPage",
    service: "Service",
    service_page: "ServicePage",
    set_weights: "SetWeights",
    split: "Split",
    steer: "Steer",
    token_page: "TokenPage",
    verdict: "Verdict",
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn object() -> Value {
    json!({ "type": "object" })
}

pub(super) fn name() -> Value {
    json!({ "type": "string", "pattern": format!("^[A-Za-z0-9][A-Za-z0-9._-]{{0,{}}}$", NAME_LENGTH_MAX - 1) })
}

pub(super) fn number() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

pub(super) fn entries_limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": API_ENTRIES_MAX })
}

pub(super) fn services_limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": API_SERVICES_MAX })
}

pub(super) fn duration() -> Value {
    json!({ "type": "string", "pattern": "^([0-9]{1,6}ms|[0-9]{1,2}s|1[0-9]{2}s|2[0-9]{2}s|300s|[0-5]m)$", "examples": ["30s"] })
}

pub(super) fn until() -> Value {
    json!({ "enum": ["decided", "ended", "changed"] })
}

pub(super) fn what() -> Value {
    json!({ "enum": super::audit::words() })
}

pub(super) fn fate() -> Value {
    json!({ "enum": ["done", "refused", "unknown"] })
}

pub(super) fn token_id() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
}

pub(super) fn idempotency_key() -> Value {
    json!({ "type": "string", "minLength": 1, "pattern": format!("^[!-~]{{1,{REPEAT_KEY_BYTES_MAX}}}$") })
}

pub(super) fn if_match() -> Value {
    let number = format!("[0-9]{{1,{GENERATION_DIGITS_MAX}}}");
    json!({ "type": "string", "pattern": format!("^({number}|\"{number}\")$") })
}

fn weight() -> Value {
    json!({ "type": "string", "pattern": "^(100(\\.0{1,4})?|[0-9]{1,2}(\\.[0-9]{1,4})?)%$", "examples": ["10%"] })
}

fn weights() -> Value {
    json!({ "type": "object", "propertyNames": name(), "additionalProperties": weight() })
}

fn maybe(schema: Value) -> Value {
    let nothing = json!({ "type": "null" });
    json!({ "anyOf": Value::Array(vec![schema, nothing]) })
}

fn list(schema: Value) -> Value {
    Value::Object(Map::from_iter([("type".to_owned(), "array".into()), ("items".to_owned(), schema)]))
}

/// An object of which at least these members are there.
fn told(members: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> =
        members.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names })
}

/// The same, which may have these members too.
fn told_with(members: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let mut told = told(members);
    for (name, schema) in optional {
        told["properties"][*name] = schema.clone();
    }
    told
}

/// An object that has these members and no others.
fn form(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    let members = required.iter().chain(optional);
    let properties: Map<String, Value> =
        members.map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}

fn reason() -> (&'static str, Value) {
    let about = "Why, for the journal and the audit log; longer ones are cut.";
    ("reason", json!({ "type": "string", "default": "", "description": about }))
}

fn urgent() -> (&'static str, Value) {
    let about = "Whether it can't wait for a freeze to be over; it then needs a reason.";
    ("urgent", json!({ "type": "boolean", "default": false, "description": about }))
}

fn if_generation() -> (&'static str, Value) {
    let about = "The plan on which the choice rests: if another one is in force, nothing is done (409).";
    ("if_generation", json!({ "anyOf": [number(), { "type": "null" }], "description": about }))
}

/// All schemas, by name.
pub(super) fn all() -> Value {
    let role = json!({ "enum": Role::ALL.map(Role::label) });
    let caller = told_with(&[("name", text()), ("from", text())], &[("token", token_id()), ("via", text())]);
    let services = maybe(list(name()));
    let token = || {
        vec![
            ("id", token_id()),
            ("name", name()),
            ("role", of("Role")),
            ("services", services.clone()),
            ("created_ms", number()),
            ("created_by", maybe(of("Caller"))),
            ("expires_ms", number()),
        ]
    };
    let made: Vec<_> = token().into_iter().chain([("token", text())]).collect();
    let life = json!({
        "anyOf": [
            { "type": "integer", "minimum": TOKEN_LIFE_MIN.as_secs(), "maximum": TOKEN_LIFE_MAX.as_secs() },
            { "type": "null" },
        ],
        "default": TOKEN_LIFE_DEFAULT.as_secs(),
    });
    let action = json!({ "enum": ["start", "pause", "resume", "promote", "approve", "skip", "abort", "retry", "undo"] });
    let full = json!({ "type": ["boolean", "null"], "description": "Straight to 100%; with promote only." });
    let state = json!({
        "enum": ["pass", "fail", "insufficient"],
        "description": "Once it has ended: pass, the canary has everything; fail, it was taken out for what it did, or a guard had \
            failed by then; insufficient, something else ended it and nothing is shown against it.",
    });
    let ended_by = json!({
        "enum": [
            "evidence", "copies", "trip", "blast_radius", "webhook", "timeout", "group", "command", "file", "superseded", "approval",
            "clock", "clock_without_traffic", "undo", null,
        ],
        "description": "What ended it: null while it is in progress. Later releases may have more words.",
    });
    let counts = form(&[("requests", number()), ("count", number())], &[]);
    json!({
        "Role": role,
        "Caller": caller,
        "Problem": told(&[("type", text()), ("title", text()), ("status", number()), ("detail", text())]),
        "SetWeights": form(&[("weights", weights())], &[if_generation(), reason(), urgent()]),
        "Steer": form(&[("action", action)], &[("full", full), if_generation(), reason(), urgent()]),
        "Events": form(&[
            ("event", name()),
            ("versions", json!({ "type": "object", "propertyNames": name(), "additionalProperties": counts })),
        ], &[]),
        "EventsTaken": told(&[("rollout", maybe(number()))]),
        "Applied": told(&[
            ("generation", number()),
            ("stored", json!({ "type": "boolean" })),
            ("repeated", json!({ "type": "boolean" })),
            ("weights", maybe(weights())),
            ("rollout", maybe(of("Rollout"))),
        ]),
        "AppliedToGroup": told(&[
            ("generation", number()),
            ("stored", json!({ "type": "boolean" })),
            ("repeated", json!({ "type": "boolean" })),
            ("group", of("Group")),
        ]),
        "Group": told(&[
            ("group", name()),
            ("generation", number()),
            ("live", json!({ "type": "boolean" })),
            ("summary", text()),
            ("held_back_by", list(name())),
            ("members", list(told(&[
                ("service", name()),
                ("canary", maybe(name())),
                ("waits", json!({ "type": "boolean" })),
                ("holds_back", json!({ "type": "boolean" })),
                ("because", list(text())),
                ("rollout", maybe(of("Rollout"))),
            ]))),
        ]),
        "GroupList": told(&[
            ("generation", number()),
            ("groups", list(told(&[
                ("group", name()),
                ("services", list(name())),
                ("live", json!({ "type": "boolean" })),
                ("summary", text()),
                ("held_back_by", list(name())),
            ]))),
        ]),
        "NewToken": form(
            &[("name", name()), ("role", of("Role"))],
            &[("services", services.clone()), ("expires_in_seconds", life), if_generation(), reason()],
        ),
        "NewFreeze": form(
            &[],
            &[("services", list(name())), ("until_ms", maybe(number())), reason()],
        ),
        "DeleteFreeze": form(&[], &[reason()]),
        "MadeFreeze": told(&[("id", maybe(number()))]),
        "FreezeList": told(&[(
            "freezes",
            list(told(&[("services", list(name())), ("in_force", json!({ "type": "boolean" }))])),
        )]),
        "DeleteToken": form(&[], &[if_generation(), reason()]),
        "Token": told(&token()),
        "MadeToken": told(&made),
        "TokenPage": told(&[("tokens", list(of("Token"))), ("next", maybe(token_id()))]),
        "Split": told(&[("generation", number()), ("weights", weights())]),
        "Plan": told(&[
            ("generation", number()),
            ("parent", number()),
            ("stored", json!({ "type": "boolean" })),
            ("routes", list(object())),
            ("services", list(told(&[("name", name()), ("weights", weights()), ("mirror", weight()), ("stands_by", json!({ "type": "boolean" }))]))),
        ]),
        "ProxyPage": told(&[
            ("generation", number()),
            ("proxies", list(told(&[
                ("proxy", name()),
                ("version", maybe(text())),
                ("address", maybe(text())),
                ("epoch", number()),
                ("connected", json!({ "type": "boolean" })),
                ("since_ms", number()),
                ("generation", number()),
                ("acknowledged", json!({ "type": "boolean" })),
                ("lag_ms", maybe(number())),
                ("refused", list(text())),
                ("last_window", maybe(told(&[
                    ("sequence", number()),
                    ("ended_ms", number()),
                    ("heard_ms", number()),
                ]))),
            ]))),
            ("duplicates", list(told(&[
                ("proxy", name()),
                ("epoch", number()),
                ("version", text()),
                ("address", text()),
                ("since_ms", number()),
                ("refused_ms", number()),
                ("generation", number()),
            ]))),
            ("next", maybe(name())),
        ]),
        "ServicePage": told(&[
            ("generation", number()),
            ("stored", json!({ "type": "boolean" })),
            ("services", list(told(&[
                ("name", name()),
                ("weights", weights()),
                ("stable", name()),
                ("canary", maybe(name())),
            ]))),
            ("next", maybe(name())),
        ]),
        "Service": told(&[
            ("name", name()),
            ("generation", number()),
            ("weights", weights()),
            ("stable", name()),
            ("canary", maybe(name())),
            ("counted", json!({ "type": "boolean" })),
            ("probing", json!({ "type": "boolean" })),
            ("versions", list(told(&[("version", name()), ("weight", weight()), ("counts", maybe(object()))]))),
            ("rollout", maybe(of("Rollout"))),
            ("earlier", list(told(&[("id", number()), ("summary", text())]))),
            ("seconds", list(object())),
        ]),
        "Rollout": told(&[
            ("id", number()),
            ("canary", name()),
            ("stable", name()),
            ("state", text()),
            ("summary", text()),
            ("live", json!({ "type": "boolean" })),
            ("weight", weight()),
            ("steps", list(weight())),
            ("waiting", maybe(told(&[
                ("canary", name()),
                ("since_ms", number()),
                ("kind", text()),
                ("why", text()),
            ]))),
            ("webhooks", maybe(list(told(&[
                ("webhook", name()),
                ("when", json!({ "enum": ["before_step", "at_step"] })),
                ("step", number()),
                ("stands", json!({ "enum": ["waits", "allows", "denies"] })),
                ("tries", number()),
                ("failures", number()),
                ("last", maybe(text())),
                ("since_ms", number()),
                ("summary", text()),
            ])))),
            ("started_ms", number()),
            ("step_began_ms", number()),
        ]),
        "RolloutPage": told(&[
            ("rollouts", list(told(&[
                ("id", number()),
                ("service", name()),
                ("canary", name()),
                ("stable", name()),
                ("state", text()),
                ("summary", text()),
                ("waiting", maybe(object())),
                ("live", json!({ "type": "boolean" })),
                ("started_ms", number()),
                ("ended_ms", maybe(number())),
            ]))),
            ("next", maybe(number())),
        ]),
        "Explanation": told(&[
            ("service", name()),
            ("lines", list(text())),
            ("rollout", of("Rollout")),
            ("journal", list(of("Decision"))),
        ]),
        "Decision": told_with(&[
            ("sequence", number()),
            ("at_ms", number()),
            ("actor", text()),
            ("who", maybe(of("Caller"))),
            ("service", maybe(name())),
            ("group", maybe(name())),
            ("action", text()),
            ("from", maybe(weights())),
            ("to", maybe(weights())),
            ("generation", number()),
            ("reason", text()),
        ], &[("services", list(name())), ("with", name())]),
        "JournalPage": told(&[("entries", list(of("Decision"))), ("next", maybe(number()))]),
        "Request": told(&[
            ("sequence", number()),
            ("at_ms", number()),
            ("times", number()),
            ("who", maybe(of("Caller"))),
            ("actor", text()),
            ("what", text()),
            ("detail", text()),
            ("service", maybe(text())),
            ("group", maybe(text())),
            ("reason", text()),
            ("urgent", json!({ "type": "boolean" })),
            ("fate", fate()),
            ("problem", maybe(text())),
            ("because", maybe(text())),
            ("generation", maybe(number())),
        ]),
        "AuditPage": told(&[("entries", list(of("Request"))), ("next", maybe(number()))]),
        "Verdict": told(&[
            ("service", name()),
            ("generation", number()),
            ("state", state),
            ("decided", json!({ "type": "boolean" })),
            ("ended", json!({ "type": "boolean" })),
            ("ended_by", ended_by),
            ("promoted_by", maybe(text())),
            ("reasons", list(text())),
            ("rollout", told(&[("id", number()), ("canary", name()), ("stable", name()), ("summary", text())])),
            ("evidence", maybe(object())),
        ]),
    })
}
