"""A WebSocket server of a library written by others.

    websocket_server.py ADDRESS [--cert FILE --key FILE]

ADDRESS is 127.0.0.1:0 (any port) or unix:/path. Each path does one thing that a proxy can spoil.
"""

import argparse
import asyncio
import http
import socket
import ssl

from websockets.asyncio.server import serve

from checks import listening


async def converse(connection):
    path = connection.request.path
    if path == "/hello":
        await connection.send("the server speaks first")
    elif path == "/close":
        await connection.recv()
        await connection.close(4001, "closed by the server")
        return
    elif path == "/headers":
        await connection.send("\n".join(f"{name.lower()}: {value}" for name, value in connection.request.headers.raw_items()))
        return
    async for message in connection:
        await connection.send(message)


def choose(connection, offered):
    return "second" if "second" in offered else None


def refuse(connection, request):
    if request.path == "/refused":
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not for you\n")
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    if arguments.address.startswith("unix:"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(arguments.address.removeprefix("unix:"))
        listener.listen()
    else:
        host, port = arguments.address.rsplit(":", 1)
        listener = socket.create_server((host, int(port)))
    tls = None
    if arguments.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(arguments.cert, arguments.key)
    options = {"select_subprotocol": choose, "process_request": refuse, "max_size": None}
    # TLS takes the socket over, so it is asked before. Whoever connects at once waits in its queue.
    address = arguments.address if arguments.address.startswith("unix:") else "{}:{}".format(*listener.getsockname())
    asyncio.run(serve_all(listener, address, ssl=tls, **options))


async def serve_all(listener, address, **options):
    async with serve(converse, sock=listener, **options) as server:
        listening(address)
        await server.serve_forever()


main()
