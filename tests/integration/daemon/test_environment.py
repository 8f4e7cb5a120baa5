"""A clone of production starts nothing and sends nothing until it is adopted."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from jobd.cli.app import app
from jobd.db import migrate
from tests.support.daemons import daemon_process, daemon_within, get, submit, until, wait_for_status
from tests.support.database import Database, create_database, drop_database
from tests.support.names import unique
from tests.support.worker import SimulatedWorker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.daemons import DaemonProcess

STATE = """
select (select jsonb_agg(to_jsonb(j) order by j.id) from jobd.job j)::text,
    (select jsonb_agg(to_jsonb(w) order by w.id) from jobd.worker w)::text,
    (select count(*) from jobd.job_event)
"""


NOBODY_LISTENS = """
select count(*) = 0 from pg_stat_activity
where datname = current_database() and application_name like 'jobd%' and query ilike 'listen%'
"""


async def command(database: Database, *arguments: str, **environment: str) -> tuple[int, str]:
    settings = {"JOBD_DATABASE_URL": database.url, "JOBD_LOG_LEVEL": None, **environment}
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=settings)
    return result.exit_code, result.output


async def reasons(daemon: DaemonProcess) -> list[str]:
    status, body = await get(await daemon.port(), "/readyz")
    return list(json.loads(body)["reasons"]) if status == 503 else []


@contextlib.asynccontextmanager
async def copy_of(database: Database, name: str | None = None) -> AsyncIterator[Database]:
    await database.close()
    copy = Database(database.server, name or unique("copy"))
    await create_database(database.server, copy.name, database.name)
    try:
        yield copy
    finally:
        await copy.close()
        await drop_database(copy.server, copy.name)


@pytest.fixture
async def production(target: Database) -> Database:
    """A database of production in which work waits, and a lost worker's job is to be rescued."""
    await migrate.migrate(target.url, environment="production")
    lost = SimulatedWorker(target)
    await lost.register("lost", lease_seconds=1)
    await submit(target, "nothing")
    await lost.claim()
    await target.execute(
        "update jobd.worker set lease_expires_at = now(), heartbeat_at = now() - interval '1 day'"
    )
    await submit(target, "nothing")
    return target


@pytest.mark.parametrize("environment", ["staging", "production", ""])
async def test_a_daemon_starts_and_sends_nothing_in_a_copy_until_it_is_adopted(
    production: Database, tmp_path: Path, environment: str
) -> None:
    async with copy_of(production) as copy:
        before = tuple(await copy.fetchrow(STATE) or ())
        ear = await copy.connect()
        heard: list[str] = []
        for channel in ("jobd_job", "jobd_control", "jobd_event"):
            await ear.add_listener(channel, lambda *message: heard.append(str(message)))
        settings = {"environment": environment, "lease_seconds": 3, "poll_seconds": 0.2, "sample_seconds": 0.2}
        with daemon_process(copy, tmp_path, **settings) as daemon:
            reason = (await daemon.logged("not ready"))["reason"]
            assert "jobd migrate --adopt" in reason
            assert await until(lambda: reasons(daemon)) == [reason]
            await asyncio.sleep(1)  # time enough to poll, to rescue and to sample several times
            assert tuple(await copy.fetchrow(STATE) or ()) == before
            assert heard == []
            assert await copy.fetchval(NOBODY_LISTENS)
            exit_code, text = await command(copy, "doctor", JOBD_ENVIRONMENT=environment)
            assert (exit_code, "environment" in text, "--adopt" in text) == (1, True, True)
            adopter = environment or "production"
            exit_code, text = await command(copy, "migrate", "--adopt", JOBD_ENVIRONMENT=adopter)
            assert (exit_code, f"belongs to the environment {adopter} now" in text) == (0, True)
            if environment:
                await daemon.logged("worker registered")
                finished = "select count(*) from jobd.job where status = 'completed'"
                await until(lambda: copy.fetchval(finished), lambda seen: seen == 2)


async def test_a_running_daemon_whose_database_is_replaced_by_a_copy_stops_there(
    production: Database, tmp_path: Path
) -> None:
    """A staging database is thrown away and made anew from production's, under the daemon's feet."""
    staging = Database(production.server, unique("staging"))
    await create_database(staging.server, staging.name)
    await migrate.migrate(staging.url, environment="staging")
    job_id = await submit(staging, "sleep")
    with daemon_process(staging, tmp_path, environment="staging", lease_seconds=3) as daemon:
        await wait_for_status(staging, job_id, "running")
        await staging.close()
        await drop_database(staging.server, staging.name)
        async with copy_of(production, staging.name) as refreshed:
            before = tuple(await refreshed.fetchrow(STATE) or ())
            line = await daemon.logged("the database is not this environment's")
            assert "belongs to the environment production, this daemon to staging" in line["reason"]
            assert "--adopt" in (await until(lambda: reasons(daemon), lambda seen: "--adopt" in str(seen)))[0]
            await asyncio.sleep(1)
            assert tuple(await refreshed.fetchrow(STATE) or ()) == before
            assert await refreshed.fetchval(NOBODY_LISTENS)
            await migrate.migrate(refreshed.url, environment="staging", adopt=True)
            finished = "select count(*) from jobd.job where status = 'completed'"
            await until(lambda: refreshed.fetchval(finished), lambda seen: seen == 2)
            assert await until(lambda: reasons(daemon), lambda seen: not seen) == []


async def test_in_its_own_database_a_daemon_works_as_ever(production: Database, tmp_path: Path) -> None:
    with daemon_process(production, tmp_path, environment="production", lease_seconds=3) as daemon:
        await daemon.logged("worker registered")
        finished = "select count(*) from jobd.job where status = 'completed'"
        await until(lambda: production.fetchval(finished), lambda seen: seen == 2)
        exit_code, text = await command(production, "migrate", "--check", JOBD_ENVIRONMENT="production")
        assert (exit_code, text.startswith("The schema is current")) == (0, True)


async def test_a_migrate_of_another_environment_brings_the_schema_up_to_date_and_adopts_nothing(
    production: Database,
) -> None:
    exit_code, text = await command(production, "migrate", JOBD_ENVIRONMENT="staging")
    assert (exit_code, "this daemon to staging" in text) == (0, True)
    assert (await command(production, "migrate", "--check", JOBD_ENVIRONMENT="staging"))[0] == 78
    assert await production.fetchval("select name from jobd.environment") == "production"
    exit_code, text = await command(production, "migrate", "--adopt")
    assert (exit_code, "JOBD_ENVIRONMENT: set it" in text) == (78, True)


async def test_a_worker_that_has_left_does_not_come_back_with_a_late_beat(target: Database) -> None:
    async with daemon_within(target, heartbeat_seconds=0.01) as daemon:
        await daemon.worker.leave()
        await asyncio.sleep(0.2)  # beats that were under way
        assert await target.fetchval("select count(*) from jobd.worker") == 0
