"""What a file is packed in, told by its first bytes and never by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.sources.packing.gzip import GZIP_MAGIC, GzipStream

if TYPE_CHECKING:
    from jobd.sources.stream import SourceFile, Stream


def detect_compression(file: SourceFile) -> str | None:
    """``gzip``; None: it is not compressed."""
    return "gzip" if file.stream().read(2) == GZIP_MAGIC else None


def unpack(file: SourceFile, compression: str | None) -> Stream:
    """The file's bytes, unpacked."""
    return GzipStream(file) if compression == "gzip" else file.stream()
