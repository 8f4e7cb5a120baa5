"""Goal: put PgBouncer in transaction mode in front of everything; nothing breaks, and what is slower says so."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from jobd.db.grants import SubmitterGrant, grant_submitter
from tests.fault.gate import build_gate, gate_closed, waiting_backends
from tests.fault.relay import QUICK, relay
from tests.sql.roles import make_role
from tests.sql.roles import submit as submit_as
from tests.support.daemons import DaemonProcess, daemon_process, get, submit, until, wait_for_status
from tests.support.files import write_plain, write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_plain,
    create_readings,
    submit_import,
    wait_for_rows,
)
from tests.support.pooler import Pooler, pooler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.database import Database

POLL_SECONDS = 1.0
EXISTING = range(1, 3_000, 3)
LEFT_BEHIND = """
select
    (select count(*) from pg_class where relpersistence = 't' and relkind = 'r') as tables,
    (select count(*) from pg_locks where locktype = 'advisory') as locks
"""


@pytest.fixture
def between(database: Database) -> Iterator[Pooler]:
    with pooler(database) as found:
        yield found


async def readiness(daemon: DaemonProcess) -> Mapping[str, object]:
    answer: dict[str, object] = json.loads((await get(await daemon.port(), "/readyz"))[1])
    return answer


async def assert_never_failed(database: Database) -> None:
    """No job was interrupted or tried again, nothing of jobd's stayed on the pooler's connections."""
    used = await database.fetchrow(
        "select max(retry_count), max(interrupt_count), max(lost_lease_count), max(lease_token) from jobd.job"
    )
    assert tuple(used or ()) == (0, 0, 0, 1)
    assert tuple(await database.fetchrow(LEFT_BEHIND) or ()) == (0, 0)


def assert_no_complaint(daemon: DaemonProcess) -> None:
    """Nothing was tried again, and no round of a loop failed but the listener's."""
    bad = [
        line
        for line in daemon.log()
        if line["event"] in {"tried again", "round failed"} and line.get("loop") != "listener"
    ]
    assert bad == []


async def test_with_a_direct_connection_to_listen_everything_works_at_once(
    database: Database, between: Pooler, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 3_000, bad_share=0.05)
    target = await create_readings(database, "torn", EXISTING)
    urls = {"database_url": between.url(database), "notify_database_url": database.url}
    with relay(database, tmp_path, size=2, **urls, **(QUICK | {"poll_seconds": 60})) as daemons:
        for daemon in daemons.daemons:
            await until(partial(readiness, daemon), lambda answer: answer["status"] == "ready")
        job_id = await submit_import(database, readings.path, target, {"batch_size": 100, "track_changes": True})
        for _ in range(20):
            await wait_for_status(database, await submit(database), "completed", within=5)
        await completed(database, job_id)
        for daemon in daemons.daemons:
            assert_no_complaint(daemon)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    await assert_never_failed(database)


async def test_without_one_jobs_and_stops_are_noticed_within_the_poll_interval_and_the_daemon_says_so(
    database: Database, between: Pooler, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 300_000)
    settings = QUICK | {"poll_seconds": POLL_SECONDS, "database_url": between.url(database)}
    with daemon_process(database, tmp_path, import_roots=tmp_path, **settings) as daemon:
        await daemon.logged("notifications are not heard through the pooler")
        answer = await readiness(daemon)
        assert answer["status"] == "degraded"
        assert "JOBD_NOTIFY_DATABASE_URL" in str(answer["reasons"])
        _, metrics = await get(await daemon.port(), "/metrics")
        assert "jobd_listener_up 0.0" in metrics
        assert "jobd_db_pooled 1.0" in metrics
        seconds = []
        for _ in range(3):
            began_at = time.monotonic()
            await wait_for_status(database, await submit(database), "completed")
            seconds.append(time.monotonic() - began_at)
        assert_no_complaint(daemon)
        for control, status in (("pause", "paused"), ("cancel", "cancelled")):
            target = await create_plain(database, f"public.{status}")
            job_id = await submit_import(database, path, target, {"batch_size": 1_000})
            await wait_for_rows(database, job_id, 1)
            began_at = time.monotonic()
            await database.execute(f"select jobd.{control}($1)", job_id)
            await wait_for_status(database, job_id, status)
            seconds.append(time.monotonic() - began_at)
    assert max(seconds) < POLL_SECONDS * 1.15 + 1
    assert await database.fetchval("select max(retry_count) from jobd.job") == 0


async def test_submitters_jobs_run_as_their_logins_through_the_pooler(database: Database, tmp_path: Path) -> None:
    role = await make_role(database, "clerk")
    login = await grant_submitter(await database.connect(), SubmitterGrant(role=role))
    await database.execute(f"create schema authorization {role}")
    readings = write_readings(tmp_path / "readings.csv", 2_000, bad_share=0.05)
    clerk = await database.connect(role)
    target = await create_readings(database, "torn", EXISTING)
    await database.execute(
        f"grant usage on schema torn to {role}; grant all on all tables in schema torn to {role}"
    )
    with (
        pooler(database, [login], size=2) as between,
        relay(database, tmp_path, database_url=between.url(database)) as daemons,
    ):
        job_id = await submit_as(
            clerk, source=str(readings.path), target=target, options=json.dumps({"batch_size": 50})
        )
        await completed(database, job_id)
        for daemon in daemons.daemons:
            assert_no_complaint(daemon)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    await assert_never_failed(database)


async def test_an_import_outlives_a_pooler_that_pauses_and_drops_its_connections(
    database: Database, between: Pooler, tmp_path: Path
) -> None:
    readings = write_readings(tmp_path / "readings.csv", 6_000)
    target = await create_readings(database, "torn", EXISTING)
    with relay(database, tmp_path, size=1, database_url=between.url(database), command_timeout_seconds=5):
        job_id = await submit_import(database, readings.path, target, {"batch_size": 50}, max_retries=0)
        await wait_for_rows(database, job_id, 500)
        await between.order("PAUSE")
        await asyncio.sleep(1)
        await between.order("RESUME")
        await wait_for_rows(database, job_id, 1_500)
        await between.order("RECONNECT")
        await wait_for_rows(database, job_id, 2_500)
        await between.order(f"KILL {database.name}")
        await between.order(f"RESUME {database.name}")
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    used = await database.fetchrow("select retry_count, lost_lease_count from jobd.job where id = $1", job_id)
    assert tuple(used or ()) == (0, 0)


async def test_a_killed_daemons_job_goes_on_elsewhere_when_its_lease_is_over(
    database: Database, between: Pooler, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", 100)
    target = await create_plain(database)
    await build_gate(database, target, row=55)
    own = {"database_url": between.url(database), "lease_seconds": 2}
    with relay(database, tmp_path, size=1, **own) as daemons:
        async with gate_closed(database):
            job_id = await submit_import(database, path, target, {"batch_size": 10}, max_retries=0)
            await until(lambda: waiting_backends(database))
            [dead_backend] = await waiting_backends(database)
            daemons.daemons[0].send(signal.SIGKILL)
            successor = daemons.start()
            await successor.logged("dead worker found")
            await until(lambda: waiting_backends(database), lambda pids: pids != [] and dead_backend not in pids)
        await completed(database, job_id)
    assert await database.fetchval(f"select count(*) from {target}") == 100
    used = await database.fetchrow("select retry_count, interrupt_count from jobd.job where id = $1", job_id)
    assert tuple(used or ()) == (0, 1)
