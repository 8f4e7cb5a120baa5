"""What a daemon asks of its own process, for speed and size."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

from jobd.runner.wakeup import Wakeup
from jobd.services.loop import jittered

# Batches make and drop objects by the ten thousand, hardly any of them in cycles.
COLLECTED_AFTER_OBJECTS = 20_000
# How long the reader's thread may keep the interpreter while an answer of the database waits to be seen.
SWITCH_SECONDS = 0.0005
# A few milliseconds at most, and a few kilobytes for each job that ended meanwhile.
TRIM_SECONDS = 20.0
# Parameters of glibc's mallopt. A batch's buffers go back to the system when it is done; left to itself the
# allocator soon keeps them, in a heap for each thread that ever read.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_MAPPED_FROM_BYTES = 1024 * 1024
_ARENAS_MAX = 2


_C = ctypes.CDLL(None)


def tune() -> None:
    """Tune interpreter and allocator to batches."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()  # what is there by now stays until the end
    gc.set_threshold(COLLECTED_AFTER_OBJECTS)
    with contextlib.suppress(AttributeError):  # another C library manages without
        _C.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        _C.mallopt(_M_ARENA_MAX, _ARENAS_MAX)


class Trimmer:
    """Gives free memory back to the system: the gaps between what stays, which grow for as long as jobs run."""

    def __init__(self) -> None:
        self.wakeup = Wakeup()

    async def step(self) -> float:
        """Give back what is free by now; gives the delay until the next time."""
        with contextlib.suppress(AttributeError):  # another C library manages without
            _C.malloc_trim(0)
        return jittered(TRIM_SECONDS)
