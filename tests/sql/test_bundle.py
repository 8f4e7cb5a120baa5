"""begin_bundle and commit_bundle: what begin and commit_batch do, for many jobs of one small file each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.sql.jobs import Worker, register, row_of
from tests.sql.roles import make_member, make_submitter, submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.database import Database

COUNT = 3


@pytest.fixture
async def worker(database: Database) -> Worker:
    return await register(database)


@pytest.fixture
async def jobs(worker: Worker) -> Sequence[asyncpg.Record]:
    for _ in range(COUNT):
        await submit(worker.connection)
    return await worker.claim(COUNT)


async def begin(connection: asyncpg.Connection, jobs: Sequence[asyncpg.Record]) -> None:
    count = len(jobs)
    await connection.execute(
        "select jobd.begin_bundle($1, $2, $3, $4, $5, $6, $7, $8, array_fill(now(), array[$9::int]))",
        [job["id"] for job in jobs],
        [job["lease_token"] for job in jobs],
        ['{"source": {}}'] * count,
        [2] * count,
        [3] * count,
        ["ab" * 32] * count,
        [f"{number}.csv" for number in range(count)],
        [100] * count,
        count,
    )


async def commit(
    connection: asyncpg.Connection, jobs: Sequence[asyncpg.Record], **values: Any
) -> Sequence[asyncpg.Record]:
    count = len(jobs)
    return await connection.fetch(
        "select * from jobd.commit_bundle($1, $2, $3, $4, $5, $6, $7)",
        [job["id"] for job in jobs],
        values.get("lease_tokens", [job["lease_token"] for job in jobs]),
        [3] * count,
        [2] * count,
        [1] * count,
        [1] * count,
        [json.dumps({"file": 1, "row": 7})] * count,
    )


async def processed(database: Database) -> list[int]:
    return [row[0] for row in await database.fetch("select processed_rows from jobd.job order by id")]


async def test_each_job_is_begun_and_counted(
    database: Database, worker: Worker, jobs: Sequence[asyncpg.Record]
) -> None:
    await begin(worker.connection, jobs)
    receipts = await commit(worker.connection, jobs)
    assert {tuple(row) for row in receipts} == {(job["id"], job["lease_token"], 0, 7) for job in jobs}
    for number, job in enumerate(jobs):
        row = await row_of(database, job["id"])
        counters = ("items_added", "items_updated", "items_unchanged", "items_skipped", "success_count")
        assert [row[name] for name in counters] == [3, 2, 1, 1, 7]
        assert (row["processed_rows"], row["total_rows"], row["estimated_rows"]) == (7, 3, 2)
        assert (row["files_done"], row["files_total"], row["current_file"]) == (1, 1, f"{number}.csv")
        assert (row["status"], json.loads(row["cursor"]), float(row["progress"])) == (
            "running", {"file": 1, "row": 7}, 99.99,
        )  # fmt: skip
        file = await database.fetchrow("select * from jobd.job_file where job_id = $1", job["id"])
        assert file is not None
        assert [file[name] for name in counters] == [3, 2, 1, 1, 7]
        assert (file["position"], file["file"], file["status"]) == (1, f"{number}.csv", "completed")
        assert (file["size_bytes"], file["file_hash"]) == (100, "ab" * 32)


async def test_one_lost_lease_keeps_all_out(
    database: Database, worker: Worker, jobs: Sequence[asyncpg.Record]
) -> None:
    await begin(worker.connection, jobs)
    tokens = [job["lease_token"] for job in jobs]
    tokens[1] += 1
    with pytest.raises(asyncpg.PostgresError) as lost:
        await commit(worker.connection, jobs, lease_tokens=tokens)
    assert lost.value.sqlstate == "JB001"
    assert await processed(database) == [0] * COUNT
    await worker.finish(jobs[2], "interrupted")
    with pytest.raises(asyncpg.PostgresError) as ended:
        await commit(worker.connection, jobs)
    assert ended.value.sqlstate == "JB001"
    with pytest.raises(asyncpg.PostgresError) as not_begun:
        await begin(worker.connection, jobs)
    assert not_begun.value.sqlstate == "JB001"
    assert await processed(database) == [0] * COUNT


async def test_one_cancelled_job_keeps_all_out(
    database: Database, worker: Worker, jobs: Sequence[asyncpg.Record]
) -> None:
    await begin(worker.connection, jobs)
    await database.execute("select jobd.cancel($1)", jobs[1]["id"])
    for call in (begin, commit):
        with pytest.raises(asyncpg.PostgresError, match=str(jobs[1]["id"])) as cancelled:
            await call(worker.connection, jobs)
        assert cancelled.value.sqlstate == "JB002"
    assert await processed(database) == [0] * COUNT


async def test_what_is_committed_is_not_committed_again(
    database: Database, worker: Worker, jobs: Sequence[asyncpg.Record]
) -> None:
    await begin(worker.connection, jobs)
    await worker.commit(jobs[0], added=1, row=1)
    with pytest.raises(asyncpg.PostgresError) as behind:
        await commit(worker.connection, jobs)
    assert behind.value.sqlstate == "JB001"
    await commit(worker.connection, jobs[1:])
    with pytest.raises(asyncpg.PostgresError) as again:
        await commit(worker.connection, jobs[1:])
    assert again.value.sqlstate == "JB001"
    assert await processed(database) == [1, 7, 7]


@pytest.mark.each_postgres
async def test_a_bundle_is_committed_by_its_submitters_login_and_nobody_else(database: Database) -> None:
    worker = await register(database)
    submitter, other = await make_submitter(database), await make_submitter(database)
    for _ in range(2):
        await submitter.submit()
    jobs = await worker.claim(2)
    await other.submit()
    strange = await worker.claim(1)
    daemon = await make_member(database, "jobd_worker", prefix="daemon")
    await begin(daemon, jobs)
    for connection in (daemon, submitter.connection, other.connection, await database.connect(other.login)):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await commit(connection, jobs)
    login = await database.connect(submitter.login)
    with pytest.raises(asyncpg.PostgresError) as mixed:  # one of them is somebody else's
        await commit(login, [*jobs, *strange])
    assert mixed.value.sqlstate == "JB001"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await begin(login, jobs)
    assert len(await commit(login, jobs)) == 2
