"""Surplus values of long records go into the column that the option ``rest`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write
from tests.support.mending import csv_of, keep_refused, refused_csv, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.database import Database

REST = {"rest": "extra", "delimiter": ","}
WITHOUT_HEADER = {**REST, "header": False}


@pytest.fixture
async def connection(database: Database) -> asyncpg.Connection:
    connection = await database.connect(statement_cache_size=0)
    await connection.execute("create table t (id int primary key, extra jsonb, amount int, name text)")
    return connection


async def contents(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await connection.fetch("select id, amount, name, extra::text from t order by id")
    return [tuple(row) for row in rows]


async def test_surplus_values_go_into_the_column_that_rest_names(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", "id\n1\n2,x,y\n")
    imported = await import_file(connection, path, "public.t", REST)
    assert (imported.failure, imported.errors) == (None, [])
    assert await contents(connection) == [(1, None, None, None), (2, None, None, '["x", "y"]')]


async def test_without_a_header_rest_takes_no_part_in_the_order_of_columns(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", '1,1\n2,2,"x,""",y\n')
    imported = await import_file(connection, path, "public.t", WITHOUT_HEADER)
    assert (imported.failure, imported.errors) == (None, [])
    assert await contents(connection) == [(1, 1, None, None), (2, 2, None, '["x,\\"", "y"]')]


async def test_without_a_header_a_first_record_that_is_too_long_fails_the_job(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", "1,1,a,x\n2,2,b\n")
    imported = await import_file(connection, path, "public.t", WITHOUT_HEADER)
    assert imported.failure is not None
    assert str(imported.failure) == (
        "the file has 4 columns and no header, public.t takes 3: id, amount, name. Its first record says how "
        "many, and may have no surplus values"
    )


async def test_a_column_for_the_rest_that_is_none_is_named(connection: asyncpg.Connection, tmp_path: Path) -> None:
    for header in (True, False):
        path = write(tmp_path / "a.csv", "id\n1\n" if header else "1\n")
        imported = await import_file(connection, path, "public.t", {"rest": "extras", "header": header})
        assert str(imported.failure) == "option rest: public.t has no column extras (nearest: extra)"


async def test_records_without_surplus_values_have_none_whatever_the_words_for_null_are(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", "id,name\n1,NA\n2,,x\n3,c\n")
    imported = await import_file(connection, path, "public.t", {**REST, "null_values": ["NA"]})
    assert (imported.failure, imported.errors) == (None, [])
    assert await contents(connection) == [(1, None, None, None), (2, None, "", '["x"]'), (3, None, "c", None)]


BAD = "1,1,a\n2,two,b,x,y\n3,three,c\n4,\0,d,x,y\n5,,\0e\n"
WHOLE = {"_jobd_record": ""}
MENDS: list[dict[str, str]] = [
    {"amount": "2"},
    {"amount": "3"},
    {"amount": "4", **WHOLE},
    {"name": "e", **WHOLE},
]
RIGHT = [
    (1, 1, "a", None),
    (2, 2, "b", '["x", "y"]'),
    (3, 3, "c", None),
    (4, 4, "d", '["x", "y"]'),
    (5, None, "e", None),
]


@pytest.mark.parametrize("null_values", [["NA"], ["", "NA"], None], ids=["a word", "words", "nothing stated"])
@pytest.mark.parametrize("header", [True, False], ids=["with a header", "without a header"])
async def test_refused_records_keep_their_surplus_values_when_they_are_mended(
    connection: asyncpg.Connection, tmp_path: Path, header: bool, null_values: list[str] | None
) -> None:
    null = (null_values or [""])[0]
    values = {"null_values": null_values} if null_values else {}
    options = {**REST, **values, "header": header}
    text = ("id,amount,name\n" if header else "") + BAD.replace("5,,", f"5,{null},")
    first = await import_file(connection, write(tmp_path / "a.csv", text), "public.t", options)
    assert [error.row_number for error in first.errors] == [2, 3, 4, 5]
    rows = rows_of(await refused_csv(connection, await keep_refused(connection, first)))
    assert [row["extra"] for row in rows] == [
        '"[""x"",""y""]"',
        null,
        '"[""x"",""y""]"',
        null,
    ]

    again = await import_file(connection, write(tmp_path / "again.csv", csv_of(rows)), "public.t", options)
    assert [error.code for error in again.errors] == [error.code for error in first.errors]
    for row, mend in zip(
        rows,
        MENDS,
        strict=True,
    ):
        row.update(mend)
    path = write(tmp_path / "mended.csv", csv_of(rows))
    for stated in (options, values):
        await connection.execute("delete from t where id > 1")
        second = await import_file(connection, path, "public.t", stated)
        assert (second.failure, second.errors) == (None, [])
        assert await contents(connection) == RIGHT


async def test_a_surplus_value_that_is_no_text_is_not_taken_for_the_whole(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", "id,name\n1,a\n2,b,x,\0\n")
    first = await import_file(connection, path, "public.t", {**REST, "encoding": "utf-8"})
    assert (first.failure, first.reasons) == (None, [(2, None, "nul_byte")])
    rows = rows_of(await refused_csv(connection, await keep_refused(connection, first)))
    assert [(row["extra"], row["_jobd_filled"]) for row in rows] == [("", "2")]
    rows[0]["extra"] = '"[""x"",""y""]"'
    path = write(tmp_path / "mended.csv", csv_of(rows))
    second = await import_file(connection, path, "public.t", REST)
    assert (second.failure, second.errors) == (None, [])
    assert await contents(connection) == [(1, None, "a", None), (2, None, "b", '["x", "y"]')]


async def test_surplus_values_stand_apart_from_a_column_of_the_file_that_is_called_as_theirs(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    options = {**REST, "columns": {"extra": "name"}}
    path = write(tmp_path / "a.csv", "id,extra,amount\n1,a,1\n2,b,two,x\n")
    first = await import_file(connection, path, "public.t", options)
    rows = rows_of(await refused_csv(connection, await keep_refused(connection, first)))
    assert (rows[0]["extra"], rows[0]["_rest"]) == ("b", '"[""x""]"')
    rows[0]["amount"] = "2"
    path = write(tmp_path / "mended.csv", csv_of(rows))
    second = await import_file(connection, path, "public.t", options)
    assert (second.failure, second.errors) == (None, [])
    assert await contents(connection) == [(1, 1, "a", None), (2, 2, "b", '["x"]')]
