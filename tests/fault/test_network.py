"""Goal: let the network hold everything up, be slow or lead nowhere; every row is there once, and no job fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.fault.gate import gate_closed, someone_waits_at_gate
from tests.fault.relay import relay
from tests.fault.wire import (
    BATCH_SIZE,
    COMMIT,
    COMMITTED,
    EXISTING,
    LEASE_SECONDS,
    LONG_LEASE,
    RECORDS,
    SHORT_LEASE,
    UNDISTURBED,
    interruptions,
    readings_job,
    ready,
    said,
)
from tests.support.cutting_proxy import CuttingProxy, Way
from tests.support.daemons import DaemonProcess, get, submit, until, wait_for_status
from tests.support.imports import assert_as_expected, completed, outcome_of, processed_rows, wait_for_rows
from tests.support.small_files import TABLE, assert_imported_once, ended, submit_all, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

BACK_SECONDS_MAX = 2
OUTAGES = 2
BEATS_FOR_LONGER_THAN_A_LEASE = """
select beating_since < clock_timestamp() - make_interval(secs => lease_seconds)
from jobd.worker where pid = $1 and lost_at is null
"""
SECONDS_TO_CLAIM = """
select extract(epoch from max(created_at) - $2)::float8
from jobd.job_event where job_id = $1 and new_status = 'running'
"""


class Hole(NamedTuple):
    """When a black hole opens, and in which directions; none: in both."""

    way: Way
    pattern: bytes
    held: tuple[Way, ...] = ()


@pytest.mark.parametrize(
    "hole",
    [
        pytest.param(Hole(Way.TO_SERVER, COMMIT), id="before the COMMIT"),
        pytest.param(Hole(Way.TO_DAEMON, COMMITTED), id="before its answer"),
        pytest.param(Hole(Way.TO_SERVER, COMMIT, (Way.TO_SERVER,)), id="only what it sends"),
        pytest.param(Hole(Way.TO_DAEMON, COMMITTED, (Way.TO_DAEMON,)), id="only what it hears"),
    ],
)
async def test_a_lost_hosts_job_goes_on_elsewhere_within_its_lease_and_2_s_and_the_host_writes_nothing_later(
    database: Database, tmp_path: Path, proxy: CuttingProxy, hole: Hole
) -> None:
    with relay(database, tmp_path, size=1, database_url=proxy.url, **SHORT_LEASE) as daemons:
        lost = daemons.daemons[0]
        await lost.worker_id()
        async with gate_closed(database):
            readings, job_id, target = await readings_job(database, tmp_path, gate_row=BATCH_SIZE + 1)
            await someone_waits_at_gate(database)
            other = daemons.start(database_url=database.url)
            await until(lambda: database.fetchval(BEATS_FOR_LONGER_THAN_A_LEASE, other.pid))
            opened = proxy.when(hole.way, lambda _link: proxy.hold(*hole.held), pattern=hole.pattern)
        await opened.happened()
        lost_at = await database.fetchval("select clock_timestamp()")
        await completed(database, job_id)
        assert await database.fetchval(SECONDS_TO_CLAIM, job_id, lost_at) < LEASE_SECONDS + BACK_SECONDS_MAX
        assert await interruptions(database, job_id) == (0, 1, 3)
        await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
        before = await database.fetchrow("select * from jobd.job where id = $1", job_id)
        outcome = await outcome_of(database, job_id, target)
        proxy.let_through()
        await registered_anew(lost)
        assert await database.fetchrow("select * from jobd.job where id = $1", job_id) == before
        assert await outcome_of(database, job_id, target) == outcome


async def registered_anew(daemon: DaemonProcess) -> None:
    """Wait until it has found out that it was taken for dead, and has let go of its job."""

    async def look() -> bool:
        return len(said(daemon, "worker registered")) > 1 and bool(said(daemon, "attempt ended"))

    await until(look)
    assert [line["outcome"] for line in said(daemon, "attempt ended")] == ["lease_lost"]


async def test_a_server_that_refuses_connections_is_said_and_work_goes_on_within_2_s_of_its_return(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    seconds = []
    with relay(database, tmp_path, size=1, database_url=proxy.url, **SHORT_LEASE) as daemons:
        readiness = ready(daemons.daemons[0])
        await until(readiness, lambda seen: seen[0] == 200)
        readings, job_id, target = await readings_job(database, tmp_path, records=4_000)
        for _ in range(OUTAGES):
            await wait_for_rows(database, job_id, await processed_rows(database, job_id) + BATCH_SIZE)
            proxy.refuse()
            proxy.reset()
            away = await until(readiness, lambda seen: seen[0] == 503)
            assert "the database is away" in away[1]
            job = await submit(database)
            proxy.accept()
            back_at = time.monotonic()
            await wait_for_status(database, job, "completed", within=10)
            seconds.append(time.monotonic() - back_at)
            await until(readiness, lambda seen: seen[0] == 200)
        await completed(database, job_id)
    print("back after", [round(value, 2) for value in seconds])
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    retries, interrupts, _ = await interruptions(database, job_id)
    assert retries == 0
    assert interrupts <= OUTAGES
    assert max(seconds) <= BACK_SECONDS_MAX


async def test_an_outage_shorter_than_the_lease_is_said_while_it_lasts(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    with relay(
        database, tmp_path, size=1, database_url=proxy.url, **SHORT_LEASE | {"lease_seconds": 60}
    ) as daemons:
        readiness = ready(daemons.daemons[0])
        await until(readiness, lambda seen: '"ready"' in seen[1])
        proxy.refuse()
        proxy.reset()
        away = await until(readiness, lambda seen: seen[0] == 503, within=5)
        assert "the database is away" in away[1]
        proxy.accept()
        await until(readiness, lambda seen: '"ready"' in seen[1])


async def test_who_only_polls_takes_jobs_within_2_s_of_the_end_of_an_outage_that_cost_the_lease(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    settings = {**SHORT_LEASE, "notify": "off", "poll_seconds": 600}
    with relay(database, tmp_path, size=1, database_url=proxy.url, **settings) as daemons:
        readiness = ready(daemons.daemons[0])
        await until(readiness, lambda seen: seen[0] == 200)
        proxy.refuse()
        proxy.reset()
        await until(readiness, lambda seen: seen[0] == 503)
        lost = "select lease_expires_at < clock_timestamp() from jobd.worker"
        await until(lambda: database.fetchval(lost))
        job = await submit(database)
        proxy.accept()
        back_at = time.monotonic()
        await wait_for_status(database, job, "completed", within=10)
        assert time.monotonic() - back_at <= BACK_SECONDS_MAX


async def test_no_beat_is_missed_where_connecting_takes_long(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    proxy.delay_seconds = 0.1
    with relay(database, tmp_path, size=1, database_url=proxy.url, **SHORT_LEASE) as daemons:
        daemon = daemons.daemons[0]
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
        await until(lambda: database.fetchval("select memory_bytes is not null from jobd.worker"))
        assert [line for line in said(daemon, "round failed") if line["loop"] == "heartbeat"] == []


async def test_a_slow_network_breaks_nothing(database: Database, tmp_path: Path, proxy: CuttingProxy) -> None:
    await database.execute(TABLE)
    proxy.delay_seconds = 0.05
    with relay(database, tmp_path, size=2, database_url=proxy.url, **LONG_LEASE) as daemons:
        readings, job_id, target = await readings_job(database, tmp_path, records=RECORDS)
        small = await submit_all(database, write_files(tmp_path, 6))
        await completed(database, job_id)
        rows = await ended(database, small)
        for daemon in daemons.daemons:
            await until(ready(daemon), lambda seen: seen[0] == 200 and '"ready"' in seen[1])
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED
    assert_imported_once(rows.values())


async def test_a_listener_in_a_black_hole_is_said_and_jobs_are_found_and_cancelled_all_the_same(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    settings = {**LONG_LEASE, "poll_seconds": 600, "notify_database_url": proxy.url}
    with relay(database, tmp_path, size=1, **settings) as daemons:
        daemon = daemons.daemons[0]
        readiness = ready(daemon)
        await until(readiness, lambda seen: '"ready"' in seen[1])
        proxy.hold()
        deaf = await until(readiness, lambda seen: "notifications are not heard" in seen[1])
        assert deaf[0] == 200
        assert "\njobd_listener_up 0.0\n" in (await get(await daemon.port(), "/metrics"))[1]
        await wait_for_status(database, await submit(database), "completed", within=5)
        async with gate_closed(database):
            _, job_id, _ = await readings_job(database, tmp_path, gate_row=BATCH_SIZE + 1)
            await someone_waits_at_gate(database)
            await database.execute("select jobd.cancel($1)", job_id)
        await wait_for_status(database, job_id, "cancelled", within=5)
        proxy.let_through()
        await until(readiness, lambda seen: '"ready"' in seen[1])


async def test_where_one_of_two_hosts_is_lost_without_a_word_the_other_is_found_and_work_goes_on_there(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    lost, other = (url.rpartition("@")[2].partition("/")[0] for url in (proxy.url, database.url))
    both = f"postgresql://postgres@{lost},{other}/{database.name}?target_session_attrs=read-write"
    with relay(database, tmp_path, size=1, database_url=both, connect_timeout_seconds=60) as daemons:
        await daemons.daemons[0].worker_id()
        async with gate_closed(database):
            readings, job_id, target = await readings_job(database, tmp_path, gate_row=BATCH_SIZE + 1)
            await someone_waits_at_gate(database)
            proxy.hold()
            # A daemon that comes to the black hole first finds its way long before it gives that host up.
            began_at = time.monotonic()
            await daemons.start().worker_id()
            assert time.monotonic() - began_at < 20
            # So does the one that was connected through it; its lease may be over by then.
            await daemons.daemons[0].logged("listening")
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
