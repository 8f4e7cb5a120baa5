"""What a job's source turns out to be: one file, or many in the order of their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobd.errors import SourceChanged
from jobd.model.files import FileEntry
from jobd.sources.options import Limits
from jobd.sources.places.listing import list_local
from jobd.sources.places.local import open_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobd.sources.stream import SourceFile, StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where sources may lie: in the daemon's ``roots``, and of the submitter's ``root_limits`` if it has any."""

    roots: Sequence[Path]
    root_limits: Sequence[Path] | None = None


class Files(Protocol):
    """The files of a source; each is opened when its turn comes."""

    entries: Sequence[FileEntry]

    def open(self, place: int) -> SourceFile:
        """The file at this place in ``entries``, counted from 0."""
        ...

    def close(self) -> None:
        """Give back what all of them lie in."""
        ...


class OneFile:
    """A source of one file, which is open already."""

    def __init__(self, file: StoredFile) -> None:
        self._file = file
        self.entries: Sequence[FileEntry] = [FileEntry(file.name, file.size_bytes, file.modified_ns)]

    def open(self, place: int) -> SourceFile:
        """The file; it stays open until the source is closed."""
        del place
        return _Lent(self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Lent:
    """An open file that outlives those who read it."""

    def __init__(self, file: StoredFile) -> None:
        self.name = file.name
        self.size_bytes = file.size_bytes
        self.modified_ns = file.modified_ns
        self.stream = file.stream
        self.read = file.read

    def close(self) -> None:
        """The source closes it."""


class LocalFiles:
    """Files of local directories, opened one by one."""

    def __init__(self, entries: Sequence[FileEntry], places: Places) -> None:
        self.entries = entries
        self._places = places

    def open(self, place: int) -> SourceFile:
        """The file as it is now; raises SourceChanged where it is not as it was listed."""
        entry = self.entries[place]
        file = open_file(entry.name, self._places.roots, self._places.root_limits)
        if entry.size_bytes is not None and file.size_bytes != entry.size_bytes:
            file.close()
            raise SourceChanged(
                f"{entry.name} has changed: it is {file.size_bytes} bytes long and was {entry.size_bytes} when "
                "the job listed its files. Put the same file back and retry, or submit a new job"
            )
        return file

    def close(self) -> None:
        """None is kept open."""


def open_files(
    source: str,
    places: Places,
    limits: Limits | None = None,
    listed: Sequence[FileEntry] | None = None,
    stored: StoredFile | None = None,
) -> Files:
    """The files that a job's source names; ``listed``: those that it named at the job's first start.

    ``stored`` is the source itself where it was fetched from a place that only the caller can reach.

    Raises SourceError where there are none or they may not be read, SourceChanged where they are others by now.
    """
    limits = limits or Limits()
    if stored is not None:
        return OneFile(stored)
    if listed is not None and len(listed) > 1:
        return LocalFiles(listed, places)
    entries = list_local(source, places.roots, places.root_limits, limits.files)
    if entries is not None:
        return LocalFiles(entries if listed is None else listed, places)
    return OneFile(open_file(source, places.roots, places.root_limits))
