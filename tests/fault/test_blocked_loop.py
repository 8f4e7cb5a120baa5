"""Goal: let a daemon stand still for longer than its lease in the middle of a batch; it writes nothing late."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from jobd.runner import points
from tests.fault.relay import relay
from tests.support.daemons import DaemonProcess, daemon_process, daemon_within, get, submit, until, wait_for_status
from tests.support.files import write_plain, write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_plain,
    create_readings,
    submit_import,
    wait_for_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

LEASE = {"heartbeat_seconds": 0.2, "lease_seconds": 2, "poll_seconds": 1}
BLOCKED_SECONDS = 4.0
WRITTEN = "create table public.written (job_id uuid, number int)"
USED = "select retry_count, interrupt_count, lease_token from jobd.job where id = $1"


@pytest.fixture
def no_points() -> Iterator[None]:
    yield
    points.clear()


async def used(database: Database, job_id: UUID) -> tuple[int, ...]:
    return tuple(await database.fetchrow(USED, job_id) or ())


def block_until_taken(database: Database) -> None:
    """Let nothing else run, until another daemon has taken the only job away."""
    deadline = time.monotonic() + 30
    with psycopg.connect(database.url, autocommit=True) as connection:
        while connection.execute("select max(lease_token) from jobd.job").fetchone() == (1,):
            assert time.monotonic() < deadline, "nobody took the job away"
            time.sleep(0.05)


async def assert_said_and_lives_on(database: Database, daemon: DaemonProcess, queue: str) -> None:
    """The daemon tells how long it stood still, lost its lease, and works again."""
    line = await daemon.logged("the event loop stood still")
    assert line["seconds"] > 1
    await daemon.logged("declared dead by another daemon; registering anew")
    job_id = await submit(database, "fail", queue=queue, metadata={"for_good": True})
    await wait_for_status(database, job_id, "failed")

    async def told() -> str | None:
        ended = (line for line in daemon.log() if line["event"] == "attempt ended")
        return next((str(line["worker_id"]) for line in ended if line["job_id"] == str(job_id)), None)

    # Every part of it logs under the name that it has now.
    assert await until(told) == await daemon.worker_id()
    _, metrics = await get(await daemon.port(), "/metrics")
    lag = re.search(r"^jobd_event_loop_lag_seconds_sum (\S+)", metrics, re.MULTILINE)
    assert lag is not None
    assert float(lag[1]) > 1
    lost = re.findall(r"^jobd_leases_lost_total\S* (\S+)", metrics, re.MULTILINE)
    assert sum(map(float, lost)) > 0


async def test_a_handler_that_blocks_the_loop_loses_its_jobs_to_another_daemon_and_writes_nothing_late(
    database: Database, tmp_path: Path
) -> None:
    await database.execute(WRITTEN)
    path = write_plain(tmp_path / "plain.csv", 50_000)
    target = await create_plain(database)
    with relay(database, tmp_path, size=1, **LEASE, queues="default,own") as daemons:
        blocked = daemons.daemons[0]
        # An import in the same daemon, which is taken along, and a handler that blocks both.
        beside = await submit_import(database, path, target, {"batch_size": 100}, max_retries=0)
        await wait_for_rows(database, beside, 1)
        await daemons.start(queues="default").logged("listening")
        job_id = await submit(database, "block", queue="own", max_retries=0, metadata={"seconds": BLOCKED_SECONDS})
        await daemons.start(queues="own").logged("worker registered")
        await wait_for_status(database, job_id, "completed")
        await completed(database, beside)
        daemons.daemons[-1].send(signal.SIGTERM)
        await daemons.daemons[-1].exit_code()
        await assert_said_and_lives_on(database, blocked, "own")
    assert await database.fetchval("select count(*) from public.written where job_id = $1", job_id) == 1
    assert await used(database, job_id) == (0, 1, 3)
    assert await database.fetchval(f"select count(*) from {target}") == 50_000
    assert (await used(database, beside))[0] == 0


@pytest.mark.usefixtures("no_points")
@pytest.mark.parametrize("point", ["batch.inside", "batch.commit"])
async def test_an_import_that_stood_still_inside_a_batch_is_finished_by_another_daemon(
    database: Database, tmp_path: Path, point: str
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 60, bad_share=0.1)
    target = await create_readings(database, "torn")
    passings = 0

    async def stand_still() -> None:
        nonlocal passings
        passings += 1
        if passings == 3:
            block_until_taken(database)

    points.register(point, stand_still)
    async with daemon_within(database, import_roots=tmp_path, **LEASE) as daemon:
        job_id = await submit_import(database, readings.path, target, {"batch_size": 10}, max_retries=0)
        with daemon_process(database, tmp_path, import_roots=tmp_path, **LEASE, queues="default,other") as other:
            await completed(database, job_id)
            assert any(line["event"] == "job rescued" for line in other.log())
        lost = sum(
            daemon.metrics.registry.get_sample_value("jobd_leases_lost_total", {"reason": reason}) or 0
            for reason in ("fenced", "expired", "declared_dead")
        )
        assert lost == 1
        await wait_for_status(database, await submit(database), "completed")
    await assert_as_expected(database, job_id, target, readings.expected())
    assert await used(database, job_id) == (0, 1, 3)
