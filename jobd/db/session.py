"""Connections on which jobs write: authenticated as the job's submitter, one per running job at most.

Code of other people's (triggers, defaults, policies) runs on them, so they send unnamed statements only and are
discarded to the last setting before a job of another kind gets them (see jobd.runner.kept).
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import anyio

from jobd.db.pool import RELEASE_SECONDS_MAX, roll_back, tidied
from jobd.db.queries import query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncpg import Connection

    from jobd.db.connect import Connector
    from jobd.db.queue import Login

    FindLogin = Callable[[], Awaitable[Login | None]]


# To connect takes some milliseconds: sessions that follow each other closely are not closed in between.
IDLE_SECONDS_MIN = 1.0


class Lent(NamedTuple):
    """A connection; ``generation`` tells whether it may be used again."""

    login: str | None
    connection: Connection
    generation: int
    idle_since: float = 0.0


class Session:
    """The connection of one running job; it is opened at first use and replaced when it was lost."""

    def __init__(self, find_login: FindLogin, sessions: Sessions) -> None:
        self._find_login = find_login
        self._login: Login | None = None
        self._sessions = sessions
        self._lent: Lent | None = None
        self._inherited: Lent | None = None
        self._predecessor: int | None = None
        self._backend: int | None = None

    @property
    def is_pooled(self) -> bool:
        """Whether each transaction may run on another backend."""
        return self._sessions.is_pooled

    @property
    def is_lost(self) -> bool:
        """Whether the connection was given up, or is closed: what is raised by whoever used it means just that."""
        return self._predecessor is not None if self._lent is None else self._lent.connection.is_closed()

    def follow(self, other: Session) -> None:
        """Take the connection of an earlier job's session over as it is, should it be of the same login."""
        self._inherited, other._lent = other._lent, None

    async def connection(self) -> Connection:
        """The connection, ready for a transaction."""
        if self._lent is None or self._lent.connection.is_closed():
            self._login = await self._find_login()
            name = None if self._login is None else self._login.name
            self._lent = await self._fitting(name) or await self._sessions.take(name)
            if self._predecessor is not None:
                await self._end_predecessor(self._lent.connection)
        return self._lent.connection

    async def begin(self) -> Connection:
        """The connection, in a new transaction that acts as the submitter's own role.

        The login could do the same, and no more. But policies and triggers may ask who is there, and what triggers
        make is to belong to the submitter.
        """
        connection = await self.connection()
        if connection.is_in_transaction():
            raise RuntimeError("the last transaction is still open")  # BEGIN would go on in it without a word
        role = "" if self._login is None else f"set local role {self._login.quoted_role};"
        await connection.execute(f"{query('batch_begin')}\n{role}")
        if self.is_pooled:
            self._backend = await connection.fetchval(query("session_backend"))
        return connection

    async def roll_back(self) -> None:
        """Leave the open transaction; a connection on which that fails is given up."""
        if self._lent is not None and not await tidied(self._lent.connection, roll_back):
            self.give_up()

    def give_up(self) -> None:
        """Cut the connection; the next one ends its backend first, should it still be there."""
        if self._lent is not None:
            self._predecessor = self._backend_of(self._lent.connection)
            self._lent.connection.terminate()
            self._lent = None
            self._sessions.used_count -= 1

    async def close(self) -> None:
        """Give the connection back."""
        open_ones, self._inherited, self._lent = (self._inherited, self._lent), None, None
        for lent in open_ones:
            if lent is not None:
                await self._sessions.give_back(lent)

    async def terminate_backend(self) -> None:
        """End the backend from outside, whatever it is doing: for a job that does not obey."""
        pid = None if self._lent is None else self._backend_of(self._lent.connection)
        self.give_up()
        if pid is not None:
            name = None if self._login is None else self._login.name
            with anyio.move_on_after(RELEASE_SECONDS_MAX * 2):
                await self._sessions.terminate(name, pid)

    def _backend_of(self, connection: Connection) -> int | None:
        """The backend that does this session's work, or did last."""
        if self.is_pooled:
            return self._backend
        with contextlib.suppress(Exception):  # a connection that is half gone may not know its backend
            return int(connection.get_server_pid())
        return None

    async def _fitting(self, login: str | None) -> Lent | None:
        """The connection of an earlier job, if it can be used."""
        inherited, self._inherited = self._inherited, None
        if inherited is None or (inherited.login == login and self._sessions.may_go_on(inherited)):
            return inherited
        await self._sessions.give_back(inherited)
        return None

    async def _end_predecessor(self, connection: Connection) -> None:
        pid, self._predecessor = self._predecessor, None
        await connection.fetch(
            query("session_terminate_predecessor"), pid, self._sessions.application_name, timeout=10
        )


