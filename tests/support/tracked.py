"""Imports that track changes, into a database that keeps them: a claimed job, and its batches as a daemon's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.support.importing import import_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID

    import asyncpg

    from tests.support.database import Database
    from tests.support.importing import Imported


async def import_tracked(
    database: Database,
    path: Path,
    target: str,
    options: dict[str, Any] | None = None,
    *,
    submitter: asyncpg.Connection | None = None,
    user: str = "postgres",
) -> tuple[UUID, Imported]:
    """Import with ``track_changes`` and end the job; ``submitter`` submits it, ``user`` is its login."""
    wanted = {"track_changes": True, **(options or {})}
    owner = await database.connect()
    worker_id = uuid4()
    await owner.execute("select jobd.register_worker($1, 'w', 'h', 1, '1', '{default}', 1, 60)", worker_id)
    job_id = await (submitter or owner).fetchval(
        "insert into jobd.job (source, target, options) values ($1, $2, $3::text::jsonb) returning id",
        str(path),
        target,
        json.dumps(wanted),
    )
    job = await owner.fetchrow("select id, lease_token from jobd.claim($1, '{default}', 1)", worker_id)
    assert job is not None
    assert job["id"] == job_id
    connection = await database.connect(user, statement_cache_size=0)
    imported = await import_file(connection, path, target, wanted, id=job_id, lease_token=job["lease_token"])
    if "detected" in imported.begun:
        detected = json.dumps(imported.begun["detected"])
        await owner.execute("select jobd.begin($1, $2, $3::text::jsonb)", job_id, job["lease_token"], detected)
    await owner.execute(
        "select jobd.finish("
        "array[$1::uuid], array[$2::bigint], array[$3::text], array[$4::text], array[$5::text])",
        job_id,
        job["lease_token"],
        "failed" if imported.failure else "completed",
        imported.failure.error_code if imported.failure else None,
        str(imported.failure) if imported.failure else None,
    )
    await owner.execute("select jobd.deregister_worker($1)", worker_id)
    return job_id, imported


async def changes_of(database: Database, job_id: UUID) -> Sequence[tuple[Any, ...]]:
    """Key, change, before and after, in order."""
    rows = await database.fetch(
        "select key, change, before, after from jobd.job_change where job_id = $1 order by id", job_id
    )
    return [(_json(row["key"]), row["change"], _json(row["before"]), _json(row["after"])) for row in rows]


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)
