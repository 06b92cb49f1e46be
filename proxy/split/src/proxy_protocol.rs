//! The PROXY protocol, versions 1 and 2: whom a connection was made for, said before its first byte by the
//! load balancer that made it.
//!
//! The header must not be read past its end, since what follows it belongs to TLS or HTTP. So this does not
//! parse a buffer but says how many bytes the header certainly still has ([`Step::Need`]); who reads no more
//! than that stops exactly at its end, without a system call for each byte. Anything unexpected is an error:
//! a listener that expects the header and guesses would let clients choose their address.
//!
//! The format is that of HAProxy's `proxy-protocol.txt`, sections 2.1 and 2.2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serin_config::limits::PROXY_HEADER_BYTES_MAX;

/// What to do with what was read so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read up to this many bytes more, at least one; the header is not complete without them.
    Need(usize),
    /// The bytes are the whole header.
    Done(Source),
}

/// Where the connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From the peer itself, such as its health checks; or it does not know.
    Peer,
    /// From this address.
    Client(SocketAddr),
}

/// Why it is no header of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The connection begins with something else.
    #[error("the connection does not begin with a PROXY protocol header")]
    Absent,
    /// Version 1, but not in its form.
    #[error("the line of version 1 is malformed")]
    Line,
    /// Version 2, but not in its form.
    #[error("the block of version 2 is malformed")]
    Block,
    /// More bytes than are read for a header.
    #[error("the header is longer than {PROXY_HEADER_BYTES_MAX} bytes")]
    TooLong,
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line, with its end: two full IPv6 addresses and ports.
const LINE_MAX: usize = 107;
/// The shortest line is `PROXY UNKNOWN\r\n`; a block is longer.
const SHORTEST: usize = 15;
const BLOCK_HEAD: usize = 16;

/// Judges all that was read so far, which never is more than was asked for.
///
/// # Errors
/// The bytes can't become a header any more.
pub fn read(bytes: &[u8]) -> Result<Step, Malformed> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(a, b)| a == b);
    if bytes.is_empty() {
        // Which version it is, is not known yet: not one byte more than the shortest line.
        Ok(Step::Need(SHORTEST))
    } else if begins(SIGNATURE) {
        block(bytes)
    } else if begins(b"PROXY ") {
        line(bytes)
    } else {
        Err(Malformed::Absent)
    }
}

fn need(bytes: &[u8], least: usize) -> Option<Result<Step, Malformed>> {
    (bytes.len() < least).then(|| Ok(Step::Need(least - bytes.len())))
}

fn line(bytes: &[u8]) -> Result<Step, Malformed> {
    if let Some(more) = need(bytes, SHORTEST) {
        return more;
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        // A line end within the line, or beyond the longest: it will never be one.
        let ended = bytes[..bytes.len() - 1].contains(&b'\r') || bytes.contains(&b'\n');
        let rest = rest_of_line(bytes);
        if ended || bytes.len() + rest > LINE_MAX {
            return Err(Malformed::Line);
        }
        return Ok(Step::Need(rest));
    };
    if line.contains(&b'\r') || line.contains(&b'\n') {
        return Err(Malformed::Line);
    }
    let line = std::str::from_utf8(line).map_err(|_| Malformed::Line)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    if family == Some("UNKNOWN") {
        return Ok(Step::Done(Source::Peer));
    }
    let (Some(source), Some(destination)) = (words.next(), words.next()) else {
        return Err(Malformed::Line);
    };
    let (Some(port), Some(_), None) =
        (words.next().and_then(port), words.next().and_then(port), words.next())
    else {
        return Err(Malformed::Line);
    };
    let address = match family {
        Some("TCP4") => [source, destination].map(|text| text.parse::<Ipv4Addr>().map(IpAddr::V4)),
        Some("TCP6") => [source, destination].map(|text| text.parse::<Ipv6Addr>().map(IpAddr::V6)),
        _ => return Err(Malformed::Line),
    };
    match address {
        [Ok(source), Ok(_)] => Ok(Step::Done(Source::Client(SocketAddr::new(source, port)))),
        _ => Err(Malformed::Line),
    }
}

/// A port without leading zeros, which could be read as octal.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

