"""Goal: let an outage outlast every patience: no retry is used but where a job alone does not get through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jobd.runner import persistence
from tests.fault.wire import BATCH_SIZE, EXISTING, LONG_LEASE, UNDISTURBED, interruptions, readings_job
from tests.support.daemons import daemon_within, until
from tests.support.imports import assert_as_expected, completed, wait_for_rows

if TYPE_CHECKING:
    from pathlib import Path

    from jobd.daemon import Daemon
    from tests.support.cutting_proxy import CuttingProxy
    from tests.support.database import Database

PATIENCE_SECONDS = 0.5
TRIES = 8
# Longer than the test: whoever stops for want of a lease stops for another reason.
LEASE_SECONDS = 300


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "UNREACHABLE_SECONDS_MAX", PATIENCE_SECONDS)


async def tries(daemon: Daemon) -> float:
    """How often the job was tried again since its connection was lost."""
    counted: float = daemon.metrics.jobs.batches_again.labels("connection")._value.get()
    return counted


async def test_an_outage_longer_than_the_patience_with_one_job_costs_no_retry(
    database: Database, tmp_path: Path, proxy: CuttingProxy
) -> None:
    settings = {**LONG_LEASE, "lease_seconds": LEASE_SECONDS, "database_url": proxy.url}
    async with daemon_within(database, import_roots=tmp_path, **settings) as daemon:
        readings, job_id, target = await readings_job(database, tmp_path, records=4_000)
        await wait_for_rows(database, job_id, BATCH_SIZE)
        proxy.refuse()
        proxy.reset()
        # The first tries are milliseconds apart, the last of so many are a second.
        await until(lambda: tries(daemon), lambda seen: seen >= TRIES)
        proxy.accept()
        await completed(database, job_id)
    assert await interruptions(database, job_id) == UNDISTURBED
    await assert_as_expected(database, job_id, target, readings.expected(EXISTING))


async def test_a_job_whose_own_connections_fail_while_the_lease_is_renewed_is_tried_later(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**LONG_LEASE, "lease_seconds": LEASE_SECONDS}
    async with daemon_within(database, import_roots=tmp_path, **settings) as daemon:
        connector = daemon._parts.connector
        opens = connector.open

        async def open_all_but_sessions(login: str | None = None, **keywords: Any) -> Any:
            if keywords:
                raise ConnectionRefusedError("this way is closed")
            return await opens(login)

        monkeypatch.setattr(connector, "open", open_all_but_sessions)
        _, job_id, _ = await readings_job(database, tmp_path)
        retried = "select retry_count from jobd.job where id = $1"
        await until(lambda: database.fetchval(retried, job_id))
        error = await database.fetchval("select error_code from jobd.job where id = $1", job_id)
    assert error == "database_error"
