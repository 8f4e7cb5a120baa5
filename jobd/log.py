"""Structured logs without secrets: no row data and no connection URL can get in.

An exception is logged by what it is and where in jobd it passed, never by its text: a database error quotes rows,
a driver's error may quote the URL. Of other libraries' records only what their code holds as a literal is kept.
The events and their fields are listed in ``deploy/logs.md``.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from jobd.systemd import Journal, is_journal

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import FilteringBoundLogger, WrappedLogger

    Event = MutableMapping[str, Any]

# Lines logged so far by this process, by level.
counts: Counter[str] = Counter()
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_level = logging.INFO
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
# What says who and when; the rest of an event says what.
_FRAME_FIELDS = ("event", "level", "timestamp")
FRAMES_MAX = 12


def get(name: str) -> FilteringBoundLogger:
    """The logger of a part of jobd; pass an exception as ``error=``."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


def configure(level: str = "info", format_name: str = "json", journal_stream: str | None = None) -> None:
    """Set up structlog and take over what libraries log through the standard library.

    Where standard error is the journal, as ``journal_stream`` says, events are written as its native fields.
    """
    global _level  # noqa: PLW0603  there is one log in a process
    _level = LEVELS[level]
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _count,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_errors,
    ]
    factory: Any = structlog.WriteLoggerFactory(sys.stderr)
    if format_name == "console":
        chain.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    elif journal_stream is not None and is_journal(journal_stream, sys.stderr.fileno()):
        chain.append(_to_journal)
        journal = _JournalLogger()
        factory = lambda *_: journal  # noqa: E731  one socket for all loggers
    else:
        chain.append(structlog.processors.JSONRenderer(serializer=_to_json))
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(max(LEVELS[level], logging.WARNING))


def is_debugging() -> bool:
    """Whether debug events are written: to make one that is not costs more than some of what it would tell."""
    return _level == logging.DEBUG


def guard_process() -> None:
    """Have logged, without the values in it, what the interpreter would print on standard error by itself."""
    logger = get("interpreter")
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda _class, error, _traceback: logger.error("uncaught error", error=error)
    threading.excepthook = lambda hooked: logger.error("uncaught error", error=hooked.exc_value)
    sys.unraisablehook = lambda hooked: logger.error("uncaught error", error=hooked.exc_value)


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


def _to_json(event: object, **_options: object) -> str:
    return orjson.dumps(event, default=str).decode()


def _to_journal(_logger: WrappedLogger, _method: str, event: Event) -> tuple[tuple[dict[str, str], str], Event]:
    """The event as fields of the journal, and as the line to write where it does not take them."""
    values = {name: _to_field(value) for name, value in event.items() if name not in _FRAME_FIELDS}
    told = " ".join(f"{name}={value}" for name, value in values.items() if name not in {"part", "worker_id"})
    fields = {
        "MESSAGE": f"{event['event']}: {told}" if told else str(event["event"]),
        "PRIORITY": str(PRIORITIES[event["level"]]),
        "SYSLOG_IDENTIFIER": "jobd",
        "JOBD_EVENT": str(event["event"]),
        **{f"JOBD_{name.upper()}": value for name, value in values.items()},
    }
    return (fields, _to_json(event)), {}


def _to_field(value: object) -> str:
    """A value as the journal is asked for it: what has no parts as it is written, anything else as JSON."""
    return _to_json(value) if isinstance(value, dict | list | tuple | bool | None) else str(value)


class _JournalLogger:
    """Writes to the journal, and to standard error what the journal's socket does not take."""

    def __init__(self) -> None:
        self._journal = Journal()

    def msg(self, fields: dict[str, str], line: str) -> None:
        """Write one entry."""
        if not self._journal.send(fields):
            print(line, file=sys.stderr, flush=True)  # noqa: T201  a stream to the journal too

    debug = info = warning = error = critical = msg


class _LibraryHandler(logging.Handler):
    """Passes on that a library logged something, without the values it filled in or composed its text from."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger(part=record.name)
        error = record.exc_info[1] if record.exc_info else None
        fields: dict[str, Any] = {} if error is None else {"error": error}
        name = f"{record.module}:{record.lineno}"
        logger.log(record.levelno, "library message", template=_literal(record), at=name, **fields)


def _literal(record: logging.LogRecord) -> str | None:
    """The record's text where it stands so in the code that logs it; any other may hold anything."""
    frame = sys._getframe()  # noqa: SLF001  the interpreter's own way to the caller
    while frame is not None and (frame.f_code.co_filename, frame.f_lineno) != (record.pathname, record.lineno):
        frame = frame.f_back  # type: ignore[assignment]  # None behind the outermost
    return str(record.msg) if frame is not None and record.msg in frame.f_code.co_consts else None
