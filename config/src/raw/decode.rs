//! Node → raw value: the few shapes that everything in the file is made of.
//!
//! A shape knows how to read itself and how to describe itself as JSON Schema, so the two can't drift
//! apart. A field is [`Field::Absent`], [`Field::Wrong`] or [`Field::Given`]; the second is what keeps one
//! mistake from being reported again as its own consequence.

use serde_json::{Value as Json, json};

use crate::{
    problem::{Place, Problems, Reported, shown},
    tree::{Node, Value},
};

/// What can be read from a node.
pub trait Decode: Sized {
    /// Reads the node at `place`; on failure all that is wrong has been reported.
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported>;

    /// Its JSON Schema.
    fn schema() -> Json;
}

/// What a single value can be read as.
pub trait Leaf: Sized {
    /// What is expected, for a message: `a duration such as 250ms`.
    const EXPECTED: &'static str;
    /// Whether quotes around it would make it something else: numbers, `true`, `off`.
    const PLAIN: bool = false;
    /// Whether `${…}` is replaced in it.
    const SECRET: bool = false;

    /// Reads the text.
    fn read(text: &str) -> Result<Self, Fault>;

    /// Its JSON Schema.
    fn schema() -> Json;
}

/// Why a single value is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl Fault {
    pub(crate) fn new(wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), right: right.into() }
    }
}

/// A value and where it stood.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// Where its text begins, and the way to it.
    pub place: Place,
    /// The value.
    pub value: T,
}

/// A field of a record.
#[derive(Debug, Clone, Default)]
pub enum Field<T> {
    /// It is not in the file.
    #[default]
    Absent,
    /// It is, and it was reported as wrong.
    Wrong(Reported),
    /// It is.
    Given(Spanned<T>),
}

impl<T> Field<T> {
    /// The value where there is one.
    pub fn given(&self) -> Option<&Spanned<T>> {
        if let Self::Given(spanned) = self { Some(spanned) } else { None }
    }

    /// The value if any; the error is one that was reported.
    pub fn optional(self) -> Result<Option<Spanned<T>>, Reported> {
        match self {
            Self::Absent => Ok(None),
            Self::Wrong(reported) => Err(reported),
            Self::Given(spanned) => Ok(Some(spanned)),
        }
    }

    /// The bare value, or `default` where the file has none.
    pub fn or(self, default: T) -> Result<T, Reported> {
        self.optional().map(|given| given.map_or(default, |spanned| spanned.value))
    }

    /// The value; its absence is a problem of the record at `place`.
    pub fn required(
        self,
        name: &str,
        place: &Place,
        problems: &mut Problems,
        right: &str,
    ) -> Result<Spanned<T>, Reported> {
        self.optional()?.ok_or_else(|| problems.add(place, format!("\"{name}\" is missing"), right))
    }

    /// An absent field becomes one that was reported.
    pub(crate) fn or_wrong(&mut self, reported: Reported) {
        if matches!(self, Self::Absent) {
            *self = Self::Wrong(reported);
        }
    }

    pub(crate) fn decode(node: &Node, place: Place, problems: &mut Problems) -> Self
    where
        T: Decode,
    {
        match read(node, place, problems) {
            Ok(spanned) => Self::Given(spanned),
            Err(reported) => Self::Wrong(reported),
        }
    }
}

/// An element: a value with its place, or the report of why there is none.
pub type Element<T> = Result<Spanned<T>, Reported>;

fn read<T: Decode>(node: &Node, place: Place, problems: &mut Problems) -> Element<T> {
    T::decode(node, &place, problems).map(|value| Spanned { place, value })
}

impl<T: Leaf> Decode for T {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        read_leaf(node).map_err(|fault| problems.add(place, fault.wrong, fault.right))
    }

    fn schema() -> Json {
        <T as Leaf>::schema()
    }
}

fn read_leaf<T: Leaf>(node: &Node) -> Result<T, Fault> {
    let expected = || format!("write {}", T::EXPECTED);
    let Value::Scalar { text, quoted } = &node.value else {
        let wrong = match node.value {
            Value::Null => "there is no value".into(),
            _ => format!("{} stands where {} must", node.kind(), T::EXPECTED),
        };
        return Err(Fault::new(wrong, expected()));
    };
    read_text(text, *quoted)
}

