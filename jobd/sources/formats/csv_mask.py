"""What must not count as structure, made harmless before the records are cut: comments and escaped bytes.

The masked text has the same length, so that every position in it is one in the file's own bytes. Most files have
neither comments nor escapes outside quotes: their text is masked as it stands, which costs nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats.csv_cutter import CR, LF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobd.sources.formats.csv_cutter import CsvShape

    Offsets = NDArray[np.int64]

FILLER = 0x80  # no byte that may be structural is other than ASCII
_PAIR = bytes([FILLER, FILLER])


def masked(buffer: bytes, shape: CsvShape, *, with_comments: bool = True) -> bytes:
    """The text of a buffer that begins with a record; cut it with ``shape.masked``."""
    text = buffer
    if shape.escapes_unquoted and buffer.find(shape.escape) >= 0:
        text = EscapeMask(shape).feed(buffer)
    if shape.comment is None or not with_comments:
        return text
    starts, stops = _comments(text, shape)
    if not len(starts):
        return text
    edges = np.zeros(len(text) + 1, np.int8)
    edges[starts] += 1
    edges[stops] -= 1
    array = np.frombuffer(text, np.uint8).copy()
    array[np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)] = FILLER
    return array.tobytes()


def begins_with_comment(buffer: bytes, start: int, shape: CsvShape) -> bool:
    """Whether the line that begins here is a comment; the line feed of a line end before it may come first."""
    if shape.comment is None:
        return False
    at = start + (shape.newline == CR and buffer[start : start + 1] == b"\n")
    return buffer[at : at + 1] == bytes([shape.comment])


class EscapeMask:
    """Masks escapes with the bytes they take, piece by piece; the first piece begins with a line.

    An escape at the end of a line that looks like a comment takes nothing: it must not swallow the next record.
    """

    def __init__(self, shape: CsvShape) -> None:
        self._shape = shape
        self._escape = bytes([shape.escape])
        self._pair = re.compile(re.escape(self._escape) + b".", re.DOTALL)
        self._is_pending = False  # the last byte was an escape, which takes the next piece's first byte
        self._line_begins: int | None = None  # with which byte, once that has been seen

    def feed(self, piece: bytes) -> bytes:
        """The piece, masked."""
        pending = self._escape if self._is_pending else b""
        text = self._pair.sub(_PAIR, pending + piece)[len(pending) :]
        self._is_pending = text.endswith(self._escape)
        return text if self._shape.comment is None else self._with_comments_ended(piece, text)

    def _with_comments_ended(self, piece: bytes, text: bytes) -> bytes:
        before = np.frombuffer(piece, np.uint8)
        newlines = np.flatnonzero(before == self._shape.newline)
        starts = np.concatenate((np.zeros(1, np.int64), newlines + 1))
        if self._shape.newline == CR:
            starts += (before[np.minimum(starts, len(before) - 1)] == LF) & (starts < len(before))
        begins = np.append(before, 0)[np.minimum(starts, len(before))].astype(np.int64)
        if self._line_begins is not None:
            begins[0] = self._line_begins
        if len(newlines):
            self._line_begins = None
        if self._line_begins is None and starts[-1] < len(before):
            self._line_begins = int(begins[-1])
        after = np.frombuffer(text, np.uint8)
        ended = newlines[(begins[:-1] == self._shape.comment) & (after[newlines] == FILLER)]
        if not len(ended):
            return text
        restored = after.copy()
        restored[ended] = self._shape.newline
        return restored.tobytes()


def _comments(text: bytes, shape: CsvShape) -> tuple[Offsets, Offsets]:
    """Where comments begin, and where their line ends stand."""
    nothing = np.zeros(0, np.int64)
    comment, newline = bytes([shape.comment or 0]), bytes([shape.newline])
    if not (
        begins_with_comment(text, 0, shape)
        or newline + comment in text
        or (shape.newline == CR and b"\r\n" + comment in text)
    ):
        return nothing, nothing
    array = np.frombuffer(text, np.uint8)
    newlines = np.flatnonzero(array == shape.newline)
    starts = np.concatenate((np.zeros(1, np.int64), newlines + 1))
    stops = np.append(newlines, len(text))
    starts, stops = starts[starts < len(text)], stops[starts < len(text)]
    if shape.newline == CR:
        starts = starts + ((array[starts] == LF) & (starts < len(text) - 1))
    chosen = array[starts] == shape.comment
    starts, stops = starts[chosen], stops[chosen]
    if shape.has_quotes and text.find(shape.quote) >= 0:
        if shape.masked.escape != shape.quote and text.find(shape.escape) >= 0:
            outside = _outside_step_by_step(text, starts.tolist(), stops.tolist(), shape)
        else:
            outside = _outside(array, starts, stops, shape.quote)
        starts, stops = starts[outside], stops[outside]
    return starts, stops


def _outside(array: NDArray[np.uint8], starts: Offsets, stops: Offsets, quote: int) -> NDArray[np.bool_]:
    """Which of the lines begin outside quotes, where quotes in such a line do not count for the following ones."""
    quotes = np.flatnonzero(array == quote)
    before = np.searchsorted(quotes, starts)
    within = np.searchsorted(quotes, stops) - before
    uncounted = np.zeros(len(starts), np.int64)
    total = 0
    for index in np.flatnonzero(within).tolist():
        if (before[index] - total) % 2 == 0:
            uncounted[index] = within[index]
            total += int(within[index])
    is_outside: NDArray[np.bool_] = (before - np.cumsum(uncounted) + uncounted) % 2 == 0
    return is_outside


def _outside_step_by_step(text: bytes, starts: list[int], stops: list[int], shape: CsvShape) -> NDArray[np.bool_]:
    """The same where an escape inside quotes takes the quote behind it."""
    escape, quote = re.escape(bytes([shape.escape])), re.escape(bytes([shape.quote]))
    taken = re.compile(escape + b"[" + escape + quote + b"]|" + quote)
    is_outside = np.zeros(len(starts), np.bool_)
    is_inside, at = False, 0
    for index, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        while found := taken.search(text, at, start) if is_inside else _find(text, shape.quote, at, start):
            is_inside ^= text[found.start()] == shape.quote
            at = found.end()
        at = max(at, start)
        if not is_inside:
            is_outside[index] = True
            at = stop
    return is_outside


def _find(text: bytes, byte: int, at: int, stop: int) -> re.Match[bytes] | None:
    return re.compile(re.escape(bytes([byte]))).search(text, at, stop)
