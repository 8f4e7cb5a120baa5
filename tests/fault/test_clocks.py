"""Goal: give daemons clocks that are off and that step; only their own logs ever show it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from operator import lt
from typing import TYPE_CHECKING

import pytest

from tests.fault.relay import QUICK, Relay, relay
from tests.support.daemons import DaemonProcess, get, submit, until, wait_for_status
from tests.support.faked_clock import FakedClock
from tests.support.files import write_readings
from tests.support.imports import assert_as_expected, completed, create_readings, submit_import, wait_for_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

TEN_MINUTES = 600
STEPS = (TEN_MINUTES, -TEN_MINUTES, 86_400, -86_400, 0)
# What the database wrote down lies between the test's begin and now, and in the order in which it happened.
TIMES = """
select bool_and($1 <= least(j.created_at, j.started_at, j.updated_at, j.completed_at))
    and bool_and(j.created_at <= j.started_at and j.started_at <= j.completed_at and j.completed_at <= now())
    and (select bool_and($1 <= e.created_at and e.created_at <= now()) from jobd.job_event e)
    and (select bool_and($1 <= w.heartbeat_at and w.heartbeat_at <= now()) from jobd.worker w)
from jobd.job j where j.status = 'completed'
"""
BACKWARDS = """
select count(*) from (
    select created_at < lag(created_at) over (partition by job_id order by id) as is_back from jobd.job_event
) e where is_back
"""
USED = "select retry_count, interrupt_count, lost_lease_count, lease_token from jobd.job where id = $1"
BEATS = "select heartbeat_at from jobd.worker where pid = $1 and lost_at is null"


async def start(daemons: Relay, clock: FakedClock, **settings: object) -> DaemonProcess:
    daemon = daemons.start(variables=clock.variables, **settings)
    await daemon.logged("listening")
    return daemon


def clock_of(daemon: DaemonProcess) -> datetime:
    """The time of day that the daemon logged last."""
    return datetime.fromisoformat(str(daemon.log()[-1]["timestamp"]))


async def beats(database: Database, daemon: DaemonProcess, number: int = 3) -> None:
    """Wait for so many beats of the daemon's."""
    seen = await database.fetchval(BEATS, daemon.pid)
    for _ in range(number):
        seen = await until(lambda: database.fetchval(BEATS, daemon.pid), partial(lt, seen))


@pytest.mark.parametrize("seconds", [TEN_MINUTES, -TEN_MINUTES], ids=["ahead", "behind"])
async def test_a_clock_that_is_ten_minutes_off_changes_nothing(
    database: Database, tmp_path: Path, seconds: int
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 2_000)
    target = await create_readings(database, "torn")
    clock = FakedClock(tmp_path / "clock")
    clock.is_off_by(seconds)
    began_at = await database.fetchval("select clock_timestamp()")
    with relay(database, tmp_path, size=1) as daemons:
        await daemons.daemons[0].logged("listening")
        wrong = await start(daemons, clock, queues="default,wrong")
        assert abs((clock_of(wrong) - datetime.now(UTC)).total_seconds() - seconds) < 60
        later = await database.fetchval(
            "insert into jobd.job (job_type, handler, queue, run_at)"
            " values ('processing', 'nothing', 'wrong', now() + interval '5 minutes') returning id"
        )
        soon = await database.fetchval(
            "insert into jobd.job (job_type, handler, queue, run_at)"
            " values ('processing', 'nothing', 'wrong', now() + interval '1 second') returning id"
        )
        job_id = await submit_import(database, readings.path, target, {"batch_size": 20}, queue="wrong")
        await completed(database, job_id)
        await wait_for_status(database, soon, "completed")
        await beats(database, wrong)
        assert await database.fetchval("select status from jobd.job where id = $1", later) == "pending"
        _, metrics = await get(await wrong.port(), "/metrics")
        remaining = re.search(r"^jobd_lease_remaining_seconds (\S+)", metrics, re.MULTILINE)
        assert remaining is not None
        assert 0 < float(remaining[1]) <= QUICK["lease_seconds"]
    assert await database.fetchval(TIMES, began_at)
    assert await database.fetchval("select run_at <= started_at from jobd.job where id = $1", soon)
    assert tuple(await database.fetchrow(USED, job_id) or ()) == (0, 0, 0, 1)
    await assert_as_expected(database, job_id, target, readings.expected())


async def test_a_clock_that_steps_back_and_forth_during_an_import_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 8_000)
    target = await create_readings(database, "torn")
    clock = FakedClock(tmp_path / "clock")
    clock.is_off_by(0)
    began_at = await database.fetchval("select clock_timestamp()")
    with relay(database, tmp_path, size=1, queues="other") as daemons:
        await daemons.daemons[0].logged("listening")
        wrong = await start(daemons, clock, queues="default")
        job_id = await submit_import(database, readings.path, target, {"batch_size": 20})
        for seconds in STEPS:
            clock.is_off_by(seconds)
            await beats(database, wrong)
            done = await submit(database)
            await wait_for_status(database, done, "completed", within=5)
            await wait_for_rows(database, job_id, 100)
        await completed(database, job_id)
        assert not any(line["event"] in {"round failed", "tried again"} for line in wrong.log())
    assert await database.fetchval(TIMES, began_at)
    assert await database.fetchval(BACKWARDS) == 0
    assert tuple(await database.fetchrow(USED, job_id) or ()) == (0, 0, 0, 1)
    await assert_as_expected(database, job_id, target, readings.expected())
