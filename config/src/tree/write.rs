//! A part of a document as text again, for others to read it by the same reader.
//!
//! In one form, whatever the file looked like: comments and layout are gone, and aliases are replaced by what they
//! stand for. What stood in quotes does so again, and only that and what could be taken for something else: a number
//! in quotes is not a number.

use std::fmt::Write;

use super::{Node, Value};

/// The entries of a map with these keys, as a document; none if that is longer than `bytes_max`.
pub fn sections(root: &Node, keys: &[&str], bytes_max: usize) -> Option<String> {
    let Value::Map(entries) = &root.value else { return None };
    let mut to = Text { text: String::new(), bytes_max };
    to.text.push('{');
    let mut first = true;
    for entry in entries.iter().filter(|entry| keys.contains(&&*entry.key)) {
        to.text.push_str(if first { "\n" } else { ",\n" });
        first = false;
        to.quoted(&entry.key);
        to.text.push_str(": ");
        to.node(&entry.value)?;
    }
    to.text.push_str("\n}\n");
    (to.text.len() <= bytes_max).then_some(to.text)
}

struct Text {
    text: String,
    bytes_max: usize,
}

impl Text {
    /// Aliases can make a small file a huge text, so the bound is looked at as it grows.
    fn node(&mut self, node: &Node) -> Option<()> {
        match &node.value {
            Value::Null => self.text.push_str("null"),
            Value::Scalar { text, quoted: false } if is_plain(text) => self.text.push_str(text),
            Value::Scalar { text, .. } => self.quoted(text),
            Value::List(items) => {
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.text.push_str(if at == 0 { "" } else { ", " });
                    self.node(item)?;
                }
                self.text.push(']');
            }
            Value::Map(entries) => {
                self.text.push('{');
                for (at, entry) in entries.iter().enumerate() {
                    self.text.push_str(if at == 0 { "" } else { ", " });
                    self.quoted(&entry.key);
                    self.text.push_str(": ");
                    self.node(&entry.value)?;
                }
                self.text.push('}');
            }
        }
        (self.text.len() <= self.bytes_max).then_some(())
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                ' '..='~' => self.text.push(c),
                // Writing to a String does not fail.
                _ => drop(write!(self.text, "\\U{:08x}", u32::from(c))),
            }
        }
        self.text.push('"');
    }
}

/// Whether it means the same without quotes, wherever it stands. Numbers, words, percentages and durations do.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'%' | b'_' | b'-'))
        && text != "null"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{problem::Problems, tree::parse};

    fn again(text: &str) -> String {
        let root = parse(text, &mut Problems::new("f")).unwrap();
        sections(&root, &["a", "b"], 10_000).unwrap()
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_and_is_then_written_alike() {
        let text = "
c: left out
b: &x [1, '1', 0.5%, 10ms, true, ~, null, 'null', \"a\\tb\\u0085\", é, {}, []]
a:
  'k: y': *x
  plain text, with: comma
"
        .replace("  plain text, with: comma\n", "  t: plain text\n  u: |\n    two\n    lines\n");
        let once = again(&text);
        assert_eq!(again(&once), once);
        let expected = r#"{
"b": [1, "1", 0.5%, 10ms, true, null, null, "null", "a\U00000009b\U00000085", "\U000000e9", {}, []],
"a": {"k: y": [1, "1", 0.5%, 10ms, true, null, null, "null", "a\U00000009b\U00000085", "\U000000e9", {}, []], "t": "plain text", "u": "two\U0000000alines\U0000000a"}
}
"#;
        assert_eq!(once, expected);
    }

    #[test]
    fn a_text_that_aliases_make_too_long_is_not_written() {
        let long = "x".repeat(600);
        let root = parse(&format!("a: [&l '{long}', *l]"), &mut Problems::new("f")).unwrap();
        assert!(sections(&root, &["a"], 1_000).is_none());
        assert!(sections(&root, &["a"], 2_000).is_some());
    }
}
