"""Sends spans, and says once when that does not work, once when it works again.

Loaded only where traces are sent (see start.py).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from jobd import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

_log = log.get("tracing")
# Its own words come at every try, and quote what the receiver answered.
_NOISY = ("opentelemetry.exporter", "opentelemetry.sdk")


class QuietExporter(SpanExporter):
    """OTLP over HTTP. What it cannot deliver is lost, and counted."""

    def __init__(self) -> None:
        self._exporter = OTLPSpanExporter()
        self._lost = 0
        self._status = _LastStatus()
        for name in _NOISY:
            logger = logging.getLogger(name)
            logger.handlers[:] = [self._status]
            logger.propagate = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some; called by one thread only."""
        self._status.seen = None
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if self._lost == 0:
                _log.warning("traces are not delivered", spans=len(spans), status=self._status.seen)
            self._lost += len(spans)
        elif self._lost:
            _log.info("traces are delivered again", spans_lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        """Send nothing more; an attempt that waits to be made again is given up."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is kept back here."""
        del timeout_millis
        return True


class _LastStatus(logging.Handler):
    """Remembers the status that the receiver answered with, of all that the library says about a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        self.seen = next((one for one in arguments if isinstance(one, int)), self.seen)
