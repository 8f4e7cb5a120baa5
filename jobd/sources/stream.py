"""What the parts of this package hand to each other: files in places, and their bytes as streams.

Every position of a stream is one in the unpacked bytes.
"""

from __future__ import annotations

from typing import Protocol

READ_BYTES = 1 << 19


class SourceFile(Protocol):
    """One concrete file of a source, open, whatever it lies in: a place, or an archive in one.

    ``name`` is what messages call it and what is written into columns named ``file``; ``size_bytes`` its size as
    it is stored (of an archive's member: unpacked); ``modified_ns`` when it was last changed, 0 where unknown.
    """

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def size_bytes(self) -> int:
        """How large it is."""
        ...

    @property
    def modified_ns(self) -> int:
        """When it was last changed, in nanoseconds since 1970."""
        ...

    def stream(self) -> Stream:
        """Its bytes from their start, with a position of their own; any number of streams may be open."""
        ...

    def close(self) -> None:
        """Give it back; none of its streams may be in use."""
        ...


class StoredFile(SourceFile, Protocol):
    """A file that lies in a place, so that its bytes can be had at any position."""

    def read(self, position: int, size: int) -> bytes:
        """Bytes at a position, fewer than ``size`` only where the file ends; any thread may call it."""
        ...


class Stream(Protocol):
    """Bytes with positions."""

    position: int
    compression: str | None

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; fewer only where the stream ends, which ``b""`` confirms."""
        ...

    def seek(self, position: int) -> None:
        """Go to a position that has been read before, or beyond."""
        ...

    def fraction_before(self, position: int) -> float:
        """The share of the source's bytes that lie before a position at or before the present one."""
        ...

    def reopened(self) -> Stream:
        """The same bytes from their start, with a position of its own; the open file is shared."""
        ...

    def close(self) -> None:
        """Give back what the stream holds; the file stays open."""
        ...


class PlainStream:
    """The file itself."""

    compression: str | None = None

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self.position = 0

    def read(self, size: int) -> bytes:
        """Bytes from the present position on, never beyond the size that the file had when it was opened."""
        data = self._file.read(self.position, size)
        self.position += len(data)
        return data

    def seek(self, position: int) -> None:
        """Go to any position."""
        self.position = position

    def fraction_before(self, position: int) -> float:
        """Share of the bytes before the position."""
        return min(1.0, position / max(1, self._file.size_bytes))

    def reopened(self) -> Stream:
        """Another stream over the same open file."""
        stream = PlainStream(self._file)
        stream.compression = self.compression
        return stream

    def close(self) -> None:
        """A plain stream holds nothing."""
