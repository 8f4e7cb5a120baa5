from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.support.daemons import daemon_process, daemon_within, job_row, submit, until, wait_for_status

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

ALL_COMPLETED = "select count(*) from jobd.job where status <> 'completed'"


async def completed(database: Database) -> None:
    await until(lambda: database.fetchval(ALL_COMPLETED), lambda left: left == 0, within=60)


async def order_of_starts(database: Database) -> list[str]:
    rows = await database.fetch("select filename from jobd.job order by started_at, lease_token, id")
    return [row["filename"] for row in rows]


async def test_two_daemons_racing_for_2000_jobs_run_each_once(target: Database, tmp_path: Path) -> None:
    await target.execute(
        "insert into jobd.job (job_type, handler, metadata)"
        """ select 'processing', 'write_rows', '{"rows": 1}' from generate_series(1, 2000)"""
    )
    with (
        daemon_process(target, tmp_path, instance="one", concurrency=8),
        daemon_process(target, tmp_path, instance="two", concurrency=8),
    ):
        await completed(target)
    assert await target.fetchval("select count(*) from public.written") == 2000
    assert (
        await target.fetchval("select count(*) from jobd.job where lease_token <> 1 or interrupt_count > 0") == 0
    )
    by_worker = await target.fetch(
        "select actor, count(*) from jobd.job_event where new_status = 'running' group by actor"
    )
    assert sum(row["count"] for row in by_worker) == 2000
    assert {row["actor"] for row in by_worker} == {"one", "two"}


async def test_a_job_inserted_later_is_started_without_waiting_for_the_poll(database: Database) -> None:
    async with daemon_within(database, poll_seconds=600):
        await wait_for_status(database, await submit(database), "completed", within=5)


async def test_without_notifications_jobs_are_found_by_polling(database: Database) -> None:
    async with daemon_within(database, notify="off", poll_seconds=0.2) as daemon:
        await wait_for_status(database, await submit(database), "completed", within=5)
        assert daemon.readiness().degraded


async def test_a_job_that_is_rolled_back_never_existed(database: Database) -> None:
    async with daemon_within(database):
        other = await database.connect()
        transaction = other.transaction()
        await transaction.start()
        await other.execute("insert into jobd.job (job_type, handler) values ('processing', 'nothing')")
        await transaction.rollback()
        await wait_for_status(database, await submit(database), "completed")
        assert await database.fetchval("select count(*) from jobd.job") == 1


async def test_waiting_jobs_start_by_priority_then_run_at(database: Database) -> None:
    now = datetime.now(UTC)
    for name, priority, age in (("d", "low", 9), ("c", "normal", 1), ("b", "normal", 5), ("a", "high", 0)):
        await submit(database, "stamp", priority=priority, run_at=now - timedelta(seconds=age), filename=name)
    async with daemon_within(database, concurrency=1):
        await completed(database)
    rows = await database.fetch("select filename from jobd.job order by (result ->> 'at')::float8")
    assert [row["filename"] for row in rows] == ["a", "b", "c", "d"]


async def test_a_job_waits_for_its_run_at_and_starts_then(database: Database) -> None:
    async with daemon_within(database, poll_seconds=600):
        run_at = datetime.now(UTC) + timedelta(seconds=0.8)
        job_id = await submit(database, run_at=run_at)
        await wait_for_status(database, job_id, "completed", within=5)
    started_at = (await job_row(database, job_id))["started_at"]
    assert timedelta(0) <= started_at - run_at < timedelta(seconds=0.5)


async def test_jobs_of_one_serial_key_run_one_at_a_time_in_order(target: Database) -> None:
    for name in "abc":
        await submit(
            target, "write_rows", metadata={"rows": 2, "pause": 0.05}, serial_key="customer 7", filename=name
        )
    async with daemon_within(target, concurrency=4):
        await completed(target)
    assert await order_of_starts(target) == ["a", "b", "c"]
    overlaps = await target.fetchval(
        "select count(*) from jobd.job a join jobd.job b on a.id < b.id and b.started_at < a.completed_at"
    )
    assert overlaps == 0


async def test_a_job_starts_after_the_jobs_it_waits_for_have_completed(target: Database) -> None:
    first = await submit(target, "write_rows", metadata={"rows": 3, "pause": 0.05}, filename="first")
    second = await submit(target, after=[first], filename="second")
    async with daemon_within(target, poll_seconds=600):
        await wait_for_status(target, second, "completed")
    assert await order_of_starts(target) == ["first", "second"]


async def test_a_job_fails_when_one_that_it_waits_for_failed(database: Database) -> None:
    first = await submit(database, "fail", metadata={"for_good": True})
    second = await submit(database, after=[first])
    async with daemon_within(database):
        await wait_for_status(database, second, "failed")


async def test_nothing_is_claimed_from_a_paused_queue_until_it_resumes(database: Database) -> None:
    await database.execute("select jobd.pause_queue('default')")
    waits = await submit(database)
    async with daemon_within(database, queues="default,other"):
        await wait_for_status(database, await submit(database, queue="other"), "completed")
        assert (await job_row(database, waits))["status"] == "pending"
        await database.execute("select jobd.resume_queue('default')")
        await wait_for_status(database, waits, "completed", within=5)


async def test_only_the_named_queues_are_served(database: Database) -> None:
    elsewhere = await submit(database, queue="elsewhere")
    async with daemon_within(database):
        await wait_for_status(database, await submit(database), "completed")
    assert (await job_row(database, elsewhere))["status"] == "pending"


async def test_no_more_jobs_run_at_once_than_there_are_slots(target: Database) -> None:
    for _ in range(6):
        await submit(target, "sleep", metadata={"seconds": 0.2})
    async with daemon_within(target, concurrency=2) as daemon:
        most = 0
        while await target.fetchval(ALL_COMPLETED):
            most = max(most, daemon._lanes.used)
    assert most == 2


async def test_short_jobs_claimed_ahead_of_a_long_one_are_handed_back(database: Database) -> None:
    await database.execute(
        "insert into jobd.job (job_type, handler) select 'processing', 'nothing' from generate_series(1, 200)"
    )
    async with daemon_within(database, concurrency=1) as daemon:
        await completed(database)
        assert daemon._lanes._waiting_max > 10  # it has learnt that these jobs are short
        await database.execute(
            "insert into jobd.job (job_type, handler, metadata, filename)"
            """ select 'processing', case n when 1 then 'sleep' else 'nothing' end, '{"seconds": 5}', n::text"""
            " from generate_series(1, 20) n"
        )
        # The long job holds the only slot; another daemon gets the ones behind it.
        async with daemon_within(database, concurrency=1):
            await until(lambda: database.fetchval(ALL_COMPLETED), lambda left: left == 1, within=10)
        long_job = await database.fetchrow("select * from jobd.job where status = 'running'")
        assert long_job is not None
        assert long_job["handler"] == "sleep"
        await database.execute("select jobd.cancel($1)", long_job["id"])
        await wait_for_status(database, long_job["id"], "cancelled")
    assert await database.fetchval("select max(retry_count) from jobd.job") == 0