/// The fewest bytes that can make a whole line of this beginning.
fn rest_of_line(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    // The words that are still to begin, each with the space before it and its shortest form.
    let addresses = match bytes.get(6..11) {
        Some(b"TCP4 ") => [7, 7, 1, 1],
        Some(b"TCP6 ") => [2, 2, 1, 1],
        _ => return 2,
    };
    let words = bytes[11..].split(|b| *b == b' ').count();
    let begun = bytes[11..].rsplit(|b| *b == b' ').next().is_some_and(|word| !word.is_empty());
    let missing = addresses.iter().skip(words.min(4)).map(|shortest| 1 + shortest).sum::<usize>();
    let open = if begun { 0 } else { addresses.get(words - 1).copied().unwrap_or(0) };
    missing + open + 2
}

fn block(bytes: &[u8]) -> Result<Step, Malformed> {
    if let Some(more) = need(bytes, BLOCK_HEAD) {
        return more;
    }
    let (head, body) = bytes.split_at(BLOCK_HEAD);
    let (version, command, family) = (head[12] >> 4, head[12] & 0xf, head[13]);
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if version != 2 || command > 1 || family >> 4 > 3 || family & 0xf > 2 {
        return Err(Malformed::Block);
    }
    if BLOCK_HEAD + length > PROXY_HEADER_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    if let Some(more) = need(body, length) {
        return more;
    }
    if command == 0 {
        // LOCAL: whatever else it says is to be passed over.
        return Ok(Step::Done(Source::Peer));
    }
    let addresses = match family >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => return Ok(Step::Done(Source::Peer)),
    };
    if length < addresses || !are_whole(&body[addresses..]) {
        return Err(Malformed::Block);
    }
    // A stream is what was accepted; of anything else the header says nothing that would be understood here.
    Ok(Step::Done(match family {
        0x11 => client(Ipv4Addr::from([body[0], body[1], body[2], body[3]]).into(), [body[8], body[9]]),
        0x21 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&body[..16]);
            client(Ipv6Addr::from(octets).into(), [body[32], body[33]])
        }
        _ => Source::Peer,
    }))
}

fn client(address: IpAddr, port: [u8; 2]) -> Source {
    Source::Client(SocketAddr::new(address, u16::from_be_bytes(port)))
}

