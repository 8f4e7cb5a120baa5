"""What can be wrong between a daemon's backends and others': terminated, frozen, too many, behind a lock."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.database import Database

DAEMONS = "select pid from pg_stat_activity where application_name like 'jobd%' and datname = current_database()"


async def backends(database: Database, condition: str = "true") -> list[int]:
    """Process ids of the daemons' backends for which the condition on pg_stat_activity holds."""
    return [row["pid"] for row in await database.fetch(f"{DAEMONS} and {condition} order by pid")]


async def terminate(database: Database, condition: str = "true") -> int:
    """End those backends as an administrator would; gives how many."""
    query = f"select count(pg_terminate_backend(pid)) from ({DAEMONS} and {condition}) as found"
    return int(await database.fetchval(query))


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A backend that does nothing any more, not even end when it is told to."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def exhausted(database: Database, leaving: int = 0) -> AsyncIterator[None]:
    """All connections that the server has are taken, reserved ones too, but so many."""
    await database.execute("select 1")  # the test's own comes first
    taken: list[asyncpg.Connection] = []
    try:
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while True:
                taken.append(await asyncpg.connect(database.url))
        for _ in range(leaving):
            await taken.pop().close()
        yield
    finally:
        for connection in taken:
            connection.terminate()


@contextlib.asynccontextmanager
async def transaction_of_another(database: Database, statement: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody's transaction that ran a statement and stays open until the end of the block."""
    connection = await database.connect()
    await connection.execute(f"begin; {statement}")
    try:
        yield connection
    finally:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.execute("rollback")
