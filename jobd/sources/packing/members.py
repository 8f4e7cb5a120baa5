"""What an archive lists: its members, those that are refused, and by which names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from jobd.errors import SourceError
from jobd.model.files import FileEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.sources.options import Limits
    from jobd.sources.stream import SourceFile

Place = TypeVar("Place")
_PATH_BYTES_MAX = 4096
_NAMES_BYTES_MAX = 64 << 20
_LEFT_OUT = "__MACOSX"


class Archive(Protocol):
    """Many files in one.

    ``entries`` are the regular files in the order of their names (code points), except hidden ones and what macOS
    adds. ``refused`` are names and reasons of what is never read: links, devices, encrypted members, names that
    lead elsewhere. ``defect`` is what breaks the archive off behind the last entry that could be found: to be
    raised once the entries are read.
    """

    entries: Sequence[FileEntry]
    refused: Sequence[tuple[str, str]]
    defect: SourceError | None

    def open(self, index: int) -> SourceFile:
        """The entry's file, which lives as long as the archive is open."""
        ...

    def close(self) -> None:
        """Give back the archive's own file. No member may be in use."""
        ...


class Listing(Generic[Place]):
    """Collects members in the order in which they are found; a ``Place`` says where one lies."""

    def __init__(self, archive_name: str, limits: Limits) -> None:
        self._archive_name = archive_name
        self._limits = limits
        self._names_bytes = 0
        self._found: list[tuple[str, int, int, Place]] = []
        self.refused: list[tuple[str, str]] = []

    def add(self, path: str, size_bytes: int, modified_ns: int, place: Place, problem: str | None = None) -> None:
        """Take a regular file, or what has a ``problem``; raises when there are too many."""
        if not path.startswith("/"):
            path = "/".join(part for part in path.split("/") if part not in {"", "."})
        bad_name = name_problem(path)
        if bad_name is None and is_left_out(path):
            return
        problem = bad_name or problem
        self._names_bytes += min(len(path), _PATH_BYTES_MAX)
        if problem is None:
            self._found.append((path, size_bytes, modified_ns, place))
        else:
            shown = path.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_PATH_BYTES_MAX]
            self.refused.append((f"{self._archive_name}!/{shown}", problem))
        if len(self._found) + len(self.refused) > self._limits.files or self._names_bytes > _NAMES_BYTES_MAX:
            raise SourceError(
                f"{self._archive_name} has more than {self._limits.files} files, or names of more than "
                f"{_NAMES_BYTES_MAX >> 20} MiB; JOBD_FILES_MAX allows more files",
                code="source_too_large",
            )

    def finished(self) -> tuple[list[FileEntry], list[Place]]:
        """The entries in the order of their names, and where each lies.

        Of several members of one name, which stay in the archive's order, the second is called ``name (2)``.
        """
        entries: list[FileEntry] = []
        places: list[Place] = []
        taken = {path for path, *_ in self._found}
        numbers: dict[str, int] = {}
        for path, size_bytes, modified_ns, place in sorted(self._found, key=lambda found: found[0]):
            name, number = path, numbers.get(path, 1)
            if path in numbers:
                while name in taken:
                    number += 1
                    name = f"{path} ({number})"
            numbers[path] = number
            entries.append(FileEntry(f"{self._archive_name}!/{name}", size_bytes, modified_ns))
            places.append(place)
        return entries, places


def is_left_out(path: str) -> bool:
    """Hidden files, and what macOS packs beside each file."""
    return any(part == _LEFT_OUT or (part.startswith(".") and part not in {".", ".."}) for part in path.split("/"))


def name_problem(path: str) -> str | None:
    """Why a member of this name is not read; nothing is unpacked to disk, but such an archive means no good."""
    if "\0" in path:
        return "its name contains a NUL character"
    if not path:
        return "it has no name"
    if len(path.encode("utf-8", "surrogatepass")) > _PATH_BYTES_MAX:
        return f"its name is longer than {_PATH_BYTES_MAX} bytes"
    if path[0] in "/\\" or re.match(r"[A-Za-z]:[/\\]", path):
        return "its name is an absolute path"
    if ".." in re.split(r"[/\\]", path):
        return "its name leads out of the archive (..)"
    return None


def decoded_name(name: bytes, fallback: str) -> str:
    """UTF-8, which is hardly ever met by chance, else the character set that the format falls back to."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode(fallback)
