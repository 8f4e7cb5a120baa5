"""The fault is made, the alert fires in a real Prometheus, the runbook is followed, and the alert ends."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db.embedded import free_port
from tests.ops.alarm import Alarm, prometheus
from tests.prometheus.case import ROOT
from tests.support import programs
from tests.support.daemons import DaemonProcess, daemon_process, submit, until, wait_for_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from jobd.db.embedded import EmbeddedServer
    from tests.support.database import Database

    Start = Callable[..., AbstractContextManager[DaemonProcess]]

pytestmark = pytest.mark.skipif(os.environ.get("TEST_OPS") != "1", reason="minutes long: make test-ops")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(database: Database, tmp_path: Path, port: int) -> Start:
    """Starts a daemon where Prometheus looks for it."""
    return lambda **settings: daemon_process(
        database, tmp_path, metrics_listen=f"127.0.0.1:{port}", sample_seconds=1, **settings
    )


@pytest.fixture
async def alarm(tmp_path: Path, port: int) -> AsyncIterator[Alarm]:
    with prometheus(programs.need("prometheus"), tmp_path, port) as alarm:
        await until(lambda: alarm.ask("query", query="vector(1)"))
        yield alarm


def statements(alert: str) -> list[str]:
    """The statements of the alert's runbook."""
    page = (ROOT / "deploy" / "runbooks" / f"{alert}.md").read_text()
    return re.findall(r"^```sql\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


async def test_a_lost_daemon_is_missed_and_found_again(alarm: Alarm, start: Start) -> None:
    with start() as daemon:
        await until(alarm.is_up)
        await alarm.is_silent("JobdAbsent")
        daemon.send(signal.SIGKILL)
        fired = await alarm.fires("JobdAbsent")
        assert fired["labels"]["severity"] == "page"
    with start():
        await alarm.is_silent("JobdAbsent")


async def test_a_queue_that_nobody_serves_pages_until_somebody_does(
    alarm: Alarm, start: Start, database: Database
) -> None:
    with start():
        await until(alarm.is_up)
        waiting = await submit(database, queue="mail")
        fired = await alarm.fires("JobdQueueStalled")
        assert fired["labels"]["queue"] == "mail"
        explained = await database.fetch(
            next(each for each in statements("JobdQueueStalled") if "explain" in each).replace("QUEUE", "mail")
        )
        assert [row["id"] for row in explained] == [waiting]
    with start(queues="default,mail"):
        await wait_for_status(database, waiting, "completed")
        await alarm.is_silent("JobdQueueStalled")


async def test_whoever_holds_a_lock_is_found_and_ended_by_the_runbook(
    alarm: Alarm, start: Start, database: Database
) -> None:
    await database.execute("create table public.written (job_id uuid, number integer)")
    holder = await database.connect()
    await holder.execute("begin; lock table public.written")
    with start():
        job = await submit(database, "write_rows", metadata={"rows": 3})
        await alarm.fires("JobdLockContention")
        look, end, _ = statements("JobdLockContention")
        sessions = await database.fetch(look)
        (root,) = [row["pid"] for row in sessions if not row["blocked_by"]]
        assert root == holder.get_server_pid()
        await database.execute(end.replace("PID", str(root)))
        await wait_for_status(database, job, "completed")
        await alarm.is_silent("JobdLockContention")


async def test_a_job_that_stands_is_seen_although_its_lease_is_fresh(
    alarm: Alarm, start: Start, database: Database
) -> None:
    with start():
        job = await submit(database, "sleep", metadata={"seconds": 600})
        fired = await alarm.fires("JobdJobNotAdvancing")
        assert fired["labels"]["queue"] == "default"
        standing = await database.fetch(statements("JobdJobNotAdvancing")[0])
        assert [row["id"] for row in standing] == [job]
        pause = next(each for each in statements("JobdJobNotAdvancing") if "jobd.pause" in each)
        await database.execute(pause.replace("JOB_ID", str(job)))
        await wait_for_status(database, job, "paused")
        await alarm.is_silent("JobdJobNotAdvancing")


async def test_a_database_that_lets_nobody_in_pages_until_it_does(
    alarm: Alarm, start: Start, database: Database, server: EmbeddedServer
) -> None:
    with start():
        await until(alarm.is_up)
        await alarm.is_silent("JobdDatabaseUnreachable")
        administrator = await asyncpg.connect(server.url())
        try:
            await administrator.execute(f"alter database {database.name} allow_connections false")
            await administrator.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", database.name
            )
            fired = await alarm.fires("JobdDatabaseUnreachable")
            assert fired["labels"]["severity"] == "page"
            await administrator.execute(f"alter database {database.name} allow_connections true")
        finally:
            await administrator.close()
        await alarm.is_silent("JobdDatabaseUnreachable")


async def test_a_job_that_the_installation_failed_is_told_with_its_code(
    alarm: Alarm, start: Start, database: Database
) -> None:
    with start():
        await until(alarm.is_up)
        job = await submit(database, "fail", max_retries=0)
        fired = await alarm.fires("JobdJobsFailed")
        assert fired["labels"]["code"] == "handler_error"
        (found,) = await database.fetch(statements("JobdJobsFailed")[0])
        assert found["error_code"] == "handler_error"
        await wait_for_status(database, job, "failed")
        await alarm.is_silent("JobdJobsFailed")


async def test_jobs_that_wait_for_a_slot_are_told_until_there_is_one(
    alarm: Alarm, start: Start, database: Database
) -> None:
    with start(concurrency=1):
        long, waiting = [await submit(database, "sleep", metadata={"seconds": 600}) for _ in range(2)]
        await database.execute("select jobd.set_queue_objective('default', 1)")
        await alarm.fires("JobdSlotsSaturated")
        await alarm.fires("JobdQueueFallingBehind")
        assert await alarm.firing("JobdQueueStalled") == []
        pause = next(each for each in statements("JobdSlotsSaturated") if "jobd.pause" in each)
        await database.execute(pause.replace("JOB_ID", str(long)))
        await wait_for_status(database, waiting, "running")
        await alarm.is_silent("JobdSlotsSaturated")


async def test_a_full_disk_pages_until_there_is_room(alarm: Alarm, start: Start, database: Database) -> None:
    await database.execute("""
        create table public.written (job_id uuid, number integer);
        create function public.no_room() returns trigger language plpgsql as
        $$ begin raise disk_full using message = 'No space left on device'; end $$;
        create trigger no_room before insert on public.written for each row execute function public.no_room();
    """)
    with start():
        job = await submit(database, "write_rows", metadata={"rows": 3})
        fired = await alarm.fires("JobdDiskFull")
        assert fired["labels"]["severity"] == "page"
        await database.execute("drop trigger no_room on public.written")
        await wait_for_status(database, job, "completed", within=60)
        await alarm.is_silent("JobdDiskFull")
