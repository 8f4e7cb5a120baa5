"""Goal: take the right to write away for a while; jobs wait, the reason is told, and they go on by themselves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.fault.relay import relay
from tests.fault.wire import EXISTING, interruptions, readings_job, ready, said
from tests.support.backends import terminate
from tests.support.daemons import DaemonProcess, submit, until, wait_for_status
from tests.support.imports import assert_as_expected, completed, processed_rows, wait_for_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database
    from tests.support.server_control import ServerControl

RECORDS = 2_000
BACK_SECONDS_MAX = 2
LONG, SHORT = {"heartbeat_seconds": 0.3, "lease_seconds": 30}, {"heartbeat_seconds": 0.3, "lease_seconds": 2}


async def is_read_only(daemon: DaemonProcess) -> None:
    """Wait until the daemon says so, where people and machines look."""
    await until(ready(daemon), lambda seen: seen[0] == 503 and "the database is read-only" in seen[1])
    assert "25006" in {line["error"].get("sqlstate") for line in said(daemon, "round failed")}


async def works_again(database: Database, daemon: DaemonProcess) -> None:
    """Within 2 s of when the test's own session may write."""
    await until(lambda: database.fetchval("select not current_setting('transaction_read_only')::boolean"))
    back_at = time.monotonic()
    await wait_for_status(database, await submit(database), "completed", within=10)
    assert time.monotonic() - back_at <= BACK_SECONDS_MAX
    await until(ready(daemon), lambda seen: '"ready"' in seen[1])


@pytest.mark.parametrize(
    ("lease", "waits"),
    [(LONG, "waits"), (SHORT, "lease not renewed in time; its jobs are stopped")],
    ids=["shorter than the lease", "longer than the lease"],
)
async def test_jobs_wait_while_the_server_is_read_only_and_the_reason_is_told(
    own_database: Database, control: ServerControl, tmp_path: Path, lease: dict[str, float], waits: str
) -> None:
    database = own_database
    with relay(database, tmp_path, size=1, **lease) as daemons:
        daemon = daemons.daemons[0]
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
        readings, job_id, target = await readings_job(database, tmp_path, records=RECORDS)
        await wait_for_rows(database, job_id, 100)
        async with control.read_only():
            await is_read_only(daemon)
            await daemon.logged(waits)
            assert await processed_rows(database, job_id) < RECORDS
        await works_again(database, daemon)
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    retries, interrupts, _ = await interruptions(database, job_id)
    assert (retries, interrupts) == (0, int(lease is SHORT))


async def test_connections_made_while_a_database_was_read_only_are_not_kept(
    own_database: Database, control: ServerControl, tmp_path: Path
) -> None:
    database = own_database
    with relay(database, tmp_path, size=1, **LONG) as daemons:
        daemon = daemons.daemons[0]
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
        readings, job_id, target = await readings_job(database, tmp_path, records=RECORDS)
        await wait_for_rows(database, job_id, 100)
        async with control.read_only_database(database.name):
            await terminate(database)
            await is_read_only(daemon)
            assert await processed_rows(database, job_id) < RECORDS
        await works_again(database, daemon)
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == (0, 0, 1)
    assert said(daemon, "worker registered")[1:] == []
