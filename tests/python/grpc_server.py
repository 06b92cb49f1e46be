"""A gRPC server of the official library. Messages are bytes as they are: no schema has to be compiled.

    grpc_server.py ADDRESS [--cert FILE --key FILE]

ADDRESS is 127.0.0.1:0 (any port) or unix:/path. Each method does one thing that a proxy can spoil.
"""

import argparse
import threading
from concurrent import futures

import grpc

from checks import listening

HANGING = threading.Semaphore(0)


def unary(request, context):
    """Echoes; metadata that came goes back, text and binary."""
    seen = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-back", seen.get("x-there", "")),))
    context.set_trailing_metadata((("x-trailing-bin", seen.get("x-there-bin", b"")),))
    return request


def status(request, context):
    """Ends with the status that the client asks for, before any message."""
    code, details = request.decode().split(":", 1)
    context.set_trailing_metadata((("x-why", "as asked"),))
    context.abort(next(known for known in grpc.StatusCode if known.name == code), details)


def late_status(request, context):
    """Sends a message, then fails: the status stands in trailers after data."""
    yield b"first"
    context.abort(grpc.StatusCode.DATA_LOSS, "after the first message")


def count(request, context):
    """As many messages as the client asks for."""
    for number in range(int(request)):
        yield str(number).encode()


def join(requests, context):
    """All messages as one."""
    return b",".join(requests)


def echo(requests, context):
    """Each message back as soon as it comes."""
    yield from requests


def remaining(request, context):
    """How many seconds the client still gives."""
    left = context.time_remaining()
    return b"none" if left is None else str(left).encode()


def hang(request, context):
    """Says that it is here, then nothing more; lets `hung` know when the client has given up."""
    over = threading.Event()

    def learn():
        HANGING.release()
        over.set()

    # Not after the wait: a call that is over is not always taken up again.
    context.add_callback(learn)
    yield b"here"
    over.wait(60)


def hung(request, context):
    """Answers once a `hang` has learned of its client's end."""
    return b"yes" if HANGING.acquire(timeout=10) else b"no"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    arguments = parser.parse_args()
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Status": grpc.unary_unary_rpc_method_handler(status),
        "LateStatus": grpc.unary_stream_rpc_method_handler(late_status),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Join": grpc.stream_unary_rpc_method_handler(join),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
        "Hang": grpc.unary_stream_rpc_method_handler(hang),
        "Hung": grpc.unary_unary_rpc_method_handler(hung),
    }
    # Limits are the proxy's matter.
    options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("serin.test.Echo", handlers),))
    if arguments.cert:
        with open(arguments.key, "rb") as key, open(arguments.cert, "rb") as cert:
            credentials = grpc.ssl_server_credentials(((key.read(), cert.read()),))
        port = server.add_secure_port(arguments.address, credentials)
    else:
        port = server.add_insecure_port(arguments.address)
    server.start()
    listening(arguments.address if arguments.address.startswith("unix:") else f"127.0.0.1:{port}")
    server.wait_for_termination()


main()
