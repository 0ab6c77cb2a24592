"""A collector of OpenTelemetry: it decodes what OTLP over HTTP brings."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)


class Collector:
    """The spans and metrics that arrived, in order."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: list[Any] = []
        self.refusals = 0
        """How many requests are still answered with 400."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def endpoint(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                self.send_response(collector.receive(self.path, body))
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def receive(self, path: str, body: bytes) -> int:
        """Decode a request and return the status of its answer."""
        if self.refusals:
            self.refusals -= 1
            return 400
        if path == "/v1/traces":
            told = ExportTraceServiceRequest.FromString(body)
            for one in told.resource_spans:
                self.spans += [s for scope in one.scope_spans for s in scope.spans]
        else:
            asked = ExportMetricsServiceRequest.FromString(body)
            for one in asked.resource_metrics:
                for scope in one.scope_metrics:
                    self.metrics += scope.metrics
        return 200

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def collecting() -> Generator[Collector]:
    """Run a collector while the block runs."""
    with Collector() as collector:
        yield collector