class Sessions:
    """Keeps idle connections per login, so that a thousand small jobs do not connect a thousand times.

    Idle ones make room for new ones: both together are at most ``size``, or all in use. The pool may use what is
    left of it, and one more; ``make_room`` has it shrink to so many.
    """

    def __init__(
        self,
        connector: Connector,
        size: int,
        make_room: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._connector = connector
        self._size = size
        self._make_room = make_room
        self._idle: deque[Lent] = deque()
        self._generation = 0
        self.used_count = 0

    @property
    def application_name(self) -> str:
        """What the backends of this worker are called."""
        return self._connector.application_name

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler stands between."""
        return self._connector.is_pooled

    @property
    def idle_count(self) -> int:
        """Open connections that no job uses."""
        return len(self._idle)

    @property
    def count(self) -> int:
        """Connections that are open or being opened."""
        return len(self._idle) + self.used_count

    def have_room_for(self, others: int) -> bool:
        """Whether the pool may have so many; what no job used for a while makes room."""
        now = time.monotonic()
        while (
            self.count + others > self._size + 1
            and self._idle
            and now - self._idle[0].idle_since > IDLE_SECONDS_MIN
        ):
            self._idle.popleft().connection.terminate()
        return self.count + others <= self._size + 1

    def session(self, find_login: FindLogin) -> Session:
        """A session for one job, of the login that is found at its first use; None is jobd's own."""
        return Session(find_login, self)

    async def take(self, login: str | None) -> Lent:
        """An idle connection of that login, or a new one."""
        for index in range(len(self._idle) - 1, -1, -1):
            if self._idle[index].login == login:
                lent = self._idle[index]
                del self._idle[index]
                if await _is_alive(lent):
                    self.used_count += 1
                    return lent
        self.used_count += 1
        self._drop_surplus()
        generation = self._generation
        try:
            if self._make_room is not None:
                await self._make_room(self._size + 1 - self.count)
            connection = await self._connector.open(login, statement_cache_size=0)
        except BaseException:
            self.used_count -= 1
            raise
        return Lent(login, connection, generation)

    def may_go_on(self, lent: Lent) -> bool:
        """Whether the connection may be used for another job."""
        return lent.generation == self._generation and not lent.connection.is_closed()

    async def give_back(self, lent: Lent) -> None:
        """Keep the connection for the next job of that login, once nothing of the last one is left on it."""
        try:
            is_fit = await tidied(lent.connection, self._discard) and self.may_go_on(lent)
        finally:
            self.used_count -= 1
        if is_fit:
            self._idle.append(lent._replace(idle_since=time.monotonic()))
            self._drop_surplus()
        else:
            lent.connection.terminate()

    async def terminate(self, login: str | None, pid: int) -> None:
        """End a backend of this worker through another connection of the same login."""
        connection = await self._connector.open(login, statement_cache_size=0)
        try:
            await connection.fetch(
                query("session_terminate_predecessor"), pid, self.application_name, timeout=RELEASE_SECONDS_MAX
            )
        finally:
            connection.terminate()

    def _drop_surplus(self) -> None:
        while self._idle and len(self._idle) + self.used_count > self._size:
            self._idle.popleft().connection.terminate()

    def expire(self) -> None:
        """Throw idle connections away now, and those in use when they come back."""
        self._generation += 1
        while self._idle:
            self._idle.pop().connection.terminate()

    async def _discard(self, connection: Connection) -> None:
        await roll_back(connection)
        if self.is_pooled:
            return  # any backend would be discarded, which others may use by now
        await connection.execute("discard all")
        await self._connector.prepare(connection)


async def _is_alive(lent: Lent) -> bool:
    """Whether an idle connection can be used again: a submitter's login may have been dropped and made anew."""
    connection = lent.connection
    if connection.is_closed() or lent.login is None:
        return not connection.is_closed()
    try:
        await connection.fetch(query("session_is_of_living_role"), timeout=RELEASE_SECONDS_MAX)
    except Exception:  # noqa: BLE001  whatever it is, another connection is opened instead
        connection.terminate()
        return False
    return True
