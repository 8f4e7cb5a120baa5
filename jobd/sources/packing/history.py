"""The bytes that were decoded last, so that going back a little costs nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque


class History:
    """A stretch of bytes with positions: grows at its end, and is let go at its beginning."""

    def __init__(self, kept_bytes: int, start: int) -> None:
        self._kept_bytes = kept_bytes
        self._pieces: deque[bytes] = deque()
        self._starts: deque[int] = deque()
        self.start = self.end = start

    def add(self, piece: bytes) -> None:
        """Put bytes behind the end; the oldest go when there are more than may be kept."""
        self._pieces.append(piece)
        self._starts.append(self.end)
        self.end += len(piece)
        while self.end - self.start - len(self._pieces[0]) >= self._kept_bytes:
            self.start += len(self._pieces.popleft())
            self._starts.popleft()

    def read(self, position: int, size: int) -> bytes:
        """At least one byte from a position inside on, at most ``size``."""
        at = len(self._starts) - 1
        if position < self._starts[at]:
            at = bisect_right(self._starts, position) - 1
        piece, offset = self._pieces[at], position - self._starts[at]
        return piece if not offset and len(piece) <= size else piece[offset : offset + size]
