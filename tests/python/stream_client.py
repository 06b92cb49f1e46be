"""A POST whose answer comes back piece by piece: the next piece is sent only once the last has come back. HTTP/1.1 by
the standard library, HTTP/2 by the library h2.

    stream_client.py ADDRESS [--http2] [--ca FILE] [--host HOST] [CHECK …]

ADDRESS is HOST:PORT or unix:/path.
"""

import argparse
import http.client
import socket
import ssl

import h2.config
import h2.connection
import h2.events

from checks import Checks, equal

SOON = 15
PIECES = [b"piece %d\n" % number for number in range(20)]
check = Checks()


def connect(arguments):
    if arguments.address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(SOON)
        sock.connect(arguments.address.removeprefix("unix:"))
    else:
        host, port = arguments.address.rsplit(":", 1)
        sock = socket.create_connection((host, int(port)), timeout=SOON)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if arguments.ca:
        tls = ssl.create_default_context(cafile=arguments.ca)
        tls.set_alpn_protocols(["h2" if arguments.http2 else "http/1.1"])
        sock = tls.wrap_socket(sock, server_hostname=arguments.host)
    return sock


def by_http1(arguments):
    connection = http.client.HTTPConnection(arguments.host)
    connection.sock = connect(arguments)
    connection.putrequest("POST", "/echo")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    response = None
    for piece in PIECES:
        connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        response = response or connection.getresponse()
        equal(response.readline(), piece)
    connection.send(b"0\r\n\r\n")
    equal((response.status, response.read()), (200, b""))


def by_http2(arguments):
    sock = connect(arguments)
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    scheme = "https" if arguments.ca else "http"
    fields = [(":method", "POST"), (":scheme", scheme), (":authority", arguments.host), (":path", "/echo")]
    connection.send_headers(1, fields)
    back, status, over = b"", None, False

    def until(holds):
        nonlocal back, status, over
        while not holds():
            data = sock.recv(65536)
            if not data:
                raise ConnectionError("the connection ended")
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[":status"]
                elif isinstance(event, h2.events.DataReceived):
                    back += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, h2.events.StreamEnded):
                    over = True
                elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise ConnectionError(f"it was broken off: {event}")
            sock.sendall(connection.data_to_send())

    sent = b""
    for piece in PIECES:
        connection.send_data(1, piece)
        sock.sendall(connection.data_to_send())
        sent += piece
        until(lambda: back == sent)
    connection.end_stream(1)
    sock.sendall(connection.data_to_send())
    until(lambda: over)
    equal((status, back), ("200", sent))


@check
def each_piece_comes_back_before_the_next_is_sent(arguments):
    (by_http2 if arguments.http2 else by_http1)(arguments)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--http2", action="store_true")
    parser.add_argument("--ca")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("checks", nargs="*")
    arguments = parser.parse_args()
    check.run(lambda: arguments, only=arguments.checks)


main()
