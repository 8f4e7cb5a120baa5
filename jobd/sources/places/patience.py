"""How long a remote place is waited for: every wait has an end, and only progress moves it."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from jobd.errors import SourceUnavailable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from jobd.errors import JobdError

_PROGRESS_BYTES = 1 << 16  # fewer than these in all of ``total_seconds`` are no progress
Result = TypeVar("Result")


class TryAgain(Exception):
    """A request did not succeed and may succeed later.

    ``wait_seconds`` is what the server asked for; ``lasting`` what to raise if it never gets better.
    """

    def __init__(
        self, reason: str, *, wait_seconds: float | None = None, lasting: JobdError | None = None
    ) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds
        self.lasting = lasting


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Bounds of waiting: for a connection, for the next bytes, and for any progress at all, with all retries."""

    connect_seconds: float = 10
    idle_seconds: float = 20
    total_seconds: float = 60
    first_wait_seconds: float = 0.2
    longest_wait_seconds: float = 10


class Deadline:
    """The end of one fetch's patience."""

    def __init__(self, patience: Patience, closed: threading.Event) -> None:
        self._patience = patience
        self._closed = closed
        self._gained_bytes = 0
        self._waits = 0
        self._until = time.monotonic() + patience.total_seconds

    def seconds(self, longest: float) -> float:
        """How long the next step may take; raises TryAgain when the time is over or the file is closed."""
        left = self._until - time.monotonic()
        if left <= 0 or self._closed.is_set():
            raise TryAgain("no progress")
        return min(longest, left)

    def idle_seconds(self) -> float:
        """How long to wait for the next bytes."""
        return self.seconds(self._patience.idle_seconds)

    def connect_seconds(self) -> float:
        """How long to wait for a connection."""
        return self.seconds(self._patience.connect_seconds)

    def gained(self, size: int) -> None:
        """Bytes arrived."""
        self._gained_bytes += size
        if self._gained_bytes >= _PROGRESS_BYTES:
            self._gained_bytes = self._waits = 0
            self._until = time.monotonic() + self._patience.total_seconds

    def pause(self, name: str, cause: TryAgain) -> None:
        """Wait before trying again; raises SourceUnavailable where that would be too late."""
        patience = self._patience
        longest = min(patience.longest_wait_seconds, patience.first_wait_seconds * 2**self._waits)
        self._waits += 1
        wait = max(longest * random.uniform(0.5, 1), cause.wait_seconds or 0)  # noqa: S311  no secret
        is_late = time.monotonic() + wait >= self._until
        if is_late or self._closed.wait(wait):
            if cause.lasting is not None:
                raise cause.lasting from cause
            raise SourceUnavailable(
                f"{name} cannot be reached: {cause} (tried for {patience.total_seconds:g} s)"
            ) from cause


def patiently(name: str, deadline: Deadline, attempt: Callable[[], Result]) -> Result:
    """What an attempt returns, tried until it succeeds or the deadline is there."""
    while True:
        try:
            return attempt()
        except TryAgain as cause:
            deadline.pause(name, cause)


def collected(
    name: str, deadline: Deadline, position: int, size: int, pieces: Callable[[int, int], Iterator[bytes]]
) -> bytes:
    """Exactly ``size`` bytes from a position; a fetch that breaks off is continued where it stopped."""
    parts: list[bytes] = []
    wanted = size
    while wanted > 0:
        try:
            for piece in pieces(position + size - wanted, wanted):
                parts.append(piece[:wanted])
                wanted -= len(parts[-1])
                deadline.gained(len(piece))
            if wanted > 0:
                raise TryAgain("fewer bytes came than were announced")  # noqa: TRY301  one place to wait
        except TryAgain as cause:
            deadline.pause(name, cause)
    return parts[0] if len(parts) == 1 else b"".join(parts)
