"""A command's connection: opened for it, closed after it, with jobd's own words for what goes wrong."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
import asyncpg
import typer
from pydantic import SecretStr

from jobd.client import Client
from jobd.client.connection import Session, session_of
from jobd.db.connect import Connector
from jobd.db.queries import query
from jobd.errors import ConfigurationError, DatabaseUnavailable
from jobd.metrics import Metrics
from jobd.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="Database to connect to, instead of JOBD_DATABASE_URL. Others on this machine can see it, "
        "so a password belongs in the environment.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(frozen=True, slots=True)
class Database:
    """One connection, and the ways to use it."""

    connection: asyncpg.Connection[Any]
    client: Client
    session: Session

    async def fetch(self, name: str, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """The rows of a named query."""
        return await self.session.fetch(query(name), *arguments)


def load_settings(database_url: str | None, env_file: Path | None = None) -> Settings:
    """The settings, with the command line's URL in the place of any other."""
    settings = Settings.load(env_file=env_file)
    if database_url is None:
        return settings
    return settings.model_copy(update={"database_url": SecretStr(database_url), "database_url_file": None})


def with_database(database_url: str | None, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run ``work`` with a connection, in an event loop of its own."""

    async def run() -> T:
        async with opened(load_settings(database_url)) as database:
            return await work(database)

    return anyio.run(run)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """A connection for the time of a block."""
    connection = await connect(settings)
    try:
        yield Database(connection, Client(connection), session_of(connection))
    finally:
        with anyio.move_on_after(2, shield=True):
            await connection.close()


async def connect(settings: Settings) -> asyncpg.Connection[Any]:
    """A connection, or one line that says why there is none and what to do."""
    connector = Connector(settings, Metrics(version("jobd")))
    connector.application_name = "jobd cli"
    try:
        return await connector.open()
    except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
        reason = "it does not answer" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        raise DatabaseUnavailable(
            f"the database cannot be reached: {reason}\n"
            "Does JOBD_DATABASE_URL (or --database-url) lead to it? To try jobd out without one: jobd dev"
        ) from error
    except (ValueError, asyncpg.InterfaceError) as error:
        # The driver's words may quote the URL, and with it the password.
        raise ConfigurationError(
            "the database's URL is not valid\nIt looks like this: postgresql://user@host:5432/database"
        ) from error
    except asyncpg.PostgresError as error:
        # A wrong password, no such role or database: trying again does not help.
        raise ConfigurationError(
            f"the database refuses the connection: {error.args[0]}\nCheck JOBD_DATABASE_URL or --database-url."
        ) from error
