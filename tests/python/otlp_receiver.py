"""An OTLP receiver for traces, built on the official protocol package.

    otlp_receiver.py grpc|http [--delay SECONDS]

Prints a JSON object on a line for each span that it takes; with --delay it answers each export so much later.
"""

import argparse
import json
import sys
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as service
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

from checks import listening

LINES = threading.Lock()


def plain(value):
    """The value of an attribute."""
    return getattr(value, value.WhichOneof("value"))


def attributes(pairs):
    return {pair.key: plain(pair.value) for pair in pairs}


def tell(request, headers, delay):
    """Prints the spans of an export."""
    time.sleep(delay)
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                told = {
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "state": span.trace_state,
                    "flags": span.flags & 0xFF,
                    "remote": bool(span.flags & trace.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK),
                    "name": span.name,
                    "kind": trace.Span.SpanKind.Name(span.kind),
                    "status": trace.Status.StatusCode.Name(span.status.code),
                    "nanos": span.end_time_unix_nano - span.start_time_unix_nano,
                    "age": time.time() - span.start_time_unix_nano / 1e9,
                    "attributes": attributes(span.attributes),
                    "resource": attributes(of_resource.resource.attributes),
                    "scope": of_scope.scope.name,
                    "key": headers.get("x-key", ""),
                }
                with LINES:
                    print("span " + json.dumps(told), file=sys.stderr, flush=True)
    return messages.ExportTraceServiceResponse()


def serve_grpc(delay):
    class Receiver(service.TraceServiceServicer):
        def Export(self, request, context):
            return tell(request, dict(context.invocation_metadata()), delay)

    server = grpc.server(futures.ThreadPoolExecutor(8))
    service.add_TraceServiceServicer_to_server(Receiver(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    listening(f"127.0.0.1:{port}")
    server.wait_for_termination()


def serve_http(delay):
    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            good = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
            answer = b""
            if good:
                request = messages.ExportTraceServiceRequest.FromString(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = tell(request, headers, delay).SerializeToString()
            self.send_response(200 if good else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments):
            """Nobody wants to know."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    listening(f"127.0.0.1:{server.server_port}")
    server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol", choices=["grpc", "http"])
    parser.add_argument("--delay", type=float, default=0.0)
    arguments = parser.parse_args()
    {"grpc": serve_grpc, "http": serve_http}[arguments.protocol](arguments.delay)
