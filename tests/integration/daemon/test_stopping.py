from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.daemons import daemon_process, daemon_within, job_row, submit, until, wait_for_status

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.support.database import Database

LONG = {"rows": 100_000, "pause": 0.005}


async def rows_of(database: Database, job_id: UUID) -> int:
    return int(await database.fetchval("select count(*) from public.written where job_id = $1", job_id))


async def writing(database: Database, job_id: UUID) -> None:
    """Wait until the job has committed a batch."""
    await until(lambda: rows_of(database, job_id))


async def assert_rows_equal_counters(database: Database, job_id: UUID) -> None:
    assert await rows_of(database, job_id) == (await job_row(database, job_id))["processed_rows"]


async def test_cancel_of_a_running_job_takes_effect_within_100_ms(target: Database) -> None:
    seconds = []
    async with daemon_within(target):
        for _ in range(20):
            job_id = await submit(target, "write_rows", metadata=LONG)
            await writing(target, job_id)
            assert await target.fetchval("select jobd.cancel($1, 'no longer needed')", job_id)
            returned_at = time.monotonic()
            await wait_for_status(target, job_id, "cancelled", within=5)
            seconds.append(time.monotonic() - returned_at)
            await assert_rows_equal_counters(target, job_id)
    assert statistics.median(seconds) < 0.1, seconds
    assert max(seconds) < 0.5, seconds
    assert (await job_row(target, job_id))["cancellation_reason"] == "no longer needed"


async def test_cancel_rolls_the_open_batch_back(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "hold_row")
        await wait_for_status(target, job_id, "running")
        await until(lambda: target.fetchval("select count(*) from pg_locks where relation = 'written'::regclass"))
        await target.execute("select jobd.cancel($1)", job_id)
        await wait_for_status(target, job_id, "cancelled", within=2)
    assert await rows_of(target, job_id) == 0


async def test_pause_stops_after_the_open_batch_and_resume_continues_exactly(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "write_rows", metadata={"rows": 60, "pause": 0.01})
        await writing(target, job_id)
        await target.execute("select jobd.pause($1)", job_id)
        returned_at = time.monotonic()
        await wait_for_status(target, job_id, "paused", within=5)
        assert time.monotonic() - returned_at < 0.5
        await assert_rows_equal_counters(target, job_id)
        paused_at = await rows_of(target, job_id)
        assert 0 < paused_at < 60
        await target.execute("select jobd.resume($1)", job_id)
        await wait_for_status(target, job_id, "completed")
    job = await job_row(target, job_id)
    assert await rows_of(target, job_id) == 60 == job["processed_rows"]
    assert job["retry_count"] == 0


@pytest.mark.parametrize(("flag", "status"), [("cancel_requested", "cancelled"), ("pause_requested", "paused")])
async def test_setting_the_flag_column_does_what_the_function_does(
    target: Database, flag: str, status: str
) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "write_rows", metadata=LONG)
        await writing(target, job_id)
        await target.execute(f"update jobd.job set {flag} = true where id = $1", job_id)
        await wait_for_status(target, job_id, status, within=2)
        await assert_rows_equal_counters(target, job_id)


@pytest.mark.parametrize(("function", "status"), [("cancel", "cancelled"), ("pause", "paused")])
async def test_stops_work_with_notifications_switched_off(target: Database, function: str, status: str) -> None:
    async with daemon_within(target, notify="off", poll_seconds=0.2):
        job_id = await submit(target, "write_rows", metadata=LONG)
        sleeper = await submit(target, "sleep")  # commits no batch: the heartbeat brings it the request
        await writing(target, job_id)
        await wait_for_status(target, sleeper, "running")
        await target.execute(f"select jobd.{function}($1)", job_id)
        await target.execute("select jobd.cancel($1)", sleeper)
        await wait_for_status(target, job_id, status, within=3)
        await wait_for_status(target, sleeper, "cancelled", within=3)


