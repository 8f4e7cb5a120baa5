"""Where a row came from, written beside it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

PEOPLE = """
create table people (
    id int primary key, name text check (name <> 'nobody'), age int,
    job uuid, file text, row_number bigint, at timestamptz
)"""
ALL = {"provenance": {"job_id": "job", "file": "file", "row_number": "row_number", "imported_at": "at"}}
SIZES = pytest.mark.parametrize("size", [1, 3, 100])


async def rows(connection: asyncpg.Connection, columns: str) -> Sequence[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(f"select {columns} from people order by id")]


@SIZES
@pytest.mark.parametrize("is_target_empty", [True, False])
async def test_every_added_and_updated_row_tells_where_it_came_from(
    connection: asyncpg.Connection, tmp_path: Path, size: int, *, is_target_empty: bool
) -> None:
    await connection.execute(PEOPLE)
    if not is_target_empty:
        await connection.execute(
            "insert into people (id, name, file) values (2, 'old', 'before'), (3, 'cid', 'kept')"
        )
    records = ["1,ann", "x,bad", "2,bob", "3,cid", "4,nobody", '5,"e\nve"', "3,cid", "2,bob"]
    path = write(tmp_path / "people.csv", ["id,name", *records])
    before = datetime.now(UTC)
    imported = await import_file(connection, path, "people", {**ALL, "batch_size": size}, id=uuid.UUID(int=7))
    assert imported.failure is None
    unchanged = 2 if is_target_empty else 3
    assert (imported.tally.unchanged, imported.tally.refused) == (unchanged, 2)
    file = str(path)
    third = (4, file) if is_target_empty else (None, "kept")
    assert await rows(connection, "row_number, file") == [
        (1, file), (3, file), third, (6, file),
    ]  # fmt: skip
    written = "row_number is not null"
    assert await connection.fetchval(f"select bool_and((job = $1) = ({written})) from people", uuid.UUID(int=7))
    times = await connection.fetch(f"select at from people where {written}")
    assert all(before <= row["at"] <= datetime.now(UTC) for row in times)
    assert (len({row["at"] for row in times}) == 1) == (size == 100)


async def test_the_fields_stand_before_the_records_on_the_direct_way_too(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / 'a "%s", b.csv', ["id,name", *(f"{number},name {number}" for number in range(1, 51))])
    options = {**ALL, "constants": {"age": 7}, "batch_size": 20}
    imported = await import_file(connection, path, "people", options)
    assert imported.result == {"batches": {"direct": 3, "staged": 0}}
    assert await connection.fetchval("select count(*) from people where row_number = id and age = 7") == 50
    assert await connection.fetchval("select distinct file from people") == str(path)


async def test_a_batch_of_several_files_tells_each_records_own(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE)
    for name, ids in (("a.csv", "12"), ("b.csv", "3"), ("c.csv", "456")):
        write(tmp_path / name, ["id,name", "oops,x", *(f"{number},n" for number in ids)])
    for provenance in ({"file": "file"}, {"file": "file", "row_number": "row_number"}):
        await connection.execute("truncate people")
        imported = await import_file(connection, tmp_path, "people", {"provenance": provenance})
        assert imported.batches == 1
        found = await rows(connection, "file")
        assert [file.rpartition("/")[2] for (file,) in found] == [
            "a.csv",
            "a.csv",
            "b.csv",
            "c.csv",
            "c.csv",
            "c.csv",
        ]
    assert [row for (row,) in await rows(connection, "row_number")] == [2, 3, 2, 2, 3, 4]


@pytest.mark.parametrize("null_values", [["2"], ["", "2"]])
async def test_a_row_number_is_no_null_word(
    connection: asyncpg.Connection, tmp_path: Path, null_values: list[str]
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "a.csv", ["id,name", "1,a", "3,b", "4,2", "x,b"])
    options = {"provenance": {"row_number": "row_number"}, "null_values": null_values}
    imported = await import_file(connection, path, "people", options)
    assert imported.counts == (3, 0, 0, 0, 1)
    assert await rows(connection, "row_number, name") == [(1, "a"), (2, "b"), (3, None)]


async def test_json_lines_tell_of_their_origin(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "a.jsonl", ['{"id": 1, "name": "ann"}', '{"id": 2}'])
    imported = await import_file(connection, path, "people", ALL)
    assert imported.counts == (2, 0, 0, 0, 0)
    assert await rows(connection, "row_number, file") == [(1, str(path)), (2, str(path))]


async def test_a_name_that_the_files_encoding_lacks_is_written_with_escapes(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "\u0436.csv", b"id,name\n1,\xe9\n")
    options = {"provenance": {"file": "file"}, "encoding": "latin1"}
    await import_file(connection, path, "people", options)
    assert await rows(connection, "name, file") == [("\u00e9", f"{tmp_path}/\\u0436.csv")]


async def test_a_constant_that_the_files_encoding_lacks_is_refused_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(PEOPLE)
    path = write(tmp_path / "a.csv", b"id\n1\n")
    imported = await import_file(
        connection, path, "people", {"constants": {"name": "\u0436"}, "encoding": "latin1"}
    )
    assert imported.failure is not None
    assert imported.failure.error_code == "option_invalid"


@pytest.mark.parametrize(
    ("columns", "types", "fits"),
    [
        ("job_id", ["uuid", "text", "varchar(36)"], True),
        ("job_id", ["int", "varchar(10)", "date", "jsonb"], False),
        ("row_number", ["int", "bigint", "numeric", "numeric(12,2)", "float8", "text"], True),
        ("row_number", ["smallint", "uuid", "timestamptz", "boolean"], False),
        ("imported_at", ["timestamptz", "timestamp(0)", "date", "time", "text"], True),
        ("imported_at", ["int", "boolean", "varchar(10)"], False),
        ("file", ["text", "varchar(400)"], True),
        ("file", ["int", "uuid", "jsonb"], False),
    ],
)
async def test_the_columns_types_are_tried_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path, columns: str, types: list[str], *, fits: bool
) -> None:
    path = write(tmp_path / "people.csv", ["id", "1"])
    for type_name in types:
        await connection.execute(
            f"drop table if exists people; create table people (id int primary key, o {type_name})"
        )
        imported = await import_file(connection, path, "people", {"provenance": {columns: "o"}})
        assert (imported.failure is None) == fits, type_name
        if imported.failure is None:
            assert await connection.fetchval("select o is not null from people")
        else:
            assert imported.failure.error_code == "option_invalid"
            assert type_name.split("(", maxsplit=1)[0][:3] in str(imported.failure)


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ({"provenance": {"file": "nmae"}}, "unknown_column", "nearest: name"),
        ({"provenance": {"file": "name"}}, "option_invalid", "filled already"),
        ({"provenance": {"file": "file"}, "constants": {"file": "x"}}, "option_invalid", "filled already"),
        ({"provenance": {"file": "file", "job_id": "File"}}, "option_invalid", "filled already"),
        ({"provenance": {"row_number": "id"}, "key": ["id"]}, "option_invalid", "part of the key"),
        ({"provenance": {"row_number": "twice"}}, "column_not_writable", "generated"),
    ],
)
async def test_provenance_that_cannot_be_is_told_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path, options: dict[str, Any], code: str, word: str
) -> None:
    await connection.execute(PEOPLE + "; alter table people add twice int generated always as (id * 2) stored")
    header = "name" if options["provenance"].get("row_number") == "id" else "id,name"
    imported = await import_file(connection, write(tmp_path / "a.csv", [header, "1,x"]), "people", options)
    assert imported.failure is not None
    assert imported.failure.error_code == code
    assert word in str(imported.failure)


async def test_a_column_that_the_file_lacks_may_be_filled_by_provenance(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table people (id int primary key, file text not null)")
    path = write(tmp_path / "a.csv", ["id", "1"])
    imported = await import_file(connection, path, "people", {"provenance": {"file": "file"}})
    assert imported.counts == (1, 0, 0, 0, 0)


@SIZES
async def test_what_a_rule_has_against_provenance_is_told_of_the_record(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute(PEOPLE + "; create unique index on people (row_number) where row_number < 3")
    await connection.execute("alter table people add constraint few check (row_number < 4)")
    await connection.execute("insert into people (id, name, row_number) values (9, 'nine', 2), (8, 'eight', null)")
    records = ["1,a", "2,b", "3,c", "8,eight", "5,e"]
    path = write(tmp_path / "a.csv", ["id,name", *records])
    options = {"provenance": {"row_number": "row_number"}, "batch_size": size}
    imported = await import_file(connection, path, "people", options)
    assert imported.counts == (2, 0, 1, 0, 2)
    assert [(error.row_number, error.code) for error in imported.errors] == [
        (2, "unique_violation"),
        (5, "check_violation"),
    ]
    assert imported.errors[1].raw_data == "5"


async def test_privileges_are_needed_for_what_tells_the_origin(empty_database: Database, tmp_path: Path) -> None:
    owner = await empty_database.connect()
    await owner.execute(PEOPLE + "; create role clerk_of_origins login")
    try:
        await owner.execute(
            "grant insert (id, name), select (id, name), update (name) on people to clerk_of_origins;"
            f"grant temporary on database {empty_database.name} to clerk_of_origins"
        )
        clerk = await empty_database.connect("clerk_of_origins", statement_cache_size=0)
        path = write(tmp_path / "people.csv", ["id,name", "1,ann"])
        refused = await import_file(clerk, path, "public.people", {"provenance": {"file": "file"}})
        assert refused.failure is not None
        assert refused.failure.error_code == "no_privilege"
        await owner.execute("grant insert (file), update (file) on people to clerk_of_origins")
        imported = await import_file(clerk, path, "public.people", {"provenance": {"file": "file"}})
        assert imported.counts == (1, 0, 0, 0, 0)
        await clerk.close()
    finally:
        await owner.execute("drop owned by clerk_of_origins; drop role clerk_of_origins")
