"""Goal: kill at every step of a batch, of the first, a middle and the last one, by each way of bringing rows in.

The daemon kills itself where it passes the named point, so the moment is exact.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.fault.gate import build_gate, gate_closed, someone_waits_at_gate, waiting_backends
from tests.fault.relay import QUICK, Relay, died, relay
from tests.support.daemons import daemon_within, until
from tests.support.files import write_readings
from tests.support.imports import (
    assert_as_expected,
    assert_same,
    completed,
    create_readings,
    outcome_of,
    processed_rows,
    submit_import,
)

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

RECORDS = 50
BATCH_SIZE = 10
BATCHES = RECORDS // BATCH_SIZE
FIRST, MIDDLE, LAST = 1, 3, BATCHES


@dataclass(frozen=True)
class Way:
    """How batches are brought in, by what the file and the target are like."""

    bad_share: float
    existing: tuple[int, ...] = ()


WAYS = {
    "directly": Way(bad_share=0),
    "staged": Way(bad_share=0, existing=tuple(range(1, RECORDS, 2))),
    "diagnosed": Way(bad_share=0.2, existing=(2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


async def killed_at(daemons: Relay, job_id: UUID, point: str, *, is_committed: bool) -> None:
    """Kill one daemon after the other at that point, each in a later batch; what is committed is known exactly."""
    done = 0
    for batch in (FIRST, MIDDLE, LAST):
        await died(daemons.start(test_point=f"{point}:{batch - done}"))
        done = batch if is_committed else batch - 1
        assert await processed_rows(daemons.database, job_id) == done * BATCH_SIZE


async def imports_every_row_once(
    database: Database, tmp_path: Path, way: Way, point: str, *, is_committed: bool
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, seed=5, bad_share=way.bad_share)
    calm = await create_readings(database, "calm", way.existing)
    torn = await create_readings(database, "torn", way.existing)
    options = {"batch_size": BATCH_SIZE}
    async with daemon_within(database, import_roots=tmp_path):
        undisturbed = await submit_import(database, readings.path, calm, options)
        await completed(database, undisturbed)
    job_id = await submit_import(database, readings.path, torn, options, max_retries=0)
    with relay(database, tmp_path, size=0) as daemons:
        await killed_at(daemons, job_id, point, is_committed=is_committed)
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        await completed(database, job_id)
    assert_same(await outcome_of(database, job_id, torn), await outcome_of(database, undisturbed, calm))
    await assert_as_expected(database, job_id, torn, readings.expected(way.existing))
    assert await database.fetchval("select interrupt_count from jobd.job where id = $1", job_id) == 3


@each_way
async def test_killed_before_a_batch_imports_every_row_once(database: Database, tmp_path: Path, way: Way) -> None:
    await imports_every_row_once(database, tmp_path, way, "batch.begin", is_committed=False)


@each_way
async def test_killed_inside_a_batch_imports_every_row_once(database: Database, tmp_path: Path, way: Way) -> None:
    await imports_every_row_once(database, tmp_path, way, "batch.inside", is_committed=False)


@each_way
async def test_killed_between_fence_and_commit_imports_every_row_once(
    database: Database, tmp_path: Path, way: Way
) -> None:
    await imports_every_row_once(database, tmp_path, way, "batch.commit", is_committed=False)


@each_way
async def test_killed_between_commit_and_acknowledge_imports_every_row_once(
    database: Database, tmp_path: Path, way: Way
) -> None:
    await imports_every_row_once(database, tmp_path, way, "batch.committed", is_committed=True)


@each_way
async def test_killed_after_the_acknowledgement_imports_every_row_once(
    database: Database, tmp_path: Path, way: Way
) -> None:
    await imports_every_row_once(database, tmp_path, way, "batch.acknowledged", is_committed=True)


@each_way
async def test_killed_in_the_middle_of_a_statement_leaves_no_backend_behind_and_imports_every_row_once(
    database: Database, tmp_path: Path, way: Way
) -> None:
    readings = write_readings(tmp_path / "readings.csv", RECORDS, seed=5, bad_share=way.bad_share)
    target = await create_readings(database, "torn", way.existing)
    await build_gate(database, target, row=28)  # new by each way, and good
    with relay(database, tmp_path, size=1) as daemons:
        async with gate_closed(database):
            job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE})
            await someone_waits_at_gate(database)
            [dead_backend] = await waiting_backends(database)
            daemons.daemons[0].send(signal.SIGKILL)
            # It waits for a lock, so it does not notice that nobody is there any more; somebody has to end it.
            successor = daemons.start()
            assert (await successor.logged("dead worker found"))["backends_ended"] > 0
            await until(lambda: waiting_backends(database), lambda pids: pids != [] and dead_backend not in pids)
            assert await processed_rows(database, job_id) == 2 * BATCH_SIZE
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(way.existing))


@pytest.mark.parametrize(("point", "rows"), [("job.start", 0), ("job.ended", RECORDS)])
async def test_killed_before_the_first_batch_or_after_the_last_imports_every_row_once(
    database: Database, tmp_path: Path, point: str, rows: int
) -> None:
    readings = write_readings(tmp_path / "readings.jsonl", RECORDS, seed=6, bad_share=0.1)
    target = await create_readings(database, "torn")
    job_id = await submit_import(database, readings.path, target, {"batch_size": BATCH_SIZE}, max_retries=0)
    with relay(database, tmp_path, size=0) as daemons:
        await died(daemons.start(test_point=point))
        assert await processed_rows(database, job_id) == rows
    async with daemon_within(database, import_roots=tmp_path, **QUICK):
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected())
