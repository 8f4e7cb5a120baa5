"""A member that lies in its archive as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobd.errors import SourceError
from jobd.sources.stream import PlainStream

if TYPE_CHECKING:
    from jobd.sources.stream import Stream


class Readable(Protocol):
    """Bytes at any position."""

    def read(self, position: int, size: int) -> bytes:
        """Fewer than ``size`` only where they end."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an archive, as a file; ``compression`` is the archive's own."""

    name: str
    size_bytes: int
    modified_ns: int
    archive: Readable
    start: int
    compression: str | None = None

    def read(self, position: int, size: int) -> bytes:
        """Bytes at a position in the member; an archive that ends in it is truncated."""
        wanted = min(size, self.size_bytes - position)
        if wanted <= 0:
            return b""
        found = self.archive.read(self.start + position, wanted)
        if not found:
            raise SourceError(
                f"{self.name} is cut off after {position} of its {self.size_bytes} bytes: the archive ends there. "
                "What came before is kept; send the whole archive and retry",
                code="source_truncated",
            )
        return found

    def stream(self) -> Stream:
        """Its bytes from their start."""
        stream = PlainStream(self)
        stream.compression = self.compression
        return stream

    def close(self) -> None:
        """The archive is closed by itself."""
