"""What a hostile client of HTTP/2 may try, frame by frame: python h2_attacks.py HOST PORT [check...]

Sections are those of RFC 9113. A server may treat an error of a stream as one of the connection, so a check for
the former takes the latter as well.
"""

import socket
import struct
import sys
import time

import hpack
from checks import Checks
from hyperframe import frame as frames

PATIENCE = 10
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0, 1, 3, 5, 6
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11
GET = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
POST = [(":method", "POST")] + GET[1:]

check = Checks()


class Client:
    """One connection; what it receives is kept by stream."""

    def __init__(self, address, preface=PREFACE, settings=()):
        self.socket = socket.create_connection(address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer = b""
        self.goaway = None
        self.closed = False
        self.status, self.reset, self.ended, self.pongs, self.body = {}, {}, set(), 0, {}
        self.fields = {}
        if preface:
            self.send(preface)
        if settings is not None:
            first = frames.SettingsFrame(0)
            first.settings = dict(settings)
            self.send(first)

    def send(self, *what):
        """Sends frames or bytes; a server that has closed already is no error here."""
        data = b"".join(one if isinstance(one, bytes) else one.serialize() for one in what)
        try:
            self.socket.sendall(data)
        except OSError:
            self.closed = True
            return False
        return True

    def headers(self, stream, fields, end=True, flags=("END_HEADERS",)):
        frame = frames.HeadersFrame(stream)
        frame.data = self.encoder.encode(fields)
        for flag in flags:
            frame.flags.add(flag)
        if end:
            frame.flags.add("END_STREAM")
        return frame

    def read(self, until, patience=PATIENCE):
        """Reads until the condition holds or the connection ends; false if neither happens in time."""
        deadline = time.monotonic() + patience
        while not until() and not self.closed:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return False
            except OSError:
                data = b""
            if not data:
                self.closed = True
            self.buffer += data
            self._parse()
        return True

    def _parse(self):
        while len(self.buffer) >= 9:
            frame, length = frames.Frame.parse_frame_header(memoryview(self.buffer[:9]))
            if len(self.buffer) < 9 + length:
                return
            payload, self.buffer = self.buffer[9 : 9 + length], self.buffer[9 + length :]
            frame.parse_body(memoryview(payload))
            self._take(frame)

    def _take(self, frame):
        stream = frame.stream_id
        if isinstance(frame, frames.SettingsFrame) and "ACK" not in frame.flags:
            self.send(frames.SettingsFrame(0, flags=("ACK",)))
        elif isinstance(frame, frames.HeadersFrame):
            fields = dict(self.decoder.decode(frame.data))
            if ":status" in fields:
                self.status[stream] = int(fields[":status"])
                self.fields[stream] = fields
        elif isinstance(frame, frames.DataFrame):
            self.body[stream] = self.body.get(stream, b"") + frame.data
        elif isinstance(frame, frames.RstStreamFrame):
            self.reset[stream] = frame.error_code
        elif isinstance(frame, frames.GoAwayFrame):
            if self.goaway is None or frame.error_code:
                self.goaway = frame.error_code
        elif isinstance(frame, frames.PingFrame):
            self.pongs += "ACK" in frame.flags
        if "END_STREAM" in frame.flags:
            self.ended.add(stream)

    def is_over(self):
        return self.closed or self.goaway is not None

    def expect_end(self, *codes):
        """The connection ends, with one of these codes if it says one. Where the standard names a code, another
        that ends the connection does no harm: no peer acts on the difference."""
        assert self.read(lambda: self.closed), "the connection stayed open"
        assert self.goaway is None or not codes or self.goaway in codes, f"GOAWAY {self.goaway}, not {codes}"

    def expect_refusal(self, stream, *statuses):
        """The stream is reset, or answered with such a status, or all of the connection ends."""
        done = lambda: stream in self.reset or stream in self.status or self.is_over()
        assert self.read(done), "nothing happened"
        if stream in self.status and stream not in self.reset:
            assert self.status[stream] in (statuses or (400,)), f"status {self.status[stream]}"

    def expect_answer(self, stream, status=200):
        assert self.read(lambda: stream in self.ended or stream in self.reset or self.is_over()), "no answer"
        assert self.status.get(stream) == status, f"{self.status}, reset {self.reset}, GOAWAY {self.goaway}"


def header(length, kind, flags, stream):
    return struct.pack(">I", length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream)


def raw(kind, payload=b"", flags=0, stream=0):
    return header(len(payload), kind, flags, stream) + payload


def ping(n=0, flags=()):
    return frames.PingFrame(0, opaque_data=struct.pack(">Q", n), flags=flags)


def refused(address, fields, body=None, trailers=None, statuses=(400,)):
    """A request of these fields is refused, and the next on a new connection is served."""
    client = Client(address)
    client.send(client.headers(1, fields, end=body is None and trailers is None))
    if body is not None:
        client.send(frames.DataFrame(1, data=body, flags=() if trailers else ("END_STREAM",)))
    if trailers is not None:
        client.send(client.headers(1, trailers))
    client.expect_refusal(1, *statuses)


# What is well


@check
def a_request_is_answered(address):
    client = Client(address)
    client.send(client.headers(1, GET))
    client.expect_answer(1)


@check
def settings_and_pings_are_acknowledged(address):
    client = Client(address)
    client.send(ping(7))
    assert client.read(lambda: client.pongs == 1), "no PING came back"


@check
def unknown_frames_and_settings_are_ignored_4_1_6_5(address):
    client = Client(address, settings={0xF0: 1})
    client.send(raw(0xF0, b"abc", 0xFF, 0), raw(0xF1, b"", 0, 1), client.headers(1, GET))
    client.expect_answer(1)


@check
def cookie_crumbs_are_joined_8_2_3(address):
    client = Client(address)
    crumbs = [("cookie", f"c{n}=1") for n in range(5)]
    client.send(client.headers(1, GET[:2] + [(":path", "/echo")] + GET[3:] + crumbs))
    client.expect_answer(1)
    assert client.body[1] == b"c0=1; c1=1; c2=1; c3=1; c4=1", client.body


@check
def padding_and_priority_are_read_6_2(address):
    client = Client(address)
    frame = client.headers(1, GET)
    frame.flags.add("PADDED")
    frame.flags.add("PRIORITY")
    frame.pad_length, frame.depends_on, frame.stream_weight = 200, 0, 15
    client.send(frame)
    client.expect_answer(1)


@check
def a_fair_number_of_resets_is_fine(address):
    client = Client(address)
    for n in range(40):
        client.send(client.headers(2 * n + 1, GET), frames.RstStreamFrame(2 * n + 1, error_code=8))
        client.read(lambda: False, 0.02)
    client.send(client.headers(101, GET))
    client.expect_answer(101)


# Connection errors


@check
def a_preface_that_is_wrong_3_4(address):
    client = Client(address, preface=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", settings=None)
    client.expect_end()


@check
def a_preface_without_settings_3_4(address):
    client = Client(address, settings=None)
    client.send(ping())
    # At once, or for want of a request in time.
    client.expect_end()


@check
def data_on_the_connection_6_1(address):
    client = Client(address)
    client.send(raw(0, b"abc"))
    client.expect_end(PROTOCOL_ERROR)


@check
def data_on_a_stream_that_was_never_opened_5_1(address):
    client = Client(address)
    client.send(raw(0, b"abc", 0, 1))
    client.expect_end(PROTOCOL_ERROR, STREAM_CLOSED)


@check
def data_with_more_padding_than_payload_6_1(address):
    client = Client(address)
    client.send(client.headers(1, POST, end=False), raw(0, b"\xffab", 0x8, 1))
    client.expect_end(PROTOCOL_ERROR)


@check
def headers_on_the_connection_6_2(address):
    client = Client(address)
    client.send(raw(1, client.encoder.encode(GET), 0x5, 0))
    client.expect_end(PROTOCOL_ERROR)


@check
def headers_on_an_even_stream_5_1_1(address):
    client = Client(address)
    client.send(client.headers(2, GET))
    client.expect_end(PROTOCOL_ERROR)


@check
def a_stream_number_that_goes_back_5_1_1(address):
    client = Client(address)
    client.send(client.headers(5, GET), client.headers(3, GET))
    client.expect_end(PROTOCOL_ERROR, STREAM_CLOSED)


@check
def a_stream_number_that_is_used_again_5_1_1(address):
    client = Client(address)
    client.send(client.headers(1, GET))
    client.expect_answer(1)
    client.send(client.headers(1, GET))
    client.read(lambda: client.is_over() or 1 in client.reset)
    assert client.is_over() or 1 in client.reset, "a second request on the stream was taken"


@check
def a_stream_that_depends_on_itself_5_3(address):
    client = Client(address)
    frame = client.headers(1, GET)
    frame.flags.add("PRIORITY")
    frame.depends_on, frame.stream_weight = 1, 15
    client.send(frame)
    client.read(lambda: 1 in client.ended or 1 in client.reset or client.is_over())
    # RFC 9113 lets priorities be ignored; the process must only live on.
    assert 1 in client.ended or 1 in client.reset or client.is_over()


@check
def continuation_without_headers_6_10(address):
    client = Client(address)
    client.send(raw(9, b"", 0x4, 1))
    client.expect_end(PROTOCOL_ERROR)


@check
def another_frame_between_headers_and_continuation_6_10(address):
    client = Client(address)
    client.send(client.headers(1, GET, flags=()), ping())
    client.expect_end(PROTOCOL_ERROR)


@check
def continuation_of_another_stream_6_10(address):
    client = Client(address)
    client.send(client.headers(1, GET, flags=()), raw(9, b"", 0x4, 3))
    client.expect_end(PROTOCOL_ERROR)


@check
def reset_of_the_connection_6_4(address):
    client = Client(address)
    client.send(raw(3, b"\0\0\0\x08"))
    client.expect_end(PROTOCOL_ERROR)


@check
def reset_of_an_idle_stream_6_4(address):
    client = Client(address)
    client.send(raw(3, b"\0\0\0\x08", 0, 1))
    client.expect_end(PROTOCOL_ERROR)


@check
def reset_of_the_wrong_size_6_4(address):
    client = Client(address)
    client.send(client.headers(1, POST, end=False), raw(3, b"\0\0\x08", 0, 1))
    client.expect_end(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


@check
def settings_on_a_stream_6_5(address):
    client = Client(address)
    client.send(raw(4, b"", 0, 1))
    client.expect_end(PROTOCOL_ERROR)


@check
def settings_of_the_wrong_size_6_5(address):
    client = Client(address)
    client.send(raw(4, b"\0\x03\0"))
    client.expect_end(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


@check
def an_acknowledgement_with_settings_6_5(address):
    client = Client(address)
    client.send(raw(4, b"\0\x03\0\0\0\x64", 0x1))
    client.expect_end(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


@check
def settings_out_of_range_6_5_2(address):
    for identifier, value, codes in [
        (2, 2, (PROTOCOL_ERROR,)),
        (4, 0x80000000, (FLOW_CONTROL_ERROR, PROTOCOL_ERROR)),
        (5, 100, (PROTOCOL_ERROR,)),
        (5, 0x1000000, (PROTOCOL_ERROR,)),
    ]:
        client = Client(address)
        client.send(raw(4, struct.pack(">HI", identifier, value)))
        client.expect_end(*codes)


@check
def a_push_promise_of_a_client_8_4(address):
    client = Client(address)
    client.send(client.headers(1, POST, end=False), raw(5, b"\0\0\0\x02" + client.encoder.encode(GET), 0x4, 1))
    client.expect_end(PROTOCOL_ERROR)


@check
def ping_on_a_stream_6_7(address):
    client = Client(address)
    client.send(raw(6, b"12345678", 0, 1))
    client.expect_end(PROTOCOL_ERROR)


@check
def ping_of_the_wrong_size_6_7(address):
    client = Client(address)
    client.send(raw(6, b"1234567"))
    client.expect_end(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


@check
def a_window_opened_by_nothing_6_9(address):
    client = Client(address)
    client.send(raw(8, b"\0\0\0\0"))
    client.expect_end(PROTOCOL_ERROR)


@check
def a_window_that_overflows_6_9_1(address):
    client = Client(address)
    client.send(raw(8, b"\x7f\xff\xff\xff"), raw(8, b"\x7f\xff\xff\xff"))
    client.expect_end(FLOW_CONTROL_ERROR)


@check
def a_window_frame_of_the_wrong_size_6_9(address):
    client = Client(address)
    client.send(raw(8, b"\0\0\1"))
    client.expect_end(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


@check
def a_frame_that_is_too_large_4_2(address):
    client = Client(address)
    client.send(client.headers(1, POST, end=False), raw(0, b"a" * 20_000, 0, 1))
    client.expect_end(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


@check
def a_header_block_that_can_not_be_read_4_3(address):
    client = Client(address)
    client.send(raw(1, b"\xff\xff\xff\xff\xff\xff", 0x5, 1))
    client.expect_end(COMPRESSION_ERROR, PROTOCOL_ERROR)


@check
def a_header_table_beyond_what_was_offered_4_3(address):
    client = Client(address)
    client.send(raw(1, b"\x3f\xff\xff\x03" + client.encoder.encode(GET), 0x5, 1))
    client.expect_end(COMPRESSION_ERROR, PROTOCOL_ERROR)


@check
def data_beyond_the_window_6_9_1(address):
    client = Client(address)
    client.send(client.headers(1, [(":method", "POST"), (":scheme", "http"), (":path", "/hang"), (":authority", "a")], end=False))
    for _ in range(20):
        client.send(raw(0, b"a" * 16_384, 0, 1))
    assert client.read(lambda: client.is_over() or 1 in client.reset), "the window is no bound"
    assert client.reset.get(1, client.goaway) in (FLOW_CONTROL_ERROR, None)


# Requests that are malformed (8.1.1)


@check
def data_behind_the_end_5_1(address):
    client = Client(address)
    client.send(client.headers(1, GET), raw(0, b"abc", 0, 1))
    client.read(lambda: client.is_over() or 1 in client.reset)
    assert client.is_over() or client.reset.get(1) == STREAM_CLOSED, client.reset


@check
def names_in_upper_case_8_2(address):
    refused(address, GET + [("X-Upper", "1")])


@check
def fields_of_a_connection_8_2_2(address):
    for field in [
        ("connection", "close"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
    ]:
        refused(address, GET + [field])


@check
def pseudo_headers_behind_others_8_3(address):
    refused(address, [(":method", "GET"), ("x", "1"), (":scheme", "http"), (":path", "/"), (":authority", "a")])


@check
def pseudo_headers_that_are_missing_8_3_1(address):
    for missing in (":method", ":scheme", ":path"):
        refused(address, [field for field in GET if field[0] != missing])


@check
def pseudo_headers_twice_8_3_1(address):
    for field in GET:
        refused(address, [field] + GET)


@check
def pseudo_headers_that_are_not_known_8_3(address):
    refused(address, GET + [(":unknown", "1")])
    refused(address, GET + [(":status", "200")])


@check
def an_empty_path_8_3_1(address):
    refused(address, GET[:2] + [(":path", "")] + GET[3:])


@check
def pseudo_headers_in_trailers_8_1(address):
    # Malformed, or left out: the endpoint is asked afterwards whether it saw them.
    refused(address, POST, body=b"abc", trailers=[(":path", "/smuggled")], statuses=(200, 400))


@check
def trailers_without_an_end_8_1(address):
    client = Client(address)
    client.send(client.headers(1, POST, end=False), client.headers(1, [("x", "1")], end=False))
    client.expect_refusal(1)


@check
def a_length_that_is_not_that_of_the_body_8_1_1(address):
    refused(address, POST + [("content-length", "5")], body=b"abc", statuses=(400, 502))
    refused(address, POST + [("content-length", "1")], body=b"abc", statuses=(400, 502))


@check
def lengths_that_contradict_8_1_1(address):
    refused(address, POST + [("content-length", "3"), ("content-length", "4")], body=b"abc")


@check
def a_host_that_is_not_the_authority_8_3_1(address):
    refused(address, GET + [("host", "b")])
    refused(address, GET + [("host", "a"), ("host", "a")])


@check
def an_authority_that_is_no_host_8_3_1(address):
    for authority in ("a b", "a/b", "a@b@c", "a:x", "a\0"):
        refused(address, GET[:3] + [(":authority", authority)])


@check
def values_that_would_split_a_head_10_3(address):
    for value in ("a\r\nhost: smuggled", "a\nb", "a\rb", "a\0b"):
        refused(address, GET + [("x", value)])
    refused(address, GET[:2] + [(":path", "/ HTTP/1.1\r\nhost: smuggled\r\n\r\n")] + GET[3:])
    refused(address, [(":method", "GET / HTTP/1.1\r\nhost: b\r\n\r\nGET")] + GET[1:])


@check
def names_that_would_split_a_head_10_3(address):
    for name in ("x\r\ny", "x:y", "x y", ""):
        refused(address, GET + [(name, "1")])


@check
def a_plain_connect_8_5(address):
    refused(address, [(":method", "CONNECT"), (":authority", "a:443")], statuses=(400, 405, 501))


# Floods (10.5)


def flood(address, frame, times=3_000, codes=(ENHANCE_YOUR_CALM,), opening=None):
    """The connection is cut long before all of this was taken."""
    client = Client(address)
    if opening:
        client.send(opening(client))
    data = frame if isinstance(frame, bytes) else frame.serialize()
    for _ in range(times // 50):
        if not client.send(data * 50):
            break
    client.expect_end(*codes)


@check
def flood_of_pings(address):
    flood(address, ping())


@check
def flood_of_settings(address):
    flood(address, raw(4, struct.pack(">HI", 3, 100)))


@check
def flood_of_empty_settings(address):
    flood(address, raw(4))


@check
def flood_of_priorities(address):
    flood(address, raw(2, b"\0\0\0\0\x0f", 0, 3))


@check
def flood_of_windows(address):
    flood(address, raw(8, b"\0\0\0\1"))


@check
def flood_of_windows_of_a_stream(address):
    opening = lambda client: client.headers(1, GET[:2] + [(":path", "/hang")] + GET[3:])
    flood(address, raw(8, b"\0\0\0\1", 0, 1), opening=opening)


@check
def flood_of_empty_data(address):
    opening = lambda client: client.headers(1, POST, end=False)
    flood(address, raw(0, b"", 0, 1), opening=opening)


@check
def flood_of_continuations(address):
    opening = lambda client: client.headers(1, GET, flags=())
    flood(address, raw(9, b"", 0, 1), codes=(ENHANCE_YOUR_CALM, PROTOCOL_ERROR), opening=opening)


@check
def flood_of_continuations_with_fields(address):
    client = Client(address)
    client.send(client.headers(1, GET, flags=()))
    block = b"".join(b"\x00\x01x" + b"\x7f\x81\x7e" + b"a" * 510 for _ in range(20))
    for _ in range(200):
        if not client.send(raw(9, block, 0, 1)):
            break
    client.expect_end()


@check
def flood_of_resets_rapid_reset(address):
    client = Client(address)
    path = GET[:2] + [(":path", "/hang")] + GET[3:]
    for n in range(3_000):
        stream = 2 * n + 1
        if not client.send(client.headers(stream, path), frames.RstStreamFrame(stream, error_code=8)):
            break
    client.expect_end(ENHANCE_YOUR_CALM)


@check
def flood_of_resets_after_a_moment(address):
    client = Client(address)
    path = GET[:2] + [(":path", "/hang")] + GET[3:]
    stream = 1
    for _ in range(60):
        opened = range(stream, stream + 80, 2)
        ok = client.send(*(client.headers(n, path) for n in opened))
        # Whether the requests have begun by now is not said; the pong shows that they were read.
        pongs = client.pongs
        ok = ok and client.send(ping()) and client.read(lambda: client.pongs > pongs)
        if not ok or not client.send(*(frames.RstStreamFrame(n, error_code=8) for n in opened)):
            break
        stream += 80
    client.expect_end(ENHANCE_YOUR_CALM)


@check
def flood_of_streams_that_we_are_made_to_reset(address):
    client = Client(address)
    path = [(":method", "POST"), (":scheme", "http"), (":path", "/hang"), (":authority", "a")]
    for n in range(3_000):
        stream = 2 * n + 1
        # A window opened by nothing is an error of the stream.
        if not client.send(client.headers(stream, path, end=False), raw(8, b"\0\0\0\0", 0, stream)):
            break
    client.expect_end(ENHANCE_YOUR_CALM)


@check
def more_streams_than_were_offered_5_1_2(address):
    client = Client(address)
    path = GET[:2] + [(":path", "/hang")] + GET[3:]
    client.send(*(client.headers(2 * n + 1, path) for n in range(150)))
    assert client.read(lambda: client.is_over() or len(client.reset) >= 50), client.reset
    assert client.is_over() or len(client.reset) == 50, client.reset


@check
def a_bomb_of_small_fields(address):
    client = Client(address)
    client.send(client.headers(1, GET + [(f"x-{n}", "") for n in range(400)]))
    client.expect_refusal(1, 431)


@check
def a_bomb_of_one_field_many_times(address):
    client = Client(address)
    first = client.headers(1, GET + [("x-bomb", "a" * 3000)])
    client.send(first)
    client.expect_answer(1)
    # Each byte stands for three thousand.
    index = 62 + 0
    client.send(raw(1, client.encoder.encode(GET) + bytes([0x80 | index]) * 10_000, 0x5, 3))
    client.expect_refusal(3, 431)


@check
def a_bomb_of_cookies(address):
    client = Client(address)
    client.send(client.headers(1, GET + [("cookie", "a=1")] * 5_000))
    client.expect_refusal(1, 431)


# Clients that hold what they have (10.5)


@check
def a_preface_that_drips(address):
    client = Client(address, preface=b"", settings=None)
    began = time.monotonic()
    for byte in PREFACE:
        if not client.send(bytes([byte])) or client.read(lambda: False, 0.2) is True:
            break
    client.expect_end()
    assert time.monotonic() - began < 6, "it was waited for too long"


@check
def a_header_block_that_drips(address):
    client = Client(address)
    client.send(client.headers(1, GET, flags=()))
    client.expect_end()


@check
def a_stream_that_is_not_read_beside_one_that_is(address):
    client = Client(address, settings={4: 0})
    large = GET[:2] + [(":path", "/large")] + GET[3:]
    client.send(client.headers(1, large))
    assert client.read(lambda: 1 in client.status), "no answer"
    deadline, stream = time.monotonic() + PATIENCE, 3
    while 1 not in client.reset and time.monotonic() < deadline:
        window = frames.WindowUpdateFrame(stream, window_increment=1000)
        client.send(client.headers(stream, GET), window)
        client.expect_answer(stream)
        client.read(lambda: 1 in client.reset, 0.1)
        stream += 2
    assert 1 in client.reset, "the stream stayed, with its buffers and its endpoint"
    assert not client.is_over(), "its neighbours went with it"


@check
def a_body_that_stops_beside_one_that_comes(address):
    client = Client(address)
    client.send(client.headers(1, POST + [("content-length", "10")], end=False), raw(0, b"abc", 0, 1))
    deadline, stream = time.monotonic() + PATIENCE, 3
    done = lambda: 1 in client.reset or 1 in client.status
    while not done() and time.monotonic() < deadline:
        client.send(client.headers(stream, POST, end=False), raw(0, b"a", 1, stream))
        client.expect_answer(stream)
        client.read(done, 0.1)
        stream += 2
    assert done(), "the stream stayed, with its endpoint"
    assert not client.is_over(), "its neighbours went with it"


if __name__ == "__main__":
    host, port, *only = sys.argv[1:]
    check.run(lambda: (host, int(port)), only=only)
