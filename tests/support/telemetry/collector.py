"""A collector of OpenTelemetry: it decodes what OTLP over HTTP brings."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from tests.support.servers.http_stand_in import HttpStandIn, QuietHandler


class Collector(HttpStandIn):
    """The spans and metrics that arrived, in order."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: list[Any] = []
        self.refusals = 0
        """How many requests are still answered with 400."""
        super().__init__(self._make_handler())

    @property
    def endpoint(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                self.send_response(collector.receive(self.path, body))
                self.end_headers()

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


@contextlib.contextmanager
def collecting() -> Generator[Collector]:
    """Run a collector while the block runs."""
    with Collector() as collector:
        yield collector
