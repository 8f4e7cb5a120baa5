"""Goal: stop a worker beyond its lease, at any step of a batch; its successor neither waits nor is disturbed.

A stopped process keeps its connections, so only the lease tells that it is gone; its backend keeps its locks.
"""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.fault.gate import build_gate, gate_closed, someone_waits_at_gate, wait_for_backend
from tests.fault.relay import is_frozen, relay
from tests.sql.roles import make_role, make_submitter
from tests.support.daemons import DaemonProcess, daemon_within, until
from tests.support.files import write_plain, write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_plain,
    create_readings,
    outcome_of,
    submit_import,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

SHORT_LEASE = {"heartbeat_seconds": 0.2, "lease_seconds": 2, "poll_seconds": 1}
# The lease, the successor's own beating time, and its work; a lock that is waited for would show as far more.
TAKEOVER_SECONDS_MAX = 10
RECORDS = 60
BATCH_SIZE = 10


async def wake(daemon: DaemonProcess) -> None:
    """Let it go on, and wait until it has found out that it was taken for dead."""
    registered = sum(line["event"] == "worker registered" for line in daemon.log())
    daemon.send(signal.SIGCONT)

    async def look() -> bool:
        lines = daemon.log()
        is_new = sum(line["event"] == "worker registered" for line in lines) > registered
        return is_new and any(line["event"] == "attempt ended" for line in lines)

    await until(look)
    ended = [line["outcome"] for line in daemon.log() if line["event"] == "attempt ended"]
    assert ended == ["lease_lost"]


@pytest.mark.parametrize("point", ["batch.begin", "batch.inside", "batch.commit", "batch.committed"])
async def test_a_worker_that_wakes_up_after_its_lease_writes_nothing(
    database: Database, tmp_path: Path, point: str
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, seed=2, bad_share=0.1)
    target = await create_readings(database, "torn", existing=range(1, RECORDS, 3))
    job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
    with relay(database, tmp_path, size=0, **SHORT_LEASE) as daemons:
        frozen = daemons.start(test_point=f"{point}:2=stop")
        await is_frozen(frozen)
        frozen_at = time.monotonic()
        async with daemon_within(database, import_roots=tmp_path, **SHORT_LEASE):
            await completed(database, job_id)
            assert time.monotonic() - frozen_at < TAKEOVER_SECONDS_MAX
        before = await database.fetchrow("select * from jobd.job where id = $1", job_id)
        outcome = await outcome_of(database, job_id, target)
        await wake(frozen)
        assert await database.fetchrow("select * from jobd.job where id = $1", job_id) == before
        assert await outcome_of(database, job_id, target) == outcome
        await assert_as_expected(database, job_id, target, readings.expected(range(1, RECORDS, 3)))
        # And it is of use again.
        other = await create_readings(database, "later")
        await completed(database, await submit_import(database, readings.path, other))


async def test_a_frozen_workers_batch_is_ended_also_where_it_runs_as_another_submitters_login(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, seed=3, bad_share=0.1)
    target = await create_readings(database, "torn")
    clerk, worker = await make_submitter(database), await make_role(database, "worker")
    await database.execute(f"grant jobd_worker to {worker}")
    await database.execute(f"grant usage on schema torn to {clerk.role}")
    await database.execute(f"grant select, insert, update on all tables in schema torn to {clerk.role}")
    job_id = await clerk.submit(
        source=str(readings.path),
        target=target,
        options=json.dumps({"batch_size": BATCH_SIZE, "encoding": "utf-8"}),
    )
    as_worker = {**SHORT_LEASE, "database_url": database.url_of(worker)}
    with relay(database, tmp_path, size=0, **as_worker) as daemons:
        frozen = daemons.start(test_point="batch.commit:2=stop")
        await is_frozen(frozen)
        logins = (
            "select array_agg(distinct usename::text) from pg_stat_activity where state = 'idle in transaction'"
        )
        assert await database.fetchval(logins) == [clerk.login]
        async with daemon_within(database, import_roots=tmp_path, **as_worker):
            await completed(database, job_id)
        outcome = await outcome_of(database, job_id, target)
        await wake(frozen)
        assert await outcome_of(database, job_id, target) == outcome
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_worker_frozen_in_the_middle_of_a_copy_does_not_hold_up_its_successor(
    database: Database, tmp_path: Path
) -> None:
    rows = 20_000
    path = write_plain(tmp_path / "plain.csv", rows, width=400)
    target = await create_plain(database)
    await build_gate(database, target, row=2)
    with relay(database, tmp_path, size=0, **SHORT_LEASE) as daemons:
        frozen = daemons.start()
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": rows})
            await someone_waits_at_gate(database)
            frozen.send(signal.SIGSTOP)
            await is_frozen(frozen)
        # The backend has read what was on its way and asks for more of the batch, with locks on the rows before.
        await wait_for_backend(database, "ClientRead", "copy%")
        frozen_at = time.monotonic()
        async with daemon_within(database, import_roots=tmp_path, **SHORT_LEASE):
            await completed(database, job_id)
            assert time.monotonic() - frozen_at < TAKEOVER_SECONDS_MAX
        await wake(frozen)
    counts = await database.fetchrow(f"select count(*), sum(id)::bigint from {target}")
    assert tuple(counts or ()) == (rows, rows * (rows + 1) // 2)
    job = await database.fetchrow(
        "select items_added, interrupt_count, retry_count from jobd.job where id = $1", job_id
    )
    assert tuple(job or ()) == (rows, 1, 0)
