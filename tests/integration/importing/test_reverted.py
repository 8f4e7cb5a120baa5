"""A job whose rows were taken back by ``jobd.revert`` and that is retried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.daemons import daemon_within, job_row, wait_for_status
from tests.support.importing import write
from tests.support.imports import submit_import

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

REFUSES = "alter table orders add constraint small check (n < 9)"
ACCEPTS = "alter table orders drop constraint small"


class Job:
    """An import of two files, of which the second has a record that the table refuses at first."""

    def __init__(self, database: Database, directory: Path, job_id: UUID) -> None:
        self._database = database
        self._directory = directory
        self.id = job_id

    async def run(self) -> Mapping[str, Any]:
        async with daemon_within(self._database, import_roots=self._directory):
            await wait_for_status(self._database, self.id, "completed", "failed")
        return await job_row(self._database, self.id)

    async def call(self, function: str) -> Any:
        return await self._database.fetchval(f"select jobd.{function}($1)", self.id)

    async def count(self, relation: str) -> int:
        return int(await self._database.fetchval(f"select count(*) from {relation}"))


@pytest.fixture
async def job(database: Database, tmp_path: Path) -> Job:
    await database.execute("create table public.orders (id int primary key, n int)")
    await database.execute(REFUSES)
    write(tmp_path / "1.csv", "id,n\n1,1\n2,2\n")
    write(tmp_path / "2.csv", "id,n\n3,3\n4,9\n5,5\n")
    options = {"track_changes": True, "max_errors": 0, "batch_size": 1}
    return Job(database, tmp_path, await submit_import(database, tmp_path, "public.orders", options))


async def test_a_retry_after_a_revert_begins_anew(database: Database, job: Job) -> None:
    failed = await job.run()
    assert (failed["status"], failed["error_code"]) == ("failed", "too_many_errors")
    assert failed["items_added"] == await job.count("orders") == 3
    assert await job.count("jobd.job_error") == 1
    assert "goes on from where it stopped" in await job.call("explain")

    assert await job.call("revert") == 0
    assert await job.count("orders") == 0
    assert "begins anew" in await job.call("explain")
    assert await job.call("retry")
    waiting = await job_row(database, job.id)
    assert (waiting["processed_rows"], waiting["cursor"], waiting["files_done"]) == (0, None, 0)
    for relation in ("jobd.job_error", "jobd.job_error_group", "jobd.job_reject"):
        assert await job.count(relation) == 0

    await database.execute(ACCEPTS)
    done = await job.run()
    assert (done["status"], done["items_added"], done["error_count"]) == ("completed", 5, 0)
    assert (done["files_total"], done["files_done"], done["progress"]) == (2, 2, 100)
    files = await database.fetch("select status, items_added from jobd.job_file order by position")
    assert [tuple(row) for row in files] == [("completed", 2), ("completed", 3)]
    assert await job.call("revert") == 0
    assert await job.count("orders") == 0


async def test_rows_that_could_not_be_taken_back_are_as_the_file_has_them_again(
    database: Database, job: Job
) -> None:
    await job.run()
    await database.execute("update orders set n = 7 where id = 1")
    assert await job.call("revert") == 1
    assert await job.call("retry")
    await database.execute(ACCEPTS)
    done = await job.run()
    assert (done["status"], done["items_added"], done["items_updated"]) == ("completed", 4, 1)
    assert await database.fetchval("select n from orders where id = 1") == 1


async def test_what_began_anew_and_failed_again_goes_on_from_there(database: Database, job: Job) -> None:
    first = await job.run()
    assert await job.call("revert") == 0
    assert await job.call("retry")
    again = await job.run()
    assert (again["status"], again["items_added"]) == ("failed", 3)
    assert again["started_at"] > first["started_at"]
    await database.execute(ACCEPTS)
    assert await job.call("retry")
    waiting = await job_row(database, job.id)
    assert (waiting["items_added"], waiting["cursor"]) == (3, again["cursor"])
    done = await job.run()
    assert (done["status"], done["started_at"]) == ("completed", again["started_at"])
    assert await job.count("orders") == done["items_added"]
