//! One meaning for each path.
//!
//! Routes are compared with a normalised copy (RFC 3986, 6.2.2: unreserved characters decoded, dot segments
//! removed; runs of slashes merged), so that `/public/../admin` is judged as `/admin`, while the endpoint gets the
//! path as it was sent. That is safe only as long as both read the path alike. Where servers are known to differ,
//! the request is refused: a client that means no harm has no use for such a path, and which route it belongs to
//! would depend on who reads it. An encoded slash alone is data, since names of packages and branches are sent so;
//! but not where decoding it would make a dot segment.

use std::borrow::Cow;

use http::StatusCode;

use crate::vet::Refusal;

const fn ambiguous(detail: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, detail }
}

/// Refused everywhere: the root has no parent.
const ABOVE_ROOT: Refusal = ambiguous("the path leads above its root");
/// What follows it may become an escape by being decoded itself: `%2%44e`.
const BROKEN_ESCAPE: Refusal = ambiguous("the path has a percent sign without two hexadecimal digits");
const NUL: Refusal = ambiguous("the path has an encoded NUL");
const BACKSLASH: Refusal = ambiguous("the path has a backslash, which some take for a slash");
const HIDDEN_DOTS: Refusal =
    ambiguous("the path has a dot segment beside an encoded slash or backslash, or before a semicolon");
const EMPTY_PARENT: Refusal = ambiguous("the path has \"..\" that leads to an empty segment");

/// The path in normal form, or why it has none. `path` begins with a slash.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Refusal> {
    if is_plain(path) { Ok(Cow::Borrowed(path)) } else { normalised(path).map(Cow::Owned) }
}

/// Whether there is nothing to normalise, as in most paths: one look at each byte.
fn is_plain(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|b| {
        let odd = matches!(b, b'%' | b'\\') || (before == b'/' && matches!(b, b'/' | b'.'));
        before = b;
        !odd
    })
}

