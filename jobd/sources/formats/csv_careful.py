"""The same records as ``csv_cutter`` finds, step by step: for stretches with stray quotes in them.

Each stray quote ends a cut in bulk, and where there is one there are more.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats.csv_cutter import begins_field, cut, ends_field
from jobd.sources.formats.csv_mask import FILLER, begins_with_comment

if TYPE_CHECKING:
    from jobd.sources.formats.csv_cutter import CsvShape, Cut


def cut_carefully(buffer: bytes, shape: CsvShape, record_bytes_max: int) -> tuple[Cut, list[int]]:
    """The records at the beginning of a buffer, and which of them are lines given up because of a stray quote.

    Escapes are masked in it, comments are not. The cut ends before a record that is not complete in the buffer, or
    is too long.
    """
    end = 0
    strays: list[tuple[int, int]] = []
    comments: list[tuple[int, int]] = []
    while end < len(buffer):
        found = _next_record(buffer, end, shape)
        if found is None or found[0] - end > record_bytes_max or _is_stray_of_long(found, end, record_bytes_max):
            break
        if found[1]:
            strays.append((end, found[0]))
        elif begins_with_comment(buffer, end, shape):
            comments.append((end, found[0]))
        end = found[0]
    harmless = bytearray(buffer[:end])
    for start, stop in (*strays, *comments):
        harmless[start : stop - 1] = bytes([FILLER]) * (stop - 1 - start)
    records = cut(bytes(harmless), shape)
    newlines = np.flatnonzero(np.frombuffer(buffer, np.uint8) == shape.newline)
    given_up = np.searchsorted(records.ends, np.array([stop for _, stop in strays], np.int64))
    return replace(records, next_lines=np.searchsorted(newlines, records.ends)), given_up.tolist()


def _is_stray_of_long(found: tuple[int, bool, int], start: int, record_bytes_max: int) -> bool:
    """Whether what was given up would have been a record that is too long; that one is judged by another rule."""
    return found[1] and found[2] - start > record_bytes_max


def _next_record(buffer: bytes, start: int, shape: CsvShape) -> tuple[int, bool, int] | None:
    """Where the record ends, whether it is given up there, where it would have ended; None: not in the buffer."""
    newline, quote = bytes([shape.newline]), bytes([shape.quote])
    at = start
    if begins_with_comment(buffer, start, shape):
        end = buffer.find(newline, start) + 1
        return (end, False, end) if end else None
    given_up: int | None = None
    while (end := buffer.find(newline, at) + 1) > 0:
        opener = buffer.find(quote, at, end)
        if opener < 0:
            return (end, False, end) if given_up is None else (given_up, True, end)
        closer = _closer(buffer, opener, shape)
        if closer is None:
            return None
        line_end = buffer.find(newline, opener) + 1
        if given_up is None and 0 < line_end <= closer:
            is_good = begins_field(buffer, opener, shape, start) and ends_field(buffer, closer, shape)
            given_up = None if is_good else line_end
        at = closer + 1
    return None


def _closer(buffer: bytes, opener: int, shape: CsvShape) -> int | None:
    """The quote that ends the stretch which ``opener`` begins."""
    quote = shape.quote
    at = opener + 1
    while at < len(buffer):
        if shape.escape == quote:
            at = buffer.find(quote, at)
        else:
            found = _tokens(shape.escape, quote).search(buffer, at)
            at = -1 if found is None else found.start()
        if at < 0 or at + 1 >= len(buffer):
            return None
        if buffer[at] == quote and buffer[at + 1] != quote:
            return at
        at += 2
    return None


def _tokens(escape: int, quote: int) -> re.Pattern[bytes]:
    either = re.escape(bytes([escape])) + re.escape(bytes([quote]))
    return re.compile(re.escape(bytes([escape])) + b"[" + either + b"]|" + re.escape(bytes([quote])))
