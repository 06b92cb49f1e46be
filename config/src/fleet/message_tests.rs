//! The published `.proto` and the types say the same: both texts are read into one form, and compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::Outcome;

const PROTO: &str = include_str!("../../proto/serin/v1/fleet.proto");
const RUST: &str = include_str!("message.rs");

/// (label, type, name, number) of each field; a field of a `oneof` has its label from it.
type Fields = BTreeSet<(String, String, String, u32)>;
type Messages = BTreeMap<String, Fields>;

/// `HTTP_4XX` and `Http4xx`, `PlanAnswer` and `plan_answer` are one word.
fn word(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

fn of_proto() -> (Messages, BTreeMap<String, Vec<(String, u32)>>) {
    let (mut messages, mut enums) = (Messages::new(), BTreeMap::<String, Vec<(String, u32)>>::new());
    let (mut message, mut listing, mut in_oneof) = (None, None, false);
    for line in PROTO.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let words: Vec<&str> = line.trim_end_matches(';').split_whitespace().collect();
        match words.as_slice() {
            ["message", name, "{}"] => drop(messages.insert((*name).into(), Fields::new())),
            ["message", name, "{"] => {
                messages.insert((*name).into(), Fields::new());
                message = Some((*name).to_owned());
            }
            ["enum", name, "{"] => {
                enums.insert((*name).into(), Vec::new());
                listing = Some((*name).to_owned());
            }
            ["oneof", _, "{"] => in_oneof = true,
            ["}"] if in_oneof => in_oneof = false,
            ["}"] => (message, listing) = (None, None),
            [name, "=", number] if listing.is_some() => {
                let values = enums.get_mut(listing.as_ref().unwrap()).unwrap();
                values.push(((*name).into(), number.parse().unwrap()));
            }
            [label @ .., kind, name, "=", number] if message.is_some() => {
                let label = if in_oneof { "oneof" } else { label.first().copied().unwrap_or("") };
                let field = (label.into(), (*kind).into(), word(name), number.parse().unwrap());
                assert!(messages.get_mut(message.as_ref().unwrap()).unwrap().insert(field), "{line}");
            }
            ["syntax" | "package" | "service" | "rpc", ..] => {}
            _ => panic!("a line of another form: {line}"),
        }
    }
    (messages, enums)
}

/// The same of the Rust text: each field has an attribute on the line before it.
fn of_rust() -> Messages {
    let mut messages = Messages::new();
    let mut oneofs = BTreeMap::new();
    let (mut message, mut attribute) = (String::new(), None);
    for line in RUST.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("pub struct ") {
            message = rest.split([' ', '{']).next().unwrap().into();
            messages.insert(message.clone(), Fields::new());
        } else if let Some(rest) = line.strip_prefix("pub enum ") {
            message = rest.split(' ').next().unwrap().into();
            messages.insert(message.clone(), Fields::new());
        } else if let Some(rest) = line.strip_prefix("#[prost(") {
            attribute = Some(rest.trim_end_matches(")]"));
        } else if let Some(attribute) = attribute.take() {
            if attribute.starts_with("oneof") {
                let one = attribute.split('"').nth(1).unwrap();
                oneofs.insert(message.clone(), one.to_owned());
                continue;
            }
            let number = attribute.rsplit('"').nth(1).unwrap().parse().unwrap();
            let mut parts = attribute.split(", ");
            let kind = parts.next().unwrap();
            let label = parts.next().filter(|part| !part.starts_with("tag")).unwrap_or("");
            let (label, kind, name) = match line.strip_prefix("pub ") {
                Some(field) => {
                    let (name, typed) = field.trim_end_matches(',').split_once(": ").unwrap();
                    let inner = typed.rsplit('<').next().unwrap().trim_end_matches('>');
                    let kind = match kind.split_once(" = ") {
                        Some(("enumeration", quoted)) => quoted.trim_matches('"').to_owned(),
                        _ if kind == "message" => inner.to_owned(),
                        _ => kind.to_owned(),
                    };
                    (label, kind, name)
                }
                None => {
                    let (name, inner) = line.trim_end_matches("),").split_once('(').unwrap();
                    ("oneof", inner.to_owned(), name)
                }
            };
            messages.get_mut(&message).unwrap().insert((label.into(), kind, word(name), number));
        }
    }
    for (whole, one) in oneofs {
        let fields = messages.remove(&one).unwrap();
        messages.insert(whole, fields);
    }
    messages.retain(|name, _| name != "TripCause");
    messages
}

#[test]
fn the_published_messages_and_the_types_agree_field_by_field() {
    let (mut published, _) = of_proto();
    // A message as a field is always optional in Rust.
    let cell = published.get_mut("Cell").unwrap();
    assert!(cell.remove(&(String::new(), "Counts".into(), "counts".into(), 4)));
    cell.insert(("optional".into(), "Counts".into(), "counts".into(), 4));
    let typed = of_rust();
    assert_eq!(published.keys().collect::<Vec<_>>(), typed.keys().collect::<Vec<_>>());
    for (name, fields) in &published {
        assert_eq!(fields, &typed[name], "message {name}");
    }
    assert_eq!(published["Window"].len(), 11, "the test reads what it should");
}

#[test]
fn the_published_enums_have_the_numbers_of_the_types() {
    let (_, enums) = of_proto();
    let outcomes: Vec<(String, u32)> = Outcome::ALL
        .iter()
        .zip(0..)
        .map(|(outcome, number)| (outcome.label().to_uppercase(), number))
        .collect();
    assert_eq!(enums["Outcome"], outcomes);
    for (name, number) in &enums["TripCause"] {
        let typed = super::TripCause::try_from(i32::try_from(*number).unwrap()).unwrap();
        assert_eq!(word(&format!("{typed:?}")), word(name));
    }
    assert_eq!((enums["TripCause"].len(), enums.len()), (3, 2));
}
