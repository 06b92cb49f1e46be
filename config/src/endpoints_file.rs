//! The text of a file that lists the endpoints of a version.
//!
//! Two forms: one address a line, as `echo >>` and templates write it, or a YAML list. `#` begins a comment in
//! both. A file without an address is refused, since that is what a file looks like while it is being
//! replaced; whoever means it writes `[]`.

use std::collections::HashSet;

use crate::{
    address::Address,
    limits::ENDPOINTS_MAX,
    problem::{Path, Place, Position, Problems, Reported},
    raw::decode::{Decode, Leaf, List},
    tree,
};

/// Reads the file; `file_name` is how problems name it.
///
/// # Errors
/// All that is wrong with it, by position. A file that is wrong is not used in part.
pub fn parse(text: &str, file_name: &str) -> Result<Vec<Address>, Problems> {
    let mut problems = Problems::new(file_name);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let listed = match first {
        // An IPv6 address begins as a YAML list does.
        Some(line) if line.starts_with(['-', '[']) && !is_address(line) => list(text, &mut problems),
        _ => Ok(lines(text, &mut problems)),
    };
    match listed {
        Ok(addresses) if problems.is_empty() => Ok(addresses),
        Ok(_) | Err(Reported { .. }) => Err(problems),
    }
}

fn is_address(line: &str) -> bool {
    line.split('#').next().unwrap_or_default().trim().parse::<Address>().is_ok()
}

fn list(text: &str, problems: &mut Problems) -> Result<Vec<Address>, Reported> {
    let root = tree::parse(text, problems)?;
    let top = Place { at: root.at, path: Path::TOP };
    let List(items) = List::<Address>::decode(&root, &top, problems)?;
    let mut taken = Taken::default();
    let given = items.into_iter().flatten();
    Ok(given.filter_map(|item| taken.take(item.value, &item.place, problems)).collect())
}

fn lines(text: &str, problems: &mut Problems) -> Vec<Address> {
    let mut taken = Taken::default();
    let mut addresses = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let place = Place { at: Position { line: number + 1, column: 1 }, path: Path::TOP };
        match <Address as Leaf>::read(line) {
            Ok(address) => addresses.extend(taken.take(address, &place, problems)),
            Err(fault) => {
                problems.add(&place, fault.wrong, fault.right);
            }
        }
    }
    if addresses.is_empty() && problems.is_empty() {
        let place = Place { at: Position::START, path: Path::TOP };
        problems.add(&place, "there is no address", "write one on each line, or [] if there shall be none");
    }
    addresses
}

/// Addresses that were seen. One that stands twice would get twice the traffic.
#[derive(Default)]
struct Taken(HashSet<Address>);

impl Taken {
    fn take(&mut self, address: Address, place: &Place, problems: &mut Problems) -> Option<Address> {
        if matches!(&address, Address::Tcp(tcp) if tcp.port() == 0) {
            let wrong = format!("{address} has no port that can be called");
            problems.add(place, wrong, "write the port that the version listens on");
            return None;
        }
        if self.0.len() == ENDPOINTS_MAX {
            problems.add(place, "there are too many addresses", format!("write at most {ENDPOINTS_MAX}"));
            return None;
        }
        if !self.0.insert(address.clone()) {
            problems.add(place, format!("{address} stands twice"), "write each address once");
            return None;
        }
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Vec<String>> {
        let shown = |addresses: Vec<Address>| addresses.iter().map(ToString::to_string).collect();
        parse(text, "e").map(shown).map_err(|problems| problems.lines())
    }

    #[test]
    fn lines_and_a_list_say_the_same() {
        let expected = Ok(vec!["127.0.0.1:1".to_owned(), "[::1]:2".into(), "unix:/a.sock".into()]);
        assert_eq!(read("# ours\n127.0.0.1:1\n\n[::1]:2 # six\r\nunix:/a.sock"), expected);
        assert_eq!(read("- 127.0.0.1:1\n- \"[::1]:2\"\n- unix:/a.sock\n"), expected);
        assert_eq!(read("# c\n[127.0.0.1:1, \"[::1]:2\", unix:/a.sock]"), expected);
    }

    #[test]
    fn a_line_may_begin_with_a_bracket_of_ipv6() {
        assert_eq!(read("[::1]:2\n127.0.0.1:1"), Ok(vec!["[::1]:2".to_owned(), "127.0.0.1:1".into()]));
    }

    #[test]
    fn none_at_all_must_be_meant() {
        assert_eq!(read("[]"), Ok(vec![]));
        assert!(read("").unwrap_err()[0].contains("there is no address"));
        assert!(read("# only\n").unwrap_err()[0].contains("[] if there shall be none"));
    }

    #[test]
    fn each_mistake_is_named_with_its_line() {
        let problems = read("127.0.0.1:1\nlocalhost:1\n127.0.0.1:0\n127.0.0.1:1\n").unwrap_err();
        let begins: Vec<_> = problems.iter().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(begins, ["e:2:1", "e:3:1", "e:4:1"], "{problems:#?}");
        assert!(read("- 127.0.0.1:1\n- nonsense\n").unwrap_err()[0].starts_with("e:2:3: [1]: "));
        assert!(read("[127.0.0.1").is_err());
        assert!(read("{ a: b }").is_err());
    }

    #[test]
    fn the_number_of_addresses_is_bounded() {
        let many: String = (1..=ENDPOINTS_MAX + 1).map(|port| format!("127.0.0.1:{port}\n")).collect();
        assert!(read(&many).unwrap_err()[0].contains("too many"));
    }
}
