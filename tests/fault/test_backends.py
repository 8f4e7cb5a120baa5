"""Goal: end, freeze and crowd out single backends of a daemon; its jobs lose nothing and use no retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fault.gate import gate_closed, someone_waits_at_gate, waiting_backends
from tests.fault.relay import relay
from tests.fault.wire import BATCH_SIZE, EXISTING, LONG_LEASE, UNDISTURBED, interruptions, readings_job, ready
from tests.support.backends import backends, exhausted, frozen, terminate, transaction_of_another
from tests.support.daemons import daemon_within, submit, until, wait_for_status
from tests.support.imports import assert_as_expected, completed, processed_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

NO_MORE = "the database takes no more connections"
GATE_ROW = BATCH_SIZE + 1  # new, so that it is inserted by whichever way
# What a backend does, and on which table of jobd's it waits then, while somebody has locked that.
AT_WORK = {
    "claim": ("jobd.claim(", "jobd.worker"),
    "begin": ("jobd.begin(", "jobd.job_file"),
    "commit": ("jobd.commit_batch(", "jobd.job_error_group"),
}
IDLE = {"heartbeat": "jobd.heartbeat(", "listener": "pg_backend_pid()"}


@pytest.mark.parametrize("phase", AT_WORK)
async def test_a_backend_ended_by_an_administrator_at_work_costs_no_row_and_no_retry(
    database: Database, tmp_path: Path, phase: str
) -> None:
    statement, table = AT_WORK[phase]
    async with daemon_within(database, import_roots=tmp_path, **LONG_LEASE):
        async with transaction_of_another(database, f"lock table {table} in access exclusive mode"):
            readings, job_id, target = await readings_job(database, tmp_path)
            waits = f"wait_event_type = 'Lock' and query like '%{statement}%'"
            await until(lambda: backends(database, waits))
            assert await terminate(database, waits) == 1
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


@pytest.mark.parametrize("statement", ["copy %", "%insert into%"], ids=["copy", "merge"])
async def test_a_backend_ended_by_an_administrator_among_the_rows_costs_no_row_and_no_retry(
    database: Database, tmp_path: Path, statement: str
) -> None:
    existing = EXISTING if statement != "copy %" else ()
    async with daemon_within(database, import_roots=tmp_path, **LONG_LEASE):
        async with gate_closed(database):
            readings, job_id, target = await readings_job(
                database, tmp_path, gate_row=GATE_ROW, existing=existing, bad_share=0
            )
            waits = f"wait_event = 'advisory' and query ilike '{statement}'"
            await until(lambda: backends(database, waits))
            assert await terminate(database, waits) == 1
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(existing))
    assert await interruptions(database, job_id) == UNDISTURBED


@pytest.mark.parametrize("phase", IDLE)
async def test_a_heartbeat_or_listener_ended_by_an_administrator_is_replaced_at_once(
    database: Database, tmp_path: Path, phase: str
) -> None:
    is_it = f"state = 'idle' and query like '%{IDLE[phase]}%'"
    async with daemon_within(database, import_roots=tmp_path, **LONG_LEASE) as daemon:
        [before] = await until(lambda: backends(database, is_it), lambda found: len(found) == 1)
        readings, job_id, target = await readings_job(database, tmp_path)
        assert await terminate(database, f"pid = {before}") == 1
        await until(lambda: backends(database, is_it), lambda found: len(found) == 1 and found != [before])
        assert not daemon.readiness().reasons
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


async def test_a_backend_that_is_frozen_in_a_batch_holds_up_no_cancel_and_its_rows_do_not_count(
    database: Database, tmp_path: Path
) -> None:
    settings = {**LONG_LEASE, "stop_timeout_seconds": 0.5}
    async with daemon_within(database, import_roots=tmp_path, **settings) as daemon:
        async with gate_closed(database):
            _, job_id, target = await readings_job(database, tmp_path, gate_row=GATE_ROW, existing=())
            await someone_waits_at_gate(database)
            [pid] = await waiting_backends(database)
            with frozen(pid):
                await database.execute("select jobd.cancel($1)", job_id)
                await wait_for_status(database, job_id, "cancelled", within=10)
                await wait_for_status(database, await submit(database), "completed")
            await until(lambda: database.fetchval("select count(*) = 0 from pg_stat_activity where pid = $1", pid))
        assert not daemon.readiness().reasons
    added = await database.fetchval("select items_added from jobd.job where id = $1", job_id)
    assert await database.fetchval(f"select count(*) from {target}") == added


async def test_a_backend_that_was_frozen_for_a_while_goes_on_with_its_batch(
    database: Database, tmp_path: Path
) -> None:
    async with daemon_within(database, import_roots=tmp_path, **LONG_LEASE):
        async with gate_closed(database):
            readings, job_id, target = await readings_job(database, tmp_path, gate_row=GATE_ROW)
            await someone_waits_at_gate(database)
            [pid] = await waiting_backends(database)
            with frozen(pid):
                await wait_for_status(database, await submit(database), "completed")
                assert await processed_rows(database, job_id) == BATCH_SIZE
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


async def test_a_daemon_that_starts_without_a_free_connection_waits_with_a_reason(
    own_database: Database, tmp_path: Path
) -> None:
    database = own_database
    readings, job_id, target = await readings_job(database, tmp_path)
    with relay(database, tmp_path, size=0, **LONG_LEASE) as daemons:
        async with exhausted(database):
            daemon = daemons.start()
            await until(ready(daemon), lambda seen: seen[0] == 503 and NO_MORE in seen[1])
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


async def test_a_job_for_which_no_connection_is_free_waits_with_a_reason_and_goes_on_by_itself(
    own_database: Database, tmp_path: Path
) -> None:
    database = own_database
    with relay(database, tmp_path, size=1, **LONG_LEASE) as daemons:
        daemon = daemons.daemons[0]
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
        async with exhausted(database):
            readings, job_id, target = await readings_job(database, tmp_path)
            await until(ready(daemon), lambda seen: seen[0] == 200 and f"jobs wait: {NO_MORE}" in seen[1])
        await completed(database, job_id)
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED
