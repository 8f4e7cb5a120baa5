"""Files of servers that give no parts of files: copied once, since a job reads its source at many positions."""

from __future__ import annotations

import errno
import tempfile
import threading
from typing import TYPE_CHECKING

from jobd.errors import HostNotReady, SourceError
from jobd.sources.places.patience import TryAgain
from jobd.sources.stream import PlainStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from jobd.sources.places.http_file import HttpPlace
    from jobd.sources.places.patience import Deadline
    from jobd.sources.stream import Stream

_COPIES_MAX = 3


class CopiedFile:
    """A remote file whose server gives no parts: a copy on this host's disk that has no name there."""

    def __init__(self, name: str, copy: IO[bytes], size_bytes: int, modified_ns: int) -> None:
        self.name = name
        self.size_bytes = size_bytes
        self.modified_ns = modified_ns
        self._copy = copy
        self._mutex = threading.Lock()

    def read(self, position: int, size: int) -> bytes:
        """Bytes at a position, fewer only where the file ends; any thread may call it."""
        with self._mutex:
            self._copy.seek(position)
            return self._copy.read(size)

    def stream(self) -> Stream:
        """Its bytes from their start."""
        return PlainStream(self)

    def close(self) -> None:
        """The copy is gone with it."""
        self._copy.close()


def copied(name: str, place: HttpPlace, bytes_max: int, new_deadline: Callable[[], Deadline]) -> CopiedFile:
    """The whole file, fetched anew from its start when the connection breaks off, but not for ever."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115  it stays open with the file
    try:
        for attempt in range(_COPIES_MAX):
            deadline = new_deadline()
            try:
                size_bytes = _filled(copy, name, place.whole(deadline), bytes_max, deadline)
                break
            except TryAgain as cause:
                if attempt == _COPIES_MAX - 1:
                    cause.wait_seconds = float("inf")
                deadline.pause(f"{name}, whose server gives no parts of files,", cause)
        require_content(name, size_bytes)
        return CopiedFile(name, copy, size_bytes, place.modified_ns)
    except BaseException:
        copy.close()
        raise


def require_content(name: str, size_bytes: int) -> None:
    """Raise SourceError for a file without a byte."""
    if size_bytes == 0:
        raise SourceError(f"{name} is empty (0 bytes)", code="source_empty")


def _filled(copy: IO[bytes], name: str, pieces: Iterator[bytes], bytes_max: int, deadline: Deadline) -> int:
    copy.seek(0)
    copy.truncate()
    size_bytes = 0
    for piece in pieces:
        deadline.gained(len(piece))
        size_bytes += len(piece)
        if size_bytes > bytes_max:
            raise SourceError(
                f"{name} has more than {bytes_max} bytes, and its server gives no parts of files"
                " (range requests): so large a file can only be read from one that does",
                code="source_too_large",
            )
        try:
            copy.write(piece)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise HostNotReady(f"no room in {tempfile.gettempdir()} for a copy of {name}") from error
            raise
    copy.flush()
    return size_bytes