fn normalised(path: &str) -> Result<String, Refusal> {
    let decoded = decode_unreserved(path)?;
    // Empty segments stay until the end: whoever does not merge slashes would take one away for a "..".
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.strip_prefix('/').unwrap_or(&decoded).split('/') {
        match segment {
            ".." => match segments.pop() {
                None => return Err(ABOVE_ROOT),
                Some(parent) if without_parameters(parent).is_empty() => return Err(EMPTY_PARENT),
                Some(parent) if has_separator(parent) => return Err(HIDDEN_DOTS),
                Some(_) => {}
            },
            "." => {}
            hidden if hides_dots(hidden) => return Err(HIDDEN_DOTS),
            other => segments.push(other),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in segments.iter().filter(|segment| !segment.is_empty()) {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() || decoded.ends_with('/') {
        out.push('/');
    }
    Ok(out)
}

const SEPARATORS: [&str; 4] = ["%2f", "%2F", "%5c", "%5C"];

/// What is left for somebody who cuts parameters off.
fn without_parameters(segment: &str) -> &str {
    let cut = [";", "%3b", "%3B"].iter().filter_map(|mark| segment.find(mark)).min();
    &segment[..cut.unwrap_or(segment.len())]
}

/// Whether somebody who decodes slashes finds more than one segment.
fn has_separator(segment: &str) -> bool {
    SEPARATORS.iter().any(|separator| segment.contains(separator))
}

/// Whether somebody who decodes slashes, or cuts parameters off, finds a dot segment in this one.
fn hides_dots(segment: &str) -> bool {
    if !segment.contains([';', '%']) {
        return false;
    }
    let parts = SEPARATORS.iter().fold(segment.to_owned(), |parts, separator| parts.replace(separator, "/"));
    parts.split('/').any(|part| matches!(without_parameters(part), "." | ".."))
}

/// Decodes `%XX` of unreserved characters only, so that an encoded slash stays data.
fn decode_unreserved(path: &str) -> Result<String, Refusal> {
    if path.contains('\\') {
        return Err(BACKSLASH);
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let byte = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            None => return Err(BROKEN_ESCAPE),
            Some(0) => return Err(NUL),
            Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => {
                out.push(char::from(b));
                rest = &rest[at + 3..];
            }
            Some(_) => {
                out.push_str(&rest[at..at + 3]);
                rest = &rest[at + 3..];
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dots_slashes_and_needless_escapes_do_not_hide_a_path() {
        for (raw, clean) in [
            ("/", "/"),
            ("/public/../admin", "/admin"),
            ("/a/%2e%2E/admin", "/admin"),
            ("//admin", "/admin"),
            ("/./admin/./", "/admin/"),
            ("/%61dmin", "/admin"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%5Cb;c=1", "/a%5Cb;c=1"),
            ("/a/..", "/"),
            ("/a/..;b", "/a/..;b"),
        ] {
            match (normalise(raw), raw.contains("..;")) {
                (Ok(found), false) => assert_eq!(found, clean, "{raw}"),
                (Err(refusal), true) => assert_eq!(refusal, HIDDEN_DOTS),
                (found, _) => panic!("{raw}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_path_that_servers_read_differently_is_refused() {
        for (path, why) in [
            ("/..", ABOVE_ROOT),
            ("/a/../../b", ABOVE_ROOT),
            ("/%2e%2e/b", ABOVE_ROOT),
            ("/%", BROKEN_ESCAPE),
            ("/%é", BROKEN_ESCAPE),
            ("/%2%44e/a", BROKEN_ESCAPE),
            ("/a%00b", NUL),
            ("/a\\..\\b", BACKSLASH),
            ("/a\\b", BACKSLASH),
            ("/public%2f..%2fadmin", HIDDEN_DOTS),
            ("/public%2F%2e%2e%5Cadmin", HIDDEN_DOTS),
            ("/public/..%2fadmin", HIDDEN_DOTS),
            ("/public/..;/admin", HIDDEN_DOTS),
            ("/public/..;v=1/admin", HIDDEN_DOTS),
            ("/public/%2e%2e%3b/admin", HIDDEN_DOTS),
            ("/public/.;/admin", HIDDEN_DOTS),
            ("/admin%2Fx/../a", HIDDEN_DOTS),
            ("/b//../a", EMPTY_PARENT),
            ("/b//./../a", EMPTY_PARENT),
            ("/b/;/../a", EMPTY_PARENT),
            ("/b//c/../../a", EMPTY_PARENT),
        ] {
            assert_eq!(normalise(path), Err(why), "{path}");
        }
    }

    #[test]
    fn what_only_looks_odd_goes_on() {
        for path in
            ["/a..b", "/...", "/a;b=..", "/.well-known/x", "/@scope%2Fname", "/a%2525", "/..a", "/a%3bb"]
        {
            assert_eq!(normalise(path).unwrap(), path, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_normalised_path_has_nothing_left_to_normalise(
            segments in proptest::collection::vec("(\\.{1,2}|%2[eE]|%61|[a-z]{0,3}|%2F|;)", 0..8),
        ) {
            if let Ok(once) = normalise(&format!("/{}", segments.join("/"))) {
                prop_assert!(once.starts_with('/') && !once.contains("//"), "{}", once);
                prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."), "{}", once);
                prop_assert_eq!(normalise(&once).map(Cow::into_owned), Ok(once.clone().into_owned()));
            }
        }

        #[test]
        fn no_path_makes_it_panic(path in "/\\PC{0,30}") {
            let _ = normalise(&path);
        }

        #[test]
        fn servers_that_read_paths_otherwise_end_in_the_same_place(
            segments in proptest::collection::vec("(|\\.|\\.\\.|%2e\\.|[ab]|a%2f|%2F\\.\\.|\\.\\.;x|a;x|;x|%5c|b%2Fa)", 1..7),
            merges in any::<bool>(),
        ) {
            let raw = format!("/{}", segments.join("/"));
            if let Ok(ours) = normalise(&raw) {
                // A server that decodes everything first, takes backslashes for slashes, cuts parameters off, and
                // may or may not merge slashes before it resolves dots.
                let decode = |text: &str| {
                    text.replace("%2e", ".").replace("%2f", "/").replace("%2F", "/").replace("%5c", "/")
                };
                let mut theirs: Vec<&str> = Vec::new();
                let lenient = decode(&raw);
                for segment in lenient.split('/').skip(1).map(|segment| segment.split(';').next().unwrap_or_default()) {
                    match segment {
                        "" if merges => {}
                        "." => {}
                        ".." => drop(theirs.pop()),
                        other => theirs.push(other),
                    }
                }
                theirs.retain(|segment| !segment.is_empty());
                let ours = decode(&ours);
                let ours = ours.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
                prop_assert_eq!(ours.filter(|segment| !segment.is_empty()).collect::<Vec<_>>(), theirs, "{}", raw);
            }
        }
    }
}
