"""idempotency_key: one job that is neither failed nor cancelled, per submitter and key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.sql.jobs import job_in, register, somebody_waits, status_of
from tests.sql.roles import make_submitter, submit

if TYPE_CHECKING:
    from tests.support.database import Database

SUBMIT = "select jobd.submit('/srv/in/a.csv', 'public.t', idempotency_key => 'k')"
ON_CONFLICT = (
    "insert into jobd.job (source, idempotency_key) values ('a', 'k') on conflict do nothing returning id"
)


async def test_a_second_insert_raises_unique_violation_naming_the_job(database: Database) -> None:
    job_id = await submit(await database.connect(), idempotency_key="k")
    with pytest.raises(asyncpg.UniqueViolationError, match=str(job_id)) as refusal:
        await submit(await database.connect(), idempotency_key="k")
    assert refusal.value.constraint_name == "job_idempotency_key"
    assert "jobd.submit" in (refusal.value.hint or "")


async def test_an_insert_inside_a_function_of_the_application_names_the_job_too(database: Database) -> None:
    job_id = await submit(await database.connect(), idempotency_key="k")
    await database.execute(
        "create function public.app() returns void language plpgsql as"
        " $$ begin insert into jobd.job (source, idempotency_key) values ('a', 'k'); end $$"
    )
    with pytest.raises(asyncpg.UniqueViolationError, match=str(job_id)):
        await database.execute("select public.app()")


async def test_on_conflict_do_nothing_does_nothing(database: Database) -> None:
    await submit(await database.connect(), idempotency_key="k")
    assert await database.fetchval(ON_CONFLICT) is None
    await database.execute(
        "create function public.app() returns void language plpgsql as"
        f" $$ begin {ON_CONFLICT.removesuffix(' returning id')}; end $$;"
        "create function public.app_sql() returns uuid language sql as"
        f" $$ {ON_CONFLICT} $$;"
        f"prepare app as {ON_CONFLICT}"
    )
    await database.execute("select public.app()")
    await database.execute("select public.app_sql()")
    await database.execute("execute app")
    assert await database.fetchval("select count(*) from jobd.job") == 1


async def test_on_conflict_do_nothing_works_under_row_level_security(database: Database) -> None:
    clerk = await make_submitter(database)
    assert await clerk.connection.fetchval(ON_CONFLICT) is not None
    assert await clerk.connection.fetchval(ON_CONFLICT) is None


async def test_submit_gives_the_existing_jobs_id(database: Database) -> None:
    first = await database.fetchval(SUBMIT)
    assert await database.fetchval(SUBMIT) == first
    other = await database.fetchval("select jobd.submit('/srv/in/b.csv', idempotency_key => 'other')")
    assert other != first
    assert await database.fetchval("select jobd.submit('/srv/in/b.csv')") not in {first, other}


async def test_submit_takes_null_for_a_default(database: Database) -> None:
    job_id = await database.fetchval(
        "select jobd.submit('a', 't', options => null, job_type => null, queue => null, priority => null,"
        " run_at => null, metadata => null, max_retries => null, pause_requested => null)"
    )
    row = await database.fetchrow(
        "select queue, priority, max_retries, options from jobd.job where id = $1", job_id
    )
    assert tuple(row or ()) == ("default", "normal", 3, "{}")


async def test_five_concurrent_submits_with_one_key_give_one_job_and_all_five_its_id(database: Database) -> None:
    clerk = await make_submitter(database)
    connections = [await database.connect(clerk.role) for _ in range(5)]

    async def submit_slowly(connection: asyncpg.Connection) -> UUID:
        async with connection.transaction():
            job_id: UUID = await connection.fetchval(SUBMIT)
            await connection.fetchval("select pg_sleep(0.02)")  # the others arrive while this one is uncommitted
            return job_id

    ids = await asyncio.gather(*map(submit_slowly, connections))
    assert len(set(ids)) == 1
    assert await database.fetchval("select count(*) from jobd.job") == 1


async def test_a_submit_that_waited_for_a_rollback_inserts(database: Database) -> None:
    one, two = await database.connect(), await database.connect()
    transaction = one.transaction()
    await transaction.start()
    gone = await one.fetchval(SUBMIT)
    waiting = asyncio.create_task(two.fetchval(SUBMIT))
    await somebody_waits(database)
    await transaction.rollback()
    job_id = await waiting
    assert job_id != gone
    assert await status_of(database, job_id) == "pending"


async def test_submit_in_repeatable_read_asks_for_a_new_transaction(database: Database) -> None:
    one = await database.connect()
    async with one.transaction(isolation="repeatable_read"):
        await one.fetchval("select count(*) from jobd.job")
        await database.fetchval(SUBMIT)
        with pytest.raises(asyncpg.SerializationError):
            await one.fetchval(SUBMIT)


async def test_submit_with_an_id_that_is_taken_says_so(database: Database) -> None:
    job_id = uuid4()
    await database.execute("select jobd.submit('a', id => $1)", job_id)
    with pytest.raises(asyncpg.UniqueViolationError, match=str(job_id)):
        await database.execute("select jobd.submit('b', id => $1)", job_id)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_key_is_free_again_when_its_job_failed_or_was_cancelled(database: Database, status: str) -> None:
    ended = await job_in(database, status, idempotency_key="k")
    holder = await submit(await database.connect(), idempotency_key="k")
    with pytest.raises(asyncpg.UniqueViolationError, match=str(holder)):
        await database.execute("select jobd.retry($1)", ended)
    assert await status_of(database, ended) == status
    await database.execute("select jobd.cancel($1)", holder)
    assert await database.fetchval("select jobd.retry($1)", ended)


async def test_a_completed_job_keeps_its_key(database: Database) -> None:
    job_id = await job_in(database, "completed", idempotency_key="k")
    assert await database.fetchval(SUBMIT) == job_id


async def test_two_submitters_may_use_the_same_key(database: Database) -> None:
    one, two = await make_submitter(database), await make_submitter(database)
    assert await one.connection.fetchval(SUBMIT) != await two.connection.fetchval(SUBMIT)
    assert len(await (await register(database)).claim()) == 2
