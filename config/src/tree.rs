//! YAML text → a tree whose nodes know where they stand.
//!
//! Built from the parser's events instead of by a deserializer: a deserializer stops at the first error and
//! forgets positions, while a check must name all mistakes with line and column. Scalars keep their text, so
//! a version named `1.10` stays `1.10`.
//!
//! The format is YAML 1.2 with anchors and aliases, without what makes a file mean something else than it
//! seems to: tags, merge keys, duplicate keys and second documents are problems. An alias shares its node;
//! its whole size counts against the bounds, so a small file can't expand into a huge one.

mod build;
mod write;

use std::rc::Rc;

use saphyr_parser::{Marker, Parser};

pub use self::write::sections;

use self::build::Builder;
use crate::{
    limits::CONFIG_BYTES_MAX,
    problem::{Path, Place, Position, Problems, Reported},
};

/// A node of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where its text begins.
    pub at: Position,
    /// What it holds.
    pub value: Value,
    nodes: usize,
    height: usize,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text.
    Scalar {
        /// As written, without quotes and with escapes resolved.
        text: Rc<str>,
        /// Whether it stood in quotes or in a block.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Rc<Node>>),
    /// A mapping, in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Rc<str>,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub value: Rc<Node>,
}

impl Node {
    fn leaf(at: Position, value: Value) -> Self {
        Self { at, value, nodes: 1, height: 1 }
    }

    /// What the node is, for a message.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads one document. What can be read around is reported and read around (a duplicate key, a tag); what
/// leaves no tree behind is the error.
pub fn parse(text: &str, problems: &mut Problems) -> Result<Rc<Node>, Reported> {
    let top = Place { at: Position::START, path: Path::TOP };
    if text.len() > CONFIG_BYTES_MAX {
        return Err(problems.add(
            &top,
            format!("the file has {} bytes", text.len()),
            format!("a configuration has at most {CONFIG_BYTES_MAX}"),
        ));
    }
    check_characters(text, problems)?;
    let lines = Lines::of(text);
    let mut builder = Builder::new(problems);
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        match next {
            Ok((event, span)) => {
                builder.take(event, lines.position(span.start))?;
            }
            Err(error) => {
                return Err(builder.broken(lines.position(*error.marker()), error.info()));
            }
        }
    }
    Ok(builder.finish().unwrap_or_else(|| Rc::new(Node::leaf(Position::START, Value::Null))))
}

/// The parser takes NUL for the end of the file; what followed would be ignored without a word. A carriage
/// return alone is a line end to it and to few editors, so that positions would not agree.
fn check_characters(text: &str, problems: &mut Problems) -> Result<(), Reported> {
    let mut at = Position::START;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_line = c == '\r' && chars.peek() == Some(&'\n');
        if c == '\n' {
            at = Position { line: at.line + 1, column: 1 };
        } else if c.is_control() && !ends_line && !matches!(c, '\t' | '\u{85}') {
            return Err(problems.add(
                &Place { at, path: Path::TOP },
                format!("the control character {} stands in the text", c.escape_default()),
                "remove it, or write it as an escape in double quotes",
            ));
        } else {
            at.column += 1;
        }
    }
    Ok(())
}

/// The lengths of the lines, in characters. The parser's marks count from zero, and are past the text at its
/// end; here they become positions that an editor can go to.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.split('\n').map(|line| line.trim_end_matches('\r').chars().count()).collect())
    }

    fn position(&self, mark: Marker) -> Position {
        let last = self.0.len();
        let end = |line: usize| self.0.get(line - 1).map_or(1, |length| length + 1);
        match mark.line().max(1) {
            line if line > last => Position { line: last, column: end(last) },
            line => Position { line, column: (mark.col() + 1).min(end(line)) },
        }
    }
}
