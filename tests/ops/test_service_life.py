"""The unit under a real systemd: each turn of the daemon's life is seen there as it should be."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import migrate
from jobd.db.embedded import free_port
from tests.ops.scraper import scraper
from tests.support.backends import backends
from tests.support.daemons import get, job_row, submit, until, wait_for_status

if TYPE_CHECKING:
    from tests.ops.service import Service
    from tests.support.database import Database


async def test_a_start_waits_for_the_schema_longer_than_its_time_out_and_is_ready_then(
    daemon: Service, empty_database: Database
) -> None:
    daemon.configure(empty_database.url, unit="TimeoutStartSec=6", connect_timeout_seconds=1)
    daemon.systemctl("start", "--no-block")
    daemon.says("run `jobd migrate`")
    began_at = time.monotonic()
    while time.monotonic() < began_at + 8:
        assert daemon.property("ActiveState") == "activating"
        await asyncio.sleep(0.2)
    await migrate.migrate(empty_database.url)
    daemon.box.until(daemon.unit, "ActiveState", "active")
    daemon.says("running, 0 of 4 slots in use")
    assert daemon.property("NRestarts") == "0"


async def test_a_restart_refuses_no_scrape_and_a_stop_closes_the_port(daemon: Service, database: Database) -> None:
    port = free_port()
    daemon.configure(database.url, metrics_listen=f"127.0.0.1:{port}")
    daemon.systemctl("start")
    async with scraper({"main": port}) as seen:
        for _ in range(2):
            process = daemon.property("MainPID")
            await asyncio.to_thread(daemon.systemctl, "restart")
            assert daemon.property("MainPID") != process
    assert len(seen.last_answers("main")) == 3
    assert seen.unanswered("main") == []
    daemon.systemctl("stop")
    with pytest.raises(OSError, match="refused"):
        await get(port, "/healthz")


async def test_a_reload_takes_settings_over_and_wrong_ones_leave_it_as_it_was(
    daemon: Service, database: Database
) -> None:
    daemon.configure(database.url)
    daemon.systemctl("start")
    process = daemon.property("MainPID")
    daemon.set(concurrency=3)
    daemon.systemctl("reload")
    daemon.says("0 of 3 slots in use")
    daemon.set(concurrency="many")
    daemon.systemctl("reload")
    assert "0 of 3 slots" in daemon.says("settings not reloaded: JOBD_CONCURRENCY")
    daemon.set(concurrency=2)
    daemon.systemctl("reload")
    assert "not reloaded" not in daemon.says("0 of 2 slots")
    assert (daemon.property("ActiveState"), daemon.property("MainPID")) == ("active", process)


async def test_a_stop_lets_the_open_batch_end_although_that_takes_longer_than_its_time_out(
    daemon: Service, database: Database
) -> None:
    daemon.configure(database.url, unit="TimeoutStopSec=2")
    daemon.systemctl("start")
    job_id = await submit(database, "slow", metadata={"seconds": 6})
    await until(lambda: backends(database, "state = 'idle in transaction'"))  # its batch is open
    began_at = time.monotonic()
    daemon.systemctl("stop", "--no-block")
    daemon.says("draining, jobs held: 1")
    daemon.box.until(daemon.unit, "ActiveState", "inactive")
    assert time.monotonic() - began_at > 2.5
    assert daemon.property("Result") == "success"
    row = await job_row(database, job_id)
    assert (row["success_count"], row["retry_count"]) == (1, 0)


async def test_a_daemon_whose_event_loop_stands_still_is_ended_with_its_stacks_and_begins_anew(
    daemon: Service, database: Database
) -> None:
    daemon.configure(database.url, unit="WatchdogSec=3")
    daemon.systemctl("start")
    job_id = await submit(database, "block")
    await wait_for_status(database, job_id, "completed", within=60)
    assert daemon.property("NRestarts") == "1"
    told = "\n".join(str(entry["MESSAGE"]) for entry in daemon.box.journal(daemon.unit))
    assert "Watchdog timeout" in told
    assert "Fatal Python error: Aborted" in told
    assert "ops_routines.py" in told
    daemon.says("running, 0 of 4 slots in use")


async def test_a_killed_daemon_begins_anew_and_goes_on_with_its_job(daemon: Service, database: Database) -> None:
    daemon.configure(database.url)
    daemon.systemctl("start")
    job_id = await submit(database, "slow", metadata={"seconds": 4})
    await wait_for_status(database, job_id, "running")
    daemon.systemctl("kill", "--signal=KILL", "--kill-who=main")
    await wait_for_status(database, job_id, "completed", within=60)
    assert daemon.property("NRestarts") == "1"


async def test_a_crash_loop_comes_to_an_end(daemon: Service, database: Database) -> None:
    daemon.configure(database.url, handlers="ops_crash")
    daemon.box.tried("systemctl", "start", daemon.unit)
    daemon.box.until(daemon.unit, "ActiveState", "failed", within=120)
    daemon.box.until(daemon.unit, "SubState", "failed", within=120)
    assert daemon.property("ExecMainStatus") == "3"
    starts = [entry for entry in daemon.box.journal(daemon.unit) if "Starting " in str(entry["MESSAGE"])]
    assert len(starts) == 10


async def test_a_wrong_setting_is_said_and_not_tried_again(daemon: Service, database: Database) -> None:
    daemon.configure(database.url, concurrency="many")
    assert daemon.box.tried("systemctl", "start", daemon.unit).returncode != 0
    assert daemon.property("ExecMainStatus") == "78"
    assert (daemon.property("ActiveState"), daemon.property("NRestarts")) == ("failed", "0")
    assert "JOBD_CONCURRENCY" in daemon.box.status(daemon.unit)


async def test_the_loss_of_its_database_is_said_and_waited_out(daemon: Service, database: Database) -> None:
    daemon.configure(database.url, unit="WatchdogSec=3", lease_seconds=3)
    daemon.systemctl("start")
    daemon.says("running, 0 of 4")
    process = daemon.property("MainPID")
    # Closed to everybody rather than the server stopped, which other tests use.
    admin = await asyncpg.connect(database.server.url())
    await admin.execute(f'alter database "{database.name}" allow_connections false')
    await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", database.name)
    daemon.says("not ready: the database is away")
    lost_at = time.monotonic()
    while time.monotonic() < lost_at + 5:
        assert (daemon.property("ActiveState"), daemon.property("MainPID")) == ("active", process)
        await asyncio.sleep(0.2)
    await admin.execute(f'alter database "{database.name}" allow_connections true')
    await admin.close()
    job_id = await submit(database, "quick")
    await wait_for_status(database, job_id, "completed", within=30)

    async def status() -> str:
        return daemon.property("StatusText")

    await until(status, lambda seen: seen.startswith("running") and "not ready" not in seen)
    assert (daemon.property("MainPID"), daemon.property("NRestarts")) == (process, "0")


async def test_all_daemons_of_a_host_stop_with_their_target(daemon: Service, database: Database) -> None:
    daemon.configure(database.url)
    daemon.systemctl("enable")
    daemon.box.run("systemctl", "start", "jobd.target")
    daemon.says("running, 0 of 4")
    daemon.box.run("systemctl", "stop", "jobd.target")
    daemon.box.until(daemon.unit, "ActiveState", "inactive")
    assert daemon.property("Result") == "success"
    daemon.systemctl("disable")
