"""The files of a directory or of a pattern, in the order of their names."""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jobd.errors import SourceError
from jobd.model.files import FileEntry
from jobd.sources.places.local import local_path, permitted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SPECIAL = re.compile(r"[*?\[]")


def list_local(
    source: str, roots: Sequence[Path], limits: Sequence[Path] | None, files_max: int
) -> list[FileEntry] | None:
    """The files that a directory holds, or that a pattern matches; None where the source names one file.

    Of a directory those that lie in it directly; ``**`` in a pattern stands for any number of directories. Hidden
    files are passed over. Raises SourceError where there are none, or more than ``files_max``.
    """
    path = local_path(source)
    if _is_pattern(path):
        paths = _matching(path, roots, limits)
        nothing = f"no file matches {path}"
    else:
        real, _ = permitted(path, roots, limits)
        if not real.is_dir():
            return None
        paths = _in_directory(path)
        nothing = f"{path} holds no file"
    entries = []
    for found in paths:
        if found.is_symlink():
            permitted(found, roots, limits)  # not even the size is told of what lies elsewhere
        status = found.stat()
        entries.append(FileEntry(str(found), status.st_size, status.st_mtime_ns))
        if len(entries) > files_max:
            raise SourceError(
                f"{path} has more files than JOBD_FILES_MAX allows ({files_max})", code="source_too_large"
            )
    if not entries:
        raise SourceError(nothing, code="source_missing")
    return sorted(entries)


def _is_pattern(path: Path) -> bool:
    """Whether it has signs of a pattern in it, and is not a file whose name has them."""
    return bool(_SPECIAL.search(str(path))) and not os.path.lexists(path)


def _in_directory(path: Path) -> Iterator[Path]:
    try:
        with os.scandir(path) as found:
            names = [entry.name for entry in found if not entry.name.startswith(".") and entry.is_file()]
    except PermissionError as error:
        raise SourceError(f"{path} may not be listed by this daemon's user (uid {os.geteuid()})") from error
    yield from (path / name for name in names)


def _matching(pattern: Path, roots: Sequence[Path], limits: Sequence[Path] | None) -> Iterator[Path]:
    """Files below the part of the pattern that is a plain path. Links to directories are not followed."""
    parts = pattern.parts
    fixed = next(place for place, part in enumerate(parts) if _SPECIAL.search(part))
    base = Path(*parts[:fixed])
    permitted(base, roots, limits)
    wanted = parts[fixed:]
    depth = None if "**" in wanted else len(wanted)
    for directory, directories, names in os.walk(base, followlinks=False):
        here = Path(directory).relative_to(base)
        if depth is not None and len(here.parts) >= depth - 1:
            directories.clear()
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and _is_match((*here.parts, name), wanted):
                path = base / here / name
                if path.is_file():
                    yield path


def _is_match(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the names match the pattern's, one by one; ``**`` stands for any number of them.

    All ways to match are followed at once, so that no pattern takes long.
    """
    states = _with_skips({0}, wanted)
    for part in parts:
        following = {state for state in states if state < len(wanted) and wanted[state] == "**"}
        following |= {
            state + 1 for state in states if state < len(wanted) and fnmatch.fnmatchcase(part, wanted[state])
        }
        states = _with_skips(following, wanted)
    return len(wanted) in states


def _with_skips(states: set[int], wanted: Sequence[str]) -> set[int]:
    """The states, and those that are reached from them because ``**`` may stand for nothing."""
    reached = set(states)
    for state in sorted(states):
        place = state
        while place < len(wanted) and wanted[place] == "**":
            place += 1
            reached.add(place)
    return reached
