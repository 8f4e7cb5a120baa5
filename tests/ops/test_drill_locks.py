"""Alerts on what others hold that jobd needs: locks, rows, and old transactions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import anyio
import asyncpg
import pytest

from tests.ops.flow import flow
from tests.support.daemons import until, wait_for_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.ops.runbook import Page
    from tests.ops.scene import Scene

DEAD_ROWS = 12_000


@contextlib.asynccontextmanager
async def locking_again_and_again(
    scene: Scene, statement: str, seconds: float, pause: float
) -> AsyncIterator[int]:
    """An application that holds a lock for so long, and again after a pause, until its session is ended."""
    connection = await scene.application("jobd_owner")

    async def go_on() -> None:
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
            while True:
                await connection.execute(f"begin; {statement}; select pg_sleep({seconds}); commit")
                await anyio.sleep(pause)

    async with anyio.create_task_group() as group:
        group.start_soon(go_on)
        yield connection.get_server_pid()
        group.cancel_scope.cancel()


async def holders(page: Page) -> set[int]:
    """Whose locks are waited for, by the first statement of the page; it is run again while nobody waits."""

    async def look() -> set[int]:
        sessions, *_ = await page.diagnose()
        return {row["pid"] for row in sessions if not row["blocked_by"]}

    return await until(look)


@pytest.mark.drills("JobdLockContention", "JobdConflicts")
async def test_whoever_holds_a_lock_is_found_and_ended_by_the_runbook(scene: Scene) -> None:
    await scene.table()
    holder = await scene.application(scene.login)
    await holder.execute("begin; lock table written")
    with scene.start():
        job = await scene.submit("write_rows", metadata={"rows": 3}, target="public.written")
        await scene.alarm.fires("JobdLockContention")
        await scene.alarm.fires("JobdConflicts", {"class": "lock_timeout"})
        assert await holders(scene.page("JobdLockContention")) == {holder.get_server_pid()}
        targets, _ = await scene.page("JobdConflicts").diagnose()
        assert [(row["target"], row["count"]) for row in targets] == [("public.written", 1)]
        await scene.page("JobdLockContention").mitigate("pg_terminate_backend", pid=holder.get_server_pid())
        await wait_for_status(scene.database, job, "completed")
        for name in ("JobdLockContention", "JobdConflicts"):
            await scene.alarm.ends(name)


@pytest.mark.drills("JobdStatementsSlow")
async def test_slow_answers_are_told_until_who_slows_them_is_ended(scene: Scene) -> None:
    with scene.start(lease_seconds=30, concurrency=2):
        await scene.alarm.are_up()
        async with (
            locking_again_and_again(scene, "lock table jobd.worker in exclusive mode", 2, 0.3) as holder,
            flow(scene, "nothing", 1),
        ):
            await scene.alarm.fires("JobdStatementsSlow", {"operation": "heartbeat"})
            assert await holders(scene.page("JobdStatementsSlow")) == {holder}
            await scene.page("JobdStatementsSlow").mitigate("pg_terminate_backend", pid=holder)
            await scene.alarm.ends("JobdStatementsSlow")


@pytest.mark.drills("JobdOldTransaction", "JobdTableBloat")
async def test_an_old_transaction_that_holds_back_vacuum_is_found_and_ended(scene: Scene) -> None:
    forgotten = await scene.application("jobd_monitor")
    await forgotten.execute("begin isolation level repeatable read; select 1")
    await scene.as_daemon.execute(
        "insert into jobd.job (job_type, handler, queue, run_at)"
        " select 'processing', 'nothing', 'later', now() + interval '1 day' from generate_series(1, $1)", DEAD_ROWS
    )  # fmt: skip
    await scene.as_daemon.execute("update jobd.job set priority = 'low' where queue = 'later'")
    vacuum = "vacuum (analyze) jobd.job"
    await scene.database.execute(vacuum)
    with scene.start():
        await scene.alarm.fires("JobdOldTransaction")
        await scene.alarm.fires("JobdTableBloat", {"relation": "job"})
        oldest, slots, prepared = await scene.page("JobdOldTransaction").diagnose()
        assert oldest[0]["pid"] == forgotten.get_server_pid()
        assert oldest[0]["state"] == "idle in transaction"
        assert (slots, prepared) == ([], [])
        tables, oldest, *_ = await scene.page("JobdTableBloat").diagnose()
        (bloated,) = [row for row in tables if row["relname"] == "job"]
        assert bloated["n_dead_tup"] >= DEAD_ROWS
        await scene.page("JobdOldTransaction").mitigate("pg_terminate_backend", pid=oldest[0]["pid"])
        await scene.alarm.ends("JobdOldTransaction")
        # The page has it run by the owner or a superuser.
        await scene.page("JobdTableBloat").mitigate("vacuum (verbose, analyze)")
        await scene.alarm.ends("JobdTableBloat")
