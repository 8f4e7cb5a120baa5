"""Goal: tell a daemon to stop in every phase of its work; it leaves in time, and no retry is used up by that."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from jobd.db import embedded, migrate
from tests.fault.gate import build_gate, gate_closed, someone_waits_at_gate, wait_for_backend
from tests.fault.relay import QUICK, is_frozen, relay
from tests.support.daemons import DaemonProcess, daemon_process, wait_for_status
from tests.support.database import Database, create_database
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
from tests.support.servers import SETTINGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from uuid import UUID

    from tests.support.cutting_proxy import CuttingProxy

RECORDS = 60
BATCH_SIZE = 10
GRACE_SECONDS = 5
# What the daemon needs besides: its last endings, and its farewell.
MARGIN_SECONDS = 5
AWAY_LEASE_SECONDS = 4
POINTS = ("job.start", "batch.begin:3", "batch.inside:3", "batch.commit:3", "batch.committed:3", "job.ended")
USED = "select retry_count, lost_lease_count from jobd.job where id = $1"


async def leaves(daemon: DaemonProcess, within: float = GRACE_SECONDS + MARGIN_SECONDS) -> None:
    """It ends by itself, well, and in time."""
    began_at = time.monotonic()
    assert await daemon.exit_code() == 0, daemon.log_path.read_text()
    assert time.monotonic() - began_at < within


async def assert_nothing_used(database: Database, job_id: UUID) -> None:
    assert tuple(await database.fetchrow(USED, job_id) or ()) == (0, 0)


@pytest.mark.parametrize("point", POINTS)
async def test_told_to_stop_at_any_point_of_a_job_a_daemon_leaves_and_the_job_goes_on_elsewhere(
    database: Database, tmp_path: Path, point: str
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, bad_share=0.1)
    target = await create_readings(database, "torn", range(1, RECORDS, 2))
    job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE}, max_retries=0)
    with relay(database, tmp_path, size=0, shutdown_grace_seconds=GRACE_SECONDS) as daemons:
        daemon = daemons.start(test_point=f"{point}=stop")
        # It stands still exactly there; the signal is what it finds first when it goes on.
        await is_frozen(daemon)
        daemon.send(signal.SIGTERM)
        daemon.send(signal.SIGCONT)
        await leaves(daemon)
        status = await database.fetchval("select status from jobd.job where id = $1", job_id)
        assert status == ("completed" if point == "job.ended" else "pending")
        daemons.start()
        await completed(database, job_id)
    await assert_nothing_used(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(range(1, RECORDS, 2)))


@pytest.mark.parametrize(
    ("signals", "existing"), [(1, ()), (2, range(1, 100))], ids=["once, in a COPY", "twice, in a merge"]
)
async def test_told_to_stop_in_the_middle_of_a_statement_it_rolls_back_at_the_end_of_the_grace_or_at_once(
    database: Database, tmp_path: Path, signals: int, existing: tuple[int, ...]
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await build_gate(database, target, row=55)
    for row in existing:
        if row != 55:
            await database.execute(f"insert into {target} values ($1, 'old')", row)
    grace = 1.5 if signals == 1 else 60
    with relay(database, tmp_path, size=1, shutdown_grace_seconds=grace) as daemons:
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": 50}, max_retries=0)
            await someone_waits_at_gate(database)
            daemon = daemons.daemons[0]
            for number in range(signals):
                daemon.send(signal.SIGTERM)
                if number == 0:
                    await daemon.logged("draining")
            await leaves(daemon)
            assert await processed_rows(database, job_id) == 50
            assert await database.fetchval("select status from jobd.job where id = $1", job_id) == "pending"
        daemons.start()
        await completed(database, job_id)
    await assert_nothing_used(database, job_id)
    assert await database.fetchval(f"select count(*) from {target} where note <> 'old'") == 100


async def test_told_to_stop_while_it_waits_for_a_lock_a_daemon_leaves_in_time(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    with relay(database, tmp_path, size=1, shutdown_grace_seconds=1) as daemons:
        other = await database.connect()
        async with other.transaction():
            await other.execute(f"lock table {target} in access exclusive mode")
            job_id = await submit_import(database, path, target, max_retries=0)
            await wait_for_backend(database, "relation")
            daemons.daemons[0].send(signal.SIGTERM)
            await leaves(daemons.daemons[0])
            assert await database.fetchval("select status from jobd.job where id = $1", job_id) == "pending"
        daemons.start()
        await completed(database, job_id)
    await assert_nothing_used(database, job_id)


async def test_told_to_stop_while_somebody_holds_the_jobs_row_a_daemon_leaves_in_time(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await build_gate(database, target, row=55)
    with relay(database, tmp_path, size=1, shutdown_grace_seconds=1) as daemons:
        other = await database.connect()
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": 10}, max_retries=0)
            await someone_waits_at_gate(database)
            transaction = other.transaction()
            await transaction.start()
            await other.execute("select from jobd.job where id = $1 for update", job_id)
            daemons.daemons[0].send(signal.SIGTERM)
            await daemons.daemons[0].logged("draining")
        # The ending cannot be written: the job is left to its lease, and is rescued.
        await leaves(daemons.daemons[0], within=1 + 10 + MARGIN_SECONDS)
        await transaction.rollback()
        daemons.start()
        await completed(database, job_id)
    assert await database.fetchval("select retry_count from jobd.job where id = $1", job_id) == 0
    assert await database.fetchval(f"select count(*) from {target}") == 100


async def test_told_to_stop_with_a_paused_job_and_with_none_a_daemon_leaves_at_once(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100_000)
    target = await create_plain(database)
    with relay(database, tmp_path, size=1) as daemons:
        job_id = await submit_import(database, path, target, {"batch_size": 100}, max_retries=0)
        await wait_for_rows(database, job_id, 1)
        await database.execute("select jobd.pause($1)", job_id)
        await wait_for_status(database, job_id, "paused")
        daemons.daemons[0].send(signal.SIGTERM)
        await leaves(daemons.daemons[0], within=2)
        idle = daemons.start()
        await idle.logged("listening")
        idle.send(signal.SIGINT)
        await leaves(idle, within=2)
    assert await database.fetchval("select status from jobd.job where id = $1", job_id) == "paused"
    await assert_nothing_used(database, job_id)


@pytest.fixture
async def own_database() -> AsyncIterator[Database]:
    """A database on a server of the test's own, which may be stopped."""
    with embedded.running(settings=SETTINGS) as server:
        await create_database(server, "stopped")
        database = Database(server, "stopped")
        await migrate.migrate(database.url)
        yield database
        await database.close()


