"""WebSocket over HTTP/2 (extended CONNECT, RFC 8441), by libraries written by others: h2 speaks HTTP/2, websockets
knows the frames within.

    websocket_h2_client.py ADDRESS [--ca FILE] [--name NAME] [--host HOST] [CHECK …]
"""

import argparse
import socket
import ssl

import h2.config
import h2.connection
import h2.events
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

from checks import Checks, equal

SOON = 15
check = Checks()


class Connection:
    """One HTTP/2 connection."""

    def __init__(self, arguments):
        host, port = arguments.address.rsplit(":", 1)
        sock = socket.create_connection((host, int(port)), timeout=SOON)
        self.scheme = "http"
        self.host = arguments.host or "localhost"
        if arguments.ca:
            tls = ssl.create_default_context(cafile=arguments.ca)
            tls.set_alpn_protocols(["h2"])
            sock = tls.wrap_socket(sock, server_hostname=arguments.name or self.host)
            equal(sock.selected_alpn_protocol(), "h2")
            self.scheme = "https"
        self.sock = sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.streams = {}
        self.settled = False
        self.flush()
        while not self.settled:
            self.more()
        equal(self.h2.remote_settings.enable_connect_protocol, 1)

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def more(self):
        """Reads once, and gives each stream what is its own."""
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the connection ended")
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RemoteSettingsChanged):
                self.settled = True
            if isinstance(event, h2.events.ConnectionTerminated):
                raise ConnectionError(f"GOAWAY: {event.error_code}")
            stream = self.streams.get(getattr(event, "stream_id", None))
            if stream is None:
                continue
            if isinstance(event, h2.events.ResponseReceived):
                stream.fields = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                stream.reader.feed_data(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                stream.over = event
        self.flush()

    def websocket(self, path, **fields):
        return Stream(self, path, fields)


class Stream:
    """One WebSocket within."""

    def __init__(self, connection, path, fields):
        self.connection = connection
        self.reader = StreamReader()
        self.fields = None
        self.over = None
        self.id = connection.h2.get_next_available_stream_id()
        connection.streams[self.id] = self
        head = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", connection.scheme),
            (":path", path),
            (":authority", connection.host),
            ("sec-websocket-version", "13"),
        ]
        head += [(name.replace("_", "-"), value) for name, value in fields.items()]
        connection.h2.send_headers(self.id, head)
        connection.flush()
        while self.fields is None and self.over is None:
            connection.more()
        self.status = self.fields and self.fields[":status"]

    def send(self, opcode, data):
        whole = Frame(opcode, data).serialize(mask=True)
        while whole:
            room = min(
                self.connection.h2.local_flow_control_window(self.id), self.connection.h2.max_outbound_frame_size
            )
            if room <= 0:
                self.connection.more()
                continue
            self.connection.h2.send_data(self.id, whole[:room])
            whole = whole[room:]
            self.connection.flush()

    def receive(self):
        parsing = Frame.parse(self.reader.read_exact, mask=False)
        while True:
            try:
                next(parsing)
            except StopIteration as parsed:
                return parsed.value
            if self.over is not None:
                raise ConnectionError(f"the stream ended: {self.over}")
            self.connection.more()


@check
def messages_both_ways(connection):
    stream = connection.websocket("/echo")
    equal(stream.status, "200")
    for opcode, data in ((Opcode.TEXT, b"hello"), (Opcode.BINARY, bytes(range(256))), (Opcode.TEXT, b"")):
        stream.send(opcode, data)
        frame = stream.receive()
        equal((frame.opcode, bytes(frame.data)), (opcode, data))


@check
def a_large_message(connection):
    stream = connection.websocket("/echo")
    large = bytes(range(256)) * 4096
    stream.send(Opcode.BINARY, large)
    back = b""
    while len(back) < len(large):
        back += bytes(stream.receive().data)
    equal(back == large, True)


@check
def the_server_speaks_first(connection):
    equal(bytes(connection.websocket("/hello").receive().data), b"the server speaks first")


@check
def a_ping_is_answered_by_the_server(connection):
    stream = connection.websocket("/echo")
    stream.send(Opcode.PING, b"there?")
    frame = stream.receive()
    equal((frame.opcode, bytes(frame.data)), (Opcode.PONG, b"there?"))


@check
def the_server_closes(connection):
    stream = connection.websocket("/close")
    stream.send(Opcode.TEXT, b"now")
    frame = stream.receive()
    closed = Close.parse(bytes(frame.data))
    equal((frame.opcode, closed.code, closed.reason), (Opcode.CLOSE, 4001, "closed by the server"))
    stream.send(Opcode.CLOSE, Close(4001, "").serialize())
    while stream.over is None:
        connection.more()


@check
def a_subprotocol(connection):
    stream = connection.websocket("/echo", sec_websocket_protocol="first, second")
    equal((stream.status, stream.fields.get("sec-websocket-protocol")), ("200", "second"))


@check
def a_refusal_is_passed_on(connection):
    equal(connection.websocket("/refused").status, "403")


@check
def several_on_one_connection(connection):
    streams = [connection.websocket("/echo") for _ in range(10)]
    for number, stream in enumerate(streams):
        stream.send(Opcode.TEXT, str(number).encode())
    for number, stream in enumerate(streams):
        equal(bytes(stream.receive().data), str(number).encode())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--ca")
    parser.add_argument("--name")
    parser.add_argument("--host")
    parser.add_argument("checks", nargs="*")
    arguments = parser.parse_args()
    check.run(lambda: Connection(arguments), only=arguments.checks)


main()
