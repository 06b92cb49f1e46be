//! The JSON Schema of the file, for editors: completion, help and red lines while it is written. It knows
//! fields, types and forms; what must fit together is [`check`](crate::check)'s.

use serde_json::{Value, json};

use crate::raw::{self, decode::Decode};

/// The JSON Schema (draft 2020-12) of a configuration file.
pub fn json_schema() -> Value {
    titled("Serin configuration", raw::File::schema())
}

/// That of a load's mix of requests.
pub fn mix() -> Value {
    titled("Requests of a load", raw::load::Mix::schema())
}

/// That of a gate's budgets.
pub fn budgets() -> Value {
    titled("Budgets of a gate", raw::load::Budgets::schema())
}

/// That of an experiment.
pub fn experiment() -> Value {
    titled("Experiment", raw::load::Experiment::schema())
}

fn titled(title: &str, of: Value) -> Value {
    let mut schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "title": title });
    if let (Some(into), Value::Object(file)) = (schema.as_object_mut(), of) {
        into.extend(file);
    }
    schema
}
