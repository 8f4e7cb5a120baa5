from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.db import embedded, migrate
from jobd.runner import points
from tests.support.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SERVER_SETTINGS = {"fsync": "off", "log_min_messages": "fatal"}


@pytest.fixture
async def target(database: Database) -> Database:
    """The database with a table that the routines write to."""
    await database.execute("create table public.written (job_id uuid, number int, primary key (job_id, number))")
    return database


@pytest.fixture(autouse=True)
def no_points_left() -> Iterator[None]:
    yield
    points.clear()


@pytest.fixture
def own_server() -> Iterator[embedded.EmbeddedServer]:
    with embedded.running(settings=SERVER_SETTINGS) as running:
        yield running


@pytest.fixture
async def own_target(own_server: embedded.EmbeddedServer) -> AsyncIterator[Database]:
    await migrate.migrate(own_server.url())
    database = Database(own_server, "postgres")
    await database.execute("create table public.written (job_id uuid, number int, primary key (job_id, number))")
    yield database
    await database.close()
