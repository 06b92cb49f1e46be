//! What is too large, and what asks for another protocol or for leave to go on.

use super::{Case, Closes, Filler, Reaches, case, large};

pub(super) const CASES: &[Case] = &[
    large("a target that is too long", "GET /", Filler::Target, 414),
    large("a field that is too large", "GET / HTTP/1.1\r\nhost: a\r\n", Filler::Field, 431),
    large("fields that are too many", "GET / HTTP/1.1\r\nhost: a\r\n", Filler::Fields, 431),
    case(
        "an upgrade to h2c",
        "GET /outer HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        200,
        Closes::Yes,
        Reaches::Request("GET /outer HTTP/1.1", ""),
    ),
    case(
        "an upgrade to a WebSocket that is refused",
        "GET /outer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        200,
        Closes::Yes,
        Reaches::Request("GET /outer HTTP/1.1", ""),
    ),
    case(
        "an upgrade with a body",
        "POST /outer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabcGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
        200,
        Closes::Yes,
        Reaches::Request("POST /outer HTTP/1.1", "abc"),
    ),
    case(
        "100-continue",
        "POST /outer HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nabcde",
        200,
        Closes::No,
        Reaches::Request("POST /outer HTTP/1.1", "abcde"),
    ),
    case(
        "an expectation that is not known",
        "POST /outer HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\ncontent-length: 5\r\n\r\nabcde",
        417,
        Closes::Either,
        Reaches::Nothing,
    ),
];
