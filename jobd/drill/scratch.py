"""The database of a drill: refused where it is somebody's, and asked again where it was away."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import asyncpg

from jobd.db import migrate
from jobd.db.connect import Connector
from jobd.db.queries import query
from jobd.db.transient import Advice, advice
from jobd.errors import ConfigurationError, DatabaseUnavailable
from jobd.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncpg import Connection, Record

    from jobd.drill.load import DrillJob
    from jobd.settings import Settings

QUEUE = "jobd_drill"
AWAY_SECONDS_MAX = 120.0
AGAIN_SECONDS = 0.1
STATEMENT_SECONDS_MAX = 600.0


class NotScratch(ConfigurationError):
    """The database is in use."""


class Scratch:
    """One connection of the drill's own, opened again whenever it was lost."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connector = Connector(settings, Metrics(version("jobd")))
        self._connector.application_name = "jobd drill"
        self._connection: Connection | None = None
        self._turn = anyio.Lock()
        self.batch_id = uuid4()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._settings.secret("database_url") or ""

    async def connect(self) -> Connection:
        """A further connection, which the caller closes."""
        return await self._connector.open()

    async def connection(self) -> Connection:
        """The drill's own connection."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self.connect()
        return self._connection

    async def fetch(self, name: str, *arguments: object) -> Sequence[Record]:
        """The rows of a statement of the drill's; it waits for a server that is away."""
        deadline = time.monotonic() + AWAY_SECONDS_MAX
        async with self._turn:
            while True:
                try:
                    connection = await self.connection()
                    return await connection.fetch(query(name, "drill"), *arguments, timeout=STATEMENT_SECONDS_MAX)
                except Exception as error:
                    if advice(error) is not Advice.RECONNECT:
                        raise
                    if time.monotonic() > deadline:
                        raise DatabaseUnavailable("the database did not come back to the drill") from error
                    self._give_up()
                await anyio.sleep(AGAIN_SECONDS)

    async def value(self, name: str, *arguments: object) -> Any:
        """The first value of the first row; None without one."""
        rows = await self.fetch(name, *arguments)
        return rows[0][0] if rows else None

    async def require_unused(self) -> None:
        """Refuse a database in which anybody but a drill works."""
        connection = await self.connection()
        if await connection.fetchval("select to_regclass('jobd.job')") is None:
            return
        jobs = (await self.fetch("drill_foreign_jobs"))[0]
        if jobs["jobs"]:
            raise NotScratch(
                f"this database holds {jobs['jobs']} jobs that are not a drill's (the newest: {jobs['id']}, "
                f"{jobs['source']}, queue {jobs['queue']})\n"
                "A drill kills, locks and deletes: give it a database of its own (createdb jobd_scratch)."
            )
        for worker in await self.fetch("drill_live_workers"):
            raise NotScratch(
                f"daemon {worker['name']} (process {worker['pid']} on {worker['host']}) works in this database\n"
                "A drill starts its own. Stop that one, or give the drill a database of its own."
            )

    async def lay(self, *parts: str) -> None:
        """Lay jobd's schema where it is missing or old, and the drill's own anew: the tables and these parts."""
        await migrate.migrate(self.url, role_prefix=self._settings.role_prefix)
        try:
            await self.clear()
            for part in ("drill_lay", *parts):
                await (await self.connection()).execute(query(part, "drill"))
        except asyncpg.InsufficientPrivilegeError as refused:
            raise ConfigurationError(
                f"the drill's role may not do what it must: {refused.args[0]}\n"
                "It owns the scratch database, and is a member of jobd_owner and jobd_worker."
            ) from refused

    async def clear(self) -> None:
        """Remove what any drill laid, and its jobs."""
        await (await self.connection()).execute(query("drill_clear", "drill"))

    async def submit(self, jobs: Sequence[DrillJob]) -> None:
        """Submit jobs, once however often the answer is lost."""
        await self.fetch(
            "drill_submit",
            [job.id for job in jobs],
            [job.source for job in jobs],
            [job.target for job in jobs],
            [job.options for job in jobs],
            self.batch_id,
        )

    async def expect(self, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Write down what a table must hold."""
        async with self._turn:
            connection = await self.connection()
            await connection.copy_records_to_table(
                f"expected_{table}", schema_name="jobd_drill", columns=columns, records=rows
            )

    def close(self) -> None:
        """Give the connection up."""
        self._give_up()

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
