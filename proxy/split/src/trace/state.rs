//! The `tracestate` header (W3C Trace Context level 2, 3.3) of a request whose `traceparent` we change.
//!
//! Serin has nothing of its own to say there, so a good list goes on as it came; several lines become one,
//! in their order. A list that is broken or has more members than it may is taken away whole, as the
//! specification allows: a part of it could mean something else. Length is bounded by the head alone; the
//! specification asks for 512 characters at least.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The most members of a list.
const MEMBERS_MAX: usize = 32;
/// The longest key, and the longest value.
const PART_MAX: usize = 256;

/// Makes one good line of what came, or none.
pub(super) fn tidy(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(TRACESTATE).iter();
    let Some(first) = lines.next() else { return };
    let several = lines.next().is_some();
    let good = if several { None } else { members(first.as_bytes()) };
    if good.is_some_and(|members| members > 0) {
        return;
    }
    let joined = if several { join(headers) } else { None };
    match joined {
        Some(line) => drop(headers.insert(TRACESTATE, line)),
        None => drop(headers.remove(TRACESTATE)),
    }
}

fn join(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut joined = Vec::new();
    for line in headers.get_all(TRACESTATE) {
        let line = line.as_bytes().trim_ascii();
        if !line.is_empty() {
            if !joined.is_empty() {
                joined.push(b',');
            }
            joined.extend_from_slice(line);
        }
    }
    let good = members(&joined).is_some_and(|members| members > 0);
    good.then(|| HeaderValue::from_maybe_shared(joined).ok()).flatten()
}

/// How many members a list has; none if it is broken or has too many.
fn members(list: &[u8]) -> Option<usize> {
    let each = list.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
    let members = each.map(is_member).try_fold(0, |sum, good| good.then_some(sum + 1))?;
    (members <= MEMBERS_MAX).then_some(members)
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = member.iter().position(|b| *b == b'=') else { return false };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    let key_char = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let good_key = key.first().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && key.len() <= PART_MAX
        && key.iter().all(key_char);
    let good_value = !value.is_empty()
        && value.len() <= PART_MAX
        && value.iter().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b',' | b'='));
    good_key && good_value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tidied(lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(TRACESTATE, line.parse().unwrap());
        }
        tidy(&mut headers);
        headers.get_all(TRACESTATE).iter().map(|line| line.to_str().unwrap().into()).collect()
    }

    #[test]
    fn one_good_line_stays_byte_for_byte() {
        for line in ["foo=1", "foo=1,bar=2", "foo=1 ,\tbar=2", "foo=1,", "a@b=x y", "0a=1", "foo=1,foo=2"] {
            assert_eq!(tidied(&[line]), [line]);
        }
    }

    #[test]
    fn several_lines_become_one_in_their_order() {
        assert_eq!(tidied(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]), ["foo=1,bar=2,rojo=1,congo=2,baz=3"]);
        assert_eq!(tidied(&["foo=1", ""]), ["foo=1"]);
        assert_eq!(tidied(&["", "foo=1"]), ["foo=1"]);
    }

    #[test]
    fn a_list_that_is_broken_or_empty_goes_whole() {
        let long = format!("foo={}", "v".repeat(257));
        for line in [
            "",
            " ",
            ",",
            "foo",
            "foo=",
            "=1",
            "foo =1",
            "FOO=1",
            "foo.bar=1",
            "foo@=1=",
            "_a=1",
            "foo=bar=baz",
            "foo=1,bar",
            &long,
        ] {
            assert!(tidied(&[line]).is_empty(), "{line:?}");
        }
        assert!(tidied(&["foo=1", "BAR=2"]).is_empty());
    }

    #[test]
    fn a_list_has_at_most_thirty_two_members() {
        let list = |members: usize| (0..members).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        assert_eq!(tidied(&[&list(32)]).len(), 1);
        assert!(tidied(&[&list(33)]).is_empty());
        assert!(tidied(&[&list(20), &list(13)]).is_empty());
    }

    #[test]
    fn keys_and_values_of_256_characters_are_kept() {
        let line = format!("{}={}", "k".repeat(256), "v".repeat(256));
        assert_eq!(tidied(&[&line]), [line]);
    }

    proptest! {
        #[test]
        fn what_goes_on_is_one_line_of_good_members(lines in proptest::collection::vec("[ -~]{0,60}", 0..4)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let tidy = tidied(&lines);
            prop_assert!(tidy.len() <= 1);
            prop_assert!(tidy.iter().all(|line| members(line.as_bytes()).is_some_and(|n| n > 0)));
        }
    }
}
