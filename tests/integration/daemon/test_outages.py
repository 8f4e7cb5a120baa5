from __future__ import annotations

from functools import partial
from operator import le
from typing import TYPE_CHECKING

import pytest

from jobd.runner import points
from tests.integration.daemon.conftest import SERVER_SETTINGS
from tests.support.daemons import daemon_within, get, job_row, submit, until, wait_for_status

if TYPE_CHECKING:
    from tests.support.database import Database

ROWS = "select count(*) from public.written"


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_of_the_database_interrupts_nothing_for_good(own_target: Database, mode: str) -> None:
    server = own_target.server
    async with daemon_within(own_target) as daemon:
        job_id = await submit(own_target, "write_rows", metadata={"rows": 200, "pause": 0.01})
        await until(lambda: own_target.fetchval(ROWS))
        await own_target.close()
        server.stop(mode)
        assert daemon.health.port is not None
        port = daemon.health.port

        async def readiness() -> int:
            return (await get(port, "/readyz"))[0]

        await until(readiness, lambda status: status == 503, within=15)
        assert (await get(port, "/healthz"))[0] == 200
        server.start(SERVER_SETTINGS)
        await wait_for_status(own_target, job_id, "completed", within=30)
        await until(readiness, lambda status: status == 200, within=15)
        await wait_for_status(own_target, await submit(own_target), "completed", within=5)
    job = await job_row(own_target, job_id)
    assert await own_target.fetchval(ROWS) == 200 == job["processed_rows"] == job["success_count"]
    assert job["retry_count"] == 0


async def test_an_outage_longer_than_the_lease_stops_the_job_and_it_continues_afterwards(
    own_target: Database,
) -> None:
    server = own_target.server
    async with daemon_within(own_target, lease_seconds=3) as daemon:
        job_id = await submit(own_target, "write_rows", metadata={"rows": 100, "pause": 0.02})
        await until(lambda: own_target.fetchval(ROWS))
        await own_target.close()
        server.stop("fast")

        async def expired() -> float | None:
            return daemon.metrics.registry.get_sample_value("jobd_leases_lost_total", {"reason": "expired"})

        await until(expired, lambda count: count == 1)
        server.start(SERVER_SETTINGS)
        await wait_for_status(own_target, job_id, "completed", within=30)
    job = await job_row(own_target, job_id)
    assert await own_target.fetchval(ROWS) == 100 == job["processed_rows"]
    assert (job["retry_count"], job["interrupt_count"]) == (0, 1)


async def test_a_batch_whose_connection_is_cut_is_done_again(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(target, "write_rows", metadata={"rows": 30, "pause": 0.02})
        for count in (3, 10, 20):
            await until(lambda: target.fetchval(ROWS), partial(le, count))
            await target.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where state = 'idle in transaction' and pid <> pg_backend_pid()"
            )
        await wait_for_status(target, job_id, "completed")
    job = await job_row(target, job_id)
    assert await target.fetchval(ROWS) == 30 == job["processed_rows"]
    assert (job["retry_count"], job["interrupt_count"]) == (0, 0)


async def test_every_connection_cut_at_once_loses_nothing(target: Database) -> None:
    async with daemon_within(target) as daemon:
        job_id = await submit(target, "write_rows", metadata={"rows": 30, "pause": 0.02})
        await until(lambda: target.fetchval(ROWS))
        await target.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'jobd:%'"
        )
        await wait_for_status(target, job_id, "completed")
        await until(lambda: target.fetchval("select count(*) from jobd.worker where listener_pid is not null"))
        await wait_for_status(target, await submit(target), "completed", within=3)
        assert not daemon.readiness().reasons
    assert await target.fetchval(ROWS) == 30 == (await job_row(target, job_id))["processed_rows"]


@pytest.mark.parametrize(("point", "tries"), [("batch.commit", 4), ("batch.committed", 3)])
async def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_doubled(
    target: Database, point: str, tries: int
) -> None:
    calls = []

    async def lose_the_connection() -> None:
        calls.append(point)
        if len(calls) == 2:
            raise ConnectionResetError("cut by the test")

    points.register(point, lose_the_connection)
    async with daemon_within(target):
        job_id = await submit(target, "write_rows", metadata={"rows": 3})
        await wait_for_status(target, job_id, "completed")
    job = await job_row(target, job_id)
    assert await target.fetchval(ROWS) == 3 == job["processed_rows"]
    assert job["retry_count"] == 0
    # Cut before the COMMIT the batch is done again; cut after it, it is found to be committed.
    assert len(calls) == tries


async def test_a_conflict_has_the_batch_done_again(target: Database) -> None:
    async with daemon_within(target):
        job_id = await submit(
            target,
            "bad_sql",
            metadata={
                "sql": "create table if not exists public.tried (); insert into public.written"
                " select '00000000-0000-0000-0000-000000000000', 1; select public.conflict_once()"
            },
        )
        await target.execute(
            "create sequence public.tries; create function public.conflict_once() returns void language plpgsql as"
            " $$ begin if nextval('public.tries') < 3 then raise serialization_failure; end if; end $$"
        )
        await wait_for_status(target, job_id, "completed", "failed")
    job = await job_row(target, job_id)
    assert (job["status"], job["retry_count"]) == ("completed", 0)
    assert await target.fetchval("select last_value from public.tries") == 3
    assert await target.fetchval(ROWS) == 1


async def test_a_deaf_listener_is_noticed_said_and_mended(target: Database) -> None:
    async with daemon_within(target, poll_seconds=600) as daemon:
        await until(lambda: target.fetchval("select count(*) from jobd.worker where listener_pid is not null"))
        registry = daemon.metrics.registry

        async def is_up() -> float | None:
            return registry.get_sample_value("jobd_listener_up")

        await until(is_up, lambda value: value == 1)
        # It is connected, and yet nothing arrives: what a pooler in the way makes of it.
        assert daemon._listener._connection is not None
        await daemon._listener._connection._connection.execute("unlisten *")
        daemon._listener.wakeup.set()
        await until(is_up, lambda value: value == 0)
        assert daemon.readiness().degraded == ("notifications are not heard",)
        await wait_for_status(target, await submit(target), "completed", within=5)
        await until(is_up, lambda value: value == 1)
        assert daemon.readiness().degraded == ()