fn read_text<T: Leaf>(text: &str, quoted: bool) -> Result<T, Fault> {
    if !T::SECRET && text.contains("${") {
        return Err(Fault::new(
            "\"${…}\" is replaced in secrets only (control.token, telemetry.otlp.headers)",
            format!("write {}", T::EXPECTED),
        ));
    }
    if T::PLAIN && quoted {
        let wrong = format!("\"{}\" is text, since it stands in quotes", shown(text));
        return Err(Fault::new(wrong, format!("write {} without quotes", T::EXPECTED)));
    }
    T::read(text)
}

/// A list; an element that is wrong does not hide the others.
#[derive(Debug, Clone)]
pub struct List<T>(pub Vec<Element<T>>);

impl<T: Decode> Decode for List<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        let Value::List(items) = &node.value else {
            let wrong = format!("{} stands where a list must", node.kind());
            return Err(problems.add(place, wrong, "write [a, b], or each element on a line after \"- \""));
        };
        let each = items
            .iter()
            .enumerate()
            .map(|(index, item)| read(item, Place { at: item.at, path: place.path.index(index) }, problems));
        Ok(Self(each.collect()))
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// A map from names to values, in the order of the file.
#[derive(Debug, Clone)]
pub struct Named<K, T>(pub Vec<NamedEntry<K, T>>);

/// One entry of a [`Named`].
#[derive(Debug, Clone)]
pub struct NamedEntry<K, T> {
    /// The key as written.
    pub text: String,
    /// The name, at the key's place.
    pub name: Element<K>,
    /// The value, at its own place.
    pub value: Element<T>,
    /// The place of the key.
    pub place: Place,
}

impl<K: Leaf, T: Decode> Decode for Named<K, T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        let entries = entries(node, place, problems)?;
        let each = entries.iter().map(|entry| {
            let path = place.path.key(&entry.key);
            let place = Place { at: entry.at, path: path.clone() };
            let name = match read_text::<K>(&entry.key, false) {
                Ok(value) => Ok(Spanned { place: place.clone(), value }),
                Err(fault) => Err(problems.add(&place, fault.wrong, fault.right)),
            };
            let value = read(&entry.value, Place { at: entry.value.at, path }, problems);
            NamedEntry { text: entry.key.as_ref().into(), name, value, place }
        });
        Ok(Self(each.collect()))
    }

    fn schema() -> Json {
        json!({ "type": "object", "propertyNames": <K as Leaf>::schema(), "additionalProperties": T::schema() })
    }
}

/// A thing that is on by default: `off`, or its own settings.
#[derive(Debug, Clone)]
pub enum Switch<T> {
    /// Switched off.
    Off,
    /// On, with these settings.
    On(T),
}

impl<T: Decode> Decode for Switch<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        match &node.value {
            Value::Scalar { text, quoted: false } if matches!(&**text, "off" | "false") => Ok(Self::Off),
            Value::Scalar { text, .. } => Err(problems.add(
                place,
                format!("\"{}\" is neither \"off\" nor settings", shown(text)),
                "write off without quotes, or { … } with the settings to change",
            )),
            _ => T::decode(node, place, problems).map(Self::On),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "enum": ["off", false] }, T::schema()] })
    }
}

/// A thing that is off by default: `on` with its defaults, `off`, or its own settings.
#[derive(Debug, Clone)]
pub enum Toggle<T> {
    /// Switched off.
    Off,
    /// On, with these settings.
    On(T),
}

impl<T: Decode + Default> Decode for Toggle<T> {
    fn decode(node: &Node, place: &Place, problems: &mut Problems) -> Result<Self, Reported> {
        match &node.value {
            Value::Scalar { text, quoted: false } if matches!(&**text, "off" | "false") => Ok(Self::Off),
            Value::Scalar { text, quoted: false } if matches!(&**text, "on" | "true") => {
                Ok(Self::On(T::default()))
            }
            Value::Scalar { text, .. } => Err(problems.add(
                place,
                format!("\"{}\" is neither \"on\" nor \"off\" nor settings", shown(text)),
                "write on or off without quotes, or { … } with the settings to change",
            )),
            _ => T::decode(node, place, problems).map(Self::On),
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "enum": ["on", "off", true, false] }, T::schema()] })
    }
}

/// The entries of a node that must be a map; nothing at all is a map without entries.
pub(crate) fn entries<'n>(
    node: &'n Node,
    place: &Place,
    problems: &mut Problems,
) -> Result<&'n [crate::tree::Entry], Reported> {
    match &node.value {
        Value::Map(entries) => Ok(entries),
        Value::Null => Ok(&[]),
        _ => {
            let wrong = format!("{} stands where a map must", node.kind());
            Err(problems.add(place, wrong, "write { name: value }, or each \"name: value\" on a line"))
        }
    }
}
