"""Which rows are added, updated, left and refused, and by which way."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.support.importing import Imported, import_file, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

PEOPLE = "create table people (id int primary key, name text, pay numeric)"


def _file(directory: Path, rows: int, pay: int = 1) -> Path:
    return write(directory / "people.csv", ["id,name,pay", *(f"{id_},name {id_},{pay}" for id_ in range(rows))])


async def test_new_rows_go_straight_to_the_target(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(PEOPLE)
    imported = await import_file(connection, _file(tmp_path, 50), "people", {"batch_size": 20})
    assert imported.counts == (50, 0, 0, 0, 0)
    assert imported.result == {"batches": {"direct": 3, "staged": 0}}
    assert imported.progress == sorted(imported.progress)
    assert imported.begun["total_rows"] == 50
    assert len(imported.begun["file_hash"]) == 64
    assert imported.begun["estimated_rows"] == 50


async def test_all_that_is_known_of_a_small_file_is_written_down_at_once_and_of_a_large_one_later(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE)
    small = await import_file(connection, _file(tmp_path, 50), "people")
    large = await import_file(connection, _file(tmp_path, 5_000), "people")
    assert (small.begun_times, small.begun["total_rows"]) == (1, 50)
    assert (large.begun_times, large.begun["total_rows"]) == (3, 5_000)
    assert len(small.begun["file_hash"]) == len(large.begun["file_hash"]) == 64


async def test_the_same_file_again_changes_nothing(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(PEOPLE)
    await import_file(connection, _file(tmp_path, 50), "people")
    before = await connection.fetch("select xmin, * from people")
    imported = await import_file(connection, _file(tmp_path, 50), "people", {"batch_size": 20})
    assert imported.counts == (0, 0, 50, 0, 0)
    assert await connection.fetch("select xmin, * from people") == before


async def test_unchanged_rows_cause_no_wal(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(PEOPLE)
    await import_file(connection, _file(tmp_path, 20_000), "people")
    await connection.execute("checkpoint")
    await connection.fetch("select count(*) from people")
    before = await connection.fetchval("select pg_current_wal_insert_lsn()::text")
    await import_file(connection, _file(tmp_path, 20_000), "people")
    written = await connection.fetchval(
        "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::text::pg_lsn)", before
    )
    assert written < 200_000


async def test_changed_rows_are_updated_and_new_ones_added(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(PEOPLE)
    await connection.execute(
        "insert into people select g, 'name ' || g, case g % 2 when 0 then 1 end from generate_series(0, 29) g"
    )
    imported = await import_file(connection, _file(tmp_path, 50), "people", {"batch_size": 40})
    assert imported.counts == (20, 15, 15, 0, 0)
    assert await connection.fetchval("select count(*) from people where pay = 1") == 50


async def test_columns_that_the_file_lacks_are_left_alone(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        "create table people (id int primary key, name text, pay numeric default 7, note text)"
    )
    await connection.execute("insert into people values (1, 'old', 3, 'kept')")
    path = write(tmp_path / "people.csv", ["name,id", "new,1", "other,2"])
    imported = await import_file(connection, path, "people")
    assert imported.counts == (1, 1, 0, 0, 0)
    rows = [tuple(row) for row in await connection.fetch("select * from people order by id")]
    assert rows == [(1, "new", decimal.Decimal(3), "kept"), (2, "other", decimal.Decimal(7), None)]


@pytest.mark.parametrize(
    ("on_conflict", "counts", "name"),
    [("update", (1, 1, 1, 0, 0), "new"), ("skip", (1, 0, 0, 2, 0), "old"), ("error", (1, 0, 0, 0, 2), "old")],
)
async def test_existing_rows_are_updated_skipped_or_refused(
    connection: asyncpg.Connection, tmp_path: Path, on_conflict: str, counts: tuple[int, ...], name: str
) -> None:
    await connection.execute("create table people (id int primary key, name text)")
    await connection.execute("insert into people values (1, 'old'), (2, 'same')")
    path = write(tmp_path / "people.csv", ["id,name", "1,new", "2,same", "3,third"])
    imported = await import_file(connection, path, "people", {"on_conflict": on_conflict})
    assert imported.counts == counts
    assert await connection.fetchval("select name from people where id = 1") == name
    if on_conflict == "error":
        assert imported.reasons == [(1, "id", "already_exists"), (2, "id", "already_exists")]
        assert imported.errors[0].error_type == "duplicate"
        assert imported.errors[0].message == "a row with this key exists already: (id) = (1)"
        assert imported.rejects[0].record == b"1,new"


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_rows_of_one_key_are_compared_with_what_the_one_before_left(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute("create table people (id int primary key, name text)")
    records = ["1,a", "2,a", "1,b", "1,b", "2,a", "1,a", *["3,x"] * 12, "3,y"]
    path = write(tmp_path / "people.csv", ["id,name", *records])
    imported = await import_file(connection, path, "people", {"batch_size": size})
    assert imported.counts == (3, 3, 13, 0, 0)
    assert [tuple(row) for row in await connection.fetch("select * from people order by 1")] == [
        (1, "a"),
        (2, "a"),
        (3, "y"),
    ]


async def test_without_a_key_every_row_is_added(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table log (line text, at date)")
    path = write(tmp_path / "log.csv", ["line,at", "a,2020-01-01", "a,2020-01-01", "b,"])
    for _ in range(2):
        imported = await import_file(connection, path, "log")
        assert imported.counts == (3, 0, 0, 0, 0)
    assert await connection.fetchval("select count(*) from log") == 6


async def test_a_key_may_be_any_unique_index(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        "create table price (id int generated always as identity primary key, shop text, item text, cents int);"
        "create unique index on price (item, shop)"
    )
    path = write(tmp_path / "price.csv", ["shop,item,cents", "a,x,1", "a,y,2", "b,x,3", ",x,4"])
    options = {"key": ["shop", "item"]}
    assert (await import_file(connection, path, "price", options)).counts == (3, 0, 0, 0, 1)
    path = write(tmp_path / "price.csv", ["shop,item,cents", "a,x,1", "a,y,9", "b,z,3"])
    assert (await import_file(connection, path, "price", options)).counts == (1, 1, 1, 0, 0)


async def test_a_partitioned_target_is_counted_exactly(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        "create table people (id int, name text, primary key (id)) partition by hash (id);"
        "create table people_0 partition of people for values with (modulus 2, remainder 0);"
        "create table people_1 partition of people for values with (modulus 2, remainder 1)"
    )
    path = write(tmp_path / "people.csv", ["id,name", *(f"{id_},a" for id_ in range(30))])
    assert (await import_file(connection, path, "people")).counts == (30, 0, 0, 0, 0)
    await connection.execute("update people set name = 'b' where id < 10; delete from people where id > 24")
    assert (await import_file(connection, path, "people")).counts == (5, 10, 15, 0, 0)


async def test_constants_are_written_and_compared(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(
        "create table people (tenant text, id int, year int, tag text, primary key (tenant, id))"
    )
    path = write(tmp_path / "people.csv", ["id", "1", "2"])
    options = {"constants": {"tenant": 'a "quoted", one', "year": 2024, "tag": None}}
    assert (await import_file(connection, path, "people", options)).counts == (2, 0, 0, 0, 0)
    assert (await import_file(connection, path, "people", options)).counts == (0, 0, 2, 0, 0)
    options["constants"]["year"] = 2025
    assert (await import_file(connection, path, "people", options)).counts == (0, 2, 0, 0, 0)
    assert tuple((await connection.fetch("select * from people where id = 1"))[0]) == (
        'a "quoted", one',
        1,
        2025,
        None,
    )


async def test_values_without_an_equality_are_compared_as_text(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(
        "create table shape (id int primary key, place point, doc json, area circle, docs json[])"
    )
    path = write(
        tmp_path / "shape.csv",
        ["id,place,doc,area,docs", '1,"(1,2)","{""a"": 1}","<(0,0),1>","{""[1]""}"', "2,,,,"],
    )
    assert (await import_file(connection, path, "shape")).counts == (2, 0, 0, 0, 0)
    assert (await import_file(connection, path, "shape")).counts == (0, 0, 2, 0, 0)
    # Of the same area, and yet another circle.
    await connection.execute("update shape set area = '<(9,9),1>' where id = 1")
    assert (await import_file(connection, path, "shape")).counts == (0, 1, 1, 0, 0)


async def test_columns_of_our_own_are_passed_over(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table people (id int primary key, name text)")
    path = write(tmp_path / "people.csv", ["_jobd_row,id,_jobd_reason,name", "7,1,bad,ann", '8,2,"x,y",bob'])
    imported = await import_file(connection, path, "people")
    assert imported.counts == (2, 0, 0, 0, 0)
    assert imported.result == {"batches": {"direct": 1, "staged": 0}}
    assert await connection.fetchval("select name from people where id = 2") == "bob"


async def test_an_import_continues_where_it_stopped(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(PEOPLE)

    async def pull_the_plug(batches: int) -> None:
        if batches == 2:
            raise ConnectionAbortedError

    path = _file(tmp_path, 50)
    first = await _interrupted(connection, path, pull_the_plug)
    assert first.counts == (20, 0, 0, 0, 0)
    # A column that is added meanwhile is not looked at.
    await connection.execute("alter table people add note text")
    second = await import_file(connection, path, "people", {"batch_size": 10}, continued=first)
    assert second.counts == (50, 0, 0, 0, 0)
    assert await connection.fetchval("select count(*) from people") == 50


async def _interrupted(
    connection: asyncpg.Connection, path: Path, before_batch: Callable[[int], Awaitable[None]]
) -> Imported:
    imported = Imported()
    with pytest.raises(ConnectionAbortedError):
        await import_file(
            connection, path, "people", {"batch_size": 10}, continued=imported, before_batch=before_batch
        )
    return imported


@pytest.mark.parametrize("has_rows", [False, True])
async def test_two_imports_of_the_same_rows_at_once_add_each_row_once(
    connection: asyncpg.Connection, empty_database: Database, tmp_path: Path, has_rows: bool
) -> None:
    await connection.execute(PEOPLE)
    if has_rows:
        await connection.execute("insert into people values (-1, 'somebody', 0)")
    other = await empty_database.connect(statement_cache_size=0)
    path = _file(tmp_path, 3000)
    both: list[Imported] = []

    async def run(session: asyncpg.Connection) -> None:
        both.append(await import_file(session, path, "people", {"batch_size": 500}))

    async with anyio.create_task_group() as group:
        group.start_soon(run, connection)
        group.start_soon(run, other)
    assert [imported.failure for imported in both] == [None, None]
    assert [imported.tally.success_count for imported in both] == [3000, 3000]
    assert sum(imported.tally.added for imported in both) == 3000
    assert sum(imported.tally.unchanged for imported in both) == 3000
