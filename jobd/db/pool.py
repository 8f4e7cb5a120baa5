"""The one place where connections are acquired and given back.

Giving back is shielded from cancellation and has a deadline: a cancelled scope neither leaks a connection nor
leaves one behind that is in the middle of something; what cannot be tidied up in time is thrown away.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING

import anyio

from jobd.db.transient import ErrorClass, error_class

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from asyncpg import Connection

RELEASE_SECONDS_MAX = 2.0
# Claims, endings, looks and samples share these; jobs have sessions of their own.
POOL_SIZE = 4
# What a daemon may open beside a session for each slot: the heartbeat's, the listener's and one of the pool.
OWN_CONNECTIONS = 3


class Pool:
    """At most ``size`` connections of one login, opened when needed, the last used one first.

    More than one only while ``has_room``, which is asked with the number that there would be.
    """

    def __init__(
        self,
        opens: Callable[[], Awaitable[Connection]],
        size: int,
        on_waited: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._opens = opens
        self._size = size
        self._on_waited = on_waited
        self.has_room: Callable[[int], bool] = lambda _count: True
        self._idle: deque[Connection] = deque()
        self._used: set[Connection] = set()
        self._opening = 0
        self._generation = 0
        self._turns = anyio.Lock(fast_acquire=True)
        self._freed = anyio.Event()

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Lend a connection for the time of a ``with`` block."""
        asked_at = time.monotonic()
        async with self._turns:
            connection = await self._idle_or_turn()
        generation = self._generation  # of before it is opened: with secrets that may be old ones by then
        if connection is None:
            try:
                connection = await self._opens()
            finally:
                self._opening -= 1
                self._tell_freed()
            self._used.add(connection)
        self._on_waited(time.monotonic() - asked_at)
        try:
            yield connection
        except Exception as error:
            # What a session may write can be settled when it begins, so idle ones may be no better.
            if error_class(error) is ErrorClass.READ_ONLY:
                self.expire()
            raise
        finally:
            is_fit = generation == self._generation and await tidied(connection, roll_back)
            self._used.discard(connection)
            if is_fit and self._is_room_for(self.count + 1):
                self._idle.append(connection)
            else:
                connection.terminate()
            self._tell_freed()

    async def _idle_or_turn(self) -> Connection | None:
        """A connection, or None for the turn to open one, as soon as there is the one or the other."""
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    self._used.add(connection)
                    return connection
            if self.count < self._size and self._is_room_for(self.count + 1):
                self._opening += 1
                return None
            await self._freed.wait()

    def _tell_freed(self) -> None:
        self._freed.set()
        self._freed = anyio.Event()

    def _is_room_for(self, count: int) -> bool:
        return count == 1 or self.has_room(count)

    @property
    def count(self) -> int:
        """Connections that are open or being opened."""
        return len(self._idle) + len(self._used) + self._opening

    async def shrink(self, size: int) -> None:
        """Wait until there are so many connections at most, or a single one: others are to be opened."""
        while self.count > max(size, 1):
            if self._idle:
                self._idle.popleft().terminate()
            else:
                await self._freed.wait()

    @property
    def idle_count(self) -> int:
        """Open connections that nobody uses."""
        return sum(not connection.is_closed() for connection in self._idle)

    @property
    def used_count(self) -> int:
        """Connections that are lent."""
        return len(self._used)

    def expire(self) -> None:
        """Throw away all idle connections now and the lent ones when they come back."""
        self._generation += 1
        while self._idle:
            self._idle.pop().terminate()

    def terminate(self) -> None:
        """Cut all connections, whoever uses them."""
        self.expire()
        for connection in self._used:
            connection.terminate()


async def roll_back(connection: Connection) -> None:
    """Leave an open transaction."""
    if connection.is_in_transaction():
        await connection.execute("rollback")


async def tidied(connection: Connection, tidy: Callable[[Connection], Awaitable[None]]) -> bool:
    """Whether ``tidy`` left the connection fit for others, within the deadline and whoever cancels meanwhile."""
    if connection.is_closed():
        return False
    with anyio.move_on_after(RELEASE_SECONDS_MAX, shield=True):
        try:
            await tidy(connection)
        except Exception:  # noqa: BLE001  whatever it was, such a connection is thrown away by the caller
            return False
        return not connection.is_closed()
    return False
