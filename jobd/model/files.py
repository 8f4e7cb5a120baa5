"""The files of a job."""

from __future__ import annotations

from typing import NamedTuple


class FileEntry(NamedTuple):
    """A file that a source names, before it is opened. ``modified_ns`` is 0 where unknown."""

    name: str
    size_bytes: int | None
    modified_ns: int
