"""A real OTLP/HTTP receiver on loopback: takes spans, keeps what was sent, and misbehaves when told to."""

from __future__ import annotations

import contextlib
import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.support.daemons import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A span as it arrived."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    began_at: int
    ended_at: int
    is_error: bool
    status_message: str
    attributes: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[str, ...]
    resource: Mapping[str, Any]

    def is_of(self, job_id: object) -> bool:
        return self.attributes.get("jobd.job_id") == str(job_id)


class TraceReceiver(ThreadingHTTPServer):
    """``status`` is what it answers, ``stalls`` until ``released``."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.raw: list[bytes] = []
        self.paths: list[str] = []
        self.spans: list[SeenSpan] = []
        self.status = 200
        self.stalls = False
        self.asked = threading.Event()
        self.released = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def variables(self) -> dict[str, str]:
        """What a daemon is told to send its spans here."""
        return {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}"}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none."""

    async def attempts(self, job_id: object, count: int = 1) -> list[SeenSpan]:
        """The spans of the job's attempts, once there are so many."""

        async def look() -> list[SeenSpan]:
            return [span for span in self.spans if span.is_of(job_id)]

        return await until(look, lambda seen: len(seen) >= count)

    def batches_of(self, attempt: SeenSpan) -> list[SeenSpan]:
        found = [span for span in self.spans if span.parent_id == attempt.span_id]
        return sorted(found, key=lambda span: span.began_at)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for of_resource in request.resource_spans:
            resource = _plain(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += [_seen(span, resource) for span in of_scope.spans]


class _Handler(BaseHTTPRequestHandler):
    server: TraceReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.asked.set()
        if self.server.stalls:
            self.server.released.wait(60)
            return
        self.server.raw.append(body)
        self.server.paths.append(self.path)
        if self.server.status == 200:
            self.server.take(body)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the base class names it so
        """Nothing on standard error."""


@contextlib.contextmanager
def trace_receiver(port: int = 0) -> Iterator[TraceReceiver]:
    receiver = TraceReceiver(port)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        receiver.shutdown()
        receiver.server_close()
        thread.join()


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _seen(span: Any, resource: Mapping[str, Any]) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        began_at=span.start_time_unix_nano,
        ended_at=span.end_time_unix_nano,
        is_error=span.status.code == Status.STATUS_CODE_ERROR,
        status_message=span.status.message,
        attributes=_plain(span.attributes),
        events=tuple((event.name, _plain(event.attributes)) for event in span.events),
        links=tuple(f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in span.links),
        resource=resource,
    )
