"""One other program, told by its command line what to import."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SECONDS_MAX = 900
LAST_WORDS_LENGTH = 400


class Place(NamedTuple):
    """Where a peer finds its programs, the database, and room for its own files."""

    programs: Path
    scripts: Path
    scratch: Path
    url: str


class PeerFailed(Exception):
    """The program ended with an error, or did something else than it was told; the text is its own last words."""


class Peer:
    """What differs from one program to another."""

    name: str
    table = "by_peer"
    can_upsert = False

    def __init__(self, place: Place) -> None:
        self.place = place

    def missing(self) -> str | None:
        """Why it cannot run here, or None."""
        raise NotImplementedError

    def new_rows(self, path: Path) -> Sequence[str]:
        """The command that adds a CSV file's rows to the table, which is empty."""
        raise NotImplementedError

    def upsert(self, path: Path) -> Sequence[str]:
        """The command that adds or updates by the key, where ``can_upsert``."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What it is told by variables; telemetry is off everywhere."""
        return {}

    def forget(self) -> None:
        """Remove what it remembers of earlier runs."""
        shutil.rmtree(self.place.scratch, ignore_errors=True)

    def run(self, command: Sequence[str]) -> float:
        """Seconds that the command takes, start-up included."""
        self.place.scratch.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "LANG": "C.UTF-8",
            "HOME": str(self.place.scratch),
            "TMPDIR": str(self.place.scratch),
            "DO_NOT_TRACK": "1",
            **self.environment(),
        }
        started = time.perf_counter()
        try:
            ended = subprocess.run(
                command,
                env=environment,
                cwd=self.place.scratch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SECONDS_MAX,
                check=False,
                text=True,
                errors="replace",
            )
        except subprocess.TimeoutExpired as late:
            raise PeerFailed(f"not done after {SECONDS_MAX} s") from late
        seconds = time.perf_counter() - started
        if ended.returncode != 0:
            raise PeerFailed(ended.stdout.strip()[-LAST_WORDS_LENGTH:] or f"exit status {ended.returncode}")
        return seconds
