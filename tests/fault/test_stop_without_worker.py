"""Goal: a request outlives whoever was to obey it, and a request that nobody commits holds nobody up for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fault.relay import QUICK, died, relay
from tests.support.daemons import daemon_within, until, wait_for_status
from tests.support.files import write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_readings,
    processed_rows,
    submit_import,
    wait_for_rows,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    import asyncpg

    from tests.support.database import Database

RECORDS = 60
BATCH_SIZE = 10
COMMITTED = 2 * BATCH_SIZE
WAITS_SINCE = "select max(waitstart) from pg_locks where not granted and $1 = any (pg_blocking_pids(pid))"


async def killed_after_two_batches(database: Database, tmp_path: Path, job_id: UUID) -> None:
    with relay(database, tmp_path, size=0) as daemons:
        await died(daemons.start(test_point="batch.committed:2"))
    assert await database.fetchval("select status from jobd.job where id = $1", job_id) == "running"


@pytest.mark.parametrize(
    "statement", ["select jobd.cancel($1)", "update jobd.job set cancel_requested = true where id = $1"]
)
async def test_a_cancel_of_a_dead_daemons_import_is_honoured_by_its_rescue(
    database: Database, tmp_path: Path, statement: str
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, bad_share=0.1)
    target = await create_readings(database, "torn")
    job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
    await killed_after_two_batches(database, tmp_path, job_id)
    await database.execute(statement, job_id)
    async with daemon_within(database, **QUICK):
        await wait_for_status(database, job_id, "cancelled")
    job = await database.fetchrow("select processed_rows, items_added from jobd.job where id = $1", job_id)
    assert tuple(job or ()) == (COMMITTED, await database.fetchval(f"select count(*) from {target}"))


async def test_a_pause_of_a_dead_daemons_import_is_honoured_by_its_rescue_and_it_resumes(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, bad_share=0.1)
    target = await create_readings(database, "torn")
    job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
    await killed_after_two_batches(database, tmp_path, job_id)
    await database.execute("select jobd.pause($1)", job_id)
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        await wait_for_status(database, job_id, "paused")
        assert await processed_rows(database, job_id) == COMMITTED
        await database.execute("select jobd.resume($1)", job_id)
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def open_cancel(database: Database, job_id: UUID) -> asyncpg.Connection:
    """An application cancels, and forgets to commit; its batch waits for the job's row from then on."""
    application = await database.connect()
    await application.execute("begin")
    await application.fetchval("select jobd.cancel($1)", job_id)
    pid = application.get_server_pid()

    async def look() -> bool:
        return bool(
            await database.fetchval(
                "select exists (select from pg_stat_activity where $1 = any (pg_blocking_pids(pid)))", pid
            )
        )

    await until(look)
    return application


@pytest.mark.parametrize("outlasts_lock_timeout", [False, True], ids=["for a moment", "beyond the lock timeout"])
async def test_a_cancel_left_in_an_open_transaction_delays_the_import_and_loses_nothing(
    database: Database, tmp_path: Path, *, outlasts_lock_timeout: bool
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 2_000)
    target = await create_readings(database, "torn")
    with relay(database, tmp_path, size=1):
        job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
        await wait_for_rows(database, job_id, 100)
        application = await open_cancel(database, job_id)
        at = await processed_rows(database, job_id)
        if outlasts_lock_timeout:
            pid = application.get_server_pid()
            first: datetime = await until(lambda: database.fetchval(WAITS_SINCE, pid))
            # The wait is given up, the batch rolled back, and done again up to the same point.
            await until(
                lambda: database.fetchval(WAITS_SINCE, pid), lambda since: since is not None and since > first
            )
        assert await processed_rows(database, job_id) == at
        await application.execute("rollback")
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())
    interruptions = await database.fetchrow(
        "select interrupt_count, retry_count from jobd.job where id = $1", job_id
    )
    assert tuple(interruptions or ()) == (0, 0)


async def test_a_cancel_that_is_committed_late_is_honoured_late(database: Database, tmp_path: Path) -> None:
    readings = write_readings(tmp_path / "readings.csv", 2_000)
    target = await create_readings(database, "torn")
    with relay(database, tmp_path, size=1):
        job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
        await wait_for_rows(database, job_id, 100)
        application = await open_cancel(database, job_id)
        at = await processed_rows(database, job_id)
        await application.execute("commit")
        await wait_for_status(database, job_id, "cancelled")
    assert await processed_rows(database, job_id) == at
    added = await database.fetchval("select items_added from jobd.job where id = $1", job_id)
    assert await database.fetchval(f"select count(*) from {target}") == added
