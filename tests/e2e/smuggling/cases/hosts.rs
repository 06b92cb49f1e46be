//! Hosts: none, several, and such as name nobody.

use super::{Case, Closes, Reaches, case};

pub(super) const CASES: &[Case] = &[
    case(
        "a bare line feed before",
        "\nGET /outer HTTP/1.1\r\nhost: a\r\n\r\n",
        400,
        Closes::Yes,
        Reaches::Nothing,
    ),
    case("a host none", "GET /outer HTTP/1.1\r\n\r\n", 400, Closes::Either, Reaches::Nothing),
    case(
        "a host two",
        "GET /outer HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host the same twice",
        "GET /outer HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host with a path",
        "GET /outer HTTP/1.1\r\nhost: a/smuggled\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host with a user",
        "GET /outer HTTP/1.1\r\nhost: b@a\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host with a space",
        "GET /outer HTTP/1.1\r\nhost: a b\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host with a comma and another",
        "GET /outer HTTP/1.1\r\nhost: a, b\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host with a bad port",
        "GET /outer HTTP/1.1\r\nhost: a:port\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host with two ports",
        "GET /outer HTTP/1.1\r\nhost: a:1:2\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host of an open bracket",
        "GET /outer HTTP/1.1\r\nhost: [::1\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host that is not ASCII",
        "GET /outer HTTP/1.1\r\nhost: \u{e4}\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "a host that is not the target",
        "GET http://b/outer HTTP/1.1\r\nhost: a\r\n\r\n",
        400,
        Closes::Either,
        Reaches::Nothing,
    ),
    case(
        "no host in HTTP/1.0",
        "GET /outer HTTP/1.0\r\n\r\n",
        200,
        Closes::Yes,
        Reaches::Request("GET /outer HTTP/1.1", ""),
    ),
];
