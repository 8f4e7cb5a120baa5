"""Alerts on queues: nobody takes their jobs, or not soon enough, or there are too many of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from jobd.metrics import QUEUES_MAX
from tests.support.daemons import wait_for_status

if TYPE_CHECKING:
    from tests.ops.scene import Scene


def minutes_ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


@pytest.mark.drills("JobdQueueStalled")
async def test_a_queue_that_nobody_serves_pages_until_somebody_does(scene: Scene) -> None:
    with scene.start():
        await scene.alarm.are_up()
        waiting = await scene.submit(queue="mail", run_at=minutes_ago(6))
        await scene.alarm.fires("JobdQueueStalled", {"queue": "mail"})
        listed, explained, locks, running = await scene.page("JobdQueueStalled").diagnose(queue="mail")
        assert "mail" in listed
        assert [row["id"] for row in explained] == [waiting]
        assert "JOBD_QUEUES=mail" in explained[0]["explain"]
        assert (locks, running) == ([], [])
    with scene.start(queues="default,mail"):  # the page: add it to JOBD_QUEUES and restart
        await wait_for_status(scene.database, waiting, "completed")
        await scene.alarm.ends("JobdQueueStalled")


@pytest.mark.drills("JobdQueueFallingBehind", "JobdSlotsSaturated")
async def test_jobs_that_wait_for_a_slot_are_told_until_there_is_one(scene: Scene) -> None:
    await scene.table()
    with scene.start(concurrency=1):
        long = await scene.submit("write_rows", metadata={"rows": 100_000, "pause": 0.2})
        await wait_for_status(scene.database, long, "running")
        waiting = await scene.submit("write_rows", metadata={"rows": 1}, run_at=minutes_ago(2))
        await scene.alarm.fires("JobdQueueFallingBehind", {"queue": "default"})
        await scene.alarm.fires("JobdSlotsSaturated", {"queue": "default"})
        await scene.alarm.is_silent("JobdQueueStalled")
        running, listed = await scene.page("JobdSlotsSaturated").diagnose()
        assert [row["id"] for row in running] == [long]
        assert "default" in listed
        _, submitters, running = await scene.page("JobdQueueFallingBehind").diagnose(queue="default")
        assert [(row["submitted_role"], row["count"]) for row in submitters] == [(scene.login, 1)]
        assert [row["id"] for row in running] == [long]
        await scene.page("JobdQueueFallingBehind").mitigate("set_priority", job_id=waiting)
        await scene.page("JobdSlotsSaturated").mitigate("jobd.pause", job_id=long)
        await wait_for_status(scene.database, waiting, "completed")
        for name in ("JobdQueueFallingBehind", "JobdSlotsSaturated"):
            await scene.alarm.ends(name)


@pytest.mark.drills("JobdQueueNamesOverflow")
async def test_more_queues_than_can_be_told_apart_are_told_until_they_are_fewer(scene: Scene) -> None:
    with scene.start():
        await scene.alarm.are_up()
        names = [f"customer{number}" for number in range(QUEUES_MAX + 5)]
        jobs = [await scene.submit(queue=name) for name in names]
        await scene.alarm.fires("JobdQueueNamesOverflow")
        newest, submitters = await scene.page("JobdQueueNamesOverflow").diagnose()
        assert {row["name"] for row in newest} <= set(names)
        assert [(row["submitted_role"], row["queues"]) for row in submitters] == [(scene.login, len(names))]
        for job in jobs:
            await scene.as_operator.execute("select jobd.cancel($1)", job)
        await scene.page("JobdQueueNamesOverflow").mitigate("delete from jobd.queue")
    with scene.start():  # the page: restart the daemons
        await scene.alarm.ends("JobdQueueNamesOverflow")
