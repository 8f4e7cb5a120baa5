"""Bounds on what one input may cost; what exceeds them is a failure like any other, or at last ends the run."""

from __future__ import annotations

import faulthandler
import resource
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CPU_SECONDS = 5
WALL_SECONDS = 120  # for what waits, or never comes back from a library; the machine may be busy otherwise
MEMORY_BYTES = 400 << 20  # beyond what the process has; a decoder may hold 128 MiB


class TooSlow(AssertionError):
    """An input takes longer than any of its size may."""


@contextmanager
def bounded(trace: Path) -> Iterator[None]:
    """Within: so much more memory at most, and so much of a processor.

    An input that even a signal does not interrupt ends the process; ``trace`` then says where it hung.
    """
    children = _children_seconds()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, _raise_too_slow)
    trace.parent.mkdir(parents=True, exist_ok=True)
    with trace.open("w") as out:
        faulthandler.dump_traceback_later(WALL_SECONDS, exit=True, file=out)
        # The processor's time, not the clock's: others use this machine as well.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (_address_bytes() + MEMORY_BYTES, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
            faulthandler.cancel_dump_traceback_later()
    trace.unlink()
    if _children_seconds() - children > 3 * CPU_SECONDS:
        raise TooSlow(f"the processes for workbooks took {_children_seconds() - children:.0f} s")


def _raise_too_slow(_signal: int, _frame: object) -> None:
    raise TooSlow(f"more than {CPU_SECONDS} s of a processor for one input")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _address_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()
