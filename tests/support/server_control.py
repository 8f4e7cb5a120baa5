"""A PostgreSQL server under a test's control: to be crashed, made read-only, and succeeded by a standby."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import asyncpg

from jobd.db import embedded
from tests.support.servers import SETTINGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from jobd.db.embedded import EmbeddedServer

# Few connections, so that they are soon exhausted; and whatever a standby needs.
CONTROLLED = SETTINGS | {
    "max_connections": "60",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "wal_receiver_status_interval": "1",
    "hot_standby": "on",
}
LOOK_SECONDS = 0.005
ANSWER_SECONDS_MAX = 30
STANDBY = "jobd_standby"


@dataclass(frozen=True)
class ServerControl:
    """A server, and the settings that it is started with."""

    server: EmbeddedServer
    settings: Mapping[str, str]

    async def stop(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` is a crash."""
        await anyio.to_thread.run_sync(self.server.stop, mode)

    async def start(self) -> float:
        """Start it; gives the moment at which it answered first, by the monotonic clock."""
        starting = asyncio.create_task(anyio.to_thread.run_sync(self.server.start, self.settings))
        answered_at = await self.answers()
        await starting
        return answered_at

    async def restart(self, mode: str = "fast") -> float:
        """Stop it and start it again; as :meth:`start`."""
        await self.stop(mode)
        return await self.start()

    async def answers(self) -> float:
        """Wait until it answers a query; gives that moment."""
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while True:
            try:
                await self.run("select 1")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                assert time.monotonic() < deadline, "the server does not answer"
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return time.monotonic()

    async def run(self, statement: str, database: str = "postgres") -> object:
        """Run a statement as the superuser, on a connection of its own; gives the first value."""
        connection = await asyncpg.connect(self.server.url(database))
        try:
            return await connection.fetchval(statement)
        finally:
            connection.terminate()

    @contextlib.asynccontextmanager
    async def read_only(self) -> AsyncIterator[None]:
        """All its databases, for sessions there are and new ones, until the end of the block."""
        await self.configure("alter system set default_transaction_read_only = on")
        try:
            yield
        finally:
            await self.configure("alter system reset default_transaction_read_only")

    @contextlib.asynccontextmanager
    async def read_only_database(self, database: str) -> AsyncIterator[None]:
        """One database, for sessions that begin in the block, as long as they last."""
        await self.run(f'alter database "{database}" set default_transaction_read_only = on')
        try:
            yield
        finally:
            await self.run(f'alter database "{database}" reset default_transaction_read_only')

    @contextlib.asynccontextmanager
    async def waiting_for_standby(self) -> AsyncIterator[None]:
        """COMMIT is answered when the standby has it."""
        await self.configure(f"alter system set synchronous_standby_names = '{STANDBY}'")
        try:
            yield
        finally:
            with contextlib.suppress(OSError, asyncpg.PostgresError):  # it may have been stopped meanwhile
                await self.configure("alter system reset synchronous_standby_names")

    async def promote(self) -> float:
        """Make a standby the primary; gives the moment at which it took writes."""
        await self.run("select pg_promote(true)")
        assert await self.run("select pg_is_in_recovery()") is False
        return time.monotonic()

    async def stop_following(self) -> None:
        """Have a standby take no more of what its primary commits."""
        await self.configure("alter system set primary_conninfo = ''")

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return (self.server.data / "postmaster.pid").exists()

    async def configure(self, statement: str) -> None:
        """Change its settings for everybody."""
        await self.run(statement)
        await self.run("select pg_reload_conf()")

    @contextlib.contextmanager
    def standby(self) -> Iterator[ServerControl]:
        """A server that follows this one, until it is promoted or the block ends."""
        directory = Path(tempfile.mkdtemp(prefix="jobd-standby-"))
        directory.chmod(0o755)
        data = directory / "data"
        server = replace(self.server, data=data, port=embedded.free_port())
        source = f"host=127.0.0.1 port={self.server.port} user=postgres application_name={STANDBY}"
        server.run(
            "pg_basebackup", f"--dbname={source}", f"--pgdata={data}", "--write-recovery-conf",
            "--wal-method=stream", "--checkpoint=fast", "--no-sync",
        )  # fmt: skip
        if server.system_user is not None:
            _give(data, server.system_user)
        standby = ServerControl(server, self.settings)
        server.start(self.settings)
        try:
            yield standby
        finally:
            server.stop("immediate")
            shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def controlled_server(settings: Mapping[str, str] = CONTROLLED) -> Iterator[ServerControl]:
    """A server of one's own, gone without a trace at the end."""
    with embedded.running(settings=settings) as server:
        control = ServerControl(server, settings)
        yield control


def _give(directory: Path, user: str) -> None:
    for path in (directory, *directory.rglob("*")):
        shutil.chown(path, user)
