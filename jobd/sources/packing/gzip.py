"""gzip as a stream."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from jobd.errors import SourceChanged, SourceError
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from jobd.sources.stream import SourceFile, Stream

GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's way to say: gzip, with header and checksum
_INFLATED_BYTES_MAX = 1 << 20


class GzipStream:
    """One or several gzip members, one after the other."""

    compression: str | None = "gzip"

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self.position = 0
        self._rewind()

    def _rewind(self) -> None:
        self.position = 0
        self._packed_position = 0
        self._raw = self._file.stream()
        self._packed = b""
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        self._is_ended = False

    def read(self, size: int) -> bytes:
        """Inflated bytes. What precedes a break is delivered before the break is raised."""
        pieces: list[bytes] = []
        wanted = size
        while wanted > 0 and not self._is_ended:
            try:
                piece = self._inflate(min(wanted, _INFLATED_BYTES_MAX))
            except SourceError:
                if not pieces:
                    raise
                break
            if piece:
                pieces.append(piece)
                wanted -= len(piece)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.position += len(data)
        return data

    def _inflate(self, size: int) -> bytes:
        if not self._packed:
            self._packed = self._raw.read(READ_BYTES // 4)
            self._packed_position += len(self._packed)
        if self._inflater.eof:
            self._begin_member()
            return b""
        try:
            piece = self._inflater.decompress(self._packed, size)
        except zlib.error as error:
            raise SourceError(
                f"{self._file.name} is damaged near byte {self._packed_position - len(self._packed)} "
                f"of its gzip data ({error})",
                code="source_corrupt",
            ) from error
        if not (piece or self._packed or self._inflater.eof):
            raise SourceError(
                f"{self._file.name} ends in the middle of its gzip data, at byte {self._file.size_bytes}; "
                "what came before is kept. Send the whole file and retry",
                code="source_truncated",
            )
        self._packed = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
        return piece

    def _begin_member(self) -> None:
        """What follows a member is another one, zeros that pad the file, or its end."""
        self._packed = self._packed.lstrip(b"\0")
        if not self._packed and self._packed_position >= self._file.size_bytes:
            self._is_ended = True
        elif self._packed:
            if len(self._packed) >= 2 and not self._packed.startswith(GZIP_MAGIC):
                raise SourceError(
                    f"{self._file.name} has something else than gzip data behind its end", code="source_corrupt"
                )
            self._inflater = zlib.decompressobj(_GZIP_WINDOW)

    def seek(self, position: int) -> None:
        """Go on inflating to a later position, or begin again for an earlier one."""
        if position < self.position:
            self._rewind()
        while self.position < position:
            if not self.read(min(READ_BYTES, position - self.position)):
                raise SourceChanged(f"{self._file.name} is shorter than it was: it ends before byte {position}")

    def fraction_before(self, position: int) -> float:
        """Share of the compressed bytes, in proportion where the position lies back."""
        packed = self._packed_position - len(self._packed)
        share = packed / self._file.size_bytes
        return min(1.0, share * position / self.position if self.position else share)

    def reopened(self) -> Stream:
        """Another stream over the same open file."""
        return GzipStream(self._file)

    def close(self) -> None:
        """An inflater holds memory only."""
