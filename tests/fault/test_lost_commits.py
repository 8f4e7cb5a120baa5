"""Goal: let the database forget committed batches, as a failover may; no job completes without its rows.

What a failover loses depends on the moment. Here it is chosen, and the target and the job's row are put back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.runner import points
from tests.support.daemons import daemon_within
from tests.support.files import write_plain
from tests.support.imports import completed, create_plain, submit_import

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.database import Database

RECORDS = 60
BATCH_SIZE = 20
KEPT = "create table public.kept_job as select * from jobd.job; create table public.kept_rows as table {target}"
FORGET = """
set session_replication_role = replica;
update jobd.job j
set cursor = k.cursor, processed_rows = k.processed_rows, success_count = k.success_count,
    items_added = k.items_added
from public.kept_job k
where k.id = j.id;
delete from {target} t where not exists (select from public.kept_rows k where k.id = t.id);
reset session_replication_role;
"""


@pytest.fixture(autouse=True)
def no_points_left() -> Iterator[None]:
    yield
    points.clear()


class Forgetful:
    """Keeps the database's state at the first passing of one point, and goes back to it at that of another."""

    def __init__(self, database: Database, target: str) -> None:
        self._database = database
        self._target = target
        self.forgot = False
        self._kept = False

    async def keep(self) -> None:
        if not self._kept:
            self._kept = True
            await self._run(KEPT)

    async def forget(self) -> None:
        if not self.forgot:
            self.forgot = True
            await self._run(FORGET)

    async def _run(self, script: str) -> None:
        connection = await self._database.connect()  # the test looks on its own meanwhile
        await connection.execute(script.format(target=self._target))


@pytest.mark.parametrize("point", ["batch.begin", "job.ended"])
async def test_batches_that_were_lost_are_done_again_whether_others_follow_or_not(
    database: Database, tmp_path: Path, point: str
) -> None:
    path = write_plain(tmp_path / "plain.csv", RECORDS)
    target = await create_plain(database)
    forgetful = Forgetful(database, target)
    passings = []

    async def passed() -> None:
        passings.append(point)
        if point == "job.ended" or len(passings) == 3:
            await forgetful.forget()

    points.register("batch.acknowledged", forgetful.keep)
    points.register(point, passed)
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await submit_import(database, path, target, {"batch_size": BATCH_SIZE})
        await completed(database, job_id)
    assert forgetful.forgot
    assert await database.fetchval(f"select count(*) from {target}") == RECORDS
    job = await database.fetchrow(
        "select items_added, processed_rows, retry_count, interrupt_count from jobd.job where id = $1", job_id
    )
    assert tuple(job or ()) == (RECORDS, RECORDS, 0, 1)