@pytest.mark.parametrize(("function", "status"), [("cancel", "cancelled"), ("pause", "paused")])
async def test_stops_are_honoured_by_the_rescue_when_the_daemon_is_dead(
    target: Database, tmp_path: Path, function: str, status: str
) -> None:
    with daemon_process(target, tmp_path, lease_seconds=3) as daemon:
        job_id = await submit(target, "write_rows", metadata=LONG)
        await writing(target, job_id)
        daemon.process.kill()
        await daemon.exit_code()
    await target.execute(f"select jobd.{function}($1)", job_id)
    async with daemon_within(target, lease_seconds=3):
        await wait_for_status(target, job_id, status)
        await assert_rows_equal_counters(target, job_id)


async def test_a_withdrawn_pause_lets_the_job_go_on(target: Database) -> None:
    async with daemon_within(target, notify="off", heartbeat_seconds=0.1):
        job_id = await submit(target, "sleep", metadata={"seconds": 2})
        await wait_for_status(target, job_id, "running")
        await target.execute("select jobd.pause($1)", job_id)
        await target.execute("update jobd.job set pause_requested = false where id = $1", job_id)
        await wait_for_status(target, job_id, "completed", within=10)


async def test_a_job_that_ignores_its_stop_is_stopped_without_it(target: Database) -> None:
    async with daemon_within(target, stop_timeout_seconds=0.5, concurrency=1):
        job_id = await submit(target, "disobey", metadata={"seconds": 6})
        await until(
            lambda: target.fetchval("select count(*) from pg_stat_activity where state = 'idle in transaction'")
        )
        await target.execute("select jobd.cancel($1)", job_id)
        await wait_for_status(target, job_id, "cancelled", within=4)
        # Its backend has ended and with it what it wrote; its slot is given to others although it still runs.
        assert await rows_of(target, job_id) == 0
        await wait_for_status(target, await submit(target), "completed", within=2)


async def test_a_pause_that_no_batch_obeys_in_time_is_carried_out(target: Database) -> None:
    async with daemon_within(target, stop_timeout_seconds=0.5):
        job_id = await submit(target, "hold_row", metadata={"pause": 30})
        await wait_for_status(target, job_id, "running")
        await target.execute("select jobd.pause($1)", job_id)
        await wait_for_status(target, job_id, "paused", within=4)
        assert await rows_of(target, job_id) == 0


async def test_a_job_that_runs_longer_than_its_timeout_fails(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "sleep", options={"timeout": 1})
        await wait_for_status(target, job_id, "failed", within=5)
    job = await job_row(target, job_id)
    assert job["error_code"] == "timeout"
    assert job["retry_count"] == 0


async def test_an_application_that_holds_a_cancel_open_delays_a_batch_and_loses_nothing(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "write_rows", metadata={"rows": 40, "pause": 0.005})
        await writing(target, job_id)
        application = await target.connect()
        transaction = application.transaction()
        await transaction.start()
        await application.execute("select jobd.cancel($1)", job_id)
        # Its batch waits for the row, longer than the lock is waited for: it is tried again.
        await until(
            lambda: target.fetchval("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
        )
        await until(
            lambda: target.fetchval("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"),
            lambda waiting: waiting == 0,
        )
        other = await submit(target)
        await wait_for_status(target, other, "completed", within=3)  # nobody else is held up
        await transaction.rollback()
        rolled_back_at = time.monotonic()
        await wait_for_status(target, job_id, "completed", within=10)
        assert time.monotonic() - rolled_back_at < 5
    assert await rows_of(target, job_id) == 40


async def test_an_open_cancel_that_is_committed_at_last_is_honoured(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "write_rows", metadata=LONG)
        await writing(target, job_id)
        application = await target.connect()
        transaction = application.transaction()
        await transaction.start()
        await application.execute("select jobd.cancel($1)", job_id)
        await until(
            lambda: target.fetchval("select count(*) from pg_stat_activity where wait_event_type = 'Lock'")
        )
        await transaction.commit()
        await wait_for_status(target, job_id, "cancelled", within=1)
        await assert_rows_equal_counters(target, job_id)


async def test_a_forged_notification_costs_nothing_but_a_look(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "write_rows", metadata={"rows": 30, "pause": 0.01})
        await writing(target, job_id)
        for payload in (f'{{"id": "{job_id}", "request": "cancel"}}', "no json", '{"id": 7}', "[]", ""):
            await target.execute("select pg_notify('jobd_control', $1), pg_notify('jobd_job', $1)", payload)
        await wait_for_status(target, job_id, "completed")
