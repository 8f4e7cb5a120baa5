"""Validation jobs: what an import would do, counted like an import's, and nothing kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from jobd.importing import seen
from tests.support.daemons import daemon_within, job_row, wait_for_status
from tests.support.importing import import_file, write
from tests.support.imports import submit_import

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database
    from tests.support.importing import Imported

SIZES = [1, 3, 20_000]
PEOPLE = """
    create table people (
        id int primary key, name text not null default 'nobody', age int check (age >= 0), born date,
        stamp text generated always as ('#' || id) stored
    );
    insert into people (id, name, age) values (1, 'ann', 1), (2, 'bob', 2), (3, 'cid', 3);
"""
RECORDS = [
    "id,name,age",
    "1,ann,1",  # unchanged
    "2,bob,20",  # updated
    "4,dan,4",  # added
    "4,dan,4",  # the same again: unchanged
    "4,dora,4",  # changed again: updated
    "5,eve,-5",  # refused by the check
    "5,eve,5",  # added, as the one before was refused
    "x,who,1",  # refused by the type
    "2,bob,20",  # as it was left by the earlier one: unchanged
    "2,bob,2",  # back to what the table has: updated
    "1,ann,1",
    "6,fay,6",
]


async def validated(connection: asyncpg.Connection, path: Path, size: int = 20_000, **options: Any) -> Imported:
    return await import_file(connection, path, "people", options, batch_size=size, keeps=False)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("on_conflict", ["update", "skip", "error"])
async def test_it_counts_what_an_import_counts_and_keeps_nothing(
    connection: asyncpg.Connection, tmp_path: Path, size: int, on_conflict: str
) -> None:
    path = write(tmp_path / "people.csv", RECORDS)
    await connection.execute(PEOPLE)
    before = await connection.fetch("select * from people order by id")
    tried = await validated(connection, path, size, on_conflict=on_conflict)
    assert tried.failure is None
    assert await connection.fetch("select * from people order by id") == before
    done = await import_file(connection, path, "people", {"on_conflict": on_conflict}, batch_size=size)
    assert tried.counts == done.counts
    assert tried.reasons == done.reasons
    assert tried.result is not None
    assert [tried.result[name] for name in ("added", "updated", "unchanged", "skipped", "refused")] == list(
        done.counts
    )


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_rows_are_shown_as_they_would_land(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(PEOPLE)
    more = [f"{row},1" for row in range(20, 40)]
    path = write(tmp_path / "people.csv", ["id,age", "7,70", "1,10", "x,1", *more])
    tried = await validated(connection, path, size)
    assert tried.result is not None
    rows = tried.result["rows"]
    assert len(rows) == 10
    assert rows[:2] == [
        {"id": 7, "name": "nobody", "age": 70, "born": None, "stamp": "#7"},
        {"id": 1, "name": "ann", "age": 10, "born": None, "stamp": "#1"},
    ]


@pytest.mark.parametrize("size", SIZES)
async def test_a_target_without_a_key_is_validated_too(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute("create table people (id int, name varchar(3), note text default 'x')")
    path = write(tmp_path / "people.csv", ["id,name", "1,ann", "2,bobby", "3,cid"])
    tried = await validated(connection, path, size)
    assert tried.counts == (2, 0, 0, 0, 1)
    assert tried.result is not None
    assert tried.result["rows"] == [{"id": 1, "name": "ann", "note": "x"}, {"id": 3, "name": "cid", "note": "x"}]
    assert await connection.fetchval("select count(*) from people") == 0


@pytest.mark.parametrize("size", SIZES)
async def test_rows_may_refer_to_rows_that_came_before_them(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute("create table people (id int primary key, boss int references people)")
    path = write(tmp_path / "people.csv", ["id,boss", "1,", "2,1", "3,9", "4,2"])
    tried = await validated(connection, path, size)
    assert tried.counts == (3, 0, 0, 0, 1)
    assert [error.code for error in tried.errors] == ["foreign_key_violation"]
    assert await connection.fetchval("select count(*) from people") == 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options",
    [
        {"update_columns": ["age"]},
        {"blank": "keep"},
        {"provenance": {"row_number": "place"}},
        {"provenance": {"row_number": "place"}, "update_columns": ["name"], "on_conflict": "skip"},
        pytest.param(
            {"similar": {"column": "name", "threshold": 0.5}}, marks=pytest.mark.contrib("pg_trgm"), id="similar"
        ),
    ],
)
async def test_it_says_what_an_import_does_under_rules_about_rows(
    connection: asyncpg.Connection, tmp_path: Path, size: int, options: dict[str, Any]
) -> None:
    blanks = ["7,gus,7", "7,,8", "7,gus,", "7,,", "7,gus,8", "8,gustav,1", "9,gusto,1", "9,gustl,1"]
    path = write(tmp_path / "people.csv", [*RECORDS, *blanks])
    await connection.execute(PEOPLE + "alter table people add place int")
    if "similar" in options:
        await connection.execute("create extension pg_trgm")
    tried = await validated(connection, path, size, **options)
    assert tried.result is not None
    assert await connection.fetchval("select count(*) from people") == 3
    done = await import_file(connection, path, "people", options, batch_size=size)
    assert tried.counts == done.counts
    assert tried.reasons == done.reasons
    assert len(tried.result["rows"]) > 3


class Interruption(Exception):
    pass


@pytest.mark.parametrize("size", [1, 3])
async def test_an_interruption_changes_nothing_of_what_is_found(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "people.csv", RECORDS)
    undisturbed = await validated(connection, path, size)
    stopped_at: set[int] = set()

    async def stop(batch: int) -> None:
        if batch not in stopped_at:
            stopped_at.add(batch)
            raise Interruption

    imported: Imported | None = None
    while imported is None or imported.result is None:
        kept: list[Imported] = []
        try:
            imported = await import_file(
                connection, path, "people", {}, continued=imported, before_batch=stop, batch_size=size, keep=kept,
                keeps=False,
            )  # fmt: skip
        except* Interruption:
            imported = kept[0]
    assert imported.counts == undisturbed.counts
    assert imported.reasons == undisturbed.reasons
    assert imported.result == undisturbed.result


async def test_it_says_when_there_were_too_many_keys_to_know_again(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "people.csv", ["id", *map(str, range(100, 130))])
    with mock.patch.object(seen, "KEYS_MAX", 10):
        tried = await validated(connection, path, 5)
    assert tried.result is not None
    assert tried.result["are_repeats_missed"]


async def test_a_validation_job_runs_and_the_same_file_may_be_imported_afterwards(
    database: Database, tmp_path: Path
) -> None:
    await database.execute("create table public.people (id int primary key, name text)")
    path = write(tmp_path / "people.csv", ["id,name", "1,ann", "x,bob"])
    async with daemon_within(database, import_roots=tmp_path):
        job_id = await submit_import(database, path, "public.people", job_type="validation")
        await wait_for_status(database, job_id, "completed", "failed")
        job = await job_row(database, job_id)
        assert (job["status"], job["items_added"], job["error_count"]) == ("completed", 1, 1)
        assert await database.fetchval("select count(*) from public.people") == 0
        assert await database.fetchval("select count(*) from jobd.import_ledger") == 0
        again = await submit_import(database, path, "public.people")
        await wait_for_status(database, again, "completed", "failed")
    assert (await job_row(database, again))["items_added"] == 1
