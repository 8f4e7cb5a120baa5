"""zip archives."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.packing.members import Listing
from jobd.sources.packing.zip_directory import ZipDirectory
from jobd.sources.packing.zip_members import METHODS, STORED, ZipMember

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.model.files import FileEntry
    from jobd.sources.options import Limits
    from jobd.sources.packing.zip_directory import ZipRecord
    from jobd.sources.stream import SourceFile, StoredFile

_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_PATCH = 1 << 5
_METHOD_NAMES = {1: "shrink", 6: "implode", 9: "deflate64", 97: "WavPack", 98: "PPMd", 99: "AES encryption"}
_KINDS = {
    stat.S_IFLNK: "is a symbolic link",
    stat.S_IFIFO: "is a named pipe",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFBLK: "is a block device",
    stat.S_IFCHR: "is a character device",
}
_RATIO_JUDGED_BYTES = 64 << 20


class ZipArchive:
    """Reads the directory at once, a member's own header when the member is read."""

    defect: SourceError | None = None

    def __init__(self, file: StoredFile, limits: Limits) -> None:
        self._file = file
        self._limits = limits
        directory = ZipDirectory(file)
        listing: Listing[ZipRecord] = Listing(file.name, limits)
        for record in directory.records():
            if not record.path.endswith("/"):
                listing.add(record.path, record.size_bytes, record.modified_ns, record, _problem(record))
        entries, self._records = listing.finished()
        self.entries: Sequence[FileEntry] = entries
        self.refused: Sequence[tuple[str, str]] = listing.refused
        self._refuse_overlaps(directory.position)
        self._refuse_expansion()

    def _refuse_overlaps(self, end: int) -> None:
        """Bytes that several members share make gigabytes out of kilobytes, and no program packs so."""
        position = 0
        for record in sorted(self._records, key=lambda record: record.header_position):
            if record.header_position < position:
                raise SourceError(
                    f"{self._file.name}: {record.path} lies over another member, at byte "
                    f"{record.header_position}; the archive is damaged, or made to do damage",
                    code="source_corrupt",
                )
            position = record.header_position + record.header_bytes + record.packed_bytes
        if position > end:
            raise SourceError(
                f"{self._file.name} is a damaged zip archive: a member reaches beyond its end",
                code="source_corrupt",
            )

    def _refuse_expansion(self) -> None:
        packed = sum(record.packed_bytes for record in self._records)
        size = sum(record.size_bytes for record in self._records)
        if size > _RATIO_JUDGED_BYTES and size > packed * self._limits.expansion_ratio:
            raise SourceError(
                f"{self._file.name} unpacks to more than {self._limits.expansion_ratio} times its size: its "
                f"{packed} packed bytes give {size}. If that is right, JOBD_EXPANSION_RATIO_MAX allows more",
                code="source_too_large",
            )

    def open(self, index: int) -> SourceFile:
        """The entry's file."""
        entry, record = self.entries[index], self._records[index]
        return ZipMember(
            name=entry.name,
            size_bytes=record.size_bytes,
            modified_ns=entry.modified_ns,
            archive=self._file,
            record=record,
            limits=self._limits,
        )

    def close(self) -> None:
        """Close the archive's own file."""
        self._file.close()


def _problem(record: ZipRecord) -> str | None:
    kind = _KINDS.get(stat.S_IFMT(record.mode))
    if kind is not None:
        return kind
    if record.flags & _ENCRYPTED:
        return "is encrypted; pack it without a password"
    if record.flags & _PATCH:
        return "is a patch to another file"
    if record.method not in METHODS and record.method != STORED:
        name = _METHOD_NAMES.get(record.method, f"method {record.method}")
        return f"is packed by {name}, which cannot be read; deflate, bzip2, lzma, xz and zstd can"
    if record.method == STORED and record.packed_bytes != record.size_bytes:
        return "has two sizes, though it is not compressed"
    return None
