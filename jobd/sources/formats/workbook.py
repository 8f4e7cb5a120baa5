"""Workbooks: one sheet as CSV text, made at once by a process of its own, and read from a file that has no name.

What is done in that process, and why it is one, is told in ``workbook_child``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from jobd.errors import HostNotReady, SourceChanged, SourceError
from jobd.model.own_columns import OWN_PREFIX
from jobd.sources.formats.workbook_kind import reader, unpacked_bytes
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from jobd.sources.options import Limits, ReadOptions
    from jobd.sources.stream import SourceFile, Stream

COMPRESSION = "xlsx"  # the word for the way from the file to its text
_CHILD = Path(__file__).with_name("workbook_child.py")
_CPU_SECONDS = 300
_WALL_SECONDS = 600
_MEMORY_BYTES = 256 << 20  # for the program itself, and small workbooks
_MEMORY_TIMES = 8  # memory for each byte of a workbook; it takes about four
_TEXT_TIMES = 8  # CSV text for each byte of a workbook: a text that many cells share is written for each

_REFUSALS = {
    "no_sheet": ("format_undetectable", "{name} has no visible sheet with anything in it"),
    "PasswordError": ("source_unreadable", "{name} is protected by a password; save it without one"),
    "MemoryError": (
        "source_too_large",
        "{name} takes more memory than JOBD_WORKBOOK_BYTES_MAX allows ({limit}); is a cell far from all others?",
    ),
    "too_large": (
        "source_too_large",
        "the sheet of {name} is longer as text than JOBD_WORKBOOK_BYTES_MAX allows ({limit}); save it as CSV",
    ),
    "too_slow": ("source_too_large", f"{{name}} takes more than {_CPU_SECONDS} s to read; save the sheet as CSV"),
}
# Without memory the library aborts; so does the system, to whoever takes too much.
_DEATHS: dict[int, str] = {
    signal.SIGXCPU: "too_slow",
    signal.SIGABRT: "MemoryError",
    signal.SIGKILL: "MemoryError",
}


class SheetText(NamedTuple):
    """A sheet as CSV. ``is_own``: it names jobd's own columns, so that it is laid out as refused records are."""

    stream: Stream
    sheet: str
    is_own: bool


def open_workbook(
    file: SourceFile, options: ReadOptions, *, sheet: str | None = None, may_be_own: bool = False
) -> SheetText:
    """The CSV text of a sheet; None: of the first visible one that is not empty.

    ``may_be_own``: what ``options`` say of skipped and header rows does not hold for a sheet of refused records.
    Raises SourceError, and HostNotReady where there is no room for the text.
    """
    limits = options.limits
    _require_size(file, limits)
    if importlib.util.find_spec("python_calamine") is None:
        raise SourceError(
            f"{file.name} is a workbook; reading it needs python-calamine, which is not installed here: install "
            "jobd[xlsx], or save the sheet as CSV",
            code="source_unsupported",
        )
    orders = {
        "sheet": sheet,
        "skip_rows": options.skip_rows,
        "header_rows": int(options.header),
        "own_prefix": OWN_PREFIX if may_be_own else None,
        "memory_bytes": _MEMORY_BYTES + _MEMORY_TIMES * limits.workbook_bytes,
        "cpu_seconds": _CPU_SECONDS,
        "output_bytes": _TEXT_TIMES * limits.workbook_bytes,
    }
    try:
        with tempfile.TemporaryFile() as stored, tempfile.TemporaryFile() as text:
            _copy(file, stored)
            report = _convert(file.name, stored, text, orders)
            made = _Text(os.dup(text.fileno()))
    except OSError as error:
        raise HostNotReady(
            f"the workbook {file.name} cannot be unpacked in {tempfile.gettempdir()}: {error.strerror}"
        ) from error
    if "sheet" not in report:
        raise _error(file.name, report, limits, sheet)
    return SheetText(WorkbookStream(made), report["sheet"], report["is_own"])


def _require_size(file: SourceFile, limits: Limits) -> None:
    size = max(file.size_bytes, unpacked_bytes(file))
    if size > limits.workbook_bytes:
        raise SourceError(
            f"{file.name} is a workbook of {size} bytes when unpacked, more than JOBD_WORKBOOK_BYTES_MAX allows "
            f"({limits.workbook_bytes}), since it is held in memory; save the sheet as CSV",
            code="source_too_large",
        )


def _copy(file: SourceFile, target: IO[bytes]) -> None:
    read, position = reader(file), 0
    while position < file.size_bytes and (piece := read(position, min(READ_BYTES, file.size_bytes - position))):
        target.write(piece)
        position += len(piece)
    target.seek(0)


def _convert(name: str, stored: IO[bytes], text: IO[bytes], orders: dict[str, Any]) -> dict[str, Any]:
    """The child's report; of one that died, what it died of."""
    # It needs nothing of the daemon's secrets; without -P this directory's modules would hide Python's own.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("JOBD_", "PG"))}
    try:
        child = subprocess.run(  # noqa: S603  its own program, and nothing of the file in its arguments
            [sys.executable, "-P", str(_CHILD), json.dumps(orders)],
            stdin=stored,
            stdout=text,
            stderr=subprocess.PIPE,
            env={**environment, "RUST_BACKTRACE": "0"},
            start_new_session=True,
            timeout=_WALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"refused": "too_slow"}
    if child.returncode < 0:
        return {"refused": _DEATHS.get(-child.returncode, "died"), "reason": f"signal {-child.returncode}"}
    lines = child.stderr.decode("utf-8", "replace").splitlines()
    if lines and lines[-1].startswith("{"):
        report: dict[str, Any] = json.loads(lines[-1])
        return report
    raise SourceError(
        f"the workbook {name} could not be read: the program for it ended with {child.returncode} "
        f"({lines[-1] if lines else 'no word'})"
    )


def _error(name: str, report: dict[str, Any], limits: Limits, sheet: str | None) -> SourceError:
    kind = report["refused"]
    if kind == "no_sheet" and sheet is not None:
        return SourceChanged(f"{name} has changed: it has no sheet {sheet!r} any more")
    if kind in _REFUSALS:
        code, message = _REFUSALS[kind]
        return SourceError(message.format(name=name, limit=limits.workbook_bytes), code=code)
    if kind == "OSError":
        raise HostNotReady(
            f"the workbook {name} cannot be unpacked in {tempfile.gettempdir()}: {report['reason']}"
        )
    return SourceError(
        f"{name} is damaged, or no workbook that can be read ({report['reason']})", code="source_corrupt"
    )


class _Text:
    """An open file without a name, given back when nothing reads it any more."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size_bytes = os.fstat(descriptor).st_size
        weakref.finalize(self, os.close, descriptor)


class WorkbookStream:
    """The text of a sheet; positions are those in it."""

    compression: str | None = COMPRESSION

    def __init__(self, text: _Text) -> None:
        self._text = text
        self.position = 0

    def read(self, size: int) -> bytes:
        """Text from the present position on."""
        data = os.pread(self._text.descriptor, size, self.position)
        self.position += len(data)
        return data

    def seek(self, position: int) -> None:
        """Go to any position."""
        self.position = position

    def fraction_before(self, position: int) -> float:
        """Share of the text."""
        return min(1.0, position / max(1, self._text.size_bytes))

    def reopened(self) -> Stream:
        """Another stream over the same text."""
        return WorkbookStream(self._text)

    def close(self) -> None:
        """The text goes with the last stream that reads it."""
