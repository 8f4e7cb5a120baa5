"""Reading far files near: blocks that several readers share, the next of which is fetched ahead."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK_BYTES = 4 << 20
BLOCKS_HELD = 5  # two readers at different places, each with its block and the next, and what one of them has left
_ALONE_BYTES = 1 << 16
_ENDS_REMEMBERED = 16


class Blocks:
    """A file's bytes at any position, for any number of threads; holds at most ``BLOCKS_HELD`` blocks.

    A read that continues another gets whole blocks, with the next on its way already; one that jumps gets what it
    asks for, so that samples of a large file cost little.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size_bytes: int, first: bytes = b"") -> None:
        self._fetch = fetch
        self._size_bytes = size_bytes
        self._held: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._ends: deque[int] = deque([0], maxlen=_ENDS_REMEMBERED)
        self._mutex = threading.Lock()
        self._is_ahead = False  # one block at a time is fetched ahead
        self._is_closed = False
        if len(first) == min(BLOCK_BYTES, size_bytes):
            self._held[0] = Future()
            self._held[0].set_result(first)

    def read(self, position: int, size: int) -> bytes:
        """Bytes at a position, fewer only where the file ends."""
        end = min(position + size, self._size_bytes)
        if position >= end:
            return b""
        if not self._is_near(position, end):
            least_end = min(max(end, position + _ALONE_BYTES), self._size_bytes)
            return self._fetch(position, least_end - position)[: end - position]
        parts: list[bytes] = []
        while position < end:
            number, start = divmod(position, BLOCK_BYTES)
            block = self._block(number)
            parts.append(block[start : start + end - position])
            position += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Drop the blocks; what is being fetched is dropped when it comes."""
        with self._mutex:
            self._is_closed = True
            self._held.clear()

    def _is_near(self, position: int, end: int) -> bool:
        """Whether this read continues an earlier one, or lies in blocks that are there."""
        with self._mutex:
            numbers = range(position // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1)
            is_near = position in self._ends or all(number in self._held for number in numbers)
            if position in self._ends:
                self._ends.remove(position)
            self._ends.append(end)
            return is_near

    def _block(self, number: int) -> bytes:
        with self._mutex:
            block, is_mine = self._claimed(number)
            following = number + 1
            if not self._is_ahead and following not in self._held and self._is_sequential(number):
                ahead, self._is_ahead = self._claimed(following)[0], True
                threading.Thread(target=self._fill_ahead, args=(following, ahead), daemon=True).start()
        if is_mine:
            self._fill(number, block)
        return block.result()

    def _is_sequential(self, number: int) -> bool:
        """Whether the next block will be wanted: the one before was, or this one is read beyond its half."""
        if (number + 1) * BLOCK_BYTES >= self._size_bytes or self._is_closed:
            return False
        half = number * BLOCK_BYTES + BLOCK_BYTES // 2
        return number - 1 in self._held or any(half < end <= half + BLOCK_BYTES for end in self._ends)

    def _claimed(self, number: int) -> tuple[Future[bytes], bool]:
        """The block, and whether it is the caller's to fetch."""
        block = self._held.get(number)
        if block is not None:
            self._held.move_to_end(number)
            return block, False
        block = self._held[number] = Future()
        if len(self._held) > BLOCKS_HELD:
            self._held.popitem(last=False)
        return block, True

    def _fill(self, number: int, block: Future[bytes]) -> None:
        position = number * BLOCK_BYTES
        try:
            block.set_result(self._fetch(position, min(BLOCK_BYTES, self._size_bytes - position)))
        except BaseException as error:  # noqa: BLE001  it is raised where the block is wanted
            with self._mutex:
                if self._held.get(number) is block:
                    del self._held[number]
            block.set_exception(error)

    def _fill_ahead(self, number: int, block: Future[bytes]) -> None:
        self._fill(number, block)
        with self._mutex:
            self._is_ahead = False
