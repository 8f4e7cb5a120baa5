"""tar archives, plain or compressed as a whole."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.packing.codec import CODECS
from jobd.sources.packing.members import Listing
from jobd.sources.packing.packed import PackedStream
from jobd.sources.packing.span import Span
from jobd.sources.packing.tar_headers import tar_headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobd.model.files import FileEntry
    from jobd.sources.options import Limits
    from jobd.sources.packing.tar_headers import TarHeader
    from jobd.sources.stream import SourceFile, StoredFile

_KEPT_BYTES = 32 << 20  # an archive that is smaller when unpacked is unpacked once, in whatever order it is read
_EVERYTHING = 1 << 62
_REFUSED = {
    b"1": "is a hard link to {link}",
    b"2": "is a symbolic link to {link}",
    b"3": "is a character device",
    b"4": "is a block device",
    b"6": "is a named pipe",
    b"S": "is a sparse file",
    b"M": "is a part of a file that begins in another volume",
}
_PASSED_OVER = b"5DV"  # directories, their listings, a volume's label


class UnpackedFile:
    """A compressed file with its bytes at any position, for one pass forward: going back may unpack it again."""

    def __init__(self, file: StoredFile, compression: str, limits: Limits) -> None:
        self._file = file
        self._stream = PackedStream(file, CODECS[compression], limits, history_bytes=_KEPT_BYTES)
        self._lock = Lock()
        self.name = file.name
        self.compression: str | None = compression

    def read(self, position: int, size: int) -> bytes:
        """Unpacked bytes, fewer than ``size`` only where they end."""
        with self._lock:
            return self._stream.read(size) if self._stream.reaches(position) else b""

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._file.close()


class PlainFile:
    """A file that is not compressed."""

    compression: str | None = None

    def __init__(self, file: StoredFile) -> None:
        self.name = file.name
        self.read = file.read
        self.close = file.close


class TarArchive:
    """Reads all headers, which unpacks a compressed archive once; reading the members in its order, once more."""

    def __init__(self, file: UnpackedFile | PlainFile, limits: Limits) -> None:
        self._file = file
        self.defect: SourceError | None = None
        listing: Listing[int] = Listing(file.name, limits)
        for header in self._headers():
            listing.add(header.path, header.size_bytes, header.modified_ns, header.start, _problem(header))
        entries, self._starts = listing.finished()
        if self.defect is not None and not entries:
            raise self.defect
        self.entries: Sequence[FileEntry] = entries
        self.refused: Sequence[tuple[str, str]] = listing.refused

    def _headers(self) -> Iterator[TarHeader]:
        """All members but directories, up to the end or to where the archive breaks off."""
        headers = tar_headers(self._file, self._file.name)
        try:
            for header in headers:
                if header.kind not in _PASSED_OVER:
                    yield header
            if self._file.compression is not None:  # what pads it belongs to what its checksum is about
                self._file.read(_EVERYTHING, 1)
        except SourceError as error:
            if error.error_code not in {"source_truncated", "source_corrupt"}:
                raise
            self.defect = error

    def open(self, index: int) -> SourceFile:
        """The entry's file."""
        entry = self.entries[index]
        return Span(
            name=entry.name,
            size_bytes=entry.size_bytes or 0,
            modified_ns=entry.modified_ns,
            archive=self._file,
            start=self._starts[index],
            compression=self._file.compression,
        )

    def close(self) -> None:
        """Close the archive's own file."""
        self._file.close()


def _problem(header: TarHeader) -> str | None:
    if header.is_sparse:
        return _REFUSED[b"S"]
    if header.kind == b"0":
        return None
    words = _REFUSED.get(header.kind, f"is of a kind that is not known ({header.kind!r})")
    return words.format(link=header.link[:200])
