"""A worker that dies, and one that notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sql.jobs import Worker, register
from tests.sql.roles import submit

if TYPE_CHECKING:
    from uuid import UUID

    import asyncpg

    from tests.support.database import Database


async def register_rescuer(database: Database) -> Worker:
    """A worker that has been beating for longer than a lease."""
    worker = await register(database, name="rescuer")
    await database.execute(
        "update jobd.worker set beating_since = now() - interval '1 day' where id = $1", worker.id
    )
    return worker


async def start(database: Database, **columns: object) -> tuple[Worker, asyncpg.Record]:
    worker = await register(database, name="victim")
    job_id = await submit(worker.connection, **columns)
    job = next(row for row in await worker.claim() if row["id"] == job_id)
    return worker, job


async def rescue(rescuer: Worker, limit: int = 100) -> list[tuple[UUID, str, str]]:
    rows = await rescuer.connection.fetch("select * from jobd.rescue($1, $2)", rescuer.id, limit)
    return [(row["job_id"], row["status"], row["reason"]) for row in rows]
