from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from jobd.db import embedded, migrate
from tests.support.database import Database, create_database, drop_database
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# The server is thrown away, so nothing needs to reach the disk; autovacuum would only make plans and times vary.
SERVER_SETTINGS = {
    "fsync": "off",
    "max_connections": "200",
    "autovacuum": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "log_min_messages": "fatal",
}


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a test set up to log with would write to that test's own output, which is closed afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.EmbeddedServer]:
    with embedded.running(settings=SERVER_SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def template(server: embedded.EmbeddedServer) -> str:
    """A database with jobd's schema, to be cloned."""

    async def build() -> None:
        await create_database(server, "jobd_template")
        await migrate.migrate(server.url("jobd_template"))

    asyncio.run(build())
    return "jobd_template"


@pytest.fixture
async def database(server: embedded.EmbeddedServer, template: str) -> AsyncIterator[Database]:
    """A database with jobd's schema."""
    name = unique("test")
    await create_database(server, name, template)
    database = Database(server, name)
    yield database
    await database.close()
    await drop_database(server, name)


@pytest.fixture
async def empty_database(server: embedded.EmbeddedServer) -> AsyncIterator[Database]:
    """A database without jobd's schema."""
    name = unique("empty")
    await create_database(server, name)
    database = Database(server, name)
    yield database
    await database.close()
    await drop_database(server, name)
