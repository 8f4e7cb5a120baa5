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
# What a daemon opens beside a session for each slot: the pool, the heartbeat's and the listener's.
OWN_CONNECTIONS = POOL_SIZE + 2


class Pool:
    """At most ``size`` connections of one login, opened when needed, the last used one first."""

    def __init__(
        self,
        opens: Callable[[], Awaitable[Connection]],
        size: int,
        tidy: Callable[[Connection], Awaitable[None]] | None = None,
        on_waited: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._opens = opens
        self._tidy = tidy or roll_back
        self._on_waited = on_waited
        self._slots = anyio.Semaphore(size)
        self._idle: deque[Connection] = deque()
        self._used: set[Connection] = set()
        self._generation = 0

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Lend a connection for the time of a ``with`` block."""
        asked_at = time.monotonic()
        async with self._slots:
            connection = await self._idle_or_new()
            self._on_waited(time.monotonic() - asked_at)
            generation = self._generation
            self._used.add(connection)
            try:
                yield connection
            except Exception as error:
                # What a session may write can be settled when it begins, so idle ones may be no better.
                if error_class(error) is ErrorClass.READ_ONLY:
                    self.expire()
                raise
            finally:
                self._used.discard(connection)
                if generation != self._generation or not await tidied(connection, self._tidy):
                    connection.terminate()
                else:
                    self._idle.append(connection)

    async def _idle_or_new(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await self._opens()

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
