"""The bytes of a zip archive's members: how each is packed, held against its stated size and checksum."""

from __future__ import annotations

import bz2
import lzma
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.packing.codec import (
    DECODER_MEMORY_BYTES,
    Codec,
    inflater,
    xz_decoder,
    zstd_decoder,
)
from jobd.sources.packing.decoder import Damaged, KeepableDecoder
from jobd.sources.packing.packed import PackedStream
from jobd.sources.packing.span import Span
from jobd.sources.packing.zip_directory import LOCAL_HEADER
from jobd.sources.stream import PlainStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobd.sources.options import Limits
    from jobd.sources.packing.decoder import Decoder
    from jobd.sources.packing.zip_directory import ZipRecord
    from jobd.sources.stream import StoredFile, Stream

STORED = 0
_LONGER = "is longer than the archive says"
_SHORTER = "is shorter than the archive says"
_ALTERED = "does not have the checksum that the archive states"


@dataclass(slots=True)
class ZipMember:
    """A member as a file; its local header is read once, when its bytes are asked for."""

    name: str
    size_bytes: int
    modified_ns: int
    archive: StoredFile
    record: ZipRecord
    limits: Limits
    _span: Span | None = None

    def stream(self) -> Stream:
        """Its bytes from their start."""
        packed = self._span = self._span or self._packed()
        if self.record.method == STORED:
            return StoredStream(packed, self.record)
        name, begin = METHODS[self.record.method]
        size, checksum = self.record.size_bytes, self.record.checksum
        codec = Codec(name, lambda: CheckedDecoder(begin(size), size, checksum), truncated_code="source_corrupt")
        return PackedStream(packed, codec, self.limits)

    def _packed(self) -> Span:
        record = self.record
        header = self.archive.read(record.header_position, LOCAL_HEADER.size)
        fields = LOCAL_HEADER.unpack(header) if len(header) == LOCAL_HEADER.size else (b"", 0, 0, 0)
        if fields[0] != b"PK\x03\x04" or fields[3] != record.method:
            raise SourceError(
                f"{self.name} does not lie where its archive says, at byte {record.header_position}",
                code="source_corrupt",
            )
        start = record.header_position + LOCAL_HEADER.size + int(fields[-2]) + int(fields[-1])
        return Span(self.name, record.packed_bytes, self.modified_ns, self.archive, start)

    def close(self) -> None:
        """The archive is closed by itself."""


class StoredStream(PlainStream):
    """A member that is not compressed: read from its start to its end, its checksum is looked at."""

    def __init__(self, span: Span, record: ZipRecord) -> None:
        super().__init__(span)
        self._span, self._record = span, record
        self._checksum = self._checked = 0

    def read(self, size: int) -> bytes:
        """Bytes from the present position on; a wrong checksum is an error behind the last of them."""
        start = self.position
        data = super().read(size)
        if start == self._checked:
            self._checksum = zlib.crc32(data, self._checksum)
            self._checked = self.position
        if (
            size
            and not data
            and self._checked == self._record.size_bytes
            and (self._checksum != self._record.checksum)
        ):
            raise SourceError(f"{self._span.name} is damaged: it {_ALTERED}", code="source_corrupt")
        return data

    def reopened(self) -> Stream:
        """Another stream over the same member."""
        return StoredStream(self._span, self._record)


class CheckedDecoder(KeepableDecoder):
    """Holds what is decoded against size and checksum; what is wrong breaks behind the last byte."""

    def __init__(self, decoder: Decoder, size_bytes: int, checksum: int) -> None:
        self._decoder = decoder
        self._left = size_bytes
        self._expected = checksum
        self._checksum = 0
        self._fault: str | None = None

    @property
    def eof(self) -> bool:
        """Whether the member ended, and as it should."""
        return self._decoder.eof and self._fault is None

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before something goes in."""
        return self._fault is None and self._decoder.needs_input

    @property
    def unused_data(self) -> bytes:
        """What was fed and lies behind the member's end."""
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes."""
        if self._fault is not None:
            raise Damaged(self._fault)
        piece = self._decoder.decompress(data, min(max_length, self._left + 1))
        if len(piece) > self._left:
            self._fault = f"it {_LONGER}"
            piece = piece[: self._left]
        self._left -= len(piece)
        self._checksum = zlib.crc32(piece, self._checksum)
        if self._decoder.eof and self._fault is None:
            if self._left:
                self._fault = f"it {_SHORTER}"
            elif self._checksum != self._expected:
                self._fault = f"it {_ALTERED}"
        return piece

    @property
    def unread_bytes(self) -> int:
        """How many bytes that were fed are still to be decoded, as far as that is known."""
        return self._decoder.unread_bytes if isinstance(self._decoder, KeepableDecoder) else 0

    def kept(self) -> CheckedDecoder | None:
        """A copy in the present state, where the decoder has one, which is to be fed the unread bytes again."""
        kept = self._decoder.kept() if isinstance(self._decoder, KeepableDecoder) else None
        if kept is None:
            return None
        copy = CheckedDecoder(kept, self._left, self._expected)
        copy._checksum = self._checksum
        return copy


class ZipLzmaDecoder:
    """lzma as zip has it: a short header of its own, and an end that often is known by the size only."""

    needs_input = True
    unused_data = b""

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes
        self._head = b""
        self._lzma: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        """Whether all bytes are there."""
        return self._lzma is not None and not self._left

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most ``max_length`` bytes."""
        if self._lzma is None:
            self._head += data
            if len(self._head) < 9:
                return b""
            self._lzma, data = (
                lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_lzma_filter(self._head)]),
                self._head[9:],
            )
        if self._lzma.eof:
            raise Damaged(f"it {_SHORTER}")
        piece = self._lzma.decompress(data, min(max_length, max(1, self._left)))[: self._left]
        self._left -= len(piece)
        self.needs_input = self._lzma.needs_input and not self._lzma.eof
        return piece


def _lzma_filter(head: bytes) -> dict[str, int]:
    properties, dictionary = head[4], int.from_bytes(head[5:9], "little")
    if int.from_bytes(head[2:4], "little") != 5 or properties >= 9 * 5 * 5:
        raise Damaged("its lzma header is wrong")
    if dictionary > DECODER_MEMORY_BYTES:
        raise lzma.LZMAError("Memory usage limit exceeded")
    return {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(4096, dictionary),
        "lc": properties % 9,
        "lp": properties // 9 % 5,
        "pb": properties // 45,
    }


METHODS: dict[int, tuple[str, Callable[[int], Decoder]]] = {
    8: ("deflate", lambda _: inflater()),
    12: ("bzip2", lambda _: bz2.BZ2Decompressor()),
    14: ("lzma", ZipLzmaDecoder),
    20: ("zstd", lambda _: zstd_decoder()),
    93: ("zstd", lambda _: zstd_decoder()),
    95: ("xz", lambda _: xz_decoder()),
}
