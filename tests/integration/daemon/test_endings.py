from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from jobd.db.grants import SubmitterGrant, grant_submitter
from tests.support.daemons import daemon_within, job_row, submit, until, wait_for_status
from tests.support.names import unique

if TYPE_CHECKING:
    from tests.support.database import Database


async def test_what_a_routine_returns_becomes_the_result(database: Database) -> None:
    async with daemon_within(database):
        job_id = await submit(database, "echo", metadata={"answer": [1, "two"]})
        await wait_for_status(database, job_id, "completed")
    job = await job_row(database, job_id)
    assert json.loads(job["result"]) == {"answer": [1, "two"]}
    assert job["progress"] == 100


async def test_a_failure_is_tried_again_after_about_5_seconds(database: Database) -> None:
    async with daemon_within(database):
        job_id = await submit(database, "fail", metadata={"times": 1})
        await until(lambda: database.fetchval("select retry_count from jobd.job"), lambda count: count == 1)
        job = await job_row(database, job_id)
        assert job["status"] == "pending"
        assert timedelta(seconds=3.5) < job["run_at"] - job["updated_at"] < timedelta(seconds=6.5)
        assert job["error_code"] == "handler_error"
        assert job["error_message"] == "RuntimeError: does not work yet"
        await wait_for_status(database, job_id, "completed", within=10)
    job = await job_row(database, job_id)
    assert job["error_code"] is None
    assert job["retry_count"] == 1


async def test_a_source_that_cannot_be_reached_is_tried_again_and_called_so(database: Database) -> None:
    async with daemon_within(database):
        job_id = await submit(database, "fail", metadata={"is_away": True})
        await until(lambda: database.fetchval("select retry_count from jobd.job"), lambda count: count == 1)
        job = await job_row(database, job_id)
    assert (job["status"], job["error_code"]) == ("pending", "source_unavailable")
    assert job["error_message"] == "https://files.example.com/a.csv cannot be reached"


async def test_a_job_fails_after_its_last_retry(database: Database) -> None:
    async with daemon_within(database) as daemon:
        job_id = await submit(database, "fail", max_retries=0)
        await wait_for_status(database, job_id, "failed")

        async def attempts() -> float | None:
            return daemon.metrics.registry.get_sample_value(
                "jobd_job_attempts_total", {"queue": "default", "job_type": "processing", "outcome": "failed"}
            )

        assert await until(attempts) == 1  # counted when the database has said so
    assert (await job_row(database, job_id))["error_code"] == "handler_error"


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"handler": "fail", "metadata": {"for_good": True}}, "broken_for_good"),
        ({"handler": "unheard_of"}, "handler_unknown"),
        ({"handler": "bad_sql", "metadata": {"sql": "select * from nowhere"}}, "target_missing"),
        ({"handler": "bad_sql", "metadata": {"sql": "selekt"}}, "statement_invalid"),
        ({"handler": "bad_result"}, "result_invalid"),
        ({"job_type": "export", "handler": None, "source": "public.written", "target": "/x.csv"}, "not_built"),
        (
            {"job_type": "validation", "handler": None, "source": "/x.csv", "target": "public.w"},
            "source_forbidden",
        ),
    ],
)
async def test_what_cannot_succeed_fails_at_once(
    database: Database, columns: dict[str, object], code: str
) -> None:
    async with daemon_within(database):
        job_id = await submit(database, **columns)  # type: ignore[arg-type]
        await wait_for_status(database, job_id, "failed")
    job = await job_row(database, job_id)
    assert (job["error_code"], job["retry_count"]) == (code, 0)
    assert job["error_message"]


async def test_one_ending_that_the_database_refuses_does_not_hold_up_the_others(database: Database) -> None:
    async with daemon_within(database, concurrency=8):
        bad = await submit(database, "bad_result")
        good = [await submit(database) for _ in range(20)]
        for job_id in good:
            await wait_for_status(database, job_id, "completed")
        await wait_for_status(database, bad, "failed")


async def test_a_batch_runs_with_the_rights_of_the_jobs_submitter(database: Database) -> None:
    role = unique("clerk")
    await database.execute(f"create role {role} login")
    login = await grant_submitter(await database.connect(), SubmitterGrant(role=role))
    await database.execute(
        "create table public.written (job_id uuid, number int, by text default current_user,"
        " at text default session_user)"
    )
    await database.execute(f"grant select, insert on public.written to {role}")
    await database.execute("create table public.secret (number int)")
    clerk = await database.connect(role)
    job_id = await clerk.fetchval(
        "insert into jobd.job (job_type, handler, metadata)"
        """ values ('processing', 'write_rows', '{"rows": 2}') returning id"""
    )
    forbidden = await clerk.fetchval(
        "insert into jobd.job (job_type, handler, metadata)"
        """ values ('processing', 'bad_sql', '{"sql": "insert into public.secret values (1)"}') returning id"""
    )
    async with daemon_within(database):
        await wait_for_status(database, job_id, "completed", "failed")
        await wait_for_status(database, forbidden, "failed")
    assert (await job_row(database, job_id))["error_message"] is None
    written = [tuple(row) for row in await database.fetch("select by, at from public.written")]
    assert written == [(role, login), (role, login)]
    assert (await job_row(database, forbidden))["error_code"] == "no_privilege"


async def test_a_submitter_whose_login_was_taken_away_fails_the_job(database: Database) -> None:
    role = unique("clerk")
    await database.execute(f"create role {role} login")
    await grant_submitter(await database.connect(), SubmitterGrant(role=role))
    clerk = await database.connect(role)
    job_id = await clerk.fetchval(
        "insert into jobd.job (job_type, handler) values ('processing', 'write_rows') returning id"
    )
    await database.execute("delete from jobd.submitter")
    async with daemon_within(database):
        await wait_for_status(database, job_id, "failed")
    job = await job_row(database, job_id)
    assert job["error_code"] == "no_privilege"
    assert f"jobd grant {role}" in job["error_message"]


async def test_a_routine_can_write_to_the_jobs_log(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "say_something")
        await wait_for_status(target, job_id, "completed")
    row = await target.fetchrow("select level, event, data from jobd.job_log where job_id = $1", job_id)
    assert row is not None
    assert (row["level"], row["event"], json.loads(row["data"])) == ("info", "half way", {"share": 0.5})


async def test_nothing_of_a_job_is_left_on_the_connection_for_the_next(target: Database) -> None:
    sql = "create temp table leftover (x int); set statement_timeout = '1s'; select pg_advisory_lock(7)"
    async with daemon_within(target, concurrency=1):
        await wait_for_status(target, await submit(target, "bad_sql", metadata={"sql": sql}), "completed")
        # The same connection, if it is used again, could not make the table a second time.
        await wait_for_status(target, await submit(target, "bad_sql", metadata={"sql": sql}), "completed")
        assert await target.fetchval("select count(*) from pg_locks where locktype = 'advisory'") == 0


async def test_a_job_that_cannot_run_on_this_host_waits_and_says_why(database: Database) -> None:
    async with daemon_within(database):
        job_id = await submit(database, "not_here")
        await until(lambda: database.fetchval("select waiting_reason from jobd.job"))
        job = await job_row(database, job_id)
        assert job["status"] == "pending"
        assert job["waiting_reason"] == "the directory /mnt/in is not mounted on this host"
        assert (job["retry_count"], job["error_code"]) == (0, None)
        assert job["run_at"] > job["updated_at"]
