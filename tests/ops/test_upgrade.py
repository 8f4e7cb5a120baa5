"""The release before and this one at work on one database, whatever is upgraded or rolled back first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from jobd.db import migrate, schema_dump, schema_text
from jobd.db.schema_text import OLDEST_SUPPORTED
from tests.ops.checkout import Checkout, release_before
from tests.ops.steady_load import TABLES, SteadyLoad, steady_load
from tests.support.bulk_jobs import unchecked
from tests.support.daemons import DaemonProcess, daemon_process
from tests.support.schema import with_migration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.database import Database

pytestmark = [
    pytest.mark.skipif(os.environ.get("TEST_OPS") != "1", reason="minutes long: make test-ops"),
    pytest.mark.timeout(600),
]

# A daemon that stops hands its jobs back, and others take them: nobody waits longer than that, and for a slot.
SLACK_SECONDS = 2.0


class Fleet:
    """Daemons of both releases, by name."""

    def __init__(self, database: Database, directory: Path, before: Checkout, stack: contextlib.ExitStack) -> None:
        self._database = database
        self._directory = directory
        self._before = before
        self._stack = stack
        self._daemons: dict[str, DaemonProcess] = {}
        self.longest_restart_seconds = 0.0

    async def start(self, name: str, *, is_old: bool) -> DaemonProcess:
        """A daemon of the release before, or of this one, that works when this returns."""
        settings: dict[str, Any] = {"variables": self._before.variables} if is_old else {}
        daemon = self._stack.enter_context(
            daemon_process(
                self._database, self._directory, instance=name, import_roots=self._directory, **settings
            )
        )
        await daemon.worker_id()
        self._daemons[name] = daemon
        return daemon

    async def restart(self, name: str, *, is_old: bool) -> None:
        """Stop it as its service does, and start it as that release."""
        began_at = time.monotonic()
        former = self._daemons[name]
        former.send(signal.SIGTERM)
        assert await former.exit_code() == 0
        await self.start(name, is_old=is_old)
        self.longest_restart_seconds = max(self.longest_restart_seconds, time.monotonic() - began_at)

    def complaints(self) -> list[tuple[str, str]]:
        """What the daemons, also those that were stopped, had to say of failures."""
        logs = sorted(self._directory.glob("daemon-*.log"))
        daemons = [DaemonProcess(next(iter(self._daemons.values())).process, path) for path in logs]
        return [
            (line["event"], str(line.get("error")))
            for daemon in daemons
            for line in daemon.log()
            if line["level"] == "error" or line.get("outcome") in {"failed", "retried", "lease_lost"}
        ]


async def goes_on(load: SteadyLoad, jobs: int = 25) -> None:
    """Wait until so many more jobs were submitted, and all of before have ended."""
    count = await load.has_submitted(jobs)
    await SteadyLoad(load.database, load.inserting, load.directory, load.ids[:count]).is_through()


async def test_the_release_before_and_this_one_work_side_by_side_whichever_moves_first(
    empty_database: Database, tmp_path: Path
) -> None:
    database = empty_database
    before = release_before(tmp_path)
    before.jobd(database, "migrate")
    await database.execute(TABLES)
    with contextlib.ExitStack() as stack:
        fleet = Fleet(database, tmp_path, before, stack)
        await fleet.start("a", is_old=True)
        await fleet.start("b", is_old=True)
        async with steady_load(database, tmp_path) as load:
            await goes_on(load)
            # Daemons first: a new one on the schema of before.
            await fleet.restart("b", is_old=False)
            await fleet.start("c", is_old=False)
            assert (await migrate.check(await database.connect())).version == OLDEST_SUPPORTED
            await goes_on(load)
            # The schema is migrated in the middle, under both.
            began_at = time.monotonic()
            assert await migrate.migrate(database.url)
            migrate_seconds = time.monotonic() - began_at
            laid = await asyncio.to_thread(schema_dump.dump, database.server, database.name)
            await goes_on(load)
            # Rollback: the previous daemon on the newer schema; its `migrate` leaves that alone.
            before.jobd(database, "migrate")
            await fleet.restart("c", is_old=True)
            await fleet.restart("a", is_old=True)
            await goes_on(load)
            # And the schema too, under both; the release before lays its own functions.
            assert await migrate.migrate_down(database.url, OLDEST_SUPPORTED)
            await goes_on(load)
            before.jobd(database, "migrate")
            await goes_on(load)
            # Up again, with daemons of both.
            await migrate.migrate(database.url)
            for name in ("a", "c"):
                await fleet.restart(name, is_old=False)
            await goes_on(load)
        await load.is_through()
        assert await asyncio.to_thread(schema_dump.dump, database.server, database.name) == laid
        assert fleet.complaints() == []
    await load.is_unharmed()
    longest_wait = await load.longest_wait_seconds()
    print(
        f"\n{len(load.ids)} jobs; longest restart {fleet.longest_restart_seconds:.2f} s, longest wait"
        f" {longest_wait:.2f} s, longest INSERT {max(load.insert_seconds):.2f} s, migrate {migrate_seconds:.2f} s"
    )
    assert longest_wait < fleet.longest_restart_seconds + SLACK_SECONDS
    assert max(load.insert_seconds) < migrate.LOCK_TIMEOUT_SECONDS + SLACK_SECONDS


FINISHED = """
insert into jobd.job (
    source, target, status, run_at, created_at, claimed_at, started_at, completed_at, progress, lease_token,
    created_by, submitted_role, submitted_role_oid
)
select 's', 'public.t', 'completed', t, t, t, t, t, 100, 1, 'application', 'postgres', 10
from (select now() - n * interval '1 second' from generate_series(1, 1000000) n) as past (t);
"""
ADDS_A_COLUMN = "-- Expand.\nalter table jobd.job add column later text not null default 'none';"


@contextlib.asynccontextmanager
async def long_transaction(database: Database, seconds: float) -> AsyncIterator[None]:
    """An application that inserted a job and does not end its transaction for so long."""

    async def hold() -> None:
        connection = await database.connect()
        async with connection.transaction():
            await connection.execute("insert into jobd.job (job_type, handler) values ('processing', 'nothing')")
            is_begun.set()
            await asyncio.sleep(seconds)

    is_begun = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        await is_begun.wait()
        yield


async def test_with_a_million_jobs_down_and_up_hold_nobody_up_and_lead_to_the_same_schema(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.execute(unchecked(FINISHED))
    await database.execute("vacuum analyze jobd.job")
    await database.execute(TABLES)
    # The filling made triggers again as the server writes them, which is not word for word as they were laid.
    await database.execute("update jobd.schema_text set sha256 = 'of no release'")
    await migrate.migrate(database.url)
    files = "select pg_relation_filenode('jobd.job')"
    filenode = await database.fetchval(files)
    laid = await asyncio.to_thread(schema_dump.dump, database.server, database.name)
    seconds: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def measured(name: str) -> AsyncIterator[None]:
        began_at = time.monotonic()
        yield
        seconds[name] = time.monotonic() - began_at

    with contextlib.ExitStack() as stack:
        for name in ("a", "b"):
            daemon = daemon_process(database, tmp_path, instance=name, import_roots=tmp_path)
            await stack.enter_context(daemon).worker_id()
        async with steady_load(database, tmp_path) as load:
            await goes_on(load)
            async with measured("down"):
                assert await migrate.migrate_down(database.url, OLDEST_SUPPORTED)
            await goes_on(load)
            async with measured("up"):
                assert await migrate.migrate(database.url)
            assert await asyncio.to_thread(schema_dump.dump, database.server, database.name) == laid
            await goes_on(load)
            # Somebody's long transaction is in the way: it is not queued behind, for everybody to wait.
            async with measured("down and up behind a long transaction"), long_transaction(database, 6):
                assert await migrate.migrate_down(database.url, OLDEST_SUPPORTED)
                assert await migrate.migrate(database.url)
            await goes_on(load)
            # What a later release may bring: a column of the largest table.
            later = with_migration(schema_text.load(), ADDS_A_COLUMN)
            monkeypatch.setattr(schema_text, "load", lambda _prefix: later)
            async with measured("a column more"):
                assert await migrate.migrate(database.url)
            monkeypatch.undo()
            await goes_on(load)
        await load.is_through()
    await load.is_unharmed()
    longest_wait = await load.longest_wait_seconds()
    longest_insert = max(load.insert_seconds)
    print(
        f"\n{len(load.ids)} jobs; longest wait {longest_wait:.2f} s, longest INSERT {longest_insert:.2f} s",
        end="; ",
    )
    print(", ".join(f"{name} {took:.2f} s" for name, took in seconds.items()))
    assert await database.fetchval(files) == filenode, "the table of jobs was rewritten"
    assert seconds["down"] < 10
    assert seconds["up"] < 10
    assert seconds["a column more"] < 10
    assert longest_insert < migrate.LOCK_TIMEOUT_SECONDS + SLACK_SECONDS
    assert longest_wait < migrate.LOCK_TIMEOUT_SECONDS + SLACK_SECONDS + 2
