//! Where what is kept stands in etcd.
//!
//! A value has a name such as `record/shop`, and stands in one key or more: etcd takes requests of 1.5 MiB at most, so
//! a larger value is cut into pieces, `record/shop/0000`, `record/shop/0001`. Pieces of one value are only ever
//! written together, so they are put together again in their order and nothing has to say how many there are.
//!
//! | key | what |
//! |---|---|
//! | `PREFIX/data/meta/0000` | generation, next rollout, and whether a large commit is under way |
//! | `PREFIX/data/record/SERVICE/…` | what was decided for a service |
//! | `PREFIX/data/evidence/SERVICE/…` | the evidence of its rollout in progress |
//! | `PREFIX/data/ended/SERVICE/ID/…` | an ended rollout |
//! | `PREFIX/data/journal/SEQUENCE/…` | a decision |
//! | `PREFIX/data/fact/NAME/…` | whatever else |
//! | `PREFIX/data/sizes/…` | which chunks of windows are kept, and how large they are |
//! | `PREFIX/large/COMMIT/…` | a commit that is larger than one transaction |
//! | `PREFIX/leader` | who leads; goes with its lease |
//! | `PREFIX/windows/ROLLOUT/CHUNK/…` | a chunk of windows; not part of what followers watch, so it stands behind all that is |

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};
use serin_config::{Generation, limits::ETCD_PIECE_BYTES_MAX};

/// The layout above.
pub(crate) const SCHEMA: u64 = 1;
pub(crate) const META: &str = "data/meta";
pub(crate) const SIZES: &str = "data/sizes";
pub(crate) const DATA: &str = "data/";
pub(crate) const LARGE: &str = "large/";

/// What every commit writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) schema: u64,
    pub(crate) generation: Generation,
    pub(crate) next_rollout: u64,
    /// Which commit wrote it; so one whose answer was lost is known again.
    pub(crate) commit: String,
    /// How many pieces a large commit has that holds already, but whose values may not all be in their places yet;
    /// its name is that of the commit.
    pub(crate) large: Option<usize>,
}

/// A change of one key, or of one value by its name.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Change {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    /// None to remove it.
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) value: Option<Vec<u8>>,
}

/// Many changes, as a large commit holds them.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Changes {
    #[prost(message, repeated, tag = "1")]
    pub(crate) changes: Vec<Change>,
}

/// The prefix that all keys of one fleet have.
#[derive(Debug, Clone)]
pub(crate) struct Prefix(String);

impl Prefix {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(format!("{}/", prefix.trim_matches('/')))
    }

    /// The key of a name.
    pub(crate) fn key(&self, name: &str) -> Vec<u8> {
        format!("{}{name}", self.0).into_bytes()
    }

    /// The name of a key; none if it is not one of ours.
    pub(crate) fn name<'a>(&self, key: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(key).ok()?.strip_prefix(&self.0)
    }

    /// Who leads.
    pub(crate) fn leader(&self) -> Vec<u8> {
        self.key("leader")
    }

    /// All but the windows: what a follower watches.
    pub(crate) fn watched(&self) -> (Vec<u8>, Vec<u8>) {
        (self.key(DATA), after(&self.leader()))
    }

    /// The keys that begin so, as a range.
    pub(crate) fn range(&self, begin: &str) -> (Vec<u8>, Vec<u8>) {
        let key = self.key(begin);
        let end = after(&key);
        (key, end)
    }
}

/// The first key after all that begin so.
fn after(begin: &[u8]) -> Vec<u8> {
    let mut end = begin.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0]
}

/// A piece's own name.
pub(crate) fn piece(name: &str, number: usize) -> String {
    format!("{name}/{number:04x}")
}

/// The name of the value that a piece belongs to, and its number; none where it is no piece.
pub(crate) fn whole(piece: &str) -> Option<(&str, usize)> {
    let (name, number) = piece.rsplit_once('/')?;
    Some((name, usize::from_str_radix(number, 16).ok()?))
}

/// How many pieces there are of each value.
pub(crate) type Pieces = BTreeMap<String, usize>;

/// Turns changes of values into changes of pieces, and keeps count of what there is.
pub(crate) fn in_pieces(changes: Vec<Change>, there: &mut Pieces) -> Vec<Change> {
    let mut pieces = Vec::new();
    for Change { name, value } in changes {
        let before = there.get(&name).copied().unwrap_or_default();
        let mut now = 0;
        if let Some(value) = value {
            let mut rest = value.as_slice();
            loop {
                let (first, more) = rest.split_at(rest.len().min(ETCD_PIECE_BYTES_MAX));
                pieces.push(Change { name: piece(&name, now), value: Some(first.to_vec()) });
                now += 1;
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
        }
        pieces.extend((now..before).map(|number| Change { name: piece(&name, number), value: None }));
        match now {
            0 => drop(there.remove(&name)),
            _ => drop(there.insert(name, now)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, bytes: Option<usize>) -> Change {
        Change { name: name.into(), value: bytes.map(|bytes| vec![7; bytes]) }
    }

    fn names(pieces: &[Change]) -> Vec<(&str, Option<usize>)> {
        pieces.iter().map(|piece| (piece.name.as_str(), piece.value.as_ref().map(Vec::len))).collect()
    }

    #[test]
    fn a_large_value_stands_in_pieces_and_what_it_no_longer_needs_is_removed() {
        let mut there = Pieces::new();
        let most = ETCD_PIECE_BYTES_MAX;
        let first = in_pieces(vec![change("fact/a/b", Some(2 * most + 1))], &mut there);
        assert_eq!(
            names(&first),
            [("fact/a/b/0000", Some(most)), ("fact/a/b/0001", Some(most)), ("fact/a/b/0002", Some(1))]
        );
        let smaller = in_pieces(vec![change("fact/a/b", Some(most))], &mut there);
        assert_eq!(
            names(&smaller),
            [("fact/a/b/0000", Some(most)), ("fact/a/b/0001", None), ("fact/a/b/0002", None)]
        );
        let gone = in_pieces(vec![change("fact/a/b", None)], &mut there);
        assert_eq!(names(&gone), [("fact/a/b/0000", None)]);
        assert!(there.is_empty());
        assert_eq!(names(&in_pieces(vec![change("x", Some(0))], &mut there)), [("x/0000", Some(0))]);
    }

    #[test]
    fn a_piece_knows_what_it_belongs_to_whatever_its_name_holds() {
        assert_eq!(whole("data/fact/seen/x/000a"), Some(("data/fact/seen/x", 10)));
        assert_eq!(whole("leader"), None);
    }

    #[test]
    fn a_range_holds_what_begins_so_and_nothing_else() {
        let prefix = Prefix::new("/serin/");
        let (from, to) = prefix.range("data/");
        assert_eq!((from.as_slice(), to.as_slice()), (&b"serin/data/"[..], &b"serin/data0"[..]));
        assert_eq!(prefix.name(b"serin/data/x"), Some("data/x"));
        assert_eq!(prefix.name(b"other/data/x"), None);
        assert_eq!(after(&[1, 255]), [2]);
    }
}
