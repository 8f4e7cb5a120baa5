"""From what a job names to an open file inside the directories that jobd may read.

The check that counts is made on the open descriptor, so that nobody can swap a path between check and use.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from jobd.errors import HostNotReady, SourceChanged, SourceError
from jobd.sources.stream import PlainStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.sources.stream import Stream

_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
)


class RootUnavailable(HostNotReady):
    """The directory that should hold the source is absent or not mounted on this host: a reason to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedFile:
    """An open regular file inside a root, as it was when it was opened."""

    name: str
    descriptor: int
    size_bytes: int
    modified_ns: int

    def read(self, position: int, size: int) -> bytes:
        """Bytes at a position, all that there are; a file that became shorter is not the one that was opened."""
        wanted = min(size, self.size_bytes - position)
        pieces: list[bytes] = []
        try:
            while wanted > 0:
                piece = os.pread(self.descriptor, wanted, position)
                if not piece:
                    raise SourceChanged(
                        f"{self.name} became shorter while it was read: it had {self.size_bytes} bytes at first"
                    )
                pieces.append(piece)
                wanted -= len(piece)
                position += len(piece)
        except OSError as error:
            raise SourceError(f"{self.name} cannot be read at byte {position}: {error.strerror}") from error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def stream(self) -> Stream:
        """Its bytes from their start."""
        return PlainStream(self)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)


def local_path(source: str) -> Path:
    """The absolute path that a path or a ``file://`` URI stands for."""
    if "\0" in source:
        raise SourceError("the source's name contains a NUL character", code="source_missing")
    scheme = urlsplit(source).scheme if "://" in source else ""
    if scheme == "file":
        parts = urlsplit(source)
        if parts.netloc not in {"", "localhost"}:
            raise SourceError(
                f"{source} names the host {parts.netloc}; a file URI has none: file:///path",
                code="source_unsupported",
            )
        path = Path(unquote(parts.path))
    elif scheme:
        raise SourceError(
            f"sources by {scheme}:// cannot be read yet; put the file into a directory of JOBD_IMPORT_ROOTS",
            code="source_unsupported",
        )
    else:
        path = Path(source)
    if not path.is_absolute():
        raise SourceError(f"{source} is not an absolute path", code="source_forbidden")
    return Path(os.path.normpath(path))


