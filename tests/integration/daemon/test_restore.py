"""A live database is dumped in the midst of work and restored: the queue is complete, and goes on once adopted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from jobd.db import migrate
from jobd.errors import DatabaseUnavailable
from tests.sql.roles import make_member, make_submitter
from tests.support.daemons import daemon_process, job_row, submit, until, wait_for_status
from tests.support.database import Database, create_database, drop_database
from tests.support.names import unique
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TABLES = (
    "job", "job_event", "job_error", "job_error_group", "job_reject", "job_log", "job_file", "job_change", "blob",
    "import_ledger", "worker", "queue", "submitter", "environment", "schema_version",
)  # fmt: skip
ROWS = 100


@pytest.fixture
async def fresh(target: Database) -> AsyncIterator[Database]:
    """An empty database beside the live one."""
    fresh = Database(target.server, unique("restored"))
    await create_database(fresh.server, fresh.name)
    yield fresh
    await fresh.close()
    await drop_database(fresh.server, fresh.name)


async def dump(database: Database, path: Path, *options: str, user: str = "postgres") -> None:
    arguments = ("--format=custom", f"--file={path}", *options, f"--dbname={database.url_of(user)}")
    await asyncio.to_thread(database.server.run, "pg_dump", *arguments)


async def restore(database: Database, path: Path) -> None:
    await asyncio.to_thread(
        database.server.run, "pg_restore", "--exit-on-error", f"--dbname={database.url}", str(path)
    )


async def counts(database: Database) -> dict[str, int]:
    return {name: await database.fetchval(f"select count(*) from jobd.{name}") for name in TABLES}


async def test_a_restored_queue_goes_on_at_the_row_where_it_stood_and_leaves_the_original_alone(
    target: Database, fresh: Database, tmp_path: Path
) -> None:
    await migrate.migrate(target.url, environment="production")
    settings = {"environment": "production", "lease_seconds": 3}
    with daemon_process(target, tmp_path, **settings) as original:
        slow = await submit(target, "write_rows", metadata={"rows": ROWS, "pause": 0.1})
        await until(lambda: job_row(target, slow), lambda row: row["processed_rows"] > 5)
        waiting = await submit(target, "nothing", run_at=await target.fetchval("select now() + interval '1 day'"))
        await dump(target, tmp_path / "app.dump")
        await restore(fresh, tmp_path / "app.dump")
        stood = await job_row(fresh, slow)
        assert stood["status"] == "running"
        # Rows and counters are of one moment.
        assert await fresh.fetchval("select count(*) from public.written") == stood["processed_rows"] > 5
        with daemon_process(fresh, tmp_path, **settings) as daemon:
            assert "copy of the one" in (await daemon.logged("not ready"))["reason"]
            assert (await job_row(fresh, slow)) == stood
            await migrate.migrate(fresh.url, environment="production", adopt=True)
            await wait_for_status(fresh, slow, "completed", within=60)
            ended = await job_row(fresh, slow)
            assert (ended["processed_rows"], ended["retry_count"], ended["interrupt_count"]) == (ROWS, 0, 1)
            assert await fresh.fetchval("select count(*) from public.written") == ROWS
            assert (await job_row(fresh, waiting))["status"] == "pending"
        # The worker that is lost in the copy is at work in the original, in the same cluster, under the same name.
        await wait_for_status(target, slow, "completed", within=60)
        there = await job_row(target, slow)
        assert (there["interrupt_count"], there["lost_lease_count"]) == (0, 0)
        assert not [line for line in original.log() if line["event"] == "tried again"]


async def test_the_owner_dumps_every_row_of_every_submitter_and_others_are_refused(
    target: Database, fresh: Database, tmp_path: Path
) -> None:
    first, second = [await make_submitter(target) for _ in range(2)]
    for clerk in (first, second):
        await clerk.submit()
    owner = await (await make_member(target, "jobd_owner")).fetchval("select current_user")
    await dump(target, tmp_path / "jobd.dump", "--schema=jobd", user=owner)
    await restore(fresh, tmp_path / "jobd.dump")
    assert await counts(fresh) == await counts(target)
    assert (await counts(fresh))["job"] == 2
    # Policies, rights and ownership came along: each submitter sees its own there too.
    assert await (await fresh.connect(first.role)).fetchval("select count(*) from jobd.job") == 1
    worker = SimulatedWorker(fresh)
    await worker.register()
    assert len(await worker.claim(limit=5)) == 2
    # Row-level security refuses whoever would get a part only.
    with pytest.raises(DatabaseUnavailable, match=r"row-level security|permission denied"):
        await dump(target, tmp_path / "part.dump", "--schema=jobd", user=first.role)
