"""What a job's source turns out to be: one file, or many in the order of their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobd.errors import SourceChanged, SourceError
from jobd.model.files import FileEntry
from jobd.sources.options import Limits
from jobd.sources.packing.archive import open_archive
from jobd.sources.places.access import RemoteAccess
from jobd.sources.places.listing import list_local
from jobd.sources.places.local import local_path, open_file
from jobd.sources.places.remote import is_listing, list_remote, open_remote
from jobd.sources.places.uri import is_remote

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobd.sources.packing.archive import Archive
    from jobd.sources.stream import SourceFile, StoredFile


NO_REMOTE = RemoteAccess(allowed=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where sources may lie: in the daemon's ``roots``, and of the submitter's ``root_limits`` if it has any.

    Likewise remote ones: by the daemon's ``remote`` settings, and with the submitter's ``prefix_limits``.
    """

    roots: Sequence[Path]
    root_limits: Sequence[Path] | None = None
    remote: RemoteAccess = NO_REMOTE
    prefix_limits: Sequence[str] | None = None


class Files(Protocol):
    """The files of a source; each is opened when its turn comes.

    ``stored`` is the one file that all of them are, or lie in, where there is one. ``defect`` is what breaks the
    list off: an error to be raised behind the last of them.
    """

    entries: Sequence[FileEntry]
    stored: StoredFile | None
    defect: SourceError | None

    def open(self, place: int) -> SourceFile:
        """The file at this place in ``entries``, counted from 0."""
        ...

    def close(self) -> None:
        """Give back what all of them lie in."""
        ...


class OneFile:
    """A source of one file, which is open already."""

    defect: SourceError | None = None

    def __init__(self, file: StoredFile) -> None:
        self.stored: StoredFile | None = file
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

    stored: StoredFile | None = None
    defect: SourceError | None = None

    def __init__(self, entries: Sequence[FileEntry], places: Places) -> None:
        self.entries = entries
        self._places = places

    def open(self, place: int) -> SourceFile:
        """The file as it is now; raises SourceChanged where it is not as it was listed."""
        entry = self.entries[place]
        file = open_file(entry.name, self._places.roots, self._places.root_limits)
        _require_size(file, entry)
        return file

    def close(self) -> None:
        """None is kept open."""


class RemoteFiles:
    """Files of a remote place, opened one by one."""

    stored: StoredFile | None = None
    defect: SourceError | None = None

    def __init__(self, entries: Sequence[FileEntry], places: Places) -> None:
        self.entries = entries
        self._places = places

    def open(self, place: int) -> SourceFile:
        """The file as it is now; raises SourceChanged where it is not as it was listed."""
        entry = self.entries[place]
        file = open_remote(entry.name, self._places.remote, self._places.prefix_limits)
        _require_size(file, entry)
        return file

    def close(self) -> None:
        """None is kept open."""


class ArchiveFiles:
    """The members of an archive, those among them that are never read."""

    def __init__(self, archive: Archive, file: StoredFile, listed: Sequence[FileEntry] | None) -> None:
        self.stored: StoredFile | None = file
        self.defect = archive.defect
        self._archive = archive
        self._refusals = dict(archive.refused)
        members = {entry.name: (entry, place) for place, entry in enumerate(archive.entries)}
        self._places = {name: place for name, (_, place) in members.items()}
        refused = [FileEntry(name, 0, 0) for name in self._refusals]
        self.entries: Sequence[FileEntry] = sorted([*archive.entries, *refused])
        if not self.entries and self.defect is None:
            raise SourceError(f"{file.name} is an archive without files", code="source_empty")
        if listed is not None and [entry[:2] for entry in listed] != [entry[:2] for entry in self.entries]:
            raise SourceChanged(
                f"{file.name} has changed: it does not hold the files that it held when the job listed them. "
                "Put the same file back and retry, or submit a new job"
            )

    def open(self, place: int) -> SourceFile:
        """The member; raises SourceError for one that is never read, and says why."""
        name = self.entries[place].name
        if name in self._refusals:
            raise SourceError(f"{name}: {self._refusals[name]}", code="source_forbidden")
        return self._archive.open(self._places[name])

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


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
    if stored is None:
        several = _several(source, places, limits, listed)
        if several is not None:
            return several
        if is_remote(source):
            stored = open_remote(source, places.remote, places.prefix_limits)
        else:
            stored = open_file(source, places.roots, places.root_limits)
    try:
        archive = open_archive(stored, limits)
        return OneFile(stored) if archive is None else ArchiveFiles(archive, stored, listed)
    except BaseException:
        stored.close()
        raise


def _several(source: str, places: Places, limits: Limits, listed: Sequence[FileEntry] | None) -> Files | None:
    """The files of a directory or a pattern; what it would name by now does not matter once they are listed."""
    if is_remote(source):
        if not is_listing(source):
            return None
        if listed is None:
            listed = list_remote(source, places.remote, places.prefix_limits, limits.files)
        return RemoteFiles(listed, places)
    if listed is not None:
        return LocalFiles(listed, places) if _are_apart(source, listed) else None
    entries = list_local(source, places.roots, places.root_limits, limits.files)
    return None if entries is None else LocalFiles(entries, places)


def _require_size(file: StoredFile, entry: FileEntry) -> None:
    if entry.size_bytes is not None and file.size_bytes != entry.size_bytes:
        file.close()
        raise SourceChanged(
            f"{entry.name} has changed: it is {file.size_bytes} bytes long and was {entry.size_bytes} when "
            "the job listed its files. Put the same file back and retry, or submit a new job"
        )


def _are_apart(source: str, listed: Sequence[FileEntry]) -> bool:
    """Whether the files that were listed are neither the source itself nor members of it."""
    path = str(local_path(source))
    return not listed[0].name.startswith(f"{path}!/") and listed[0].name != path
