"""What a file is compressed by, told by its first bytes and never by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.sources.packing.codec import BZIP2, CODECS, GZIP, LZMA, XZ, ZSTD
from jobd.sources.packing.packed import PackedStream

if TYPE_CHECKING:
    from jobd.sources.options import Limits
    from jobd.sources.stream import SourceFile, Stream

_HEAD_BYTES = 16
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")  # the first one, or the end of an empty stream


def detect_compression(file: SourceFile) -> str | None:
    """``gzip``, ``zstd``, ``bzip2``, ``xz`` or ``lzma``; None: it is not compressed."""
    stream = file.stream()
    head = stream.read(_HEAD_BYTES)
    stream.close()
    for codec in (GZIP, ZSTD, XZ):
        if len(head) >= len(codec.magics[0]) and codec.begins(head):
            return codec.name
    if (
        head.startswith(b"BZh")
        and head[3:4] in set(map(bytes, zip(b"123456789", strict=True)))
        and (head[4:10] in _BZIP2_BLOCKS)
    ):
        return BZIP2.name
    return LZMA.name if _is_lzma(head) else None


def _is_lzma(head: bytes) -> bool:
    """The oldest format has no mark: a dictionary of a usual size, and a size that is unknown or possible."""
    if len(head) < 13 or not head.startswith(LZMA.magics[0]):
        return False
    dictionary, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    lowest = dictionary & -dictionary
    return dictionary in {lowest, 3 * lowest} and dictionary >= 4096 and (size == (1 << 64) - 1 or size < 1 << 38)


def unpack(file: SourceFile, compression: str | None, limits: Limits | None = None) -> Stream:
    """The file's bytes, unpacked once: what is compressed twice stays compressed."""
    return file.stream() if compression is None else PackedStream(file, CODECS[compression], limits)


def resume_note(compression: str) -> str:
    """What continuing in the middle of something compressed costs."""
    back = {
        "gzip": "; going back while it is open unpacks from the nearest of 16 kept points",
        "zstd": "; going back while it is open unpacks from where a frame begins",
        "bzip2": "; going back while it is open unpacks from where a stream begins",
        "xz": "; going back while it is open unpacks from where a stream begins",
    }.get(compression, "")
    return f"{compression}: continuing reads and unpacks the file again from its start{back}"
