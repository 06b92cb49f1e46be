"""A WebSocket client of a library written by others, against websocket_server.py, through a proxy or not.

    websocket_client.py ADDRESS [--ca FILE] [--name NAME] [--host HOST] [CHECK …]

ADDRESS is HOST:PORT or unix:/path. With --ca it speaks TLS; NAME is the one in the certificate. HOST goes in the
Host field, which is how one listener serves several services.

The library's blocking client reads and writes one TLS connection from two threads at once, which OpenSSL does not
allow; so it is its asyncio client that is used, on a loop of its own.
"""

import argparse
import asyncio
import contextlib
import socket
import ssl
import threading

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from checks import Checks, equal

SOON = 15
check = Checks()
loop = asyncio.new_event_loop()


def wait(coroutine, seconds=SOON):
    """The result of what runs on the loop."""
    bounded = asyncio.wait_for(coroutine, seconds)
    return asyncio.run_coroutine_threadsafe(bounded, loop).result()


class Connection:
    """The library's connection, asked from outside of its loop."""

    def __init__(self, connection):
        self.inner = connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        wait(self.inner.close())

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def send(self, message):
        wait(self.inner.send(message))

    def recv(self, seconds):
        return wait(self.inner.recv(), seconds)

    def close(self, code, reason):
        wait(self.inner.close(code, reason))

    def ping(self, data):
        """Returns when the pong has come."""

        async def answered():
            await (await self.inner.ping(data))

        wait(answered())


class Door:
    """Opens connections."""

    def __init__(self, arguments):
        self.address = arguments.address
        self.host = arguments.host or "localhost"
        self.name = arguments.name or self.host
        self.ca = arguments.ca

    def open(self, path="/echo", **options):
        if self.address.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self.address.removeprefix("unix:"))
        else:
            host, port = self.address.rsplit(":", 1)
            sock = socket.create_connection((host, int(port)), timeout=SOON)
        sock.setblocking(False)
        scheme = "ws"
        if self.ca:
            scheme = "wss"
            tls = ssl.create_default_context(cafile=self.ca)
            tls.set_alpn_protocols(["http/1.1"])
            options |= {"ssl": tls, "server_hostname": self.name}
        options = {"max_size": None, "compression": None} | options
        uri = f"{scheme}://{self.host}{path}"

        async def opened():
            return await connect(uri, sock=sock, open_timeout=SOON, proxy=None, **options)

        return Connection(wait(opened()))


@check
def text_and_binary(door):
    with door.open() as connection:
        for message in ("hello", "naïve ☃", "", b"\x00\xff", b""):
            connection.send(message)
            equal(connection.recv(SOON), message)


@check
def a_large_message(door):
    with door.open() as connection:
        large = bytes(range(256)) * 16384
        connection.send(large)
        equal(connection.recv(SOON) == large, True)


@check
def a_message_in_fragments(door):
    with door.open() as connection:
        connection.send([str(number) for number in range(100)])
        equal(connection.recv(SOON), "".join(str(number) for number in range(100)))


@check
def the_server_speaks_first(door):
    with door.open("/hello") as connection:
        equal(connection.recv(SOON), "the server speaks first")


@check
def ping_and_pong(door):
    with door.open() as connection:
        connection.ping(b"there?")


@check
def a_subprotocol(door):
    with door.open(subprotocols=["first", "second"]) as connection:
        equal(connection.subprotocol, "second")


@check
def compression(door):
    with door.open(compression="deflate") as connection:
        equal([type(extension).__name__ for extension in connection.protocol.extensions], ["PerMessageDeflate"])
        connection.send("x" * 100_000)
        equal(connection.recv(SOON), "x" * 100_000)


@check
def the_server_closes(door):
    with door.open("/close") as connection:
        connection.send("now")
        try:
            connection.recv(SOON)
        except ConnectionClosed as closed:
            equal((closed.rcvd.code, closed.rcvd.reason), (4001, "closed by the server"))
        else:
            raise AssertionError("it stayed open")


@check
def the_client_closes(door):
    with door.open() as connection:
        connection.close(4002, "closed by the client")
    equal((connection.close_code, connection.close_reason), (4002, "closed by the client"))


@check
def a_refusal_is_passed_on(door):
    try:
        with door.open("/refused"):
            pass
    except InvalidStatus as refused:
        equal((refused.response.status_code, refused.response.body), (403, b"not for you\n"))
    else:
        raise AssertionError("it was let in")


@check
def the_handshake_reaches_the_server(door):
    with door.open("/headers", additional_headers={"x-own": "there"}) as connection:
        seen = [line.lower() for line in connection.recv(SOON).splitlines()]
        for line in ("x-own: there", "upgrade: websocket", "connection: upgrade"):
            name = line.split(":", 1)[0]
            equal([field for field in seen if field.startswith(name + ":")], [line])


@check
def many_side_by_side(door):
    with contextlib.ExitStack() as all_of_them:
        connections = [all_of_them.enter_context(door.open()) for _ in range(20)]
        for number, connection in enumerate(connections):
            connection.send(str(number))
        for number, connection in enumerate(connections):
            equal(connection.recv(SOON), str(number))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--ca")
    parser.add_argument("--name")
    parser.add_argument("--host")
    parser.add_argument("checks", nargs="*")
    arguments = parser.parse_args()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    check.run(lambda: Door(arguments), only=arguments.checks)


main()
