"""The target is resolved once; what happens to it meanwhile ends the job, and loses nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.importing import import_file, write
from tests.support.names import unique

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database


@pytest.mark.parametrize("has_rows", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        "drop table t",
        "alter table t rename to u",
        "alter table t rename to u; create table t (id int primary key, n int)",
        "alter table t alter n type bigint",
        "alter table t alter n type text",
        "alter table t drop n",
        "alter table t rename n to m",
        "alter table t set schema other",
        "drop schema public cascade",
        "alter table t drop constraint t_pkey",
    ],
)
async def test_a_target_that_changes_in_the_middle_fails_the_job(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path, change: str, has_rows: bool
) -> None:
    await connection.execute("create schema other; create table t (id int primary key, n int)")
    if has_rows:
        await connection.execute("insert into t select g, 0 from generate_series(0, 99) g")
    path = write(tmp_path / "t.csv", ["id,n", *(f"{id_},1" for id_ in range(100))])

    async def alter(batches: int) -> None:
        if batches == 3:
            await empty_database.execute(change)

    imported = await import_file(connection, path, "t", {"batch_size": 20}, before_batch=alter)
    assert imported.failure is not None
    assert imported.failure.error_code == "target_changed", imported.failure
    assert imported.tally.success_count == 60


async def test_a_new_column_that_needs_a_value_fails_the_job_and_no_record(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, n int)")
    path = write(tmp_path / "t.csv", ["id,n", *(f"{id_},1" for id_ in range(100))])

    async def alter(batches: int) -> None:
        if batches == 3:
            await empty_database.execute(
                "alter table t add extra int not null default 1; alter table t alter extra drop default"
            )

    imported = await import_file(connection, path, "t", {"batch_size": 20}, before_batch=alter)
    assert imported.failure is not None
    assert imported.failure.error_code == "target_changed"
    assert imported.counts == (60, 0, 0, 0, 0)


async def test_a_job_whose_target_is_mended_continues(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, n int)")
    path = write(tmp_path / "t.csv", ["id,n", *(f"{id_},1" for id_ in range(100))])

    async def rename(batches: int) -> None:
        if batches == 3:
            await empty_database.execute("alter table t rename to u")

    imported = await import_file(connection, path, "t", {"batch_size": 20}, before_batch=rename)
    assert imported.failure is not None
    again = await import_file(connection, path, "t", {"batch_size": 20}, continued=imported)
    assert again.failure is not None
    assert again.failure.error_code == "target_changed"
    await connection.execute("alter table u rename to t")
    again = await import_file(connection, path, "t", {"batch_size": 20}, continued=imported)
    assert again.failure is None
    assert again.counts == (100, 0, 0, 0, 0)


async def test_new_columns_and_indexes_are_ignored(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, n int)")
    path = write(tmp_path / "t.csv", ["id,n", *(f"{id_},1" for id_ in range(100))])

    async def alter(batches: int) -> None:
        if batches == 3:
            await empty_database.execute("alter table t add note text default 'x'; create index on t (n)")

    imported = await import_file(connection, path, "t", {"batch_size": 20}, before_batch=alter)
    assert imported.failure is None
    assert imported.counts == (100, 0, 0, 0, 0)


async def test_a_privilege_that_is_taken_away_fails_the_job(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path
) -> None:
    role = unique("clerk")
    await connection.execute(
        f"create role {role} login; create table t (id int primary key); grant all on t to {role}"
    )
    session = await empty_database.connect(role, statement_cache_size=0)
    path = write(tmp_path / "t.csv", ["id", *(str(id_) for id_ in range(100))])

    async def revoke(batches: int) -> None:
        if batches == 3:
            await connection.execute(f"revoke all on t from {role}")

    imported = await import_file(session, path, "t", {"batch_size": 20}, before_batch=revoke)
    assert imported.failure is not None
    assert imported.failure.error_code == "no_privilege"
    assert imported.tally.added == 60
