from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog

from tests.support import programs
from tests.support import servers as servers_at_hand
from tests.support.database import Database, create_database, drop_database
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from jobd.db.embedded import EmbeddedServer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", type=int, help="run everything on this major version of PostgreSQL")


def pytest_configure(config: pytest.Config) -> None:
    only = config.getoption("postgres")
    if only is not None and servers_at_hand.programs_of(only) is None:
        raise pytest.UsageError(f"there is no PostgreSQL {only} on this machine")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``each_postgres`` on each version that is there."""
    if metafunc.definition.get_closest_marker("each_postgres") and "server" in metafunc.fixturenames:
        versions = _versions_of_rights(metafunc.config)
        ids = [f"postgres{version}" for version in versions]
        metafunc.parametrize("server", versions, indirect=True, scope="session", ids=ids)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which versions were not tested, since nothing else of the run would show it."""
    for package in programs.absent():
        terminalreporter.write_line(
            f"What needs {package} was NOT tested: it is not on this machine (Debian: {package})", yellow=True
        )
    if config.getoption("postgres") is None:
        for version in servers_at_hand.absent(servers_at_hand.OF_RIGHTS):
            terminalreporter.write_line(
                f"PostgreSQL {version} was NOT tested: it is not on this machine (Debian: postgresql-{version})",
                yellow=True,
            )


def _versions_of_rights(config: pytest.Config) -> list[int]:
    only = config.getoption("postgres")
    if only is not None:
        return [only]
    versions = servers_at_hand.OF_RIGHTS
    missing = servers_at_hand.absent(versions)
    return [version for version in versions if version not in missing]


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
def servers() -> Iterator[servers_at_hand.Servers]:
    servers = servers_at_hand.Servers()
    yield servers
    servers.stop()


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, servers: servers_at_hand.Servers) -> EmbeddedServer:
    version = getattr(request, "param", None) or request.config.getoption("postgres") or servers_at_hand.MAIN
    return servers.start(version)


@pytest.fixture(autouse=True)
def contrib(request: pytest.FixtureRequest) -> None:
    """Skip, aloud, where the server's package lacks the module that the test is marked to need."""
    marker = request.node.get_closest_marker("contrib")
    if marker is None:
        return
    server: EmbeddedServer = request.getfixturevalue("server")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        try:
            connection.execute(f"load '{marker.args[0]}'")
        except psycopg.errors.UndefinedFile:
            major = connection.info.server_version // 10_000
            pytest.skip(f"the package of PostgreSQL {major} has no {marker.args[0]}")


@pytest.fixture(scope="session")
def template(server: EmbeddedServer, servers: servers_at_hand.Servers) -> str:
    """A database with jobd's schema, to be cloned."""
    return servers.template(server)


@pytest.fixture
async def database(server: EmbeddedServer, template: str) -> AsyncIterator[Database]:
    """A database with jobd's schema."""
    name = unique("test")
    await create_database(server, name, template)
    database = Database(server, name)
    yield database
    await database.close()
    await drop_database(server, name)


@pytest.fixture
async def empty_database(server: EmbeddedServer) -> AsyncIterator[Database]:
    """A database without jobd's schema."""
    name = unique("empty")
    await create_database(server, name)
    database = Database(server, name)
    yield database
    await database.close()
    await drop_database(server, name)
