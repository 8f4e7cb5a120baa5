from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.cutting_proxy import CuttingProxy, cutting_proxy
from tests.support.database import Database, create_database, drop_database
from tests.support.names import unique
from tests.support.server_control import ServerControl, controlled_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.servers import Servers

# Comparisons are made there, and should tell what differs.
pytest.register_assert_rewrite("tests.support.imports", "tests.support.small_files")


@pytest.fixture
async def proxy(database: Database) -> AsyncIterator[CuttingProxy]:
    """The network between the database and daemons that are told to go through it."""
    async with cutting_proxy(database) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def control() -> Iterator[ServerControl]:
    """A server that only the tests of faults use, one at a time; each leaves it running."""
    with controlled_server() as control:
        yield control


@pytest.fixture(scope="session")
def own_template(control: ServerControl, servers: Servers) -> str:
    """A database of that server with jobd's schema, to be cloned."""
    return servers.template(control.server)


@pytest.fixture
async def own_database(control: ServerControl, own_template: str) -> AsyncIterator[Database]:
    """A database on the server that may be crashed."""
    name = unique("crashed")
    await create_database(control.server, name, own_template)
    database = Database(control.server, name)
    yield database
    await database.close()
    await drop_database(control.server, name)
