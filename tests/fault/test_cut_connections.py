"""Goal: cut connections where it is worst, around a COMMIT, and anywhere else; every row is there once."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.fault.gate import gate_closed, someone_waits_at_gate, waiting_backends
from tests.fault.relay import relay
from tests.fault.rounds import rounds
from tests.fault.wire import (
    BATCH_SIZE,
    COMMIT,
    COMMITTED,
    EXISTING,
    LONG_LEASE,
    RECORDS,
    UNDISTURBED,
    interruptions,
    readings_job,
    said,
)
from tests.support.cutting_proxy import CuttingProxy, Link, Way
from tests.support.daemons import until
from tests.support.imports import assert_as_expected, completed, wait_for_rows
from tests.support.small_files import ROWS_EACH, TABLE, assert_imported_once, ended, submit_all, write_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

FENCE_OF_BUNDLE = b"jobd.commit_bundle("
FILES = 60
FILES_MAX = 10 * FILES
FOUND_COMMITTED = "the commit whose answer was lost had been done"


class Cut(NamedTuple):
    """Where and how a connection is cut."""

    way: Way
    pattern: bytes
    act: Callable[[Link], None]
    every: int


# The same COMMIT passes again when its batch is done again: every second one is cut.
CUTS = pytest.mark.parametrize(
    "cut",
    [
        pytest.param(Cut(Way.TO_SERVER, COMMIT, Link.reset, 2), id="before the COMMIT"),
        pytest.param(Cut(Way.TO_SERVER, COMMIT, Link.half_open, 2), id="before the COMMIT, one side only"),
        pytest.param(Cut(Way.TO_DAEMON, COMMITTED, Link.reset, 1), id="before its answer"),
        pytest.param(Cut(Way.TO_DAEMON, COMMITTED, Link.half_open, 1), id="before its answer, one side only"),
    ],
)


@CUTS
async def test_a_connection_cut_around_each_commit_loses_and_doubles_no_batch(
    database: Database, tmp_path: Path, proxy: CuttingProxy, cut: Cut
) -> None:
    passing = proxy.when(cut.way, cut.act, pattern=cut.pattern, every=cut.every)
    with relay(database, tmp_path, size=1, database_url=proxy.url, **LONG_LEASE) as daemons:
        readings, job_id, target = await readings_job(database, tmp_path)
        await completed(database, job_id)
        found_committed = said(daemons.daemons[0], FOUND_COMMITTED)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED
    assert passing.acts >= RECORDS / BATCH_SIZE
    assert len(found_committed) == (passing.acts if cut.way is Way.TO_DAEMON else 0)


@CUTS
async def test_a_connection_cut_around_the_commit_of_many_small_files_loses_and_doubles_none(
    database: Database, tmp_path: Path, proxy: CuttingProxy, cut: Cut
) -> None:
    await database.execute(TABLE)
    cuts = []

    def cut_commit_of_bundle(_link: Link) -> None:
        cuts.append(proxy.when(cut.way, cut.act, pattern=cut.pattern))

    fences = proxy.when(Way.TO_SERVER, cut_commit_of_bundle, pattern=FENCE_OF_BUNDLE, every=2)
    jobs: list[UUID] = []
    settings = {**LONG_LEASE, "concurrency": 1, "database_url": proxy.url}
    with relay(database, tmp_path, size=1, **settings) as daemons:
        # A loaded machine may need some before it takes them for short enough to be claimed ahead.
        while not fences.acts and len(jobs) < FILES_MAX:
            jobs += await submit_all(database, write_files(tmp_path, FILES, first=len(jobs)))
            rows = await ended(database, jobs, within=60)
        found_committed = said(daemons.daemons[0], FOUND_COMMITTED)
    assert fences.acts > 0
    assert [passing.acts for passing in cuts] == [1] * fences.acts
    assert len(found_committed) == (len(cuts) if cut.way is Way.TO_DAEMON else 0)
    assert_imported_once(rows.values())
    ids = await database.fetch("select id from public.thing order by id")
    assert [row["id"] for row in ids] == list(range(len(jobs) * ROWS_EACH))


@pytest.mark.parametrize("seed", range(rounds(3)))
async def test_connections_cut_after_any_number_of_bytes_lose_and_double_no_row(
    database: Database, tmp_path: Path, proxy: CuttingProxy, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311  to be repeated
    with relay(database, tmp_path, size=1, database_url=proxy.url, **LONG_LEASE) as daemons:
        await daemons.daemons[0].logged("listening")
        readings, job_id, target = await readings_job(database, tmp_path, records=600)
        for rows in range(BATCH_SIZE, 400, 3 * BATCH_SIZE):
            await wait_for_rows(database, job_id, rows)
            cut = dice.choice([Link.reset, Link.half_open])
            way = dice.choice(list(Way))
            await proxy.when(way, cut, after_bytes=dice.randrange(8_000)).happened()
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


def _is_another(pid: int, pids: list[int]) -> bool:
    return len(pids) == 1 and pid not in pids


async def test_an_import_outlives_resets_of_all_connections_in_the_middle_of_batches(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    with relay(database, tmp_path, size=1, database_url=proxy.url, **LONG_LEASE):
        async with gate_closed(database):
            readings, job_id, target = await readings_job(database, tmp_path, records=600, gate_row=BATCH_SIZE + 1)
            for _ in range(3):
                # A backend that waits does not notice that its daemon is gone: it is ended by the next one.
                await someone_waits_at_gate(database)
                [waiting] = await waiting_backends(database)
                proxy.reset()
                await until(lambda: waiting_backends(database), partial(_is_another, waiting))
        for rows in range(100, 500, 100):
            await wait_for_rows(database, job_id, rows)
            proxy.reset()
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


@pytest.mark.parametrize("question", ["daemon_target_state", "daemon_may_repeat"])
async def test_a_connection_cut_while_the_job_asks_before_its_first_record_uses_no_retry(
    database: Database, tmp_path: Path, proxy: CuttingProxy, question: str
) -> None:
    passing = proxy.when(Way.TO_SERVER, Link.reset, pattern=f"-- {question}\n".encode())
    with relay(database, tmp_path, size=1, database_url=proxy.url, **LONG_LEASE):
        readings, job_id, target = await readings_job(database, tmp_path)
        await completed(database, job_id)
    assert passing.acts == 1
    assert await interruptions(database, job_id) == UNDISTURBED
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
