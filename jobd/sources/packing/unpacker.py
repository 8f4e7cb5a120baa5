"""Decoding forward: member after member of one compressed file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.packing.codec import (
    DECODER_MEMORY_BYTES,
    DECODING_ERRORS,
    is_about_memory,
)
from jobd.sources.packing.decoder import KeepableDecoder
from jobd.sources.packing.points import Point
from jobd.sources.stream import READ_BYTES

if TYPE_CHECKING:
    from jobd.sources.packing.codec import Codec
    from jobd.sources.packing.decoder import Decoder
    from jobd.sources.stream import SourceFile

PACKED_BYTES = READ_BYTES // 4  # what is read at once
_FED_BYTES = 1 << 13  # to a decoder that does not tell how much of it it used, so that progress can be told


class Unpacker:
    """Decodes a file from a point on.

    ``position`` counts unpacked bytes, ``packed_position`` the packed ones that went into them. From
    ``singly_from`` on the decoder is fed single bytes, so that none it could give is lost when it breaks.
    """

    def __init__(self, file: SourceFile, codec: Codec, point: Point, singly_from: int | None = None) -> None:
        self._file = file
        self._codec = codec
        self._packed = file.stream()
        self._packed.seek(point.packed_position)
        self._singly_from = singly_from
        self._held, self._used = b"", 0  # what was read, and how much of it was fed
        self._decoder: Decoder | None = None
        self._keepable: KeepableDecoder | None = None
        self._border = Point(point.position, point.packed_position, None)
        self._has_begun = False
        if point.decoder is not None:
            self._begin(point.decoder.kept())  # a copy, since a point is used again
        self.position = point.position

    @property
    def _fed_position(self) -> int:
        return self._packed.position - len(self._held) + self._used

    @property
    def packed_position(self) -> int:
        """Packed bytes that were decoded, give or take what a decoder keeps to itself."""
        return self._fed_position - (0 if self._keepable is None else self._keepable.unread_bytes)

    def close(self) -> None:
        """Give back what is held."""
        self._packed.close()

    def point(self) -> Point:
        """The last point up to here that decoding can begin at."""
        kept = None if self._keepable is None else self._keepable.kept()
        return self._border if kept is None else Point(self.position, self.packed_position, kept)

    def decode(self, size: int) -> bytes:
        """At least one byte, at most ``size``; none behind the last member.

        When the decoder breaks, what it had decoded of these bytes is lost: an unpacker that feeds it single
        bytes gets at it. Raises SourceError.
        """
        while (decoder := self._decoder or self._next_member()) is not None:
            fed = b""
            if decoder.needs_input:
                fed = self._take()
                if not fed:
                    raise self._truncated()
            try:
                piece = decoder.decompress(fed, size)
            except DECODING_ERRORS as error:
                raise self._explained(error) from error
            if decoder.eof:
                self._held, self._used = decoder.unused_data + self._held[self._used :], 0
                self._decoder = self._keepable = None
            if piece:
                self.position += len(piece)
                return piece
        return b""

    def _take(self) -> bytes:
        if self._used == len(self._held):
            self._held, self._used = self._packed.read(PACKED_BYTES), 0
        size = PACKED_BYTES if self._keepable is not None else _FED_BYTES
        if self._singly_from is not None and self._fed_position >= self._singly_from:
            size = 1
        taken = self._held[self._used : self._used + size]
        self._used += len(taken)
        return taken

    def _next_member(self) -> Decoder | None:
        """What follows a member is another one, zeros that pad the file, or its end."""
        if not (self._finds_member() if self._codec.magics else not self._has_begun):
            return None
        self._border = Point(self.position, self._fed_position, None)
        return self._begin(self._codec.begin())

    def _begin(self, decoder: Decoder | None) -> Decoder | None:
        self._has_begun = True
        self._decoder = decoder
        self._keepable = decoder if isinstance(decoder, KeepableDecoder) else None
        return decoder

    def _finds_member(self) -> bool:
        while True:
            self._held, self._used = self._held[self._used :], 0
            if self._has_begun:
                self._held = self._held.lstrip(b"\0")
            if len(self._held) >= self._codec.magic_bytes:
                break
            more = self._packed.read(PACKED_BYTES)
            if not more:
                break
            self._held += more
        if self._held and not self._codec.begins(self._held):
            raise SourceError(
                f"{self._file.name} has something else than {self._codec.name} data behind its end, "
                f"at byte {self._fed_position}",
                code="source_corrupt",
            )
        return bool(self._held)

    def _truncated(self) -> SourceError:
        return SourceError(
            f"{self._file.name} ends in the middle of its {self._codec.name} data, at byte "
            f"{self._packed.position}; what came before is kept. Send the whole file and retry",
            code=self._codec.truncated_code,
        )

    def _explained(self, error: Exception) -> SourceError:
        if is_about_memory(error):
            return SourceError(
                f"{self._file.name} needs more than {DECODER_MEMORY_BYTES >> 20} MiB of memory to be unpacked; "
                f"pack it with a smaller dictionary or window (zstd without --long, xz -9 or less)",
                code="source_too_large",
            )
        return SourceError(
            f"{self._file.name} is damaged near byte {self.packed_position} of its {self._codec.name} data "
            f"({error})",
            code="source_corrupt",
        )
