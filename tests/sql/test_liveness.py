"""When a worker counts as dead: by its lease, or by its listener's backend, on a server that stayed the same."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from jobd.db import embedded, migrate
from tests.sql.jobs import Worker, register
from tests.sql.roles import make_role
from tests.sql.victims import register_rescuer, rescue, start

if TYPE_CHECKING:
    from tests.support.database import Database


@pytest.fixture
async def rescuer(database: Database) -> Worker:
    return await register_rescuer(database)


async def listener_of(victim: Worker, connection: asyncpg.Connection) -> None:
    started = await connection.fetchval("select backend_start from pg_stat_activity where pid = pg_backend_pid()")
    pid = connection.get_server_pid()
    await victim.connection.execute("select jobd.heartbeat($1, 600, $2, $3)", victim.id, pid, started)


async def miss_a_beat(database: Database, victim: Worker) -> None:
    await database.execute(
        "update jobd.worker set heartbeat_at = heartbeat_at - make_interval(secs => heartbeat_seconds * 2)"
        " where id = $1",
        victim.id,
    )


async def long_up(database: Database) -> None:
    """Let the server seem to have been up for longer than the lease: the test's server is young."""
    await database.execute("update jobd.worker set lease_seconds = 0.01")


async def gone(database: Database, connection: asyncpg.Connection) -> None:
    pid = connection.get_server_pid()
    await connection.close()
    while await database.fetchval("select count(*) from pg_stat_activity where pid = $1", pid):
        pass


async def test_a_listener_that_is_gone_and_a_missed_beat_are_enough(database: Database, rescuer: Worker) -> None:
    victim, job = await start(database)
    listener = await database.connect()
    await listener_of(victim, listener)
    await long_up(database)
    await miss_a_beat(database, victim)
    assert await rescue(rescuer) == [], "its listener is there"
    await gone(database, listener)
    assert await rescue(rescuer) == [(job["id"], "pending", "listener_gone")]


async def test_a_listener_that_is_gone_alone_is_not_enough(database: Database, rescuer: Worker) -> None:
    victim, _ = await start(database)
    listener = await database.connect()
    await listener_of(victim, listener)
    await long_up(database)
    await gone(database, listener)
    assert await rescue(rescuer) == []


async def test_a_server_that_started_again_proves_nothing_by_absent_listeners(
    database: Database, rescuer: Worker
) -> None:
    victim, _ = await start(database)
    listener = await database.connect()
    await listener_of(victim, listener)
    await long_up(database)
    await miss_a_beat(database, victim)
    await gone(database, listener)
    await database.execute(
        "update jobd.worker set server_epoch = server_epoch - interval '1 h' where id = $1", victim.id
    )
    assert await rescue(rescuer) == []


async def test_a_server_that_is_younger_than_a_lease_proves_nothing_either(
    database: Database, rescuer: Worker
) -> None:
    victim, _ = await start(database)
    listener = await database.connect()
    await listener_of(victim, listener)
    await database.execute("update jobd.worker set lease_seconds = 1e7")
    await miss_a_beat(database, victim)
    await gone(database, listener)
    assert await rescue(rescuer) == []


async def test_listeners_of_another_role_are_seen_too(database: Database) -> None:
    """The rescuer runs as its own role; a live listener of another role's must not look dead to it."""
    role = await make_role(database, "daemon")
    await database.execute(f"grant jobd_worker to {role}")
    rescuer = await register(database, role)
    victim, job = await start(database)
    listener = await database.connect()
    await listener_of(victim, listener)
    await long_up(database)
    await miss_a_beat(database, victim)
    assert await rescue(rescuer) == []
    await gone(database, listener)
    assert await rescue(rescuer) == [(job["id"], "pending", "listener_gone")]


async def test_a_crash_of_the_server_changes_its_epoch_although_the_postmaster_lives_on() -> None:
    epoch = "select jobd.server_epoch(), pg_postmaster_start_time()"
    with embedded.running(settings={"fsync": "off"}) as server:
        await migrate.migrate(server.url())
        connection = await asyncpg.connect(server.url())
        before = await connection.fetchrow(epoch)
        os.kill(connection.get_server_pid(), signal.SIGKILL)
        while (after := await answer(server, epoch)) is None:
            pass
    assert before is not None
    assert after[0] > before[0]
    assert after[1] == before[1]


async def answer(server: embedded.EmbeddedServer, query: str) -> asyncpg.Record | None:
    """Ask a server that may be recovering."""
    try:
        connection = await asyncpg.connect(server.url())
        row = await connection.fetchrow(query)
        await connection.close()
    except (OSError, asyncpg.PostgresError):
        return None
    return row
