"""Connections on which jobs write: authenticated as the job's submitter, one per running job at most.

Code of other people's (triggers, defaults, policies) runs on them, so they send unnamed statements only and are
discarded to the last setting before another job gets them.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

import anyio

from jobd.db.pool import RELEASE_SECONDS_MAX, roll_back, tidied
from jobd.db.queries import query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncpg import Connection

    from jobd.db.connect import Connector
    from jobd.db.queue import Login

    FindLogin = Callable[[], Awaitable[Login | None]]


class Session:
    """The connection of one running job; it is opened at first use and replaced when it was lost."""

    def __init__(self, find_login: FindLogin, sessions: Sessions) -> None:
        self._find_login = find_login
        self._login: Login | None = None
        self._sessions = sessions
        self._connection: Connection | None = None
        self._predecessor: int | None = None

    async def connection(self) -> Connection:
        """The connection, ready for a transaction."""
        if self._connection is None or self._connection.is_closed():
            self._login = await self._find_login()
            self._connection = await self._sessions.take(_name(self._login))
            if self._predecessor is not None:
                await self._end_predecessor(self._connection)
        return self._connection

    async def begin(self) -> Connection:
        """The connection, in a new transaction that acts as the submitter's own role.

        The login could do the same, and no more. But policies and triggers may ask who is there, and what triggers
        make is to belong to the submitter.
        """
        connection = await self.connection()
        role = "" if self._login is None else f"set local role {self._login.quoted_role};"
        await connection.execute(f"{query('batch_begin')}\n{role}")
        return connection

    async def roll_back(self) -> None:
        """Leave the open transaction; a connection on which that fails is given up."""
        if self._connection is not None and not await tidied(self._connection, roll_back):
            self.give_up()

    def give_up(self) -> None:
        """Cut the connection; the next one ends its backend first, should it still be there."""
        if self._connection is not None:
            with contextlib.suppress(Exception):  # a connection that is half gone may not know its backend
                self._predecessor = self._connection.get_server_pid()
            self._connection.terminate()
            self._connection = None
            self._sessions.used_count -= 1

    async def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._sessions.give_back(_name(self._login), connection)

    async def terminate_backend(self) -> None:
        """End the backend from outside, whatever it is doing: for a job that does not obey."""
        pid = None if self._connection is None else self._connection.get_server_pid()
        self.give_up()
        if pid is not None:
            with anyio.move_on_after(RELEASE_SECONDS_MAX * 2):
                await self._sessions.terminate(_name(self._login), pid)

    async def _end_predecessor(self, connection: Connection) -> None:
        pid, self._predecessor = self._predecessor, None
        await connection.fetch(
            query("session_terminate_predecessor"), pid, self._sessions.application_name, timeout=10
        )


class Sessions:
    """Keeps idle connections per login, so that a thousand small jobs do not connect a thousand times."""

    def __init__(self, connector: Connector, size: int) -> None:
        self._connector = connector
        self._size = size
        self._idle: deque[tuple[str | None, Connection]] = deque()
        self.used_count = 0

    @property
    def application_name(self) -> str:
        """What the backends of this worker are called."""
        return self._connector.application_name

    @property
    def idle_count(self) -> int:
        """Open connections that no job uses."""
        return len(self._idle)

    def session(self, find_login: FindLogin) -> Session:
        """A session for one job, of the login that is found at its first use; None is jobd's own."""
        return Session(find_login, self)

    async def take(self, login: str | None) -> Connection:
        """An idle connection of that login, or a new one."""
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index][0] == login:
                connection = self._idle[index][1]
                del self._idle[index]
                if await _is_alive(connection, login):
                    self.used_count += 1
                    return connection
        connection = await self._connector.open(login, statement_cache_size=0)
        self.used_count += 1
        return connection

    async def give_back(self, login: str | None, connection: Connection) -> None:
        """Keep the connection for the next job of that login, once nothing of the last one is left on it."""
        self.used_count -= 1
        name = self.application_name
        if not await tidied(connection, self._discard) or name != self.application_name:
            connection.terminate()
            return
        self._idle.append((login, connection))
        if len(self._idle) > self._size:
            self._idle.popleft()[1].terminate()

    async def terminate(self, login: str | None, pid: int) -> None:
        """End a backend of this worker through another connection of the same login."""
        connection = await self._connector.open(login, statement_cache_size=0)
        try:
            await connection.fetch(
                query("session_terminate_predecessor"), pid, self.application_name, timeout=RELEASE_SECONDS_MAX
            )
        finally:
            connection.terminate()

    def expire(self) -> None:
        """Throw idle connections away."""
        while self._idle:
            self._idle.pop()[1].terminate()

    async def _discard(self, connection: Connection) -> None:
        await roll_back(connection)
        await connection.execute("discard all")
        await self._connector.prepare(connection)


def _name(login: Login | None) -> str | None:
    return None if login is None else login.name


async def _is_alive(connection: Connection, login: str | None) -> bool:
    """Whether an idle connection can be used again: a submitter's login may have been dropped and made anew."""
    if connection.is_closed() or login is None:
        return not connection.is_closed()
    try:
        await connection.fetch(query("session_is_of_living_role"), timeout=RELEASE_SECONDS_MAX)
    except Exception:  # noqa: BLE001  whatever it is, another connection is opened instead
        connection.terminate()
        return False
    return True
