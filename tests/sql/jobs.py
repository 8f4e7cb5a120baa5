"""Workers and jobs for tests of the database layer: what a daemon would call, without a daemon."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from tests.sql.roles import submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from tests.support.database import Database

LEASE_SECONDS = 600.0
STATUSES = ("pending", "running", "paused", "completed", "failed", "cancelled")


@dataclass(frozen=True)
class Worker:
    """A registered worker on a connection of its own."""

    id: UUID
    connection: asyncpg.Connection

    async def beat(self) -> Sequence[asyncpg.Record]:
        """Renew the lease."""
        return await self.connection.fetch("select * from jobd.heartbeat($1, $2)", self.id, LEASE_SECONDS)

    async def claim(self, limit: int = 10, queues: Sequence[str] = ("default",)) -> Sequence[asyncpg.Record]:
        """Take jobs."""
        return await self.connection.fetch("select * from jobd.claim($1, $2, $3)", self.id, list(queues), limit)

    async def commit(self, job: asyncpg.Record, **values: Any) -> asyncpg.Record:
        """Commit a batch of a job that was claimed."""
        return await commit_batch(self.connection, job, **values)

    async def finish(self, job: asyncpg.Record, outcome: str, **values: Any) -> asyncpg.Record | None:
        """End the attempt at one job."""
        return await self.connection.fetchrow(
            "select * from jobd.finish(array[$1::uuid], array[$2::bigint], array[$3::text], array[$4::text],"
            " array[$5::text], array[$6::jsonb], array[$7::float8])",
            job["id"],
            values.get("lease_token", job["lease_token"]),
            outcome,
            values.get("error_code"),
            values.get("error_message"),
            values.get("result"),
            values.get("delay_seconds"),
        )


async def commit_batch(
    connection: asyncpg.Connection, job: asyncpg.Record | dict[str, object], **values: Any
) -> asyncpg.Record:
    """Call commit_batch as the end of a batch's transaction; what is not given is 0 or null."""
    counts = [values.get(name, 0) for name in ("added", "updated", "unchanged", "skipped", "refused")]
    row = values.get("row")
    cursor = values.get("cursor", None if row is None else {"row": row})
    errors = values.get("errors", [])
    rejects = values.get("rejects", [])
    names = ("row", "line", "file", "field", "type", "code", "message", "sqlstate", "constraint", "raw")
    receipt = await connection.fetchrow(
        "select * from jobd.commit_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
        " $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
        job["id"],
        values.get("lease_token", job["lease_token"]),
        *counts,
        None if cursor is None else json.dumps(cursor),
        values.get("progress", 0.0),
        values.get("total_rows"),
        values.get("current_file"),
        *([error.get(name) for error in errors] for name in names),
        [reject["row"] for reject in rejects],
        [reject.get("file") for reject in rejects],
        [reject["record"] for reject in rejects],
    )
    assert receipt is not None
    return receipt


async def register(database: Database, user: str = "postgres", name: str = "worker") -> Worker:
    """Start a worker."""
    worker = Worker(uuid4(), await database.connect(user))
    await worker.connection.execute(
        "select jobd.register_worker($1, $2, 'host', 1, '0.1', '{default}', 4, $3)", worker.id, name, LEASE_SECONDS
    )
    return worker


async def job_in(database: Database, status: str, **columns: object) -> UUID:
    """Bring a new job into a status by what would bring it there."""
    connection = await database.connect()
    job_id = await submit(connection, **columns)
    if status == "pending":
        return job_id
    if status in {"paused", "cancelled"}:
        call = "select jobd.pause($1)" if status == "paused" else "select jobd.cancel($1)"
        await connection.execute(call, job_id)
        return job_id
    worker = await register(database)
    job = next(row for row in await worker.claim(1000) if row["id"] == job_id)
    if status != "running":
        await worker.finish(job, status)
    return job_id


async def row_of(database: Database, job_id: UUID) -> asyncpg.Record:
    """The job's row."""
    row = await database.fetchrow("select * from jobd.job where id = $1", job_id)
    assert row is not None
    return row


async def status_of(database: Database, job_id: UUID) -> str:
    """The job's status."""
    return str((await row_of(database, job_id))["status"])


async def events_of(database: Database, job_id: UUID) -> list[tuple[str, str | None, str]]:
    """What happened to a job."""
    rows = await database.fetch(
        "select event_type, old_status, new_status from jobd.job_event where job_id = $1 order by id", job_id
    )
    return [tuple(row) for row in rows]


async def somebody_waits(database: Database) -> None:
    """Return as soon as a session waits for a lock that another holds."""
    while not await database.fetchval("select count(*) from pg_locks where not granted"):
        pass
