"""Claiming: order, queues, leases, workers side by side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from tests.sql.jobs import register, row_of
from tests.sql.roles import submit

if TYPE_CHECKING:
    from tests.support.database import Database


async def test_jobs_are_claimed_by_priority_then_run_at_then_id(database: Database) -> None:
    worker = await register(database)
    await database.execute("insert into jobd.job (source, priority, run_at) select * from (values"
        " ('e', 'low', now() - interval '9 h'), ('c', 'normal', now()), ('d', 'normal', now()),"
        " ('b', 'normal', now() - interval '1 h'), ('a', 'high', now()), ('later', 'high', now() + interval '1 h')"
        ") v (source, priority, run_at)")  # fmt: skip
    assert [job["source"] for job in await worker.claim(3)] == ["a", "b", "c"]
    assert [job["source"] for job in await worker.claim(3)] == ["d", "e"]
    assert await worker.claim() == []


async def test_a_claim_over_several_queues_keeps_the_order_and_the_limit(database: Database) -> None:
    worker = await register(database)
    await database.execute(
        "insert into jobd.job (source, queue, run_at)"
        " select n::text, 'q' || n % 3, now() - n * interval '1 s' from generate_series(1, 30) n"
    )
    claimed = await worker.claim(7, ("q0", "q1", "q2"))
    assert [int(job["source"]) for job in claimed] == [30, 29, 28, 27, 26, 25, 24]
    assert {job["queue"] for job in await worker.claim(100, ("q1",))} == {"q1"}
    assert await worker.claim(100, ("other",)) == []


async def test_a_claimed_job_runs_under_a_lease_whose_token_rose(database: Database) -> None:
    worker = await register(database)
    job_id = await submit(worker.connection)
    (job,) = await worker.claim()
    row = await row_of(database, job_id)
    assert (row["status"], row["worker_id"], row["lease_token"], row["version"]) == ("running", worker.id, 1, 2)
    assert row["started_at"] == row["claimed_at"]
    await worker.finish(job, "interrupted")
    (job,) = await worker.claim()
    assert job["lease_token"] == 2
    assert job["started_at"] == row["started_at"], "the first start stays"


async def test_a_limit_by_job_type_leaves_the_others(database: Database) -> None:
    worker = await register(database)
    await submit(worker.connection, job_type="processing", handler="noop")
    await submit(worker.connection)
    rows = await worker.connection.fetch(
        "select job_type from jobd.claim($1, '{default}', 10, '{processing}')", worker.id
    )
    assert [row[0] for row in rows] == ["processing"]


async def test_two_workers_racing_for_jobs_never_get_the_same_one(database: Database) -> None:
    workers = [await register(database) for _ in range(4)]
    await database.execute("insert into jobd.job (source) select 's' from generate_series(1, 1000)")
    claimed: list[str] = []

    async def drain(worker: object) -> None:
        while jobs := await worker.claim(7):  # type: ignore[attr-defined]
            claimed.extend(job["id"] for job in jobs)

    await asyncio.gather(*map(drain, workers))
    assert len(claimed) == len(set(claimed)) == 1000


async def test_a_locked_job_is_passed_over(database: Database) -> None:
    worker = await register(database)
    first, second = await submit(worker.connection), await submit(worker.connection)
    application = await database.connect()
    async with application.transaction():
        await application.execute("select jobd.set_priority($1, 'low')", first)
        assert [job["id"] for job in await worker.claim()] == [second]


async def test_a_paused_queue_gives_no_jobs_until_it_resumes_and_running_jobs_go_on(database: Database) -> None:
    worker = await register(database)
    await submit(worker.connection)
    (running,) = await worker.claim()
    await submit(worker.connection)
    await database.execute("select jobd.pause_queue('default')")
    assert await worker.claim() == []
    assert await worker.connection.fetchval("select jobd.next_due_at('{default}')") is None
    assert (await worker.finish(running, "completed")) is not None
    listener = await database.connect()
    heard: list[str] = []
    await listener.add_listener("jobd_job", lambda *call: heard.append(call[3]))
    await database.execute("select jobd.resume_queue('default')")
    await listener.fetchval("select 1")
    assert heard == ["default"]
    assert len(await worker.claim()) == 1


async def test_a_queue_paused_until_a_time_resumes_by_itself(database: Database) -> None:
    worker = await register(database)
    await submit(worker.connection)
    await database.execute("select jobd.pause_queue('default', now() + interval '1 hour')")
    assert await worker.claim() == []
    due = await database.fetchval("select jobd.next_due_at('{default}') > now() + interval '59 minutes'")
    assert due
    await database.execute("update jobd.queue set resume_at = now() - interval '1 s'")
    assert len(await worker.claim()) == 1


async def test_an_unknown_queue_cannot_be_resumed(database: Database) -> None:
    with pytest.raises(asyncpg.NoDataFoundError, match="there is no queue"):
        await database.execute("select jobd.resume_queue('nowhere')")
    with pytest.raises(asyncpg.CheckViolationError):
        await database.execute("select jobd.pause_queue('no such name!')")


async def test_next_due_at_is_the_earliest_time_ahead(database: Database) -> None:
    connection = await database.connect()
    assert await connection.fetchval("select jobd.next_due_at('{default}')") is None
    await submit(connection)
    await connection.execute(
        "insert into jobd.job (source, priority, run_at, queue) values"
        " ('a', 'low', now() + interval '1 h', 'default'), ('b', 'high', now() + interval '2 h', 'default'),"
        " ('c', 'high', now() + interval '1 min', 'other')"
    )
    minutes = "select round(extract(epoch from jobd.next_due_at($1) - now()) / 60)::int"
    assert await connection.fetchval(minutes, ["default"]) == 60
    assert await connection.fetchval(minutes, ["default", "other"]) == 1


async def test_a_worker_that_is_not_registered_or_was_lost_claims_nothing(database: Database) -> None:
    worker = await register(database)
    await submit(worker.connection)
    with pytest.raises(asyncpg.PostgresError, match="not registered") as refusal:
        await worker.connection.fetch("select * from jobd.claim($1, '{default}', 1)", uuid4())
    assert refusal.value.sqlstate == "JB003"
    await database.execute("update jobd.worker set lease_expires_at = now() - interval '1 s'")
    with pytest.raises(asyncpg.PostgresError, match="lost its lease") as refusal:
        await worker.claim()
    assert refusal.value.sqlstate == "JB003"
    await worker.beat()
    assert len(await worker.claim()) == 1


async def test_a_heartbeat_brings_back_the_jobs_and_what_is_asked_of_them(database: Database) -> None:
    worker, other = await register(database), await register(database)
    for _ in range(3):
        await submit(worker.connection)
    one, two = await worker.claim(2)
    await other.claim(1)
    await database.execute("select jobd.cancel($1)", one["id"])
    await database.execute("select jobd.pause($1)", two["id"])
    assert {tuple(row) for row in await worker.beat()} == {
        (one["id"], 1, True, False),
        (two["id"], 1, False, True),
    }


async def test_a_worker_leaves_only_with_empty_hands(database: Database) -> None:
    worker = await register(database)
    await submit(worker.connection)
    (job,) = await worker.claim()
    with pytest.raises(asyncpg.ObjectInUseError, match="still holds 1 jobs"):
        await worker.connection.execute("select jobd.deregister_worker($1)", worker.id)
    await worker.finish(job, "interrupted")
    await worker.connection.execute("select jobd.deregister_worker($1)", worker.id)
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await worker.beat()
    assert refusal.value.sqlstate == "JB003"


async def test_registering_twice_is_one_worker(database: Database) -> None:
    worker = await register(database)
    await worker.connection.execute(
        "select jobd.register_worker($1, 'worker', 'host', 1, '0.1', '{default}', 4, 10)", worker.id
    )
    assert await database.fetchval("select count(*) from jobd.worker") == 1


async def test_queues_are_sampled_with_counts_and_the_age_of_the_oldest_due_job(database: Database) -> None:
    worker = await register(database)
    await database.execute(
        "insert into jobd.job (source, queue, run_at, pause_requested, serial_key) values"
        " ('a', 'q', now() - interval '100 s', false, null), ('b', 'q', now() + interval '1 h', false, null),"
        " ('c', 'q', now(), true, null), ('d', 'default', now(), false, 'k'), ('e', 'default', now(), false, 'k')"
    )
    await worker.claim(1)
    rows = await database.fetch("select * from jobd.sample_queues()")
    assert {(row["queue"], row["status"]): row["jobs"] for row in rows} == {
        ("default", "pending"): 1, ("default", "running"): 1, ("default", "paused"): 0,
        ("q", "pending"): 2, ("q", "running"): 0, ("q", "paused"): 1,
    }  # fmt: skip
    ages = {row["queue"]: row["oldest_due_age_seconds"] for row in rows if row["status"] == "pending"}
    assert ages["default"] == 0
    assert 100 <= ages["q"] < 160


async def test_a_queues_objective_is_kept_and_told_with_what_waits_for_longer(database: Database) -> None:
    await database.execute("select jobd.set_queue_objective('mail', 120)")
    for minutes in (1, 3, 5):
        await database.execute(
            "insert into jobd.job (source, target, queue, run_at)"
            f" values ('/a', 'public.t', 'mail', now() - interval '{minutes} min')"
        )
    sample = (
        "select overdue, wait_objective_seconds from jobd.sample_queues() where queue = $1 and status = 'pending'"
    )
    row = await database.fetchrow(sample, "mail")
    assert tuple(row or ()) == (2, 120)
    await database.execute("select jobd.set_queue_objective('mail', 600)")
    assert await database.fetchval(sample, "mail") == 0


@pytest.mark.parametrize(("queue", "seconds"), [("mail", "0"), ("mail", None), ("mail", "inf"), ("no such!", "1")])
async def test_an_objective_that_cannot_be_one_is_refused(
    database: Database, queue: str, seconds: str | None
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refused:
        await database.execute("select jobd.set_queue_objective($1, $2::text::float8)", queue, seconds)
    assert refused.value.sqlstate in {"22023", "23514"}
