"""What a daemon asks of its own process, for speed and size."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

# Batches make and drop objects by the ten thousand, hardly any of them in cycles.
COLLECTED_AFTER_OBJECTS = 20_000
# How long the reader's thread may keep the interpreter while an answer of the database waits to be seen.
SWITCH_SECONDS = 0.0005
# Parameters of glibc's mallopt. A batch's buffers go back to the system when it is done; left to itself the
# allocator soon keeps them, in a heap for each thread that ever read.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_MAPPED_FROM_BYTES = 1024 * 1024
_ARENAS_MAX = 2


def tune() -> None:
    """Tune interpreter and allocator to batches."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()  # what is there by now stays until the end
    gc.set_threshold(COLLECTED_AFTER_OBJECTS)
    with contextlib.suppress(OSError, AttributeError):  # another C library manages without
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS_MAX)
