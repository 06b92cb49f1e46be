//! One macro that makes a record of the file: a struct of [`Field`](super::decode::Field)s, its decoder and
//! its JSON Schema, all from one list of documented fields.
//!
//! A derive for each would read the list three times through three sets of attributes; here a field that
//! the decoder takes is in the schema by construction, and its doc comment is the editor's help text.

/// Declares records. A field marked `required` is so in the schema; the conversion says what is missing.
macro_rules! record {
    ($(
        $(#[doc = $doc:literal])*
        pub struct $record:ident {
            $($(#[doc = $field_doc:literal])* $($required:ident)? @ $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $record {
            $($(#[doc = $field_doc])* pub $field: $crate::raw::decode::Field<$type>,)*
        }

        impl $record {
            /// The names of its fields, in the order of the documentation.
            pub const FIELDS: &[&str] = &[$(stringify!($field)),*];
        }

        impl $crate::raw::decode::Decode for $record {
            fn decode(
                node: &$crate::tree::Node,
                place: &$crate::problem::Place,
                problems: &mut $crate::problem::Problems,
            ) -> Result<Self, $crate::problem::Reported> {
                let mut record = Self::default();
                let mut misspelt = Vec::new();
                for entry in $crate::raw::decode::entries(node, place, problems)? {
                    let path = place.path.key(&entry.key);
                    let at = $crate::problem::Place { at: entry.value.at, path: path.clone() };
                    match &*entry.key {
                        $(stringify!($field) => {
                            record.$field = $crate::raw::decode::Field::decode(&entry.value, at, problems);
                        })*
                        unknown => {
                            let reported = problems.add(
                                &$crate::problem::Place { at: entry.at, path },
                                format!("there is no field \"{}\" here", $crate::problem::shown(unknown)),
                                $crate::problem::Suggestion {
                                    text: unknown,
                                    kind: "fields",
                                    candidates: Self::FIELDS.iter().copied(),
                                },
                            );
                            let near = $crate::problem::nearest(unknown, Self::FIELDS.iter().copied());
                            misspelt.extend(near.map(|near| (near, reported)));
                        }
                    }
                }
                // What was misspelt is not missing too.
                for (near, reported) in misspelt {
                    match near {
                        $(stringify!($field) => record.$field.or_wrong(reported),)*
                        _ => {}
                    }
                }
                Ok(record)
            }

            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                $({
                    let mut schema = <$type as $crate::raw::decode::Decode>::schema();
                    schema["description"] = $crate::raw::record::prose(&[$($field_doc),*]).into();
                    properties.insert(stringify!($field).into(), schema);
                })*
                let required: &[&str] = &[$($($crate::raw::record::record!(@name $required $field),)?)*];
                serde_json::json!({
                    "type": "object",
                    "description": $crate::raw::record::prose(&[$($doc),*]),
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                })
            }
        }
    )*};
    (@name required $field:ident) => { stringify!($field) };
}

pub(crate) use record;

/// The lines of a doc comment as one paragraph.
pub(crate) fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
