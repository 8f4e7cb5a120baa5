"""Goal: a job is taken from the dead only: not for its age, not for a wrong clock, and never without need."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.fault.gate import build_gate, gate_closed, someone_waits_at_gate
from tests.fault.relay import relay
from tests.support.daemons import submit, until, wait_for_status
from tests.support.files import write_plain, write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_plain,
    create_readings,
    processed_rows,
    submit_import,
    wait_for_rows,
)

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

LEASES = 3
BEATEN_SECONDS = """
select extract(epoch from w.heartbeat_at - j.claimed_at)::float8
from jobd.job j join jobd.worker w on w.id = j.worker_id
where j.id = $1
"""
OBSERVED_SECONDS = (
    "select extract(epoch from heartbeat_at - beating_since)::float8 from jobd.worker where pid = $1"
)
INTERRUPTIONS = "select interrupt_count, lost_lease_count, retry_count, lease_token from jobd.job where id = $1"


async def interruptions(database: Database, job_id: UUID) -> tuple[int, ...]:
    return tuple(await database.fetchrow(INTERRUPTIONS, job_id) or ())


async def test_an_import_that_outlasts_many_leases_is_never_taken_away(database: Database, tmp_path: Path) -> None:
    lease_seconds = 1.5
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await build_gate(database, target, row=50)
    with relay(database, tmp_path, size=1, heartbeat_seconds=0.2, lease_seconds=lease_seconds) as daemons:
        # With a lease that short, what a daemon does once in its life should be behind it.
        await completed(
            database, await submit_import(database, path, await create_plain(database, "public.first"))
        )
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": 20})
            await someone_waits_at_gate(database)
            await daemons.start().logged("listening")
            await until(
                lambda: database.fetchval(BEATEN_SECONDS, job_id), lambda beaten: beaten > LEASES * lease_seconds
            )
        await completed(database, job_id)
    assert await database.fetchval(f"select count(*) from {target}") == 100
    assert await interruptions(database, job_id) == (0, 0, 0, 1)


async def test_sigterm_hands_a_running_import_to_the_next_daemon_which_goes_on_at_the_row(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 4_000)
    target = await create_readings(database, "torn")
    with relay(database, tmp_path) as daemons:
        job_id = await submit_import(database, readings.path, target, {"batch_size": 20}, max_retries=0)
        for number in range(1, 4):
            await wait_for_rows(database, job_id, await processed_rows(database, job_id) + 100)
            holder = await daemons.holder(job_id)
            holder.send(signal.SIGTERM)
            assert await holder.exit_code() == 0
            assert await interruptions(database, job_id) in {(number, 0, 0, number), (number, 0, 0, number + 1)}
            daemons.start()
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_daemon_with_a_wrong_clock_takes_nothing_before_its_time_and_from_nobody_alive(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await build_gate(database, target, row=50)
    with relay(database, tmp_path, size=1) as daemons:
        async with gate_closed(database):
            running = await submit_import(database, path, target, {"batch_size": 20})
            await someone_waits_at_gate(database)
            wrong = daemons.start(
                handlers="tests.support.routines,tests.support.wrong_clock", queues="default,wrong"
            )
            await wrong.logged("listening")
            later = await database.fetchval(
                "insert into jobd.job (job_type, handler, queue, run_at) "
                "values ('processing', 'nothing', 'wrong', now() + interval '30 minutes') returning id"
            )
            # It is well, works, and has looked for jobs and for the dead several times.
            done = await submit(database, queue="wrong")
            await wait_for_status(database, done, "completed")
            await until(lambda: database.fetchval(OBSERVED_SECONDS, wrong.pid), lambda seconds: seconds > 1)
            assert await database.fetchval("select status from jobd.job where id = $1", later) == "pending"
        await completed(database, running)
    assert await interruptions(database, running) == (0, 0, 0, 1)
    assert await database.fetchval(
        "select bool_and(created_at <= updated_at and updated_at <= now()) from jobd.job"
    )
