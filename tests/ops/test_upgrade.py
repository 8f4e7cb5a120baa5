"""The release before and this one at work on one database, whatever is upgraded or rolled back first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from jobd.db import migrate, schema_dump
from jobd.db.schema_text import OLDEST_SUPPORTED
from tests.ops.checkout import Checkout, release_before
from tests.ops.steady_load import TABLES, SteadyLoad, steady_load
from tests.support.daemons import DaemonProcess, daemon_process

if TYPE_CHECKING:
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
    await SteadyLoad(load.database, load.directory, load.ids[:count]).is_through()


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
