"""Goal: a file that kills whoever reads it is stopped, and the operator is told where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fault.relay import QUICK, died, relay
from tests.support import deadly
from tests.support.daemons import daemon_within, submit, until, wait_for_status
from tests.support.deadly import NAME
from tests.support.files import write_plain, write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_plain,
    create_readings,
    processed_rows,
    submit_import,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

RECORDS = 60
BATCH_SIZE = 10
DEATHS = 5
INNOCENT_SECONDS = 3
TAKEN_ALONG_MAX = 2


async def test_a_file_that_kills_its_worker_is_failed_after_five_times_without_progress_and_names_the_row(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, bad_share=0.1)
    target = await create_readings(database, "torn")
    job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
    with relay(database, tmp_path, size=0) as daemons:
        # Losses before the last progress do not count.
        await died(daemons.start(test_point="batch.inside:1"))
        await died(daemons.start(test_point="batch.committed:3"))
        for _ in range(DEATHS - 1):
            await died(daemons.start(test_point="batch.inside:1"))
    async with daemon_within(database, queues="bystander", import_roots=tmp_path, **QUICK):
        assert await wait_for_status(database, job_id, "failed", "pending") == "failed"
    job = await database.fetchrow(
        "select error_code, error_message, lost_lease_count, retry_count from jobd.job where id = $1", job_id
    )
    assert job is not None
    assert (job["error_code"], job["lost_lease_count"], job["retry_count"]) == ("worker_lost", DEATHS, 0)
    assert f"row {3 * BATCH_SIZE} " in job["error_message"]
    assert "readings.csv" in job["error_message"]
    assert await processed_rows(database, job_id) == 3 * BATCH_SIZE
    # Nothing is lost: whoever finds the cause has it go on from there.
    await database.execute("select jobd.retry($1)", job_id)
    assert await database.fetchval("select lost_lease_count from jobd.job where id = $1", job_id) == 0
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_deadly_file_takes_nobody_elses_job_with_it_though_that_makes_no_progress_meanwhile(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / NAME, 1_000)
    target = await create_plain(database)
    with relay(database, tmp_path, size=1, handlers=f"tests.support.routines,{deadly.__name__}") as daemons:
        # They commit nothing before their end, which is later than several deaths.
        innocent = [
            await submit(database, "sleep", metadata={"seconds": INNOCENT_SECONDS}, max_retries=0)
            for _ in range(2)
        ]
        for job_id in innocent:
            await wait_for_status(database, job_id, "running")
        job_id = await submit_import(
            database, path, target, {"batch_size": 100}, max_retries=0, metadata=json.dumps({"after": 300})
        )

        async def look() -> str:
            for daemon in list(daemons.daemons):
                if daemon.process.poll() is not None:
                    assert daemon.process.returncode == deadly.OUT_OF_MEMORY, daemon.log_path.read_text()
                    daemons.daemons.remove(daemon)
                    daemons.start()
            return str(await database.fetchval("select status from jobd.job where id = $1", job_id))

        assert await until(look, {"failed", "completed"}.__contains__, within=60) == "failed"
        for other in innocent:
            assert await wait_for_status(database, other, "completed", "failed", within=30) == "completed"
    job = await database.fetchrow(
        "select error_code, error_message, processed_rows, lost_lease_count from jobd.job where id = $1", job_id
    )
    assert job is not None
    assert (job["error_code"], job["processed_rows"], job["lost_lease_count"]) == ("worker_lost", 300, DEATHS)
    assert "row 300" in job["error_message"]
    assert NAME in job["error_message"]
    used = await database.fetch("select retry_count, lost_lease_count from jobd.job where id <> $1", job_id)
    assert all(row["retry_count"] == 0 for row in used)
    # Taken along where that could not be known yet, and not again.
    assert all(row["lost_lease_count"] <= TAKEN_ALONG_MAX for row in used)
