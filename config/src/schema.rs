//! The JSON Schema of the file, for editors: completion, help and red lines while it is written. It knows
//! fields, types and forms; what must fit together is [`check`](crate::check)'s.

use serde_json::{Value, json};

use crate::raw::{self, decode::Decode};

/// The JSON Schema (draft 2020-12) of a configuration file.
pub fn json_schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Serin configuration",
    });
    if let (Some(into), Value::Object(file)) = (schema.as_object_mut(), raw::File::schema()) {
        into.extend(file);
    }
    schema
}
