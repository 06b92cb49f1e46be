//! Whatever stands in the file: reading it ends, without a panic, with a value or with problems that point
//! into the text; and the schema that editors use knows exactly the fields that the decoder takes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests panic, and read the samples"
)]

mod reading;

use std::{collections::BTreeSet, path::Path};

use proptest::{collection::vec, prelude::*, sample::select};
use reading::Nothing;
use serde_json::Value;
use serin_config::{Config, Problems, load, schema::json_schema, summary::summary};

fn read(text: &str) -> Result<Config, Problems> {
    load(text, "f", Path::new("/etc/serin"), &Nothing)
}

fn samples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = [
        "samples/ten-mistakes.yaml",
        "../deploy/samples/sidecar.yaml",
        "../deploy/samples/edge.yaml",
        "../deploy/samples/rollout.yaml",
    ];
    paths.map(|path| std::fs::read_to_string(root.join(path)).unwrap()).into()
}

/// Reads it, and checks that every problem stands within the text and prints on one line.
fn check_reading(text: &str) {
    let problems = match read(text) {
        Ok(config) => return assert!(!summary(&config).is_empty()),
        Err(problems) => problems,
    };
    assert!(!problems.is_empty());
    let lines: Vec<_> = text.split('\n').collect();
    for problem in problems.iter() {
        assert!((1..=lines.len()).contains(&problem.line), "{problem}\nin {text:?}");
        let end = lines[problem.line - 1].chars().count() + 1;
        assert!((1..=end).contains(&problem.column), "{problem}\nin {text:?}");
        assert!(!problem.wrong.is_empty() && !problem.right.is_empty());
    }
    for line in problems.lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    assert!(problems.iter().is_sorted_by_key(|problem| (problem.line, problem.column)));
}

/// Pieces that make YAML, and a parser's life hard.
const PIECES: [&str; 48] = [
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\r",
    "\t",
    " ",
    ": ",
    ":",
    "- ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!<x> ",
    "|\n",
    ">-\n",
    "\"",
    "'",
    "#",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "\u{feff}",
    "é",
    "~",
    "listeners",
    "routes",
    "services",
    "versions",
    "endpoints",
    "address",
    "split",
    "rollout",
    "steps",
    "weight",
    "127.0.0.1:80",
    "10%",
    "1s",
    "v1",
    "${A}",
    "\\",
];

fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(2_000), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_text_is_read_to_its_end(text in any::<String>()) {
        check_reading(&text);
    }

    #[test]
    fn any_pieces_of_yaml_are_read_to_their_end(pieces in vec(select(&PIECES[..]), 0..60)) {
        check_reading(&pieces.concat());
    }

    #[test]
    fn a_sample_with_a_piece_put_in_or_cut_out_is_read_to_its_end(
        sample in select(samples()),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        piece in select(&PIECES[..]),
    ) {
        let mut chars: Vec<char> = sample.chars().collect();
        let at = at.index(chars.len());
        let end = (at + cut).min(chars.len());
        chars.splice(at..end, piece.chars());
        check_reading(&chars.into_iter().collect::<String>());
    }
}

/// A document that fits the schema in shape alone: each field present, with a value that no field takes,
/// so that the decoder has to look at every one.
fn skeleton(schema: &Value) -> Value {
    let of = |schema: &Value| schema.get("anyOf").map_or_else(|| skeleton(schema), |any| skeleton(&any[1]));
    match (schema.get("properties"), schema.get("additionalProperties"), schema.get("items")) {
        (Some(Value::Object(fields)), ..) => fields
            .iter()
            .map(|(name, field)| (name.clone(), of(field)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        (None, Some(values @ Value::Object(_)), _) => {
            // Names are free, or one of a few.
            let name = schema.pointer("/propertyNames/enum/0").and_then(Value::as_str).unwrap_or("x");
            serde_json::json!({ name: of(values) })
        }
        (None, _, Some(items)) => Value::Array(vec![of(items)]),
        _ => Value::Object(serde_json::Map::from_iter([("leaf".into(), Value::Null)])),
    }
}

/// Paths of the leaves of a skeleton.
fn leaves(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if fields.contains_key("leaf") => {
            into.insert(path.into());
        }
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            fields.iter().for_each(|(name, field)| leaves(field, &format!("{path}{dot}{name}"), into));
        }
        Value::Array(items) => leaves(&items[0], &format!("{path}[0]"), into),
        _ => unreachable!("a skeleton has no other values"),
    }
}

#[test]
fn the_decoder_takes_every_field_of_the_schema() {
    let skeleton = skeleton(&json_schema());
    let mut expected = BTreeSet::new();
    leaves(&skeleton, "", &mut expected);
    assert!(expected.len() > 40, "{expected:#?}");
    // JSON is YAML. Each leaf is a map where a single value must stand: a problem at its own path.
    let mut found = BTreeSet::new();
    for piece in pieces(&skeleton) {
        for problem in read(&piece.to_string()).unwrap_err().iter() {
            if problem.wrong.starts_with("a map stands where ") {
                found.insert(problem.path.clone());
            } else {
                // What stands in another piece, or in the file of another process.
                let elsewhere = [
                    "is missing",
                    "the service counts no event \"x\"",
                    "has no other control plane to connect to",
                ];
                assert!(elsewhere.iter().any(|text| problem.wrong.ends_with(text)), "{problem}");
            }
        }
    }
    assert_eq!(found, expected);
}