@pytest.mark.parametrize("signals", [1, 2], ids=["once", "twice"])
async def test_told_to_stop_while_the_database_is_away_a_daemon_leaves_in_time_and_its_job_goes_on(
    own_database: Database, tmp_path: Path, signals: int
) -> None:
    database = own_database
    path = write_plain(tmp_path / "plain.csv", 4_000)
    target = await create_plain(database)
    grace = 1 if signals == 1 else 60
    with relay(
        database, tmp_path, size=1, shutdown_grace_seconds=grace, lease_seconds=AWAY_LEASE_SECONDS
    ) as daemons:
        job_id = await submit_import(database, path, target, {"batch_size": 20}, max_retries=0)
        await wait_for_rows(database, job_id, 1)
        await database.close()
        database.server.stop("immediate")
        daemon = daemons.daemons[0]
        daemon.send(signal.SIGTERM)
        await daemon.logged("draining")
        if signals == 2:
            daemon.send(signal.SIGTERM)
        await leaves(daemon, within=(grace if signals == 1 else 0) + 2 + 2 + AWAY_LEASE_SECONDS)
        database.server.start(SETTINGS)
        daemons.start()
        await completed(database, job_id)
    assert await database.fetchval("select retry_count from jobd.job where id = $1", job_id) == 0
    assert await database.fetchval(f"select count(*) from {target}") == 4_000


async def test_told_to_stop_behind_a_dead_network_a_daemon_leaves_in_time(
    database: Database, proxy: CuttingProxy, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 4_000)
    target = await create_plain(database)
    settings = QUICK | {"import_roots": tmp_path, "shutdown_grace_seconds": 1}
    with daemon_process(database, tmp_path, database_url=proxy.url, **settings) as daemon:
        job_id = await submit_import(database, path, target, {"batch_size": 20}, max_retries=0)
        await wait_for_rows(database, job_id, 1)
        proxy.hold()
        daemon.send(signal.SIGTERM)
        await leaves(daemon, within=1 + 5 + MARGIN_SECONDS)
    with daemon_process(database, tmp_path, **settings):
        await completed(database, job_id)
    assert await database.fetchval("select retry_count from jobd.job where id = $1", job_id) == 0
    assert await database.fetchval(f"select count(*) from {target}") == 4_000
