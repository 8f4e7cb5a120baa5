"""finish: what an outcome makes of a job, given what was asked of it meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.sql.jobs import register, row_of
from tests.sql.roles import submit

if TYPE_CHECKING:
    from tests.support.database import Database

OUTCOMES = ("completed", "failed", "retry", "cancelled", "paused", "interrupted", "waiting")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (None, ("completed", "failed", "pending", "cancelled", "pending", "pending", "pending")),
        ("pause", ("completed", "failed", "paused", "cancelled", "paused", "paused", "paused")),
        ("cancel", ("cancelled",) * 7),
    ],
)
async def test_each_outcome_meets_each_request(
    database: Database, request_: str | None, expected: tuple[str, ...]
) -> None:
    worker = await register(database)
    for outcome, status in zip(OUTCOMES, expected, strict=True):
        job_id = await submit(worker.connection)
        job = next(row for row in await worker.claim() if row["id"] == job_id)
        if request_:
            await database.execute(f"select jobd.{request_}($1)", job_id)
        answer = await worker.finish(job, outcome, error_code="code", error_message="why", delay_seconds=3600.0)
        assert answer is not None
        row = await row_of(database, job_id)
        assert (answer["status"], row["status"]) == (status, status), outcome
        assert (row["worker_id"], row["cancel_requested"], row["pause_requested"]) == (None, False, False)
        assert row["version"] == answer["version"]


async def test_a_retry_counts_waits_and_fails_when_there_is_none_left(database: Database) -> None:
    worker = await register(database)
    job_id = await submit(worker.connection, max_retries=1)
    (job,) = await worker.claim()
    await worker.finish(job, "retry", error_code="unreachable", error_message="no route", delay_seconds=60.0)
    row = await row_of(database, job_id)
    assert (row["status"], row["retry_count"], row["interrupt_count"]) == ("pending", 1, 0)
    assert (row["error_code"], row["error_message"]) == ("unreachable", "no route")
    assert await worker.claim() == []
    assert await database.fetchval("select run_at > now() + interval '50 s' from jobd.job")
    await database.execute("set session_replication_role = replica; update jobd.job set run_at = now()")
    (job,) = await worker.claim()
    await worker.finish(job, "retry", error_code="unreachable", error_message="no route")
    row = await row_of(database, job_id)
    assert (row["status"], row["retry_count"], row["error_code"]) == ("failed", 1, "unreachable")


async def test_an_interruption_is_not_a_failure(database: Database) -> None:
    worker = await register(database)
    job_id = await submit(worker.connection)
    for count in (1, 2):
        (job,) = await worker.claim()
        await worker.finish(job, "interrupted")
        row = await row_of(database, job_id)
        assert (row["status"], row["retry_count"], row["interrupt_count"]) == ("pending", 0, count)
    (job,) = await worker.claim()
    await worker.finish(job, "waiting", error_message="/srv is not mounted", delay_seconds=0.0)
    row = await row_of(database, job_id)
    assert (row["waiting_reason"], row["retry_count"], row["interrupt_count"]) == ("/srv is not mounted", 0, 2)
    await worker.claim()
    assert (await row_of(database, job_id))["waiting_reason"] is None


async def test_a_completed_job_is_whole(database: Database) -> None:
    worker = await register(database)
    job_id = await submit(worker.connection, file_hash="a" * 64, options='{"key": ["id"]}')
    (job,) = await worker.claim()
    await worker.commit(job, added=7, row=7, progress=50.0)
    await worker.finish(job, "completed", result=json.dumps({"note": 1}))
    row = await row_of(database, job_id)
    assert (row["progress"], row["total_rows"], json.loads(row["result"])) == (100, 7, {"note": 1})
    assert row["ran_seconds"] > 0
    ledger = await database.fetchrow("select * from jobd.import_ledger")
    assert ledger is not None
    assert (ledger["job_id"], ledger["file_hash"], ledger["processed_rows"]) == (job_id, "a" * 64, 7)
    assert json.loads(ledger["settings"]) == {"key": ["id"], "columns": {}, "constants": {}}


async def test_content_with_refused_rows_or_without_rows_is_not_in_the_ledger(database: Database) -> None:
    worker = await register(database)
    for refused in (1, 0):
        await submit(worker.connection, file_hash="a" * 64)
        (job,) = await worker.claim()
        await worker.commit(job, added=7 * refused, refused=refused, row=8 * refused)
        await worker.finish(job, "completed")
    assert await database.fetchval("select count(*) from jobd.import_ledger") == 0


async def test_a_duplicate_names_its_original(database: Database) -> None:
    worker = await register(database)
    original = await submit(worker.connection)
    copy = await submit(worker.connection)
    jobs = {job["id"]: job for job in await worker.claim()}
    await worker.finish(jobs[copy], "completed", result=json.dumps({"duplicate_of": str(original)}))
    row = await row_of(database, copy)
    assert (row["duplicate_of"], row["processed_rows"], row["progress"]) == (original, 0, 100)


async def test_a_group_ends_under_its_leases_and_the_others_are_not_in_the_answer(database: Database) -> None:
    worker = await register(database)
    for _ in range(4):
        await submit(worker.connection)
    one, two, three, four = await worker.claim()
    await database.execute("select jobd.release($1)", two["id"])
    application = await database.connect()
    async with application.transaction():
        await application.execute("select jobd.pause($1)", three["id"])
        ids = [job["id"] for job in (one, two, three, four)]
        rows = await worker.connection.fetch(
            "select * from jobd.finish($1, '{1,1,1,7}', '{completed,completed,completed,completed}')", ids
        )
        assert [tuple(row) for row in rows] == [(one["id"], "completed", 3)]
    assert await worker.finish(one, "failed") is None, "an attempt ends once"
    assert [row["job_id"] for row in await worker.beat()] == [three["id"], four["id"]]


async def test_an_unknown_outcome_is_refused(database: Database) -> None:
    worker = await register(database)
    await submit(worker.connection)
    (job,) = await worker.claim()
    with pytest.raises(asyncpg.InvalidParameterValueError, match="unknown outcome: done"):
        await worker.finish(job, "done")


async def test_the_events_of_a_life_name_who_and_why(database: Database) -> None:
    worker = await register(database, name="host-1")
    job_id = await submit(worker.connection)
    (job,) = await worker.claim()
    await worker.finish(job, "failed", error_code="source_missing", error_message="no such file")
    rows = await database.fetch(
        "select new_status, actor, reason, data::json ->> 'error_code' as code from jobd.job_event"
        " where job_id = $1 order by id",
        job_id,
    )
    assert [tuple(row) for row in rows] == [
        ("pending", "postgres", None, None),
        ("running", "host-1", None, None),
        ("failed", "host-1", "no such file", "source_missing"),
    ]
