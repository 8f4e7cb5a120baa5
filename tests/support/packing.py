"""Files held in memory that count what is read of them, and every way to pack bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import sys
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.stream import PlainStream

if sys.version_info >= (3, 14):
    import zipfile

    from compression import zstd
else:
    from backports import zstd
    from backports.zstd import zipfile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobd.sources.stream import Stream

__all__ = ["PACKERS", "ZIP_METHODS", "HeldFile", "drained", "noise", "tarred", "zipped", "zstd"]

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
}
ZIP_METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
    "zstd": zipfile.ZIP_ZSTANDARD,
}


@dataclass
class HeldFile:
    content: bytes
    name: str = "/srv/in/file"
    modified_ns: int = 0
    reads: list[tuple[int, int]] = field(default_factory=list)
    is_closed: bool = False

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    @property
    def bytes_read(self) -> int:
        return sum(size for _, size in self.reads)

    def read(self, position: int, size: int) -> bytes:
        found = self.content[position : position + size]
        self.reads.append((position, len(found)))
        return found

    def stream(self) -> Stream:
        return PlainStream(self)

    def close(self) -> None:
        self.is_closed = True


def drained(stream: Stream, size: int = 1 << 16) -> tuple[bytes, str | None]:
    """Everything up to the end or to the break, and the break's code; a break stays one."""
    pieces: list[bytes] = []
    while True:
        piece, code = _read(stream, size)
        if not piece:
            assert _read(stream, size) == (b"", code)
            return b"".join(pieces), code
        pieces.append(piece)


def _read(stream: Stream, size: int) -> tuple[bytes, str | None]:
    try:
        return stream.read(size), None
    except SourceError as error:
        return b"", error.error_code


def noise(size: int) -> bytes:
    """Bytes that no codec makes smaller, the same each time."""
    return random.Random(size).randbytes(size)  # noqa: S311  nothing secret


def zipped(members: Mapping[str, bytes], method: str = "deflate") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", ZIP_METHODS[method]) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 5, 6, 7, 8, 10)), content, ZIP_METHODS[method])
    return target.getvalue()


def tarred(members: Mapping[str, bytes | tarfile.TarInfo], form: int = tarfile.PAX_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, content in members.items():
            if isinstance(content, bytes):
                header = tarfile.TarInfo(name)
                header.size, header.mtime = len(content), 1_700_000_000
                archive.addfile(header, io.BytesIO(content))
            else:
                archive.addfile(content)
    return target.getvalue()
