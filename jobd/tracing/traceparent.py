"""The header ``traceparent`` of W3C Trace Context, as it stands in a job's metadata."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "traceparent"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_CHARACTERS_MAX = 256


class Traceparent(NamedTuple):
    """Which span caused this."""

    trace_id: int
    span_id: int
    flags: int


def parse(value: object) -> Traceparent | None:
    """What the header says; None for what is no such header.

    A later version may say more behind what this one knows; version ff is none.
    """
    found = _FORM.fullmatch(value) if isinstance(value, str) and len(value) <= _CHARACTERS_MAX else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    parsed = Traceparent(int(trace_id, 16), int(span_id, 16), int(flags, 16))
    is_known = version != "ff" and not (version == "00" and more is not None)
    return parsed if is_known and parsed.trace_id and parsed.span_id else None


def current() -> str | None:
    """The header for the span that is current here; None without one.

    OpenTelemetry is not loaded for it: where nobody has, no span can be current.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}"


def with_current(metadata: Mapping[str, Any] | None, otherwise: str | None = None) -> Mapping[str, Any] | None:
    """The metadata of a job that is submitted here; what the submitter says of the trace itself is kept.

    ``otherwise``: the header where no span is current; passed over where it is none.
    """
    if metadata is not None and KEY in metadata:
        return metadata
    found = current() or (otherwise if parse(otherwise) is not None else None)
    return metadata if found is None else {**(metadata or {}), KEY: found}
