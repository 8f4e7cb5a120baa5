"""Goal: a running import stops at once when it is cancelled, and within one batch when it is paused."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest

from tests.fault.gate import build_gate, gate_closed, someone_waits_at_gate
from tests.fault.relay import Relay, relay
from tests.support.daemons import wait_for_status
from tests.support.files import write_plain
from tests.support.imports import completed, create_plain, processed_rows, submit_import, wait_for_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

ROWS = 300_000
# Batches of some milliseconds, and of some hundred.
BATCH_SIZES = (500, 20_000)
FUNCTION = "select jobd.cancel($1)"
FLAG = "update jobd.job set cancel_requested = true where id = $1"


async def stop_seconds(database: Database, job_id: UUID, statement: str, status: str) -> float:
    """How long after the request returned the status was to be seen."""
    await database.execute(statement, job_id)
    returned_at = time.monotonic()
    await wait_for_status(database, job_id, status)
    return time.monotonic() - returned_at


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_plain(tmp_path_factory.mktemp("plain") / "plain.csv", ROWS)


@pytest.fixture
def daemons(database: Database, plain: Path) -> Iterator[Relay]:
    with relay(database, plain.parent, size=1, heartbeat_seconds=1, lease_seconds=10) as found:
        yield found


@pytest.mark.parametrize(
    ("request_cancel", "runs"), [(FUNCTION, 20), (FLAG, 6)], ids=["by function", "by flag column"]
)
async def test_a_running_import_is_cancelled_within_100_ms_at_the_median(
    database: Database, plain: Path, daemons: Relay, request_cancel: str, runs: int
) -> None:
    seconds = []
    for run in range(runs):
        target = await create_plain(database, f"public.plain_{run}")
        job_id = await submit_import(database, plain, target, {"batch_size": BATCH_SIZES[run % 2]})
        await wait_for_rows(database, job_id, 1)
        seconds.append(await stop_seconds(database, job_id, request_cancel, "cancelled"))
        # The open batch is rolled back, what was committed stays and is counted.
        job = await database.fetchrow("select items_added, processed_rows from jobd.job where id = $1", job_id)
        rows = await database.fetchval(f"select count(*) from {target}")
        assert tuple(job or ()) == (rows, rows)
        assert rows < ROWS
    print(f"median {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms")
    assert statistics.median(seconds) <= 0.1
    assert max(seconds) <= 0.5


async def test_a_running_import_pauses_within_one_batch_and_goes_on_from_there(
    database: Database, plain: Path, daemons: Relay
) -> None:
    batch_size = 2_000
    target = await create_plain(database)
    job_id = await submit_import(database, plain, target, {"batch_size": batch_size})
    seconds = []
    for _ in range(10):
        at = await wait_for_rows(database, job_id, await processed_rows(database, job_id) + 1)
        await database.execute("select jobd.pause($1)", job_id)
        returned_at, at = time.monotonic(), await processed_rows(database, job_id)
        await wait_for_status(database, job_id, "paused")
        seconds.append(time.monotonic() - returned_at)
        assert await processed_rows(database, job_id) <= at + batch_size
        await database.execute("select jobd.resume($1)", job_id)
    print(f"median {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms")
    assert max(seconds) <= 0.5
    await completed(database, job_id)
    counts = await database.fetchrow(f"select count(*), sum(id)::bigint from {target}")
    assert tuple(counts or ()) == (ROWS, ROWS * (ROWS + 1) // 2)
    assert await database.fetchval("select retry_count from jobd.job where id = $1", job_id) == 0


async def test_without_notifications_a_cancel_reaches_an_open_batch_with_the_next_heartbeat(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await build_gate(database, target, row=55)
    with relay(database, tmp_path, size=1, notify="off"):
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": 50})
            await someone_waits_at_gate(database)
            seconds = await stop_seconds(database, job_id, FUNCTION, "cancelled")
    assert seconds <= 1
    assert await database.fetchval(f"select count(*) from {target}") == 50


async def test_without_notifications_a_pause_waits_for_the_open_batch_and_no_other(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await build_gate(database, target, row=15)
    with relay(database, tmp_path, size=1, notify="off"):
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": 10})
            await someone_waits_at_gate(database)
            await database.execute("update jobd.job set pause_requested = true where id = $1", job_id)
            assert await processed_rows(database, job_id) == 10
        await wait_for_status(database, job_id, "paused")
        assert await processed_rows(database, job_id) == 20
        await database.execute("select jobd.resume($1)", job_id)
        await completed(database, job_id)
    assert await database.fetchval(f"select count(*) from {target}") == 100
