"""Goal: give a job's session up under its hands, as when another host has taken over; nobody notices.

The driver then raises whatever it stumbles over: between a statement's preparation and its execution that is an
AttributeError of its own, which looks like a fault of the handler's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.runner import points
from tests.fault.wire import UNDISTURBED, interruptions
from tests.support.daemons import daemon_within, until
from tests.support.files import write_plain
from tests.support.imports import completed, create_plain, failed, submit_import

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobd.daemon import Daemon
    from tests.support.database import Database

STATE = "select status, lease_token, processed_rows from jobd.job where id = $1"
CLAIM_BY_ANOTHER = """
set session_replication_role = replica;
update jobd.job set worker_id = gen_random_uuid() where status = 'running';
reset session_replication_role;
"""
RECORDS = 60
BATCH_SIZE = 20


@pytest.fixture(autouse=True)
def no_points_left() -> Iterator[None]:
    yield
    points.clear()


def stumble(daemon: Daemon, passing: list[int], *, gives_up: bool) -> None:
    """Do at this passing of the point what the driver does."""
    passing[0] -= 1
    if passing[0] == 0:
        for held in daemon._parts.running.unfinished():
            if gives_up and held.session is not None:
                held.session.give_up()
        raise AttributeError("'NoneType' object has no attribute 'bind_execute'")


@pytest.mark.parametrize("point", ["batch.begin", "batch.inside", "batch.commit", "batch.committed"])
async def test_whatever_the_driver_raises_on_a_session_that_was_given_up_the_batch_is_done_once(
    database: Database, tmp_path: Path, point: str
) -> None:
    path = write_plain(tmp_path / "plain.csv", RECORDS)
    target = await create_plain(database, "given_up")
    async with daemon_within(database, import_roots=tmp_path) as daemon:
        passing = [2]

        async def passed() -> None:
            stumble(daemon, passing, gives_up=True)

        points.register(point, passed)
        job_id = await submit_import(database, path, target, {"batch_size": BATCH_SIZE})
        await completed(database, job_id)
        assert passing[0] <= 0
    assert await interruptions(database, job_id) == UNDISTURBED
    assert await database.fetchval(f"select count(*) from {target}") == RECORDS


async def test_a_job_that_another_worker_claimed_under_the_same_token_is_lost(
    database: Database, tmp_path: Path
) -> None:
    """As after a failover that lost the claim: the successor's first claim is by the same token."""
    path = write_plain(tmp_path / "plain.csv", RECORDS)
    target = await create_plain(database, "given_up")
    async with daemon_within(database, import_roots=tmp_path, heartbeat_seconds=9, lease_seconds=30) as daemon:
        passing = [2]

        async def passed() -> None:
            passing[0] -= 1
            if passing[0] == 0:
                await database.execute(CLAIM_BY_ANOTHER)
            stumble(daemon, [passing[0] + 1], gives_up=True)

        points.register("batch.begin", passed)
        job_id = await submit_import(database, path, target, {"batch_size": BATCH_SIZE})
        await until(lambda: attempts(daemon, "lease_lost"))
    assert tuple(await database.fetchrow(STATE, job_id) or ()) == ("running", 1, BATCH_SIZE)
    assert await database.fetchval(f"select count(*) from {target}") == BATCH_SIZE


async def attempts(daemon: Daemon, outcome: str) -> float:
    counted: float = daemon.metrics.jobs.attempts.labels("default", "import", outcome)._value.get()
    return counted


async def test_the_same_error_on_a_session_that_is_well_is_the_handlers_own(
    database: Database, tmp_path: Path
) -> None:
    path = write_plain(tmp_path / "plain.csv", RECORDS)
    target = await create_plain(database, "given_up")
    async with daemon_within(database, import_roots=tmp_path) as daemon:

        async def passed() -> None:
            stumble(daemon, [1], gives_up=False)

        points.register("batch.inside", passed)
        job_id = await submit_import(database, path, target, {"batch_size": BATCH_SIZE}, max_retries=0)
        assert await failed(database, job_id) == "handler_error"