/// Whether the further fields (type, length, value) end where the block does.
fn are_whole(mut fields: &[u8]) -> bool {
    while let [_, high, low, rest @ ..] = fields {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match rest.get(length..) {
            Some(next) => fields = next,
            None => return false,
        }
    }
    fields.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads as a socket would: never more than is asked for. What comes back is the result, and how many
    /// bytes it took.
    fn take(stream: &[u8], mut at_most: impl FnMut() -> usize) -> (Result<Option<Source>, Malformed>, usize) {
        let mut taken = 0;
        loop {
            match read(&stream[..taken]) {
                Err(malformed) => return (Err(malformed), taken),
                Ok(Step::Done(source)) => return (Ok(Some(source)), taken),
                Ok(Step::Need(bytes)) => {
                    assert!(bytes > 0);
                    let got = bytes.min(stream.len() - taken).min(at_most().max(1));
                    if got == 0 {
                        return (Ok(None), taken);
                    }
                    taken += got;
                }
            }
        }
    }

    fn whole(stream: &[u8]) -> (Result<Option<Source>, Malformed>, usize) {
        take(stream, || usize::MAX)
    }

    fn client(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    fn block_of(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    const FOUR: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 0x04, 1, 187];

    #[test]
    fn a_line_names_the_client_and_nothing_behind_it_is_read() {
        for (line, source) in [
            ("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", client("192.0.2.7:56324")),
            ("PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n", client("1.1.1.1:0")),
            ("PROXY TCP6 2001:db8::7 :: 65535 443\r\n", client("[2001:db8::7]:65535")),
            ("PROXY UNKNOWN\r\n", Source::Peer),
            ("PROXY UNKNOWN ffff::1 whatever 1 2\r\n", Source::Peer),
        ] {
            let stream = format!("{line}GET / HTTP/1.1\r\nhost: a\r\n\r\n");
            assert_eq!(whole(stream.as_bytes()), (Ok(Some(source)), line.len()), "{line}");
        }
    }

    #[test]
    fn a_block_names_the_client_and_its_further_fields_are_passed_over() {
        let six: Vec<u8> = [&[0x20; 16][..], &[0; 16], &[0x1f, 0x90, 0, 80]].concat();
        let field = [0xe0, 0, 3, b'a', b'b', b'c'];
        for (bytes, source) in [
            (block_of(1, 0x11, &FOUR), client("192.0.2.7:56324")),
            (block_of(1, 0x11, &[&FOUR[..], &field, &field].concat()), client("192.0.2.7:56324")),
            (block_of(1, 0x21, &six), client("[2020:2020:2020:2020:2020:2020:2020:2020]:8080")),
            (block_of(1, 0x31, &[0; 216]), Source::Peer),
            (block_of(1, 0x12, &FOUR), Source::Peer),
            (block_of(1, 0x00, &[]), Source::Peer),
            (block_of(0, 0x00, &[]), Source::Peer),
            (block_of(0, 0x11, &FOUR), Source::Peer),
        ] {
            let stream = [&bytes[..], b"\x16\x03\x01"].concat();
            assert_eq!(whole(&stream), (Ok(Some(source)), bytes.len()), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_sure() {
        for (stream, malformed) in [
            (&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], Malformed::Absent),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03........", Malformed::Absent),
            (b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", Malformed::Absent),
            (b"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", Malformed::Line),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", Malformed::Line),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", Malformed::Line),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", Malformed::Line),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", Malformed::Line),
            (b"PROXY TCP4 1.1.1.1 2.2.2.999 1 2\r\n", Malformed::Line),
            (b"PROXY TCP4 ::1 ::1 1 2....................\r\n", Malformed::Line),
            (b"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", Malformed::Line),
            (b"PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n", Malformed::Line),
            (b"PROXY UNKNOWN\nGET / HTTP/1.1\r\n", Malformed::Line),
            (b"PROXY UNKNOWN \r \r\n", Malformed::Line),
        ] {
            assert_eq!(whole(stream).0, Err(malformed), "{}", String::from_utf8_lossy(stream));
        }
        let endless = [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat();
        assert_eq!(whole(&endless).0, Err(Malformed::Line));
        assert!(whole(&endless).1 <= LINE_MAX);
    }

    #[test]
    fn a_block_that_is_not_what_it_says_is_refused() {
        let mut third = block_of(1, 0x11, &FOUR);
        third[12] = 0x31;
        let cut = [&FOUR[..], &[0xe0, 0, 9, b'a']].concat();
        for (bytes, malformed) in [
            (third, Malformed::Block),
            (block_of(2, 0x11, &FOUR), Malformed::Block),
            (block_of(1, 0x41, &FOUR), Malformed::Block),
            (block_of(1, 0x13, &FOUR), Malformed::Block),
            (block_of(1, 0x11, &FOUR[..11]), Malformed::Block),
            (block_of(1, 0x21, &FOUR), Malformed::Block),
            (block_of(1, 0x11, &cut), Malformed::Block),
            (block_of(0, 0, &[0; PROXY_HEADER_BYTES_MAX]), Malformed::TooLong),
        ] {
            assert_eq!(whole(&bytes).0, Err(malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_judged_alike(
            begin in 0_usize..4,
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            pieces in proptest::collection::vec(1_usize..9, 1..40),
        ) {
            let begin: &[u8] = [&b""[..], b"PROXY ", b"PROXY TCP4 ", SIGNATURE][begin];
            let stream = [begin, &bytes].concat();
            let mut pieces = pieces.into_iter().cycle();
            let (judged, taken) = whole(&stream);
            let (again, by_pieces) = take(&stream, || pieces.next().unwrap_or(1));
            prop_assert_eq!(judged.is_err(), again.is_err());
            prop_assert!(taken <= PROXY_HEADER_BYTES_MAX);
            if let Ok(source) = judged {
                prop_assert_eq!(Ok(source), again);
                prop_assert_eq!(taken, by_pieces);
            }
        }

        #[test]
        fn every_line_that_a_sender_may_write_is_understood(
            source: Ipv4Addr, destination: Ipv4Addr, six: (Ipv6Addr, Ipv6Addr), ports: (u16, u16),
        ) {
            for (line, address) in [
                (format!("PROXY TCP4 {source} {destination} {} {}\r\n", ports.0, ports.1), IpAddr::V4(source)),
                (format!("PROXY TCP6 {} {} {} {}\r\n", six.0, six.1, ports.0, ports.1), IpAddr::V6(six.0)),
            ] {
                let stream = format!("{line}\r\n\r\n");
                let wanted = Source::Client(SocketAddr::new(address, ports.0));
                prop_assert_eq!(whole(stream.as_bytes()), (Ok(Some(wanted)), line.len()));
            }
        }
    }
}