/// A skeleton in pieces that have fewer mistakes than one check names.
fn pieces(skeleton: &Value) -> Vec<Value> {
    let mut own = BTreeSet::new();
    leaves(skeleton, "", &mut own);
    match skeleton {
        Value::Object(fields) if own.len() > serin_config::limits::PROBLEMS_MAX / 2 => fields
            .iter()
            .flat_map(|(name, field)| {
                pieces(field).into_iter().map(move |piece| serde_json::json!({ name.clone(): piece }))
            })
            .collect(),
        whole => vec![whole.clone()],
    }
}

#[test]
fn the_schema_has_every_field_of_the_decoder() {
    use serin_config::raw;
    let schema = json_schema();
    let at = |path: &str| {
        let fields = schema.pointer(path).unwrap_or_else(|| panic!("{path} in the schema"));
        let fields = fields["properties"].as_object().unwrap();
        fields.keys().cloned().collect::<BTreeSet<_>>()
    };
    let service = "/properties/services/additionalProperties";
    let rollout = format!("{service}/properties/rollout");
    let guards = format!("{rollout}/properties/guards");
    for (path, fields) in [
        ("", raw::File::FIELDS),
        ("/properties/listeners/items", raw::Listener::FIELDS),
        ("/properties/listeners/items/properties/tls", raw::ListenerTls::FIELDS),
        (
            "/properties/listeners/items/properties/tls/properties/certificates/items",
            raw::CertificateFiles::FIELDS,
        ),
        ("/properties/routes/items", raw::Route::FIELDS),
        (service, raw::Service::FIELDS),
        (&format!("{service}/properties/versions/additionalProperties"), raw::Version::FIELDS),
        (
            &format!("{service}/properties/versions/additionalProperties/properties/tls"),
            raw::EndpointTls::FIELDS,
        ),
        (&format!("{service}/properties/sticky"), raw::Sticky::FIELDS),
        (&format!("{service}/properties/timeouts"), raw::Timeouts::FIELDS),
        (&rollout, raw::Rollout::FIELDS),
        (&format!("{rollout}/properties/steps/items"), raw::Step::FIELDS),
        (&guards, raw::Guards::FIELDS),
        (&format!("{guards}/properties/errors/anyOf/1"), raw::ErrorComparison::FIELDS),
        (&format!("{guards}/properties/latency/anyOf/1"), raw::LatencyComparison::FIELDS),
        (&format!("{guards}/properties/events/additionalProperties"), raw::EventGuard::FIELDS),
        (&format!("{rollout}/properties/steps/items/properties/pass"), raw::Margin::FIELDS),
        (&format!("{rollout}/properties/probe/anyOf/1"), raw::Probe::FIELDS),
        (&format!("{rollout}/properties/actions"), raw::Actions::FIELDS),
        (&format!("{rollout}/properties/blast_radius"), raw::BlastRadius::FIELDS),
        (&format!("{rollout}/properties/score"), raw::Score::FIELDS),
        (&format!("{service}/properties/events"), raw::Events::FIELDS),
        ("/properties/admin", raw::Admin::FIELDS),
        ("/properties/control", raw::Control::FIELDS),
        ("/properties/telemetry", raw::Telemetry::FIELDS),
        ("/properties/limits", raw::Limits::FIELDS),
        ("/properties/dns", raw::Dns::FIELDS),
        (&format!("{service}/properties/health/anyOf/1"), raw::Health::FIELDS),
        (&format!("{service}/properties/outlier/anyOf/1"), raw::Outlier::FIELDS),
    ] {
        assert_eq!(at(path), fields.iter().map(ToString::to_string).collect(), "{path}");
    }
}

#[test]
fn every_record_of_the_schema_is_closed_and_every_field_is_described() {
    fn walk(schema: &Value, path: &str) {
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            assert_eq!(schema["additionalProperties"], false, "{path}");
            for (name, field) in fields {
                let described = field["description"].as_str().is_some_and(|text| text.len() > 10);
                assert!(described, "{path}.{name} has no description");
            }
        }
        match schema {
            Value::Object(fields) => {
                fields.iter().for_each(|(name, inner)| walk(inner, &format!("{path}.{name}")));
            }
            Value::Array(items) => items.iter().for_each(|inner| walk(inner, path)),
            _ => {}
        }
    }
    let schema = json_schema();
    assert_eq!(schema["title"], "Serin configuration");
    // Which sections a file needs depends on what is started with it.
    assert_eq!(schema["required"], serde_json::json!([]));
    walk(&schema, "");
}
