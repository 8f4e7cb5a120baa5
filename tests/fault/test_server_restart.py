"""Goal: crash the server under running imports; they go on by themselves, and nobody takes them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobd.db import embedded, migrate
from tests.fault.relay import relay
from tests.support.database import Database, create_database
from tests.support.files import write_readings
from tests.support.imports import (
    assert_as_expected,
    completed,
    create_readings,
    processed_rows,
    submit_import,
    wait_for_rows,
)
from tests.support.servers import SETTINGS as SERVER_SETTINGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

RESTARTS = 3
RECORDS = 3_000
FILES = ("readings.csv", "readings.jsonl")


@pytest.fixture
async def own_database() -> AsyncIterator[Database]:
    """A database on a server of the test's own, which may be crashed."""
    with embedded.running(settings=SERVER_SETTINGS) as server:
        await create_database(server, "crashed")
        database = Database(server, "crashed")
        await migrate.migrate(database.url)
        yield database
        await database.close()


async def test_imports_outlive_crashes_of_the_server_without_a_retry_or_a_rescue(
    own_database: Database, tmp_path: Path
) -> None:
    database = own_database
    jobs = []
    with relay(database, tmp_path, heartbeat_seconds=0.5, lease_seconds=10):
        for number, name in enumerate(FILES):
            readings = write_readings(tmp_path / name, RECORDS, seed=number)
            target = await create_readings(database, f"torn_{number}", existing=range(1, RECORDS, 7))
            jobs.append(
                (await submit_import(database, readings.path, target, {"batch_size": 20}), target, readings)
            )
        for _ in range(RESTARTS):
            for job_id, _, _ in jobs:
                await wait_for_rows(database, job_id, await processed_rows(database, job_id) + 100)
            await database.close()
            database.server.stop("immediate")
            database.server.start(SERVER_SETTINGS)
        for job_id, _, _ in jobs:
            await completed(database, job_id)
    for job_id, target, readings in jobs:
        await assert_as_expected(database, job_id, target, readings.expected(range(1, RECORDS, 7)))
        job = await database.fetchrow(
            "select retry_count, interrupt_count, lease_token from jobd.job where id = $1", job_id
        )
        assert tuple(job or ()) == (0, 0, 1)