def open_file(source: str, roots: Sequence[Path], limits: Sequence[Path] | None = None) -> LocatedFile:
    """Open a local source for reading, or say why it cannot or may not be.

    It must lie inside one of ``roots``, which are the daemon's, and of ``limits``, which are its submitter's.
    """
    path = local_path(source)
    real, real_roots = permitted(path, roots, limits)
    descriptor = _open(path, real)
    try:
        return _checked(path, real, real_roots, roots, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def permitted(path: Path, roots: Sequence[Path], limits: Sequence[Path] | None) -> tuple[Path, Sequence[Path]]:
    """Where a path really leads, and the real directories that it must lie in; raises where it does not."""
    root = _root_of(path, roots)
    if root is None:
        raise _forbidden(path, roots)
    _require_available(root)
    real = Path(os.path.realpath(path))
    real_roots = [Path(os.path.realpath(each)) for each in roots]
    if not _is_inside(real, real_roots):
        raise _forbidden(path, roots, real)
    if limits is not None:
        real_roots = [Path(os.path.realpath(each)) for each in limits]
        if not _is_inside(real, real_roots):
            # Where links of others lead is theirs to know.
            raise _beyond_limits(path, limits, real if _root_of(path, limits) else path)
    return real, real_roots


def _root_of(path: Path, roots: Sequence[Path]) -> Path | None:
    for root in roots:
        for form in (Path(os.path.normpath(root)), Path(os.path.realpath(root))):
            if path.is_relative_to(form):
                return root
    return None


def _is_inside(real: Path, real_roots: Sequence[Path]) -> bool:
    return any(real.is_relative_to(root) for root in real_roots)


def _require_available(root: Path) -> None:
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            raise RootUnavailable(f"the import root {root} is no directory on this host")
    except PermissionError as error:
        raise SourceError(f"the import root {root} may not be entered by this daemon's user") from error
    except OSError as error:
        raise RootUnavailable(f"the import root {root} is not available on this host: {error.strerror}") from error
    mount = _missing_mount(root)
    if mount:
        raise RootUnavailable(f"the import root {root} is not available on this host: {mount} is not mounted")


def _missing_mount(root: Path) -> str | None:
    """The mount point of /etc/fstab that ``root`` lies on, when nothing is mounted there."""
    try:
        lines = Path("/etc/fstab").read_text().splitlines()
    except OSError:
        return None
    real = Path(os.path.realpath(root))
    places = [entry[1] for line in lines if len(entry := line.partition("#")[0].split()) >= 2]
    on_the_way = (place for place in places if place.startswith("/") and real.is_relative_to(place))
    return next((place for place in on_the_way if not os.path.ismount(place)), None)


def _open(path: Path, real: Path) -> int:
    try:
        if real.is_dir():
            raise SourceError(
                f"{path} is a directory; name one file (directories cannot be read yet)",
                code="source_is_directory",
            )
        return os.open(real, _OPEN_FLAGS)
    except FileNotFoundError as error:
        raise SourceError(f"{path} does not exist", code="source_missing") from error
    except NotADirectoryError as error:
        raise SourceError(
            f"{path} does not exist: a part of it is not a directory", code="source_missing"
        ) from error
    except PermissionError as error:
        raise SourceError(f"{path} may not be read by this daemon's user (uid {os.geteuid()})") from error
    except OSError as error:
        if error.errno in {errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN}:
            raise RootUnavailable(f"{path}: {error.strerror}") from error
        if error.errno in {errno.ENXIO, errno.ENODEV}:
            raise SourceError(f"{path} is not a regular file") from error
        raise SourceError(f"{path} cannot be opened: {error.strerror}") from error


def _checked(
    path: Path, real: Path, real_roots: Sequence[Path], roots: Sequence[Path], descriptor: int
) -> LocatedFile:
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{path} is a directory", code="source_is_directory")
    if not stat.S_ISREG(status.st_mode):
        kind = next((words for is_kind, words in _KINDS if is_kind(status.st_mode)), "something else")
        raise SourceError(f"{path} is {kind}, not a regular file")
    opened = _opened_path(descriptor)
    if opened is None:
        named = real.stat(follow_symlinks=False)
        if (named.st_dev, named.st_ino) != (status.st_dev, status.st_ino) or os.path.realpath(real) != str(real):
            raise SourceError(f"{path} was exchanged while it was opened", code="source_forbidden")
    elif not _is_inside(opened, real_roots):
        raise _forbidden(path, roots, opened)
    if status.st_size == 0:
        raise SourceError(f"{path} is empty (0 bytes)", code="source_empty")
    return LocatedFile(
        name=str(path), descriptor=descriptor, size_bytes=status.st_size, modified_ns=status.st_mtime_ns
    )


def _opened_path(descriptor: int) -> Path | None:
    """Where the file that is really open lies; None where the system does not say."""
    try:
        return Path(f"/proc/self/fd/{descriptor}").readlink()
    except OSError:
        return None


def _forbidden(path: Path, roots: Sequence[Path], real: Path | None = None) -> SourceError:
    where = f" (it leads to {real})" if real is not None and real != path else ""
    allowed = ", ".join(str(root) for root in roots) or "none are set"
    return SourceError(
        f"{path}{where} is outside the directories that may be read: {allowed}. Set JOBD_IMPORT_ROOTS",
        code="source_forbidden",
    )


def _beyond_limits(path: Path, limits: Sequence[Path], real: Path) -> SourceError:
    where = f" (it leads to {real})" if real != path else ""
    allowed = ", ".join(str(limit) for limit in limits) or "none"
    return SourceError(
        f"{path}{where} is outside the directories that the job's submitter is limited to: {allowed}."
        " They are set by jobd grant --import-root",
        code="source_forbidden",
    )
