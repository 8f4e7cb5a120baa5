"""Goal: let locks of others be in the way for longer than batches wait; the daemon says so and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fault.relay import relay
from tests.fault.wire import EXISTING, LONG_LEASE, UNDISTURBED, interruptions, readings_job, ready, said
from tests.support.backends import transaction_of_another
from tests.support.daemons import daemon_within, until
from tests.support.imports import assert_as_expected, completed, wait_for_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.database import Database

RECORDS = 1_000


async def test_a_target_locked_for_longer_than_the_lock_timeout_is_waited_for_and_the_reason_is_told(
    database: Database, tmp_path: Path
) -> None:
    async with daemon_within(database, import_roots=tmp_path, **LONG_LEASE) as daemon:
        readings, job_id, target = await readings_job(database, tmp_path, records=RECORDS)
        await wait_for_rows(database, job_id, 60)

        async def degraded() -> str:
            return " ".join(daemon.readiness().degraded)

        async with transaction_of_another(database, f"lock table {target} in access exclusive mode") as other:
            await until(degraded, lambda said: "jobs wait: somebody holds a lock that is needed" in said)
            blocker = f"blocked by backend {other.get_server_pid()}"
            explain = "select jobd.explain($1)"
            await until(lambda: database.fetchval(explain, job_id), lambda text: blocker in text)
        await completed(database, job_id)
        assert await degraded() == ""
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


async def test_jobs_table_locked_for_some_seconds_costs_no_lease(database: Database, tmp_path: Path) -> None:
    with relay(database, tmp_path, size=1, heartbeat_seconds=0.3, lease_seconds=6) as daemons:
        daemon = daemons.daemons[0]
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
        readings, job_id, target = await readings_job(database, tmp_path, records=RECORDS)
        await wait_for_rows(database, job_id, 60)
        async with transaction_of_another(database, "lock table jobd.job in access exclusive mode"):
            # A third of the lease: the beat is given up, sent again, and waits again.
            await until(ready(daemon), lambda seen: seen[0] == 503 and "does not answer" in seen[1])
        await completed(database, job_id)
        await until(ready(daemon), lambda seen: '"ready"' in seen[1])
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED


async def test_jobs_table_locked_for_longer_than_the_lease_uses_no_retry(
    database: Database, tmp_path: Path
) -> None:
    with relay(database, tmp_path, size=2, heartbeat_seconds=0.3, lease_seconds=2) as daemons:
        for daemon in daemons.daemons:
            await until(ready(daemon), lambda seen: '"ready"' in seen[1])
        readings, job_id, target = await readings_job(database, tmp_path, records=RECORDS)
        await wait_for_rows(database, job_id, 60)
        holder = await daemons.holder(job_id)
        async with transaction_of_another(database, "lock table jobd.job in access exclusive mode"):
            await holder.logged("lease not renewed in time; its jobs are stopped")
        await completed(database, job_id)
        assert not any(said(daemon, "job rescued") for daemon in daemons.daemons)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert (await interruptions(database, job_id))[:2] == (0, 1)


async def test_an_old_snapshot_holds_up_nothing(database: Database, tmp_path: Path) -> None:
    old = "set transaction isolation level repeatable read; select count(*) from jobd.job"
    async with daemon_within(database, import_roots=tmp_path, **LONG_LEASE), transaction_of_another(database, old):
        readings, job_id, target = await readings_job(database, tmp_path)
        await completed(database, job_id)
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))
    assert await interruptions(database, job_id) == UNDISTURBED
