"""Structured logs without secrets: no row data and no connection URL can get in.

An exception is logged by what it is and where in jobd it passed, never by its text: a database error quotes rows,
a driver's error may quote the URL. Other libraries' records keep their template and lose their arguments.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import FilteringBoundLogger, WrappedLogger

    Event = MutableMapping[str, Any]

# Lines logged so far by this process, by level.
counts: Counter[str] = Counter()
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
FRAMES_MAX = 12


def get(name: str) -> FilteringBoundLogger:
    """The logger of a part of jobd; pass an exception as ``error=``."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


def configure(level: str = "info", format_name: str = "json") -> None:
    """Set up structlog and take over what libraries log through the standard library."""
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _count,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_errors,
    ]
    if format_name == "json":
        chain.append(structlog.processors.JSONRenderer(serializer=_to_json))
    else:
        chain.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(max(LEVELS[level], logging.WARNING))


def describe(error: BaseException) -> dict[str, Any]:
    """What may be said about an exception in a log: its kind, the database's names for it, jobd's frames."""
    described: dict[str, Any] = {"class": type(error).__name__}
    for name in ("sqlstate", "schema_name", "table_name", "constraint_name", "error_code", "errno"):
        value = getattr(error, name, None)
        if isinstance(value, str | int):
            described[name] = value
    frames = [
        f"{frame.filename.rpartition('/jobd/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/jobd/" in frame.filename and "/site-packages/" not in frame.filename.rpartition("/jobd/")[2]
    ]
    if frames:
        described["frames"] = frames[-FRAMES_MAX:]
    if isinstance(error, BaseExceptionGroup):
        described["errors"] = [describe(part) for part in error.exceptions[:FRAMES_MAX]]
    return described


def _count(_logger: WrappedLogger, method: str, event: Event) -> Event:
    counts[method] += 1
    return event


def _describe_errors(_logger: WrappedLogger, _method: str, event: Event) -> Event:
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = describe(value)
    event.pop("exc_info", None)  # its text is what must not get in
    return event


def _to_json(event: Event, **_options: object) -> str:
    return orjson.dumps(event, default=str).decode()


class _LibraryHandler(logging.Handler):
    """Passes on that a library logged something, without the values it filled in."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger(part=record.name)
        error = record.exc_info[1] if record.exc_info else None
        fields = {} if error is None else {"error": error}
        logger.log(record.levelno, str(record.msg), **fields)
