"""The spans of attempts and batches. Nothing of a row, a file's name or an error's text gets into one.

Loaded only where traces are sent (see start.py).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from jobd import log
from jobd.tracing.traceparent import KEY, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

    from jobd.model.job import Job
    from jobd.model.tally import Tally

_log = log.get("tracing")
_FAILED = frozenset({"failed", "retried", "timeout"})
ROLLED_BACK = "rolled_back"
COMMITTED = "committed"
_EMPTY = contexts.Context()


class Tracing:
    """Makes spans, and has them sent by a thread of OpenTelemetry's, from a queue that is bounded."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("jobd", version)

    def attempt(self, job: Job) -> AttemptSpan:
        """Begin the span of an attempt."""
        return AttemptSpan(self._tracer, job)

    def close(self, seconds: float) -> None:
        """Send what is left, for so long at most; blocks. Whatever the receiver does, nothing waits for longer."""
        # Of a thread that does not come back in time the process's end must not wait either.
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(seconds)
        if closing.is_alive():
            _log.warning("traces were left unsent")


class AttemptSpan:
    """One attempt at one job, from its slot until its ending is confirmed."""

    def __init__(self, tracer: Tracer, job: Job) -> None:
        self._tracer = tracer
        self._lease_token = job.lease_token
        self.rows: dict[str, int] = {}
        attributes: dict[str, str | int] = {
            "jobd.job_id": str(job.id),
            "jobd.job_type": str(job.job_type),
            "jobd.queue": job.queue,
            "jobd.attempt": 1 + job.retry_count + job.interrupt_count,
            "jobd.lease_token": job.lease_token,
            "messaging.system": "jobd",
            "messaging.operation.name": str(job.job_type),
            "messaging.operation.type": "process",
            "messaging.destination.name": job.queue,
            "messaging.message.id": str(job.id),
        }
        submitter = _submitter(job)
        parent = None if submitter is None else trace.NonRecordingSpan(submitter)
        self._span: Span = tracer.start_span(
            f"{job.job_type} {job.queue}",
            context=_EMPTY if parent is None else trace.set_span_in_context(parent, _EMPTY),
            links=() if submitter is None else (Link(submitter),),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
        )
        self.context = trace.set_span_in_context(self._span, _EMPTY)
        self._token: Token[Context] | None = None
        self.open_batch: Span | None = None

    @property
    def trace_id(self) -> str:
        """As logs and exemplars name it."""
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    def enter(self) -> None:
        """Make it the current span, so that those of a handler's libraries are its children."""
        self._token = contexts.attach(self.context)

    def leave(self) -> None:
        """Make current again what was before :meth:`enter`."""
        if self._token is not None:
            contexts.detach(self._token)
            self._token = None

    def batch(self, from_row: int, began_at: int | None = None, beside: int = 0) -> BatchSpan:
        """Begin the span of a batch, or have it begun at a time in nanoseconds.

        ``beside``: the other jobs whose rows the same transaction brings in.
        """
        attributes = {"jobd.lease_token": self._lease_token, "jobd.from_row": from_row}
        if beside:
            attributes["jobd.jobs_beside"] = beside
        span = self._tracer.start_span("batch", context=self.context, attributes=attributes, start_time=began_at)
        return BatchSpan(self, span)

    def tried_again(self, told: Mapping[str, str | bool]) -> None:
        """A passing error, of the open batch where there is one."""
        (self.open_batch or self._span).add_event("tried again", dict(told))

    def end(self, outcome: str, error_code: str | None) -> None:
        """The attempt is over; ``outcome`` as the metrics name it."""
        for name, number in self.rows.items():
            self._span.set_attribute(f"jobd.rows.{name}", number)
        self._span.set_attribute("jobd.outcome", outcome)
        if error_code is not None:
            self._span.set_attributes({"jobd.error_code": error_code, "error.type": error_code})
        if outcome in _FAILED:
            self._span.set_status(Status(StatusCode.ERROR, error_code))
        self._span.end()


class BatchSpan:
    """One batch, however often it is tried."""

    def __init__(self, attempt: AttemptSpan, span: Span) -> None:
        self._attempt = attempt
        self._span = span

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Where it is the current span, and what is tried again is this batch."""
        token = contexts.attach(trace.set_span_in_context(self._span, self._attempt.context))
        self._attempt.open_batch = self._span
        try:
            yield
        finally:
            self._attempt.open_batch = None
            contexts.detach(token)

    def committed(self, tally: Tally, to_row: int) -> None:
        """The transaction is durable."""
        self._span.set_attributes({"jobd.to_row": to_row, "jobd.outcome": COMMITTED})
        for name, number in (
            ("added", tally.added),
            ("updated", tally.updated),
            ("unchanged", tally.unchanged),
            ("skipped", tally.skipped),
            ("rejected", tally.refused),
        ):
            if number:
                self._span.set_attribute(f"jobd.rows.{name}", number)
                self._attempt.rows[name] = self._attempt.rows.get(name, 0) + number
        self._span.end()

    def rolled_back(self, error_type: str | None) -> None:
        """Nothing of it was kept; ``error_type`` None where it was only stopped."""
        self._span.set_attribute("jobd.outcome", ROLLED_BACK)
        if error_type is not None:
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(Status(StatusCode.ERROR, error_type))
        self._span.end()


def _submitter(job: Job) -> SpanContext | None:
    """The span that the job was submitted in; None where its metadata tell of none."""
    value = job.metadata.get(KEY)
    if value is None:
        return None
    found = parse(value)
    if found is None:
        _log.debug("traceparent passed over", job_id=job.id)
        return None
    return SpanContext(found.trace_id, found.span_id, is_remote=True, trace_flags=TraceFlags(found.flags))
