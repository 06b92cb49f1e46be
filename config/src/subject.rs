//! The subject of a certificate as text (RFC 4514): what people compare, so one way to write it for all.

use std::fmt::Write;

/// The text of a subject from its parts (`CN`, `a.example`), most specific last, as certificates have them.
/// Characters beyond ASCII, and those that mean something in the text, are written by their codes.
pub fn text<'a>(parts: impl DoubleEndedIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in parts.rev() {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push('=');
        let last = value.chars().count().saturating_sub(1);
        for (at, c) in value.chars().enumerate() {
            let at_end = at == 0 || at == last;
            let special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=')
                || (c == ' ' && at_end)
                || (c == '#' && at == 0);
            if special || !(' '..='~').contains(&c) {
                escape(c, '\\', &mut text);
            } else {
                text.push(c);
            }
        }
    }
    text
}

/// Adds the codes of a character's bytes, each behind `with`.
pub fn escape(c: char, with: char, text: &mut String) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a String does not fail.
        let _ = write!(text, "{with}{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_part_comes_first_and_what_would_end_a_part_is_written_by_its_code() {
        let parts = [("O", "Acme, Inc."), ("CN", "ci ")];
        assert_eq!(text(parts.into_iter()), "CN=ci\\20,O=Acme\\2C Inc.");
    }
}
