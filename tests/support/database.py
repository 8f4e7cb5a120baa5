"""A database of its own for each test, cloned from one in which jobd's schema was laid once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobd.db.embedded import EmbeddedServer


@dataclass
class Database:
    """A database of the test's own. Connections made here are closed when the test ends."""

    server: EmbeddedServer
    name: str
    _connections: list[asyncpg.Connection] = field(default_factory=list)
    _main: asyncpg.Connection | None = None

    @property
    def url(self) -> str:
        """The superuser's connection URL."""
        return self.server.url(self.name)

    def url_of(self, user: str) -> str:
        """The connection URL of another role."""
        return self.server.url(self.name, user)

    async def connect(self, user: str = "postgres", **options: Any) -> asyncpg.Connection:
        """A further connection."""
        connection: asyncpg.Connection = await asyncpg.connect(self.url_of(user), **options)
        self._connections.append(connection)
        return connection

    async def execute(self, query: str, *arguments: object) -> str:
        """Run a statement on the main connection."""
        return await (await self._connected()).execute(query, *arguments)

    async def fetch(self, query: str, *arguments: object) -> Sequence[asyncpg.Record]:
        """All rows."""
        return await (await self._connected()).fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """The first row."""
        return await (await self._connected()).fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: object) -> Any:
        """The first value of the first row."""
        return await (await self._connected()).fetchval(query, *arguments)

    async def close(self) -> None:
        """Close every connection that was made here."""
        for connection in self._connections:
            if not connection.is_closed():
                connection.terminate()
        self._connections.clear()
        self._main = None

    async def _connected(self) -> asyncpg.Connection:
        if self._main is None or self._main.is_closed():
            self._main = await self.connect()
        return self._main


async def create_database(server: EmbeddedServer, name: str, template: str = "template0") -> None:
    """Make a database, by copying the files of another that nobody is connected to."""
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(f'create database "{name}" template "{template}" strategy file_copy')
    finally:
        await connection.close()


async def drop_database(server: EmbeddedServer, name: str) -> None:
    """Drop a database, with whoever is still connected."""
    connection = await asyncpg.connect(server.url())
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
    finally:
        await connection.close()
