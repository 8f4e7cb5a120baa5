"""Bytes in the database as a source: read with the submitter's rights, a slice at a time."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from jobd.db.grants import SubmitterGrant, grant_submitter
from jobd.importing.reading import blob
from tests.support.daemons import daemon_within, job_row, wait_for_status
from tests.support.names import unique

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    import asyncpg

    from tests.support.database import Database


@pytest.fixture
async def target(database: Database) -> Database:
    await database.execute("create table public.people (id int primary key, name text)")
    return database


async def upload(connection: asyncpg.Connection, data: bytes) -> UUID:
    blob_id: UUID = await connection.fetchval("insert into jobd.blob (data) values ($1) returning id", data)
    return blob_id


async def imported(database: Database, connection: asyncpg.Connection, source: str) -> Mapping[str, Any]:
    job_id = await connection.fetchval(
        "insert into jobd.job (source, target) values ($1, 'public.people') returning id", source
    )
    async with daemon_within(database):
        await wait_for_status(database, job_id, "completed", "failed")
    return await job_row(database, job_id)


@pytest.mark.parametrize("slice_bytes", [3, 1 << 20])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
async def test_bytes_in_the_database_are_imported_like_a_file(
    target: Database, slice_bytes: int, pack: Any
) -> None:
    connection = await target.connect()
    blob_id = await upload(connection, pack(b"id,name\n1,ann\n2,bob\nx,c\n"))
    with mock.patch.object(blob, "SLICE_BYTES", slice_bytes):
        job = await imported(target, connection, f"blob:{blob_id}")
    assert (job["status"], job["items_added"], job["error_count"]) == ("completed", 2, 1)
    assert job["current_file"] == f"blob:{blob_id}"


async def test_a_submitter_reads_its_own_bytes_and_nobody_else_s(target: Database) -> None:
    connections = []
    for _ in range(2):
        role = unique("clerk")
        await target.execute(f"create role {role}")
        await grant_submitter(await target.connect(), SubmitterGrant(role=role), None)
        await target.execute(f"grant select, insert, update on public.people to {role}")
        connection = await target.connect()
        await connection.execute(f"set role {role}")
        connections.append(connection)
    blob_id = await upload(connections[0], b"id,name\n1,ann\n")
    stranger = await imported(target, connections[1], f"blob:{blob_id}")
    assert (stranger["status"], stranger["error_code"]) == ("failed", "source_missing")
    own = await imported(target, connections[0], f"blob:{blob_id}")
    assert (own["status"], own["items_added"]) == ("completed", 1)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("blob:8d6f6c1e-5a3b-4a0c-9a53-0d5b6f2c7e11", "source_missing"),
        ("blob:7", "source_unreadable"),
        ("blob:", "source_unreadable"),
    ],
)
async def test_a_blob_that_is_none_fails_the_job(target: Database, source: str, code: str) -> None:
    job = await imported(target, await target.connect(), source)
    assert (job["status"], job["error_code"]) == ("failed", code)


async def test_an_empty_blob_is_an_empty_file(target: Database) -> None:
    connection = await target.connect()
    blob_id = await upload(connection, b"")
    assert (await imported(target, connection, f"blob:{blob_id}"))["error_code"] == "source_empty"
