"""Records too long to be held: find where one ends while keeping only a piece of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jobd.sources.formats.csv_cutter import switches_with_escape
from jobd.sources.formats.csv_mask import EscapeMask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jobd.sources.formats.csv_cutter import CsvShape


class EndScan:
    """Carries the state of quoting from piece to piece of one record, up to its end.

    When the stream ends first, inside quotes, ``resume_at`` is behind the line on which those quotes opened, and
    ``resume_lines`` the number of physical lines up to there. Pieces are masked here, unless the shape says that
    they are already.
    """

    def __init__(self, shape: CsvShape, start: int) -> None:
        self._mask = EscapeMask(shape) if shape.escapes_unquoted else None
        self._shape = shape.masked
        self._position = start
        self._last_quote = -1
        self._escape_before = b""
        self.is_inside = False
        self.lines = 0
        self.resume_at: int | None = None
        self.resume_lines = 0

    def feed(self, piece: bytes) -> tuple[int, bool]:
        """How much of the piece was used, and whether the record ends there."""
        physical = np.flatnonzero(np.frombuffer(piece, np.uint8) == self._shape.newline)
        if self._mask is not None:
            piece = self._mask.feed(piece)
        array = np.frombuffer(piece, np.uint8)
        quotes = self._quotes(piece, array)
        newlines = physical if self._mask is None else np.flatnonzero(array == self._shape.newline)
        is_outside = (np.searchsorted(quotes, newlines) + self.is_inside) % 2 == 0
        ending = np.flatnonzero(is_outside)
        if len(ending):
            end = int(newlines[ending[0]]) + 1
            self.lines += int(np.searchsorted(physical, end))
            self.is_inside = False
            return end, True
        self._remember(quotes, newlines, physical)
        self.is_inside ^= bool(len(quotes) % 2)
        self.lines += len(physical)
        self._position += len(piece)
        return len(piece), False

    def _quotes(self, piece: bytes, array: NDArray[np.uint8]) -> NDArray[np.int64]:
        if not self._shape.has_quotes:
            return np.zeros(0, np.int64)
        if self._shape.escape == self._shape.quote:
            return np.flatnonzero(array == self._shape.quote)
        # Of a run of escapes that the pieces' border divides, only odd or even matters.
        text = self._escape_before + piece
        switches = switches_with_escape(text, self._shape, is_inside=self.is_inside) - len(self._escape_before)
        escape = bytes([self._shape.escape])
        run = len(text) - len(text.rstrip(escape))
        self._escape_before = escape if run % 2 else b""
        return switches

    def _remember(
        self, quotes: NDArray[np.int64], newlines: NDArray[np.int64], physical: NDArray[np.int64]
    ) -> None:
        """Where reading could go on if the quotes that are open now are never closed."""
        placed = np.concatenate(([self._last_quote - self._position], quotes))
        opens = placed[1:][int(self.is_inside) :: 2]
        previous = placed[:-1][int(self.is_inside) :: 2]
        is_open = self.is_inside or len(opens) > 0
        opens = opens[opens != previous + 1]
        after = 0
        if len(opens):
            after = int(opens[-1])
            self.resume_at = None
        if self.resume_at is None and is_open:
            later = int(np.searchsorted(newlines, after))
            if later < len(newlines):
                end = int(newlines[later]) + 1
                self.resume_at = self._position + end
                self.resume_lines = self.lines + int(np.searchsorted(physical, end))
        if len(quotes):
            self._last_quote = self._position + int(quotes[-1])
