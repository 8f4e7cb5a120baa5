from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.integration.rights.scene import Place, Scene, open_place
from tests.support.database import Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from jobd.db.embedded import EmbeddedServer
    from tests.support.servers import Servers


@pytest.fixture(scope="session")
def places(servers: Servers) -> Iterator[Callable[[EmbeddedServer], Place]]:
    """The place on each server, opened when it is first asked for."""
    known: dict[int, Place] = {}
    with contextlib.ExitStack() as stack:

        def place(server: EmbeddedServer) -> Place:
            if server.port not in known:
                known[server.port] = stack.enter_context(open_place(server, servers))
            return known[server.port]

        yield place


@pytest.fixture
async def scene(server: EmbeddedServer, place: Place) -> AsyncIterator[Scene]:
    database = Database(server, place.database_name)
    yield Scene(place, database)
    await database.close()


@pytest.fixture(scope="session")
def place(server: EmbeddedServer, places: Callable[[EmbeddedServer], Place]) -> Place:
    return places(server)
