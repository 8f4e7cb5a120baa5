"""The stretch of a stream that is being looked at; it always begins with a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import SourceError

if TYPE_CHECKING:
    from jobd.sources.stream import Stream

_READ_BYTES_MIN = 1 << 18  # what is read at least, however little is looked at


class Window:
    """Bytes from ``start`` on; the stream is read as they are needed."""

    def __init__(self, stream: Stream, start: int) -> None:
        stream.seek(start)
        self._stream = stream
        self._held = b""
        self._offset = 0
        self._break: SourceError | None = None
        self._is_at_end = False
        self._shown: tuple[int, int] | None = None  # where the last look began, and how much there was
        self.start = start

    @property
    def _available(self) -> int:
        return len(self._held) - self._offset

    def look(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer where the stream ends.

        A stream that breaks off is an error only once everything before the break has been looked at from here.
        """
        while self._available < size and not self._is_at_end and self._break is None:
            self._read(size - self._available)
        shown = self.start, self._available
        if self._break is not None and self._available < size and (not self._available or shown == self._shown):
            raise self._break
        self._shown = shown
        if self._offset == 0 and len(self._held) <= size:
            return self._held
        return self._held[self._offset : self._offset + size]

    def glance(self, size: int) -> bytes:
        """What is at hand of the next ``size`` bytes, for callers that go on behind it; empty only at the end."""
        seen = self.look(min(size, self._available) or size)
        self._shown = None  # whoever looks next has not looked at it
        return seen

    def _read(self, size: int) -> None:
        try:
            more = self._stream.read(max(size, _READ_BYTES_MIN))
        except SourceError as error:
            self._break = error
            return
        if not more:
            self._is_at_end = True
        rest = self._held[self._offset :] if self._available else b""
        self._held = rest + more if rest else more
        self._offset = 0

    def is_last(self, size: int) -> bool:
        """Whether the stream is known to end within the next ``size`` bytes."""
        return self._is_at_end and self._available <= size

    def advance(self, size: int) -> None:
        """Let go of the first ``size`` bytes."""
        self._offset += size
        self.start += size

    def jump(self, position: int) -> None:
        """Begin anew at a position, which may lie before bytes that were let go."""
        self._stream.seek(position)
        self._held = b""
        self._offset = 0
        self._is_at_end = False
        self._break = None
        self.start = position
