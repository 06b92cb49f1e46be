//! The cases: a name, what is sent, and what must come of it. Behind each the test sends a sound request, to
//! see whether the connection is still in use.

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

pub(super) const CASES: &[Case] = &[
case("length and chunks, chunks last", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("length and chunks, length last", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("length zero and chunks", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("the same length twice", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("two lengths", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 36\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("two lengths in one field", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("two different lengths in one field", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 0\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length with a plus", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length negative", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length negative zero", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: -0\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length hexadecimal", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length with an exponent", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5e0\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length with a point", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5.0\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length empty", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: \r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length with a space inside", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5 5\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length with a tab inside", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5\t5\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length of letters", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: five\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length beyond 64 bits", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 18446744073709551621\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length of nineteen digits", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999999999999999\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length with a semicolon", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 5;a\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length in quotes", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: \"5\"\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length of digits that are not ASCII", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: \u{665}\r\n\r\nabcde", 400, Closes::Yes, Reaches::Nothing),
case("a length with leading zeros", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 0005\r\n\r\nabcde", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abcde")),
case("a length with white space around", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: \t 5 \t\r\n\r\nabcde", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abcde")),
case("a coding unknown", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding that chunks hide", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding behind chunks", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding twice in one field", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding identity", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding empty", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding with a prefix", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding with a suffix", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunkedx\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding in quotes", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding with a parameter", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding with a comma before", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: , chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding with a comma behind", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked,\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding with a vertical tab", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \u{b}chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a coding with a no-break space", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \u{a0}chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("the coding twice", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("two codings in two fields", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 501, Closes::Yes, Reaches::Nothing),
case("a coding in capitals", "POST /outer HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abc")),
case("a coding in HTTP/1.0", "POST /outer HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a coding folded over two lines", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a coding with a space before its colon", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a coding behind a line feed", "POST /outer HTTP/1.1\r\nhost: a\r\nx: y\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a coding behind a carriage return", "POST /outer HTTP/1.1\r\nhost: a\r\nx: y\rtransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a coding with an underscore beside a length", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer_encoding: chunked\r\ncontent-length: 5\r\n\r\nabcde", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abcde")),
case("a length that the connection field names", "POST /outer HTTP/1.1\r\nhost: a\r\nconnection: content-length\r\ncontent-length: 5\r\n\r\nabcde", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abcde")),
case("a host that the connection field names", "GET /outer HTTP/1.1\r\nhost: a\r\nconnection: host, x-a\r\nx-a: 1\r\n\r\n", 200, Closes::No, Reaches::Request("GET /outer HTTP/1.1", "")),
case("a chunk without digits", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with a plus", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk negative", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with 0x", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with a space before", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n  3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with an underscore", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0_3\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk beyond 64 bits", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk that ends with a line feed", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk that ends with a carriage return", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\rabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with an extension of a line feed", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with an extension of a carriage return", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;a\rb\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk that is too small", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk that is too large", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk whose data ends with a line feed", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk whose data ends with nothing", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with a NUL in its extension", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;\0\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a chunk with an extension", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;smuggled=yes\r\nabc\r\n0\r\n\r\n", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abc")),
case("a chunk with a padded size", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3  \r\nabc\r\n0\r\n\r\n", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abc")),
case("a chunk with leading zeros", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0000003\r\nabc\r\n000\r\n\r\n", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abc")),
case("a body that looks like a request", "POST /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")),
case("chunks that look like a request", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n23\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n\r\n0\r\n\r\n", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")),
case("trailers that would be framing", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\ncontent-length: 99\r\nhost: smuggled\r\n\r\n", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abc")),
case("trailers that end with a line feed", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("trailers that are folded", "POST /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n x: y\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a GET with a body", "GET /outer HTTP/1.1\r\nhost: a\r\ncontent-length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::No, Reaches::Request("GET /outer HTTP/1.1", "GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n")),
case("a GET with chunks", "GET /outer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, Closes::No, Reaches::Request("GET /outer HTTP/1.1", "abc")),
case("a bare line feed ends every line", "GET /outer HTTP/1.1\nhost: a\n\n", 400, Closes::Yes, Reaches::Nothing),
case("a bare line feed ends the request line", "GET /outer HTTP/1.1\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a bare line feed ends a field", "GET /outer HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a bare line feed ends the last line", "GET /outer HTTP/1.1\r\nhost: a\r\n\n", 400, Closes::Yes, Reaches::Nothing),
case("a bare carriage return ends a field", "GET /outer HTTP/1.1\r\nhost: a\r\nx: y\rz: 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a carriage return too many", "GET /outer HTTP/1.1\r\nhost: a\r\nx: y\r\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a NUL in a value", "GET /outer HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a NUL in a name", "GET /outer HTTP/1.1\r\nhost: a\r\nx\0y: 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("an escape character in a value", "GET /outer HTTP/1.1\r\nhost: a\r\nx: \u{1b}[1m\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a delete character in a value", "GET /outer HTTP/1.1\r\nhost: a\r\nx: \u{7f}\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a folded field", "GET /outer HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a field folded with a tab", "GET /outer HTTP/1.1\r\nhost: a\r\nx: 1\r\n\t2\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a first field that is indented", "GET /outer HTTP/1.1\r\n host: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a space before a colon", "GET /outer HTTP/1.1\r\nhost: a\r\nx : 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a tab before a colon", "GET /outer HTTP/1.1\r\nhost: a\r\nx\t: 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a space in a name", "GET /outer HTTP/1.1\r\nhost: a\r\nx y: 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a name in brackets", "GET /outer HTTP/1.1\r\nhost: a\r\nx(y): 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a name that is not ASCII", "GET /outer HTTP/1.1\r\nhost: a\r\nx\u{e4}: 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a field without a name", "GET /outer HTTP/1.1\r\nhost: a\r\n: 1\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a field without a colon", "GET /outer HTTP/1.1\r\nhost: a\r\nsmuggled\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a value that is not ASCII", "GET /outer HTTP/1.1\r\nhost: a\r\nx: \u{e4}\r\n\r\n", 200, Closes::No, Reaches::Request("GET /outer HTTP/1.1", "")),
case("a request line with two spaces", "GET  /outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a tab for a space", "GET\t/outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a space at its end", "GET /outer HTTP/1.1 \r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a space at its beginning", " GET /outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a space in its target", "GET /outer /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a second version", "GET /outer HTTP/1.1 HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with no version", "GET /outer\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a version in lower case", "GET /outer http/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a version of three digits", "GET /outer HTTP/1.10\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a version without a point", "GET /outer HTTP/11\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a method in brackets", "(GET) /outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a method that is not ASCII", "G\u{cb}T /outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a fragment", "GET /outer#x HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a target that is not ASCII", "GET /\u{e4} HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a NUL in its target", "GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a bare carriage return in its target", "GET /\rx HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a target that is no path", "GET outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a target of another scheme", "GET ftp://a/outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with a target of angle brackets", "GET /<outer> HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a request line with an empty authority", "GET http:///outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a star that is not for OPTIONS", "GET * HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a star for OPTIONS", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::No, Reaches::Request("OPTIONS * HTTP/1.1", "")),
case("an absolute target", "GET http://a/outer HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::No, Reaches::Request("GET /outer HTTP/1.1", "")),
case("HTTP/2.0 behind a method", "GET /outer HTTP/2.0\r\nhost: a\r\n\r\n", 505, Closes::Yes, Reaches::Nothing),
case("HTTP/1.2", "GET /outer HTTP/1.2\r\nhost: a\r\n\r\n", 505, Closes::Yes, Reaches::Nothing),
case("HTTP/0.9", "GET /outer\r\n", 400, Closes::Yes, Reaches::Nothing),
case("CONNECT", "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 405, Closes::Yes, Reaches::Nothing),
case("TRACE", "TRACE /outer HTTP/1.1\r\nhost: a\r\n\r\n", 405, Closes::Either, Reaches::Nothing),
case("TRACK", "TRACK /outer HTTP/1.1\r\nhost: a\r\n\r\n", 405, Closes::Either, Reaches::Nothing),
case("a TLS handshake", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("what is no HTTP", "SSH-2.0-OpenSSH_9.9\r\n", 400, Closes::Yes, Reaches::Nothing),
case("one empty line before", "\r\nGET /outer HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::No, Reaches::Request("GET /outer HTTP/1.1", "")),
case("many empty lines before", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET /outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a bare line feed before", "\nGET /outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Yes, Reaches::Nothing),
case("a host none", "GET /outer HTTP/1.1\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host two", "GET /outer HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host the same twice", "GET /outer HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host with a path", "GET /outer HTTP/1.1\r\nhost: a/smuggled\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host with a user", "GET /outer HTTP/1.1\r\nhost: b@a\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host with a space", "GET /outer HTTP/1.1\r\nhost: a b\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host with a comma and another", "GET /outer HTTP/1.1\r\nhost: a, b\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host with a bad port", "GET /outer HTTP/1.1\r\nhost: a:port\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host with two ports", "GET /outer HTTP/1.1\r\nhost: a:1:2\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host of an open bracket", "GET /outer HTTP/1.1\r\nhost: [::1\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host that is not ASCII", "GET /outer HTTP/1.1\r\nhost: \u{e4}\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("a host that is not the target", "GET http://b/outer HTTP/1.1\r\nhost: a\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
case("no host in HTTP/1.0", "GET /outer HTTP/1.0\r\n\r\n", 200, Closes::Yes, Reaches::Request("GET /outer HTTP/1.1", "")),
large("a target that is too long", "GET /", Filler::Target, 414),
large("a field that is too large", "GET / HTTP/1.1\r\nhost: a\r\n", Filler::Field, 431),
large("fields that are too many", "GET / HTTP/1.1\r\nhost: a\r\n", Filler::Fields, 431),
case("an upgrade to h2c", "GET /outer HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::Yes, Reaches::Request("GET /outer HTTP/1.1", "")),
case("an upgrade to a WebSocket that is refused", "GET /outer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::Yes, Reaches::Request("GET /outer HTTP/1.1", "")),
case("an upgrade with a body", "POST /outer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabcGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n", 200, Closes::Yes, Reaches::Request("POST /outer HTTP/1.1", "abc")),
case("100-continue", "POST /outer HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nabcde", 200, Closes::No, Reaches::Request("POST /outer HTTP/1.1", "abcde")),
case("an expectation that is not known", "POST /outer HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\ncontent-length: 5\r\n\r\nabcde", 417, Closes::Either, Reaches::Nothing),
];
