//! Events → nodes: an open list or map is a frame on a stack, and is put into the frame below once it ends.

use std::{collections::HashMap, rc::Rc};

use saphyr_parser::{Event, ScalarStyle, Tag};

use super::{Entry, Node, Value};
use crate::{
    limits::{CONFIG_DEPTH_MAX, CONFIG_NODES_MAX},
    problem::{Path, Place, Position, Problems, Reported, shown, shown_up_to},
};

/// A tree in the making.
pub(super) struct Builder<'p> {
    problems: &'p mut Problems,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

/// A list or map that is still open.
struct Frame {
    at: Position,
    path: Path,
    anchor: usize,
    nodes: usize,
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<Entry>, seen: HashMap<Rc<str>, Position>, key: Option<Key> },
}

/// A key whose value is still to come; `keep` is false where the entry has been reported as wrong.
struct Key {
    text: Rc<str>,
    at: Position,
    keep: bool,
}

impl<'p> Builder<'p> {
    /// Nothing yet.
    pub(super) fn new(problems: &'p mut Problems) -> Self {
        Self { problems, stack: Vec::new(), anchors: HashMap::new(), root: None }
    }

    /// The root, if there was a document.
    pub(super) fn finish(self) -> Option<Rc<Node>> {
        self.root
    }

    /// Takes the next event; the error ends the reading.
    pub(super) fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Reported> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_none() => Ok(()),
            Event::DocumentStart(_) => Err(self.problems.add(
                &Place { at, path: Path::TOP },
                "a second document begins here",
                "keep one document in the file, without \"---\" or \"...\" in its midst",
            )),
            Event::Alias(id) => self.alias(id, at),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let quoted = style != ScalarStyle::Plain;
                let null = !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                // An empty value has no text of its own: its key is what can be pointed at.
                let at = if text.is_empty() && !quoted { self.key_at().unwrap_or(at) } else { at };
                let as_key = self.at_key().then(|| Rc::from(&*text));
                let value = if null { Value::Null } else { Value::Scalar { text: Rc::from(&*text), quoted } };
                let node = self.anchored(anchor, Node::leaf(at, value));
                match as_key {
                    Some(text) => self.key(Some(text), at),
                    None => self.attach(node),
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open(at, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.open(at, anchor, Content::Map { entries, seen, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    /// Reports that the text is not YAML.
    pub(super) fn broken(&mut self, at: Position, info: &str) -> Reported {
        let place = self.place(at);
        self.problems.add(
            &place,
            format!("this is not YAML: {}", shown_up_to(200, info)),
            "check indentation, quotes and brackets here and in the line above",
        )
    }

    /// Whether the next node is the key of an entry.
    fn at_key(&self) -> bool {
        matches!(self.stack.last().map(|frame| &frame.content), Some(Content::Map { key: None, .. }))
    }

    fn key_at(&self) -> Option<Position> {
        match self.stack.last().map(|frame| &frame.content) {
            Some(Content::Map { key: Some(key), .. }) => Some(key.at),
            _ => None,
        }
    }

    /// The path of the node that comes next.
    fn path(&self) -> Path {
        match self.stack.last() {
            None => Path::TOP,
            Some(frame) => match &frame.content {
                Content::List(items) => frame.path.index(items.len()),
                Content::Map { key: Some(key), .. } => frame.path.key(&key.text),
                Content::Map { .. } => frame.path.clone(),
            },
        }
    }

    fn place(&self, at: Position) -> Place {
        Place { at, path: self.path() }
    }

    fn open(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), Reported> {
        if self.stack.len() >= CONFIG_DEPTH_MAX {
            return Err(self.too_deep(at));
        }
        let path = self.path();
        self.stack.push(Frame { at, path, anchor, nodes: 1, height: 1, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Reported> {
        let Some(Frame { at, path: _, anchor, nodes, height, content }) = self.stack.pop() else {
            return Ok(());
        };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        let node = self.anchored(anchor, Node { at, value, nodes, height });
        if self.at_key() { self.key(None, at) } else { self.attach(node) }
    }

    /// Takes the key of an entry; `None` is a key that is not text.
    fn key(&mut self, text: Option<Rc<str>>, at: Position) -> Result<(), Reported> {
        let mut place = self.place(at);
        let Some(Frame { content: Content::Map { seen, key, .. }, .. }) = self.stack.last_mut() else {
            return Ok(());
        };
        let mut keep = true;
        let text = text.unwrap_or_else(|| {
            self.problems.add(&place, "a list or map stands as a key", "a key is a name");
            keep = false;
            "?".into()
        });
        place.path = place.path.key(&text);
        if keep && &*text == "<<" {
            self.problems.add(
                &place,
                "merge keys are not supported",
                "write the fields out, or use an alias (*name) for the whole value",
            );
            keep = false;
        }
        if keep && let Some(first) = seen.insert(text.clone(), at) {
            self.problems.add(
                &place,
                format!("\"{}\" stands twice: first in line {}", shown(&text), first.line),
                "keep one of the two",
            );
            keep = false;
        }
        *key = Some(Key { text, at, keep });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn attach(&mut self, node: Rc<Node>) -> Result<(), Reported> {
        let alone = self.stack.is_empty();
        let (at, depth) = (node.at, self.stack.len() + node.height - 1);
        if depth > CONFIG_DEPTH_MAX {
            return Err(self.too_deep(at));
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.nodes += node.nodes;
            frame.height = frame.height.max(node.height + 1);
            match &mut frame.content {
                Content::List(items) => items.push(node.clone()),
                Content::Map { entries, key, .. } => {
                    if let Some(Key { text, at, keep: true }) = key.take() {
                        entries.push(Entry { key: text, at, value: node.clone() });
                    }
                }
            }
        }
        if alone {
            self.root = Some(node);
        }
        // What is closed has been added to its parent: the open frames together hold all that there is.
        if self.stack.iter().map(|frame| frame.nodes).sum::<usize>() > CONFIG_NODES_MAX {
            return Err(self.too_many(at));
        }
        Ok(())
    }

    fn anchored(&mut self, anchor: usize, node: Node) -> Rc<Node> {
        let node = Rc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Reported> {
        if let Some(node) = self.anchors.get(&id).cloned() {
            return match (self.at_key(), &node.value) {
                (true, Value::Scalar { text, .. }) => self.key(Some(text.clone()), at),
                (true, _) => self.key(None, at),
                (false, _) => self.attach(node),
            };
        }
        let place = self.place(at);
        Err(self.problems.add(&place, "this alias stands within its own anchor", "write the value out"))
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if let Some(tag) = tag {
            let place = self.place(at);
            let wrong = format!("the tag {} is not supported", shown(&tag.to_string()));
            self.problems.add(&place, wrong, "remove it: each field has one type");
        }
    }

    fn too_deep(&mut self, at: Position) -> Reported {
        let place = self.place(at);
        self.problems.add(
            &place,
            "the nesting is too deep",
            format!("a configuration has at most {CONFIG_DEPTH_MAX} levels"),
        )
    }

    fn too_many(&mut self, at: Position) -> Reported {
        let place = self.place(at);
        self.problems.add(
            &place,
            "the file is too large once its aliases are expanded",
            format!("a configuration has at most {CONFIG_NODES_MAX} nodes"),
        )
    }
}
