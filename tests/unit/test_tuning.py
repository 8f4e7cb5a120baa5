"""Memory that is free goes back to the system, also where what stays lies between."""

from __future__ import annotations

import ctypes

import psutil

from jobd.services.tuning import Trimmer

BLOCKS, BLOCK_BYTES = 1_000, 64 << 10


async def test_gaps_between_what_stays_are_given_back() -> None:
    c = ctypes.CDLL(None)
    c.malloc.restype = ctypes.c_void_p
    c.free.argtypes = [ctypes.c_void_p]
    blocks = [c.malloc(BLOCK_BYTES) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK_BYTES)
    for block in blocks[::2]:
        c.free(block)
    before = psutil.Process().memory_info().rss
    assert await Trimmer().step() > 0
    given_back = before - psutil.Process().memory_info().rss
    for block in blocks[1::2]:
        c.free(block)
    assert given_back > BLOCKS * BLOCK_BYTES / 4
