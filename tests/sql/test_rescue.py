"""Rescue: liveness decides, never age; the token rises; what was asked of the job is honoured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.sql.jobs import Worker, register, row_of
from tests.sql.roles import make_submitter, submit
from tests.sql.victims import register_rescuer, rescue, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.database import Database

EXPIRE = "update jobd.worker set lease_expires_at = now() - interval '1 s' where id = $1"


@pytest.fixture
async def rescuer(database: Database) -> Worker:
    return await register_rescuer(database)


async def test_a_live_workers_job_is_left_alone_however_old_it_is(database: Database, rescuer: Worker) -> None:
    await start(database)
    await database.execute(
        "set session_replication_role = replica; update jobd.job set started_at = now() - interval '9 d'"
    )
    assert await rescue(rescuer) == []


async def test_an_expired_lease_gives_the_job_back_with_a_higher_token(
    database: Database, rescuer: Worker
) -> None:
    victim, job = await start(database)
    await victim.commit(job, added=5, row=5)
    await database.execute(EXPIRE, victim.id)
    dead = await rescuer.connection.fetch("select * from jobd.dead_workers($1)", rescuer.id)
    assert [row["worker_id"] for row in dead] == [victim.id]
    assert await rescue(rescuer) == [(job["id"], "pending", "lease_expired")]
    row = await row_of(database, job["id"])
    assert (row["lease_token"], row["interrupt_count"], row["lost_lease_count"], row["retry_count"]) == (
        2,
        1,
        1,
        0,
    )
    assert (row["processed_rows"], row["changed_by"]) == (5, "rescuer")
    for late in (victim.beat(), victim.claim()):
        with pytest.raises(asyncpg.PostgresError, match="lost its lease") as refusal:
            await late
        assert refusal.value.sqlstate == "JB003"
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await victim.commit(job, added=1, row=6)
    assert refusal.value.sqlstate == "JB001"
    assert await rescue(rescuer) == []


async def test_whoever_came_back_first_does_not_rescue_the_others(database: Database) -> None:
    """After an outage all leases are over; the first to beat again must give the others their time."""
    first = await register(database)
    await database.execute("update jobd.worker set beating_since = now() - interval '1 day'")
    _victim, _ = await start(database)
    await database.execute(
        "update jobd.worker set"
        " heartbeat_at = now() - interval '20 min', lease_expires_at = now() - interval '10 min'"
    )
    await first.beat()
    assert await rescue(first) == []
    await database.execute(
        "update jobd.worker set beating_since = now() - interval '11 min' where id = $1", first.id
    )
    assert len(await rescue(first)) == 1


async def test_only_a_worker_that_lives_rescues(database: Database, rescuer: Worker) -> None:
    await database.execute(EXPIRE, rescuer.id)
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await rescue(rescuer)
    assert refusal.value.sqlstate == "JB003"


@pytest.mark.parametrize(("request_", "status"), [("cancel", "cancelled"), ("pause", "paused"), (None, "pending")])
async def test_what_was_asked_of_a_dead_workers_job_is_honoured(
    database: Database, rescuer: Worker, request_: str | None, status: str
) -> None:
    victim, job = await start(database)
    if request_:
        await database.execute(f"select jobd.{request_}($1)", job["id"])
    await database.execute(EXPIRE, victim.id)
    assert await rescue(rescuer) == [(job["id"], status, "lease_expired")]


async def test_the_fifth_lost_lease_in_a_row_without_progress_fails_the_job(
    database: Database, rescuer: Worker
) -> None:
    job_id = await submit(rescuer.connection, source="/srv/in/poison.csv")
    for count in range(1, 6):
        victim = await register(database)
        (job,) = await victim.claim()
        if count == 1:
            await victim.commit(job, added=7, row=7)
        await database.execute(EXPIRE, victim.id)
        await rescue(rescuer)
    row = await row_of(database, job_id)
    assert (row["status"], row["error_code"], row["lost_lease_count"]) == ("failed", "worker_lost", 5)
    assert "row 7 of poison.csv" in row["error_message"]


async def test_progress_starts_the_count_of_lost_leases_again(database: Database, rescuer: Worker) -> None:
    job_id = await submit(rescuer.connection)
    for count in range(1, 8):
        victim = await register(database)
        (job,) = await victim.claim()
        await victim.commit(job, added=1, row=count)
        await database.execute(EXPIRE, victim.id)
        await rescue(rescuer)
    assert (await row_of(database, job_id))["status"] == "pending"


async def test_a_rescue_takes_no_more_than_asked_and_passes_over_locked_rows(
    database: Database, rescuer: Worker
) -> None:
    victim = await register(database)
    for _ in range(4):
        await submit(victim.connection)
    jobs = await victim.claim()
    await database.execute(EXPIRE, victim.id)
    application = await database.connect()
    async with application.transaction():
        await application.execute("select jobd.cancel($1)", jobs[0]["id"])
        assert len(await rescue(rescuer, 2)) == 2
        assert len(await rescue(rescuer)) == 1
    assert await rescue(rescuer) == [(jobs[0]["id"], "cancelled", "lease_expired")]


async def test_dead_workers_names_the_logins_whose_connections_may_hold_locks(
    database: Database, rescuer: Worker
) -> None:
    clerk = await make_submitter(database)
    await clerk.submit()
    victim = await register(database)
    await victim.claim()
    await database.execute(EXPIRE, victim.id)
    (row,) = await rescuer.connection.fetch("select * from jobd.dead_workers($1)", rescuer.id)
    assert (row["worker_id"], row["login_names"]) == (victim.id, [clerk.login])


async def test_a_dead_workers_backend_is_ended_by_its_own_role_even_in_the_middle_of_copy(
    database: Database, rescuer: Worker
) -> None:
    clerk = await make_submitter(database)
    application_name = {"application_name": f"jobd:{rescuer.id}"}
    frozen = await database.connect(clerk.login, server_settings=application_name)
    foreign = await database.connect(server_settings=application_name)
    await database.execute(f"create table public.t (n int); grant all on public.t to {clerk.role}")

    async def endless() -> AsyncIterator[bytes]:
        yield b"1\n"
        same_role = await database.connect(clerk.login)
        assert await same_role.fetchval("select jobd.terminate_backends($1)", rescuer.id) == 1
        yield b"2\n"

    with pytest.raises(asyncpg.PostgresConnectionError):
        await frozen.copy_to_table("t", source=endless())
    assert await foreign.fetchval("select 1") == 1


async def test_rows_of_workers_lost_long_ago_are_forgotten(database: Database, rescuer: Worker) -> None:
    victim = await register(database)
    await database.execute(
        "update jobd.worker set lost_at = now() - interval '2 days', lost_reason = 'x' where id = $1", victim.id
    )
    await register(database)
    assert await database.fetchval("select count(*) from jobd.worker where id = $1", victim.id) == 0
