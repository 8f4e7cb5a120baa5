"""From a URI to an open remote file, or to the list of those that it stands for."""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.sources.places.access import RemoteAccess, require_allowed
from jobd.sources.places.blocks import Blocks
from jobd.sources.places.copies import copied, require_content
from jobd.sources.places.http_file import HttpPlace
from jobd.sources.places.patience import Deadline, Patience, collected, patiently
from jobd.sources.places.stores import StorePlace, listed, opened_store
from jobd.sources.places.uri import STORES, RemoteUri, parse_uri
from jobd.sources.places.wildcards import Pattern, fixed_directory, has_wildcards
from jobd.sources.stream import PlainStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobd.model.files import FileEntry
    from jobd.sources.stream import StoredFile, Stream

_LOOKED_AT_MAX = 10_000_000
_DEFAULT_PATIENCE = Patience()


class RemoteFile:
    """One remote file, read by parts on demand.

    ``read`` raises SourceChanged when the file is no longer the one that was opened, and SourceUnavailable when it
    cannot be had in the time of ``patience``; a read in progress ends soon after ``close``.
    """

    def __init__(
        self,
        name: str,
        place: HttpPlace | StorePlace,
        patience: Patience,
        closed: threading.Event,
        *,
        size_bytes: int,
        modified_ns: int,
        first: bytes = b"",
    ) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self.modified_ns = modified_ns
        self._place = place
        self._patience = patience
        self._closed = closed
        self._blocks = Blocks(self._fetched, size_bytes, first)

    def read(self, position: int, size: int) -> bytes:
        """Bytes at a position, fewer only where the file ends; any thread may call it."""
        return self._blocks.read(position, size)

    def stream(self) -> Stream:
        """Its bytes from their start."""
        return PlainStream(self)

    def close(self) -> None:
        """End what is being fetched, and give memory and connections back."""
        self._closed.set()
        self._blocks.close()
        self._place.close()

    def _fetched(self, position: int, size: int) -> bytes:
        deadline = Deadline(self._patience, self._closed)

        def pieces(start: int, wanted: int) -> Iterator[bytes]:
            return self._place.pieces(start, wanted, deadline)

        return collected(self.name, deadline, position, size, pieces)


def open_remote(
    uri: str, access: RemoteAccess, prefixes: Sequence[str] | None, *, patience: Patience = _DEFAULT_PATIENCE
) -> StoredFile:
    """Open a remote source for reading, or say why it cannot or may not be; wildcards mean themselves here.

    It must lie inside the places of ``access`` and of ``prefixes``, which are its submitter's (None: no limit).
    Raises SourceError, SourceUnavailable, and HostNotReady where a copy has no room.
    """
    place = parse_uri(uri)
    require_allowed(place, access, prefixes)
    if place.scheme in STORES:
        return _opened_object(place, patience)
    return _opened_http(place, access, prefixes, patience)


def list_remote(
    uri: str,
    access: RemoteAccess,
    prefixes: Sequence[str] | None,
    files_max: int,
    *,
    patience: Patience = _DEFAULT_PATIENCE,
) -> list[FileEntry]:
    """The objects that a URI stands for, in the order of their names: all below a directory, or by a pattern.

    Raises SourceError when there are more than ``files_max`` of them, or none.
    """
    place = parse_uri(uri)
    if place.scheme not in STORES:
        raise SourceError(
            f"{place.name}: HTTP servers give no lists of files; name one file, or make a job for each",
            code="source_unsupported",
        )
    directory = fixed_directory(place.key)
    require_allowed(parse_uri(f"{place.origin}/{directory}"), access, prefixes)
    store = opened_store(place, patience)
    deadline = Deadline(patience, threading.Event())
    pattern = Pattern(place.key)

    def wanted() -> Iterator[FileEntry]:
        begin = len(place.origin) + 1
        for number, entry in enumerate(listed(store, place, directory)):
            if number >= _LOOKED_AT_MAX:
                raise SourceError(
                    f"{place.name}: there are more than {_LOOKED_AT_MAX} objects to look at; name a longer prefix",
                    code="source_too_large",
                )
            key = entry.name[begin:]
            deadline.gained(1 << 16)
            if pattern.matches(key):
                yield entry

    found = patiently(place.name, deadline, lambda: heapq.nsmallest(files_max + 1, wanted()))
    if len(found) > files_max:
        raise SourceError(
            f"{place.name} stands for more than {files_max} files; name fewer of them by a longer prefix",
            code="source_too_large",
        )
    found = _without_markers(found)
    if not found:
        raise SourceError(f"{place.name} stands for no object", code="source_missing")
    return found


def is_listing(uri: str) -> bool:
    """Whether a URI stands for many files: a directory or a pattern in an object store."""
    place = parse_uri(uri)
    return place.scheme in STORES and (place.path.endswith("/") or has_wildcards(place.key))


def _without_markers(entries: list[FileEntry]) -> list[FileEntry]:
    """Without the empty objects that some tools leave to stand for directories."""
    directories = {entry.name[:slash] for entry in entries for slash in _slashes(entry.name)}
    return [entry for entry in entries if entry.size_bytes or entry.name not in directories]


def _slashes(name: str) -> Iterator[int]:
    position = name.find("/")
    while position >= 0:
        yield position
        position = name.find("/", position + 1)


def _opened_object(uri: RemoteUri, patience: Patience) -> RemoteFile:
    if uri.path.endswith("/"):
        raise SourceError(f"{uri.name} is a directory; name one object", code="source_is_directory")
    place = StorePlace(uri, patience)
    closed = threading.Event()
    size_bytes, modified_ns = patiently(uri.name, Deadline(patience, closed), place.head)
    require_content(uri.name, size_bytes)
    return RemoteFile(uri.name, place, patience, closed, size_bytes=size_bytes, modified_ns=modified_ns)


def _opened_http(
    uri: RemoteUri, access: RemoteAccess, prefixes: Sequence[str] | None, patience: Patience
) -> StoredFile:
    place = HttpPlace(uri, access, prefixes)
    closed = threading.Event()
    try:
        deadline = Deadline(patience, closed)
        first, has_parts = patiently(uri.name, deadline, lambda: place.opened(deadline))
        if not has_parts:
            copy = copied(uri.name, place, access.copy_bytes_max, lambda: Deadline(patience, closed))
            place.close()
            return copy
        size_bytes = place.version.size_bytes or 0
        require_content(uri.name, size_bytes)
        return RemoteFile(
            uri.name, place, patience, closed, size_bytes=size_bytes, modified_ns=place.modified_ns, first=first
        )
    except BaseException:
        place.close()
        raise
