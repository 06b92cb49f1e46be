//! The path of a route.

use crate::{
    matching::{PathMatch, Pattern},
    problem::{Place, Problems, Reported, shown},
    raw::decode::{Field, Spanned},
};

/// One of the three ways to match a path, or any path.
pub(super) fn check(
    exact: Field<String>,
    prefix: Field<String>,
    regex: Field<String>,
    problems: &mut Problems,
) -> Result<PathMatch, Reported> {
    let given = [exact.given(), prefix.given(), regex.given()];
    if let Some(second) = given.into_iter().flatten().nth(1) {
        let wrong = "a route matches its path in one way";
        return Err(problems.add(&second.place, wrong, "write one of path, path_prefix and path_regex"));
    }
    let exact = exact.optional().and_then(|field| field.map(|field| path(&field, problems)).transpose());
    let regex = regex.optional().and_then(|field| field.map(|field| pattern(&field, problems)).transpose());
    let prefix = prefix.optional().and_then(|field| field.map(|field| path(&field, problems)).transpose());
    Ok(match (exact?, regex?, prefix?) {
        (Some(path), _, _) => PathMatch::Exact(path),
        (_, Some(pattern), _) => PathMatch::Regex(pattern),
        // Whole segments: a slash at the end says nothing, and is taken off so that equal prefixes are equal.
        (.., Some(prefix)) => match prefix.trim_end_matches('/') {
            "" => PathMatch::Prefix("/".into()),
            trimmed => PathMatch::Prefix(trimmed.into()),
        },
        (None, None, None) => PathMatch::Prefix("/".into()),
    })
}

/// A regular expression.
pub(super) fn pattern(field: &Spanned<String>, problems: &mut Problems) -> Result<Pattern, Reported> {
    Pattern::try_new(&field.value).map_err(|why| {
        let wrong = format!("\"{}\" is not a regular expression: {}", shown(&field.value), shown(&why));
        problems.add(&field.place, wrong, "write one that matches the whole text, in the syntax of RE2")
    })
}

/// A path in normal form, or one of an edit, which need not match anything but must be sound.
pub(super) fn path(
    Spanned { place, value }: &Spanned<String>,
    problems: &mut Problems,
) -> Result<String, Reported> {
    sound(place, value, problems)?;
    let text = shown(value);
    let segments = value.strip_suffix('/').unwrap_or(value);
    // Requests are compared in normal form (RFC 3986, 6.2.2): another form would never match.
    let trimmed = if value.trim_end_matches('/').is_empty() { "" } else { segments };
    if trimmed.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        let wrong = format!("\"{text}\" has an empty segment, \".\" or \"..\"");
        return Err(problems.add(place, wrong, "write the path that they lead to"));
    }
    if let Some(escape) = needless_escape(trimmed) {
        let wrong = format!("\"{text}\" has the escape {}", shown(escape));
        let right =
            "write letters, digits, '-', '.', '_' and '~' as they are, and others as % and two hex digits";
        return Err(problems.add(place, wrong, right));
    }
    Ok(if trimmed.is_empty() { "/".into() } else { value.clone() })
}

fn sound(place: &Place, value: &str, problems: &mut Problems) -> Result<(), Reported> {
    let text = shown(value);
    if !value.starts_with('/') {
        let right = format!("begin it with \"/\": \"/{}\"", text.trim_start_matches('/'));
        return Err(problems.add(place, format!("\"{text}\" does not begin with \"/\""), right));
    }
    match value.chars().find(|c| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '*' | '\\')) {
        Some(c) => {
            let wrong = format!("\"{text}\" has the character '{}'", shown(&c.to_string()));
            let right = "write a path alone, without query or wildcard; other characters percent-encoded";
            Err(problems.add(place, wrong, right))
        }
        None => Ok(()),
    }
}

/// An escape that is broken, or that stands for a character which needs none.
fn needless_escape(path: &str) -> Option<&str> {
    path.match_indices('%').find_map(|(at, _)| {
        let Some(escape) = path.get(at..at + 3) else { return Some(&path[at..]) };
        let hex = escape.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
        let byte = u8::from_str_radix(&escape[1..], 16).ok().filter(|_| hex);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        byte.is_none_or(plain).then_some(escape)
    })
}
