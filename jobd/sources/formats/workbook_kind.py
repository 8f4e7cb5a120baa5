"""Whether a file is a workbook, by its content: an archive with sheets in it, or an old office document."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobd.sources.stream import SourceFile

    Read = Callable[[int, int], bytes]

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_END, _ENTRY = b"PK\x05\x06", b"PK\x01\x02"
_END_BYTES, _ENTRY_BYTES = 22, 46
_COMMENT_BYTES_MAX = 1 << 16
_DIRECTORY_BYTES_MAX = 4 << 20  # tens of thousands of members; a workbook has some dozens
_OPEN_DOCUMENT = b"application/vnd.oasis.opendocument.spreadsheet"


def is_workbook(file: SourceFile) -> bool:
    """Whether it is an xlsx, xlsb, xls or ods; an old office document may turn out to be something else."""
    read = reader(file)
    magic = read(0, len(_OLE))
    if magic.startswith(_OLE):
        return True
    if not magic.startswith(_ZIP):
        return False
    names = [name for name, _ in members(read, file.size_bytes)]
    if b"[Content_Types].xml" in names and any(name.startswith(b"xl/") for name in names):
        return True
    # Such a document begins with its type, stored as it is.
    return names[:1] == [b"mimetype"] and _OPEN_DOCUMENT in read(0, 128)


def unpacked_bytes(file: SourceFile) -> int:
    """What the members of an archive unpack to, as its directory says; of anything else its own size."""
    read = reader(file)
    if not read(0, len(_ZIP)).startswith(_ZIP):
        return file.size_bytes
    return sum(size for _, size in members(read, file.size_bytes))


def members(read: Read, size_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Names and unpacked sizes in a zip's directory; none where it has none that is whole and small."""
    start = max(0, size_bytes - _END_BYTES - _COMMENT_BYTES_MAX)
    tail = read(start, size_bytes - start)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        return
    directory_bytes, directory_start = struct.unpack_from("<II", tail, at + 12)
    if directory_bytes > _DIRECTORY_BYTES_MAX or directory_start + directory_bytes > size_bytes:
        return
    directory = read(directory_start, directory_bytes)
    at = 0
    while directory.startswith(_ENTRY, at) and at + _ENTRY_BYTES <= len(directory):
        (size,) = struct.unpack_from("<I", directory, at + 24)
        name_bytes, extra_bytes, comment_bytes = struct.unpack_from("<HHH", directory, at + 28)
        yield directory[at + _ENTRY_BYTES : at + _ENTRY_BYTES + name_bytes], size
        at += _ENTRY_BYTES + name_bytes + extra_bytes + comment_bytes


def reader(file: SourceFile) -> Read:
    """Bytes of a file at any position."""
    stored: Read | None = getattr(file, "read", None)
    if stored is not None:
        return stored
    stream = file.stream()

    def read(position: int, size: int) -> bytes:
        stream.seek(position)
        pieces = []
        while size > 0 and (piece := stream.read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    return read
