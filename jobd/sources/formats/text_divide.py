r"""Where the lines and blocks of a text lie.

A line ends with ``\n`` or ``\r\n``, in a text of lone ``\r`` with one of those. A separator with a line end in it
(``"---\n"``, ``"\n\n"``) counts as whole lines only, one without (``";"``) wherever it stands; its ``\n`` stands
for ``\r\n`` as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jobd.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Offsets = NDArray[np.int64]

SEPARATOR_BYTES_MAX = 1000
_LF, _CR = 10, 13
_LINE_ENDS = b"\r\n"


@dataclass(frozen=True, slots=True)
class Division:
    """Complete lines or blocks of a text, k = 0 … n-1, ``lines`` counted from the text's first one as 0.

    ``starts[k]`` up to ``stops[k]`` is what k holds, ``ends[k]`` stands behind its line end or separator.
    ``lengths[k]`` counts the bytes up to there; ``lines[k]`` is its start's, ``next_lines[k]`` its end's.
    """

    starts: Offsets
    stops: Offsets
    ends: Offsets
    lengths: Offsets
    lines: Offsets
    next_lines: Offsets

    def __len__(self) -> int:
        return len(self.ends)


class Divider(Protocol):
    r"""Finds lines or blocks in a text whose line ends are ``\n`` or ``\r\n``."""

    @property
    def width(self) -> int:
        """The most bytes that stand between two of them."""
        ...

    def divide(self, text: bytes, *, is_last: bool) -> Division:
        """Those that are complete at the beginning of the text; ``is_last``: it ends where the stream does."""
        ...

    def first_end(self, text: bytes, *, is_last: bool, begins_line: bool) -> int:
        """Where the first one ends that does not end before the text begins; 0: not in this text."""
        ...


class Lines:
    """Every line, empty ones too."""

    width = 2

    def divide(self, text: bytes, *, is_last: bool) -> Division:
        """Lines, found in bulk."""
        array = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(array == _LF) + 1
        stops = ends - 1
        if is_last and text and text[-1] != _LF:
            ends, stops = np.append(ends, len(text)), np.append(stops, len(text))
        starts = np.empty_like(ends)
        starts[:1] = 0
        starts[1:] = ends[:-1]
        if text.find(_CR) >= 0:
            stops = stops - ((array[np.maximum(stops - 1, 0)] == _CR) & (stops > starts))
        lines = np.arange(len(ends))
        return Division(starts, stops, ends, stops - starts, lines, lines + 1)

    def first_end(self, text: bytes, *, is_last: bool, begins_line: bool) -> int:
        """Behind the first line end."""
        del begins_line
        return text.find(b"\n") + 1 or (len(text) if is_last else 0)


class Blocks:
    """What stands between separators, without the line ends around it."""

    def __init__(self, separator: str) -> None:
        encoded = _encoded(separator).replace(b"\r\n", b"\n")
        body = encoded.strip(b"\n")
        self._needs_line = b"\n" in encoded and bool(body)
        if self._needs_line:
            encoded = encoded.removeprefix(b"\n").removesuffix(b"\n") + b"\n"
        self.width = len(encoded) + encoded.count(b"\n")
        whole = re.escape(encoded).replace(re.escape(b"\n"), rb"\r?\n")
        self._inside = re.compile(whole)
        self._at_end = re.compile(whole.removesuffix(rb"\r?\n") + rb"(?:\r?\n|\Z)") if self._needs_line else None

    def divide(self, text: bytes, *, is_last: bool) -> Division:
        """Blocks, empty ones among them."""
        starts, stops, ends, lengths = [], [], [], []
        start = 0
        while start < len(text):
            found = self._find(text, start, is_last=is_last, begins_line=True)
            if found is None and not is_last:
                break
            stop, end = found or (len(text), len(text))
            content = text[start:stop].lstrip(_LINE_ENDS)
            lengths.append(stop - start)
            starts.append(stop - len(content))
            stops.append(stop - len(content) + len(content.rstrip(_LINE_ENDS)))
            ends.append(end)
            start = end
        newlines = np.flatnonzero(np.frombuffer(text, np.uint8) == _LF)
        return Division(
            np.array(starts, np.int64),
            np.array(stops, np.int64),
            np.array(ends, np.int64),
            np.array(lengths, np.int64),
            np.searchsorted(newlines, np.array(starts, np.int64)),
            np.searchsorted(newlines, np.array(ends, np.int64)),
        )

    def first_end(self, text: bytes, *, is_last: bool, begins_line: bool) -> int:
        """Behind the first separator."""
        found = self._find(text, 0, is_last=is_last, begins_line=begins_line)
        return found[1] if found else (len(text) if is_last else 0)

    def _find(self, text: bytes, start: int, *, is_last: bool, begins_line: bool) -> tuple[int, int] | None:
        """The first separator; behind another one, and at the beginning, a line begins."""
        pattern = self._at_end if is_last and self._at_end is not None else self._inside
        at = start
        while (found := pattern.search(text, at)) is not None:
            place = found.start()
            is_line = text[place - 1] == _LF if place > start else begins_line
            if is_line or not self._needs_line:
                return found.span()
            at = place + 1
        return None


def divider(separator: str | None) -> Divider:
    """Lines, or blocks where a separator is stated; raises OptionError."""
    return Lines() if separator is None else Blocks(separator)


def _encoded(separator: str) -> bytes:
    try:
        encoded = separator.encode()
    except UnicodeEncodeError as error:
        raise OptionError(f"separator: character {error.start + 1} is no text") from error
    if not encoded or len(encoded) > SEPARATOR_BYTES_MAX or b"\0" in encoded:
        raise OptionError(f"separator: must be of 1 to {SEPARATOR_BYTES_MAX} bytes, none of them NUL")
    return encoded
