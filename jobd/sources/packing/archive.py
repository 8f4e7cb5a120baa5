"""Archives of many files, told by their content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.packing.detect import detect_compression
from jobd.sources.packing.members import Archive
from jobd.sources.packing.tar import PlainFile, TarArchive, UnpackedFile
from jobd.sources.packing.tar_headers import BLOCK_BYTES, is_tar
from jobd.sources.packing.zip import ZipArchive
from jobd.sources.packing.zip_directory import ZIP_MAGICS, ZipDirectory

if TYPE_CHECKING:
    from jobd.sources.options import Limits
    from jobd.sources.stream import StoredFile

__all__ = ["Archive", "is_workbook", "open_archive"]

_OOXML, _OPEN_DOCUMENT = "[Content_Types].xml", "META-INF/manifest.xml"
_PARTS = ("xl/", "word/", "ppt/")
_NEEDED = (_OOXML.encode(), b"manifest.xml")
_MARKS = (_OOXML, "mimetype", _OPEN_DOCUMENT, *_PARTS)


def open_archive(file: StoredFile, limits: Limits) -> Archive | None:
    """The archive that the file is, to which the file belongs from then on; None: it is none.

    Office documents, which are zip archives by form, are none. Archives in archives are files like others.
    Raises SourceError (``source_truncated``, ``source_corrupt``, ``source_too_large``); the file stays open then.
    """
    head = file.read(0, BLOCK_BYTES)
    if head.startswith(ZIP_MAGICS):
        return None if _is_office_document(file) else ZipArchive(file, limits)
    if is_tar(head):
        return TarArchive(PlainFile(file), limits)
    compression = detect_compression(file)
    if compression is None:
        return None
    unpacked = UnpackedFile(file, compression, limits)
    try:
        head = unpacked.read(0, BLOCK_BYTES)
    except SourceError:  # a single file may be damaged just as well, and is told to be so when it is read
        return None
    return TarArchive(unpacked, limits) if is_tar(head) else None


def is_workbook(file: StoredFile) -> bool:
    """Whether it is an Excel workbook: a zip archive with the parts of one."""
    return file.read(0, 4) == ZIP_MAGICS[0] and {_OOXML, "xl/"} <= _marks(file)


def _is_office_document(file: StoredFile) -> bool:
    marks = _marks(file)
    return {"mimetype", _OPEN_DOCUMENT} <= marks or (_OOXML in marks and not marks.isdisjoint(_PARTS))


def _marks(file: StoredFile) -> set[str]:
    """Which names of an office document's parts there are; a damaged directory ends the search."""
    found: set[str] = set()
    try:
        directory = ZipDirectory(file)
        # Most archives are none, and have thousands of members.
        for record in directory.records() if directory.mentions(*_NEEDED) else ():
            if record.path.startswith(_MARKS):
                found |= {mark for mark in _MARKS if record.path.startswith(mark)}
    except SourceError:
        pass
    return found
