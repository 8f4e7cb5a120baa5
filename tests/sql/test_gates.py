"""serial_key and after: who waits for whom, who goes next, and what becomes of those that wait in vain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.sql.jobs import Worker, job_in, register, row_of, somebody_waits, status_of
from tests.sql.roles import make_submitter, submit

if TYPE_CHECKING:
    from tests.support.database import Database


@pytest.fixture
async def worker(database: Database) -> Worker:
    return await register(database)


async def sources(worker: Worker) -> list[str]:
    return [job["source"] for job in await worker.claim()]


async def finish_all(database: Database, worker: Worker, outcome: str = "completed") -> None:
    for job in await database.fetch("select * from jobd.job where status = 'running' order by id"):
        await worker.finish(job, outcome)


async def test_jobs_of_one_serial_key_run_one_at_a_time_in_the_order_of_submission(
    database: Database, worker: Worker
) -> None:
    for source in "abc":
        await submit(worker.connection, source=source, serial_key="k")
    await submit(worker.connection, source="free")
    assert await sources(worker) == ["a", "free"]
    assert await sources(worker) == []
    await finish_all(database, worker)
    assert await sources(worker) == ["b"]
    await finish_all(database, worker, "failed")
    assert await sources(worker) == ["c"], "a failed one lets the next go"


async def test_several_jobs_of_a_key_in_one_insert_are_in_order_too(database: Database, worker: Worker) -> None:
    await database.execute(
        "insert into jobd.job (source, serial_key) select n::text, 'k' from generate_series(1, 5) n"
    )
    for number in range(1, 6):
        assert await sources(worker) == [str(number)]
        await finish_all(database, worker)


async def test_a_paused_or_retried_job_keeps_its_place(database: Database, worker: Worker) -> None:
    first = await submit(worker.connection, source="a", serial_key="k")
    await submit(worker.connection, source="b", serial_key="k")
    await database.execute("select jobd.pause($1)", first)
    assert await sources(worker) == []
    await database.execute("select jobd.resume($1)", first)
    (job,) = await worker.claim()
    await worker.finish(job, "retry", delay_seconds=0.0)
    assert await sources(worker) == ["a"]


async def test_a_cancelled_job_lets_the_next_go(database: Database, worker: Worker) -> None:
    first = await submit(worker.connection, source="a", serial_key="k")
    await submit(worker.connection, source="b", serial_key="k")
    listener = await database.connect()
    heard: list[str] = []
    await listener.add_listener("jobd_job", lambda *call: heard.append(call[3]))
    await database.execute("select jobd.cancel($1)", first)
    await listener.fetchval("select 1")
    assert heard == ["default"], "its worker is woken"
    assert await sources(worker) == ["b"]


async def test_hold_on_failure_keeps_the_next_waiting_until_the_failed_one_is_mended(
    database: Database, worker: Worker
) -> None:
    first = await submit(worker.connection, source="a", serial_key="k", options='{"hold_on_failure": true}')
    await submit(worker.connection, source="b", serial_key="k")
    await worker.claim()
    await finish_all(database, worker, "failed")
    assert await sources(worker) == []
    await database.execute("select jobd.retry($1)", first)
    assert await sources(worker) == ["a"]
    await finish_all(database, worker)
    assert await sources(worker) == ["b"]


async def test_a_retried_job_waits_for_the_later_one_that_runs_by_now(database: Database, worker: Worker) -> None:
    first = await submit(worker.connection, source="a", serial_key="k")
    await submit(worker.connection, source="b", serial_key="k")
    await worker.claim()
    await finish_all(database, worker, "failed")
    assert await sources(worker) == ["b"]
    await database.execute("select jobd.retry($1)", first)
    assert await sources(worker) == []
    await finish_all(database, worker)
    assert await sources(worker) == ["a"]


async def test_two_running_jobs_of_one_key_are_refused_by_the_database(database: Database, worker: Worker) -> None:
    await submit(worker.connection, serial_key="k")
    second = await submit(worker.connection, serial_key="k")
    await worker.claim()
    await database.execute("set role jobd_owner")
    with pytest.raises(asyncpg.UniqueViolationError, match="job_serial_running"):
        await database.execute(
            "update jobd.job set status = 'running', is_held = false, lease_token = 1, worker_id = $2"
            " where id = $1",
            second,
            worker.id,
        )


async def test_serial_keys_of_two_submitters_have_nothing_to_do_with_each_other(
    database: Database, worker: Worker
) -> None:
    one, two = await make_submitter(database), await make_submitter(database)
    await one.submit(source="a", serial_key="k")
    await two.submit(source="b", serial_key="k")
    assert await sources(worker) == ["a", "b"]


async def test_a_job_waits_until_all_it_comes_after_are_completed(database: Database, worker: Worker) -> None:
    first = await submit(worker.connection, source="a")
    second = await submit(worker.connection, source="b")
    await submit(worker.connection, source="c", after=[first, second])
    jobs = {job["source"]: job for job in await worker.claim()}
    assert set(jobs) == {"a", "b"}
    await worker.finish(jobs["a"], "completed")
    assert await sources(worker) == []
    await worker.finish(jobs["b"], "completed")
    assert await sources(worker) == ["c"]


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_a_job_fails_with_the_reason_when_one_it_waits_for_does(
    database: Database, worker: Worker, status: str
) -> None:
    first = await submit(worker.connection)
    second = await submit(worker.connection, after=[first])
    third = await submit(worker.connection, after=[second])
    await worker.claim()
    await finish_all(database, worker, status)
    for waited_for, job_id in ((first, second), (second, third)):
        row = await row_of(database, job_id)
        assert (row["status"], row["error_code"]) == ("failed", "dependency_failed")
        assert str(waited_for) in row["error_message"]


async def test_a_job_after_one_that_ended_already_starts_or_fails_at_once(
    database: Database, worker: Worker
) -> None:
    for status, expected in (("completed", "pending"), ("failed", "failed"), ("cancelled", "failed")):
        ended = await job_in(database, status)
        job_id = await submit(worker.connection, after=[ended])
        assert await status_of(database, job_id) == expected
        assert len(await worker.claim()) == (expected == "pending")


async def test_a_long_chain_fails_to_its_end_by_the_sweep(database: Database, worker: Worker) -> None:
    job_id = first = await submit(worker.connection)
    for _ in range(30):
        job_id = await submit(worker.connection, after=[job_id])
    await database.execute("select jobd.cancel($1)", first)
    while await status_of(database, job_id) == "pending":
        await database.execute(
            "set session_replication_role = replica; update jobd.job set gate_checked_at = null;"
            "reset session_replication_role"
        )
        assert await worker.connection.fetchval("select jobd.open_gates(100)") > 0
    assert await status_of(database, job_id) == "failed"


async def test_the_sweep_lets_go_what_two_transactions_did_not_see_of_each_other(
    database: Database, worker: Worker
) -> None:
    first = await submit(worker.connection, source="a", serial_key="k")
    application = await database.connect()
    transaction = application.transaction()
    await transaction.start()
    await submit(application, source="b", serial_key="k")
    await database.execute("select jobd.cancel($1)", first)
    await transaction.commit()
    assert await sources(worker) == []
    assert await worker.connection.fetchval("select jobd.open_gates(100)") == 1
    assert await sources(worker) == ["b"]
    assert await worker.connection.fetchval("select jobd.open_gates(100)") == 0


async def test_the_sweep_looks_at_those_longest_unchecked_and_no_more_than_asked(
    database: Database, worker: Worker
) -> None:
    first = await submit(worker.connection)
    await database.execute(
        "insert into jobd.job (source, after) select n::text, array[$1::uuid] from generate_series(1, 10) n", first
    )
    assert await worker.connection.fetchval("select jobd.open_gates(4)") == 0
    assert await database.fetchval("select count(*) from jobd.job where gate_checked_at is not null") == 4
    await worker.connection.fetchval("select jobd.open_gates(100)")
    await worker.connection.fetchval("select jobd.open_gates(100)")
    assert (
        await database.fetchval("select count(*) from jobd.job where is_held and gate_checked_at is not null")
        == 10
    )


async def test_a_claim_that_meets_a_retry_of_the_same_key_still_takes_the_others(
    database: Database, worker: Worker
) -> None:
    """The retried job and a later one of its key are claimed at the same moment by two workers."""
    first = await submit(worker.connection, source="a", serial_key="k")
    await submit(worker.connection, source="b", serial_key="k")
    await worker.claim()
    await finish_all(database, worker, "failed")
    other = await register(database)
    transaction = other.connection.transaction()
    await transaction.start()
    assert await sources(other) == ["b"]
    await database.execute("select jobd.retry($1)", first)
    await submit(worker.connection, source="free")
    claiming = asyncio.create_task(worker.claim())
    await somebody_waits(database)
    await transaction.commit()
    assert [job["source"] for job in await claiming] == ["free"]
