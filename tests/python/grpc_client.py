"""A gRPC client of the official library, against grpc_server.py, through a proxy or not.

    grpc_client.py ADDRESS [--ca FILE] [--name NAME] [--authority HOST] [CHECK …]

ADDRESS is HOST:PORT or unix:/path. With --ca it speaks TLS; NAME is the one in the certificate. A HOST goes in
`:authority`, which is how one listener serves several services.
"""

import argparse
import threading

import grpc

from checks import Checks, equal

SERVICE = "/serin.test.Echo/"
SOON = 15
check = Checks()


def status_of(call):
    """The error that a call ends with."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"it went well: {answer!r}")


@check
def unary(channel):
    equal(channel.unary_unary(SERVICE + "Unary")(b"hello", timeout=SOON), b"hello")


@check
def metadata_both_ways(channel):
    sent = (("x-there", "some text"), ("x-there-bin", bytes(range(256))))
    _, call = channel.unary_unary(SERVICE + "Unary").with_call(b"", timeout=SOON, metadata=sent)
    equal(dict(call.initial_metadata()).get("x-back"), "some text")
    equal(dict(call.trailing_metadata()).get("x-trailing-bin"), bytes(range(256)))


@check
def an_empty_message(channel):
    equal(channel.unary_unary(SERVICE + "Unary")(b"", timeout=SOON), b"")


@check
def a_large_message(channel):
    large = bytes(range(256)) * 8192
    equal(channel.unary_unary(SERVICE + "Unary")(large, timeout=SOON) == large, True)


@check
def server_streaming(channel):
    answers = channel.unary_stream(SERVICE + "Count")(b"500", timeout=SOON)
    equal([int(answer) for answer in answers], list(range(500)))


@check
def server_streaming_of_nothing(channel):
    equal(list(channel.unary_stream(SERVICE + "Count")(b"0", timeout=SOON)), [])


@check
def client_streaming(channel):
    messages = (str(number).encode() for number in range(500))
    joined = channel.stream_unary(SERVICE + "Join")(messages, timeout=SOON)
    equal(joined, b",".join(str(number).encode() for number in range(500)))


@check
def bidirectional_streaming_without_buffering(channel):
    """The next message is sent only once the last has come back: whoever waits for more stops this."""
    back = threading.Semaphore(1)

    def messages():
        for number in range(20):
            if not back.acquire(timeout=SOON):
                return
            yield str(number).encode()

    numbers = []
    for answer in channel.stream_stream(SERVICE + "Echo")(messages(), timeout=SOON):
        numbers.append(int(answer))
        back.release()
    equal(numbers, list(range(20)))


@check
def an_error_status_without_a_message(channel):
    for code, details in (("NOT_FOUND", "no such thing"), ("UNAVAILABLE", "100 % of it: naïve ☃")):
        error = status_of(lambda: channel.unary_unary(SERVICE + "Status")(f"{code}:{details}".encode(), timeout=SOON))
        equal((error.code().name, error.details()), (code, details))
        equal(dict(error.trailing_metadata()).get("x-why"), "as asked")


@check
def an_error_status_after_a_message(channel):
    answers = channel.unary_stream(SERVICE + "LateStatus")(b"", timeout=SOON)
    equal(next(answers), b"first")
    error = status_of(lambda: next(answers))
    equal((error.code(), error.details()), (grpc.StatusCode.DATA_LOSS, "after the first message"))


@check
def an_unknown_method(channel):
    error = status_of(lambda: channel.unary_unary(SERVICE + "Nothing")(b"", timeout=SOON))
    equal(error.code(), grpc.StatusCode.UNIMPLEMENTED)


@check
def the_deadline_reaches_the_server(channel):
    left = float(channel.unary_unary(SERVICE + "Remaining")(b"", timeout=8))
    # The library rounds up when it writes grpc-timeout.
    if not 0 < left <= 8.1:
        raise AssertionError(f"{left} s instead of at most 8 s")


@check
def a_deadline_that_passes_ends_the_call_on_both_sides(channel):
    answers = channel.unary_stream(SERVICE + "Hang")(b"", timeout=1)
    equal(next(answers), b"here")
    equal(status_of(lambda: next(answers)).code(), grpc.StatusCode.DEADLINE_EXCEEDED)
    equal(channel.unary_unary(SERVICE + "Hung")(b"", timeout=SOON), b"yes")


@check
def a_cancelled_call_ends_on_both_sides(channel):
    answers = channel.unary_stream(SERVICE + "Hang")(b"")
    equal(next(answers), b"here")
    answers.cancel()
    equal(channel.unary_unary(SERVICE + "Hung")(b"", timeout=SOON), b"yes")


@check
def calls_side_by_side(channel):
    calls = [channel.unary_unary(SERVICE + "Unary").future(str(n).encode(), timeout=SOON) for n in range(100)]
    equal([call.result() for call in calls], [str(number).encode() for number in range(100)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--ca")
    parser.add_argument("--name")
    parser.add_argument("--authority")
    parser.add_argument("checks", nargs="*")
    arguments = parser.parse_args()
    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0)]
    if arguments.authority:
        options.append(("grpc.default_authority", arguments.authority))
    if arguments.ca:
        if arguments.name:
            options.append(("grpc.ssl_target_name_override", arguments.name))
        with open(arguments.ca, "rb") as ca:
            credentials = grpc.ssl_channel_credentials(ca.read())
        channel = grpc.secure_channel(arguments.address, credentials, options)
    else:
        channel = grpc.insecure_channel(arguments.address, options)
    with channel:
        check.run(lambda: channel, only=arguments.checks)


main()
