"""Goal: hold a lease, have it taken away, and find no door left open to whoever still has the old token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.support.daemons import submit
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.database import Database

COMMIT = "select * from jobd.commit_batch($1, $2, 1, 0, 0, 0, 0, $3::text::jsonb, 10)"
EXPIRE = "update jobd.worker set lease_expires_at = now() - interval '1 s' where id = $1"
OBSERVE = "update jobd.worker set beating_since = now() - interval '1 hour' where id = $1"


async def commit_row(database: Database, job_id: UUID, token: int, row: int) -> None:
    """A batch as a daemon's session sends it: a row of the target, then the fence."""
    connection = await database.connect()
    async with connection.transaction():
        await connection.execute("insert into public.fenced values ($1)", row)
        await connection.fetchrow(COMMIT, job_id, token, f'{{"row": {row}}}')


@pytest.fixture
async def held(database: Database) -> tuple[SimulatedWorker, UUID]:
    """A worker that has committed one batch of its job."""
    await database.execute("create table public.fenced (row bigint)")
    worker = SimulatedWorker(database)
    await worker.register()
    job_id = await submit(database)
    assert await worker.claim() == [job_id]
    await commit_row(database, job_id, worker.tokens[job_id], 1)
    return worker, job_id


async def test_a_lease_that_was_taken_commits_begins_and_ends_nothing(
    database: Database, held: tuple[SimulatedWorker, UUID]
) -> None:
    late, job_id = held
    old_token = late.tokens[job_id]
    rescuer = SimulatedWorker(database)
    await rescuer.register("rescuer")
    await database.execute(EXPIRE, late.id)
    await database.execute(OBSERVE, rescuer.id)
    await database.execute("select jobd.rescue($1, 10)", rescuer.id)
    assert await database.fetchval("select lease_token from jobd.job where id = $1", job_id) == old_token + 1

    # While it is pending, and again while the successor runs it.
    for successor_runs in (False, True):
        if successor_runs:
            assert await rescuer.claim() == [job_id]
        before = await database.fetchrow("select * from jobd.job where id = $1", job_id)
        with pytest.raises(asyncpg.PostgresError, match="lease") as refused:
            await commit_row(database, job_id, old_token, 2)
        assert refused.value.sqlstate == "JB001"
        with pytest.raises(asyncpg.PostgresError, match="lease") as refused:
            await late.begin(job_id, {"from": "the grave"})
        assert refused.value.sqlstate == "JB001"
        await late.finish(job_id, "failed", "no_business_of_yours")
        assert await database.fetchrow("select * from jobd.job where id = $1", job_id) == before
    assert await database.fetchval("select array_agg(row) from public.fenced") == [1]
    assert rescuer.tokens[job_id] == old_token + 2


async def test_a_batch_that_was_committed_already_is_refused_with_its_rows(
    database: Database, held: tuple[SimulatedWorker, UUID]
) -> None:
    worker, job_id = held
    for row in (1, 0):
        with pytest.raises(asyncpg.PostgresError, match="does not advance") as refused:
            await commit_row(database, job_id, worker.tokens[job_id], row)
        assert refused.value.sqlstate == "JB008"
    await commit_row(database, job_id, worker.tokens[job_id], 2)
    assert await database.fetchval("select array_agg(row order by row) from public.fenced") == [1, 2]
    assert await database.fetchval("select processed_rows from jobd.job where id = $1", job_id) == 2
