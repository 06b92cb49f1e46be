//! One head, line by line: is each as the grammar wants it, and what do they say of the body?

use http::{StatusCode, Uri};
use memchr::memchr;
use serin_config::limits::{HEAD_BYTES_MAX, HEADER_FIELDS_MAX, LEADING_BLANK_LINES_MAX};

use super::{bad, refusal};
use crate::vet::Refusal;

/// A head of which some has come.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Where the line begins that is not whole yet, and how much of it holds no line feed.
    line: usize,
    searched: usize,
    blank: u8,
    /// The request line has come; false for HTTP/1.0.
    is_1_1: Option<bool>,
    fields: usize,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

/// What a head says of the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) chunked: bool,
    pub(super) length: u64,
    pub(super) upgrade: bool,
}

pub(super) enum Progress {
    /// So many bytes are the head.
    Whole(usize, Framing),
    Part,
    Bad(Refusal),
}

const NO_TOKEN: Refusal = bad("a header field's name has a character that is not allowed");
const NO_REQUEST_LINE: Refusal = bad("the request line is not \"method target HTTP/1.1\"");
const TOO_MANY: Refusal =
    refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many header fields");

impl Head {
    /// Looks at the lines that have become whole. `bytes` begin where the head does.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Progress {
        if self.line == 0
            && bytes.first().is_some_and(|first| !is_token(*first) && *first != b'\r' && *first != b'\n')
        {
            return Progress::Bad(NO_REQUEST_LINE);
        }
        while let Some(found) = memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + found;
            let Some(line) = bytes[self.line..end].strip_suffix(b"\r") else {
                return Progress::Bad(bad("a line ends with a bare line feed"));
            };
            (self.line, self.searched) = (end + 1, end + 1);
            let sound = match self.is_1_1 {
                None if line.is_empty() => self.blank_line(),
                None => self.request_line(line),
                Some(_) if line.is_empty() => {
                    return match self.framing() {
                        Err(refusal) => Progress::Bad(refusal),
                        Ok(_) if end >= HEAD_BYTES_MAX => Progress::Bad(self.too_large()),
                        Ok(framing) => Progress::Whole(end + 1, framing),
                    };
                }
                Some(_) => self.field(line),
            };
            if let Err(refusal) = sound {
                return Progress::Bad(refusal);
            }
        }
        self.searched = bytes.len();
        if bytes.len() >= HEAD_BYTES_MAX { Progress::Bad(self.too_large()) } else { Progress::Part }
    }

    /// RFC 9112, 2.2: some clients send an empty line behind a body.
    fn blank_line(&mut self) -> Result<(), Refusal> {
        self.blank += 1;
        if self.blank > LEADING_BLANK_LINES_MAX {
            return Err(bad("there are too many empty lines before the request"));
        }
        Ok(())
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let method = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
        if method == 0 || line.get(method) != Some(&b' ') {
            return Err(NO_REQUEST_LINE);
        }
        let rest = &line[method + 1..];
        let Some((target, version)) = rest.iter().rposition(|b| *b == b' ').map(|at| rest.split_at(at))
        else {
            return Err(NO_REQUEST_LINE);
        };
        self.is_1_1 = match version {
            b" HTTP/1.1" => Some(true),
            b" HTTP/1.0" => Some(false),
            [b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
                return Err(refusal(status, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here"));
            }
            _ => return Err(NO_REQUEST_LINE),
        };
        if &line[..method] == b"CONNECT" {
            // Refused here, since what follows it may be anything.
            return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "this method is not served here"));
        }
        check_target(target)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > HEADER_FIELDS_MAX {
            return Err(TOO_MANY);
        }
        let name = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
        if name == 0 || line.get(name) != Some(&b':') {
            return Err(match (name, line.get(name)) {
                (0, Some(b' ' | b'\t')) => bad("a header field is folded over two lines"),
                (1.., Some(b' ' | b'\t')) => bad("white space stands before the colon of a header field"),
                _ => NO_TOKEN,
            });
        }
        let (name, value) = (&line[..name], &line[name + 1..]);
        if has_control(value) {
            return Err(bad("a header field's value has a control character"));
        }
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value)?,
            _ => {}
        }
        Ok(())
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let digits = value.trim_ascii();
        if self.length.is_some() {
            return Err(bad("there is more than one Content-Length header"));
        }
        // Nineteen digits may be more than any reader behind can count to.
        let sound = (1..19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(digits).ok().filter(|_| sound).and_then(|text| text.parse().ok());
        self.length = Some(length.ok_or(bad("the Content-Length header is not a length"))?);
        Ok(())
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            let detail = "the only transfer coding that is understood is \"chunked\"";
            return Err(refusal(StatusCode::NOT_IMPLEMENTED, detail));
        }
        self.chunked = true;
        Ok(())
    }

    fn framing(&self) -> Result<Framing, Refusal> {
        match (self.chunked, self.length, self.is_1_1) {
            (true, Some(_), _) => Err(bad("there is a Content-Length beside a Transfer-Encoding")),
            (true, None, Some(false)) => Err(bad("HTTP/1.0 has no transfer codings")),
            (chunked, length, is_1_1) => Ok(Framing {
                chunked,
                length: length.unwrap_or(0),
                upgrade: self.upgrade && is_1_1 == Some(true),
            }),
        }
    }

    fn too_large(&self) -> Refusal {
        if self.is_1_1.is_none() {
            return refusal(StatusCode::URI_TOO_LONG, "the request target is too long");
        }
        refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the header fields are too large")
    }
}

/// A path, the star, or a whole address; and never a fragment, which is not sent, or what is no ASCII.
fn check_target(target: &[u8]) -> Result<(), Refusal> {
    let (path, query) = target.split_at(memchr(b'?', target).unwrap_or(target.len()));
    if !path.iter().all(|byte| is_of(*byte, PATH)) || !query.iter().all(|byte| is_of(*byte, QUERY)) {
        return Err(if target.contains(&b'#') {
            bad("the request target has a fragment")
        } else {
            bad("the request target has a character that must be escaped")
        });
    }
    let sound = match target {
        [b'/', ..] | b"*" => true,
        _ => {
            let scheme =
                |name: &[u8]| target.get(..name.len()).is_some_and(|own| own.eq_ignore_ascii_case(name));
            (scheme(b"http://") || scheme(b"https://")) && Uri::try_from(target).is_ok()
        }
    };
    if sound { Ok(()) } else { Err(bad("the request target is not a path")) }
}

/// All characters at once: the compiler makes a few wide instructions of it.
fn has_control(value: &[u8]) -> bool {
    value.iter().fold(false, |found, byte| found | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f))
}

fn is_token(byte: u8) -> bool {
    is_of(byte, TOKEN)
}

fn is_of(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

const TOKEN: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;

/// RFC 9110, 5.6.2 for tokens. Of targets, what browsers send without escaping it is let through, as far as the
/// HTTP library takes it: `|` and `^` anywhere, a back-tick in a query, quotes in a path.
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || in_set(b, b"!#$%&'*+-.^_`|~") {
            table[byte] |= TOKEN;
        }
        if b.is_ascii_graphic() && !in_set(b, b"#<>") {
            table[byte] |= if b == b'`' { 0 } else { PATH };
            table[byte] |= if b == b'"' { 0 } else { QUERY };
        }
        byte += 1;
    }
    table
};

const fn in_set(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}
