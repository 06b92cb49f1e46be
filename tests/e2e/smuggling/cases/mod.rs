//! The cases: a name, what is sent, and what must come of it. Behind each the test sends a sound request, to
//! see whether the connection is still in use.

mod bodies;
mod codings;
mod fields;
mod hosts;
mod lengths;
mod lines;
mod rest;

/// Whether the connection ends with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closes {
    Yes,
    No,
    /// The framing is beyond doubt: both are fine.
    Either,
}

/// What the endpoint gets to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaches {
    /// No whole request.
    Nothing,
    /// One request with this first line and this body.
    Request(&'static str, &'static str),
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    bytes: &'static str,
    /// Put between the bytes and the end of the head.
    filler: Filler,
    pub(super) status: Option<u16>,
    pub(super) closes: Closes,
    pub(super) reaches: Reaches,
}

#[derive(Debug)]
enum Filler {
    None,
    Target,
    Field,
    Fields,
}

impl Case {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let filler = match self.filler {
            Filler::None => return self.bytes.into(),
            Filler::Target => format!("{} HTTP/1.1\r\nhost: a\r\n", "a".repeat(70_000)),
            Filler::Field => format!("x: {}\r\n", "a".repeat(70_000)),
            Filler::Fields => (0..101).map(|n| format!("x-{n}: y\r\n")).collect(),
        };
        format!("{}{filler}\r\n", self.bytes).into()
    }
}

const fn case(
    name: &'static str,
    bytes: &'static str,
    status: u16,
    closes: Closes,
    reaches: Reaches,
) -> Case {
    Case { name, bytes, filler: Filler::None, status: Some(status), closes, reaches }
}

const fn large(name: &'static str, bytes: &'static str, filler: Filler, status: u16) -> Case {
    Case { name, bytes, filler, status: Some(status), closes: Closes::Yes, reaches: Reaches::Nothing }
}

/// All of them, by subject.
pub(super) fn all() -> Vec<&'static Case> {
    let subjects = [
        lengths::CASES,
        codings::CASES,
        bodies::CASES,
        fields::CASES,
        lines::CASES,
        hosts::CASES,
        rest::CASES,
    ];
    subjects.into_iter().flatten().collect()
}
