"""File systems of a few megabytes, to be filled up and to be given room again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BALLAST = "ballast"
PIECE = b"\0" * 65536


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system of its own."""

    path: Path

    def grow(self, megabytes: int) -> None:
        """Make it so large; what is on it stays."""
        _run("mount", "-o", f"remount,size={megabytes}m", str(self.path))

    def fill(self) -> None:
        """Take all the room that is left."""
        with contextlib.suppress(OSError), (self.path / BALLAST).open("ab", buffering=0) as ballast:
            while ballast.write(PIECE):
                pass

    def make_room(self) -> None:
        """Give back what ``fill`` took."""
        (self.path / BALLAST).unlink()


@contextlib.contextmanager
def small_disk(directory: Path, megabytes: int, owner: str | None = None) -> Iterator[SmallDisk]:
    """An empty file system at ``directory``; the test is skipped where this user may not mount."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "jobd-test", str(directory))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small file system can be mounted here: {error}")
    try:
        if owner is not None:
            shutil.chown(directory, owner)
        yield SmallDisk(directory)
    finally:
        _run("umount", "-l", str(directory))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
