"""What an update may touch: some columns only, and not where the file is blank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

PEOPLE = "create table people (id int primary key, name text not null, age int, note text)"
SIZES = pytest.mark.parametrize("size", [1, 3, 100])


async def rows(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch("select * from people order by 1")]


@SIZES
async def test_only_the_update_columns_are_compared_and_written(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(PEOPLE + "; insert into people values (1, 'ann', 1, 'x'), (2, 'bob', 2, 'y')")
    path = write(tmp_path / "a.csv", ["id,name,age,note", "1,ANN,1,z", "2,BOB,3,z", "3,CID,3,z", "3,EVE,4,q"])
    imported = await import_file(connection, path, "people", {"update_columns": ["Age"], "batch_size": size})
    assert imported.counts == (1, 2, 1, 0, 0)
    assert await rows(connection) == [(1, "ann", 1, "x"), (2, "bob", 3, "y"), (3, "CID", 4, "z")]


async def test_with_no_update_columns_existing_rows_are_unchanged(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE + "; insert into people values (1, 'ann', 1, 'x')")
    path = write(tmp_path / "a.csv", ["id,name", "1,ANN", "2,bob"])
    imported = await import_file(connection, path, "people", {"update_columns": []})
    assert imported.counts == (1, 0, 1, 0, 0)


@SIZES
async def test_a_blank_keeps_what_the_row_has_and_makes_no_difference(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(
        PEOPLE + "; insert into people values (1, 'ann', 1, 'x'), (2, 'bob', 2, null), (3, 'cid', 3, 'z')"
    )
    records = ["1,,,", "2,,,y", "3,CID,,", "4,dan,,", "5,,5,new", "4,,4,", "4,,,"]
    path = write(tmp_path / "a.csv", ["id,name,age,note", *records])
    imported = await import_file(connection, path, "people", {"blank": "keep", "batch_size": size})
    assert imported.counts == (1, 3, 2, 0, 1)
    assert imported.reasons == [(5, "name", "null_not_allowed")]
    assert imported.errors[0].message == "name must not be null"
    assert await rows(connection) == [
        (1, "ann", 1, "x"),
        (2, "bob", 2, "y"),
        (3, "CID", 3, "z"),
        (4, "dan", 4, None),
    ]


async def test_a_constant_null_is_meant(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(PEOPLE + "; insert into people values (1, 'ann', 1, 'x')")
    path = write(tmp_path / "a.csv", ["id,name", "1,"])
    imported = await import_file(connection, path, "people", {"blank": "keep", "constants": {"note": None}})
    assert imported.counts == (0, 1, 0, 0, 0)
    assert await rows(connection) == [(1, "ann", 1, None)]


@SIZES
@pytest.mark.parametrize("options", [{"blank": "keep"}, {"update_columns": ["low"]}])
async def test_a_check_judges_the_row_as_it_would_be_left(
    connection: asyncpg.Connection, tmp_path: Path, size: int, options: dict[str, Any]
) -> None:
    await connection.execute("create table people (id int primary key, low int, high int, check (low < high))")
    await connection.execute("insert into people values (1, 1, 5), (2, 1, 5)")
    keeps = "blank" in options
    high = "" if keeps else "100"
    path = write(tmp_path / "a.csv", ["id,low,high", f"1,4,{high}", f"2,7,{high}", "3,9,8", f"2,3,{high}"])
    imported = await import_file(connection, path, "people", {**options, "batch_size": size})
    assert imported.counts == (0, 2, 0, 0, 2)
    assert [error.row_number for error in imported.errors] == [2, 3]
    assert await rows(connection) == [(1, 4, 5), (2, 3, 5)]


@SIZES
async def test_a_kept_value_is_in_the_way_of_another_row(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute("create table people (id int primary key, nick text unique, age int)")
    await connection.execute("insert into people values (1, 'p', 1), (2, 'q', 2)")
    path = write(tmp_path / "a.csv", ["id,nick,age", "1,,7", "2,p,7", "1,r,7", "2,p,7"])
    imported = await import_file(connection, path, "people", {"blank": "keep", "batch_size": size})
    assert imported.counts == (0, 3, 0, 0, 1)
    assert await rows(connection) == [(1, "r", 7), (2, "p", 7)]


@pytest.mark.parametrize("mode", ["skip", "error"])
async def test_skip_and_error_are_as_ever(connection: asyncpg.Connection, tmp_path: Path, mode: str) -> None:
    await connection.execute(PEOPLE + "; insert into people values (1, 'ann', 1, 'x')")
    path = write(tmp_path / "a.csv", ["id,name", "1,ANN", "2,bob"])
    options = {"on_conflict": mode, "blank": "keep", "update_columns": ["name"]}
    imported = await import_file(connection, path, "people", options)
    assert imported.counts == ((1, 0, 0, 1, 0) if mode == "skip" else (1, 0, 0, 0, 1))
    assert (await rows(connection))[0] == (1, "ann", 1, "x")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"update_columns": ["nmae"]}, "unknown_column", ["nmae", "nearest: name"]),
        ({"update_columns": ["age"]}, "option_invalid", ["age", "neither by the file"]),
        ({"update_columns": ["id"]}, "option_invalid", ["part of the key"]),
        ({"update_columns": ["name"], "key": []}, "option_invalid", ["needs a key"]),
    ],
)
async def test_update_columns_that_cannot_be_are_told_before_the_first_row(
    connection: asyncpg.Connection,
    tmp_path: Path,
    options: dict[str, Any],
    code: str,
    words: list[str],
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "a.csv", ["id,name", "1,2"])
    imported = await import_file(connection, path, "people", options)
    assert imported.failure is not None
    assert imported.failure.error_code == code
    assert all(word in str(imported.failure) for word in words)


async def test_update_columns_may_be_named_as_in_the_file_and_be_absent_when_optional(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE + "; insert into people values (1, 'ann', 1, 'x')")
    path = write(tmp_path / "a.csv", ["id,Full Name", "1,Ann B."])
    options = {
        "columns": {"Full Name": "name", "years": "age"},
        "optional": ["years"],
        "update_columns": ["full name", "age"],
    }
    imported = await import_file(connection, path, "people", options)
    assert imported.counts == (0, 1, 0, 0, 0)


async def test_only_what_is_written_needs_a_privilege(empty_database: Database, tmp_path: Path) -> None:
    owner = await empty_database.connect()
    await owner.execute(PEOPLE + "; insert into people values (1, 'ann', 1, 'x'); create role clerk_of_ages login")
    try:
        await owner.execute(
            "grant insert, select (id, age), update (age) on people to clerk_of_ages;"
            f"grant temporary on database {empty_database.name} to clerk_of_ages"
        )
        clerk = await empty_database.connect("clerk_of_ages", statement_cache_size=0)
        path = write(tmp_path / "a.csv", ["id,name,age", "1,ANN,2", "2,bob,3"])
        imported = await import_file(clerk, path, "public.people", {"update_columns": ["age"]})
        assert imported.failure is None
        assert imported.counts == (1, 1, 0, 0, 0)
        refused = await import_file(clerk, path, "public.people", {"update_columns": ["age", "name"]})
        assert refused.failure is not None
        assert refused.failure.error_code == "no_privilege"
        await clerk.close()
    finally:
        await owner.execute("drop owned by clerk_of_ages; drop role clerk_of_ages")
