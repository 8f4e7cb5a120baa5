"""How values are written in the file: with other signs and words than PostgreSQL's, and blanks around them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.importing import Imported

TABLE = """
create domain share as numeric check (value <= 100);
create table t (
    id int primary key, name text, price numeric(12,2), count int, part share, is_open boolean
)
"""
HEADER = "Nr;name;price;count;part;is_open"
OPTIONS = {
    "columns": {"Nr": "id"},
    "delimiter": ";",
    "decimal": ",",
    "thousands": ".",
    "true_values": ["ja", "x"],
    "false_values": ["nein", ""],
    "null_values": ["NULL"],
    "trim": True,
}


async def _import(
    connection: asyncpg.Connection, directory: Path, lines: list[str], options: dict[str, Any], suffix: str = "csv"
) -> Imported:
    return await import_file(connection, write(directory / f"t.{suffix}", lines), "t", options)


async def _rows(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch("select * from t order by id")]


@pytest.mark.parametrize("has_rows", [False, True])
@pytest.mark.parametrize("size", [1, 2, 100])
async def test_values_are_read_as_the_options_say(
    connection: asyncpg.Connection, tmp_path: Path, size: int, has_rows: bool
) -> None:
    await connection.execute(TABLE)
    if has_rows:
        await connection.execute("insert into t values (1, 'old', 0, 0, 0, false)")
    lines = [
        HEADER,
        "1; Ann ;1.234,50;1.000;99,5;JA",
        '2;"  Bob ";"-0,5";+12;,5;Nein',
        "3;\N{NO-BREAK SPACE}Cid\N{NO-BREAK SPACE};NULL; NULL ;NULL;  ",
        "4;;7;1000;1;x",
    ]
    imported = await _import(connection, tmp_path, lines, {**OPTIONS, "batch_size": size})
    assert imported.counts == ((3, 1, 0, 0, 0) if has_rows else (4, 0, 0, 0, 0))
    assert await _rows(connection) == [
        (1, "Ann", Decimal("1234.50"), 1000, Decimal("99.5"), True),
        (2, "Bob", Decimal("-0.50"), 12, Decimal("0.5"), False),
        (3, "Cid", None, None, None, False),
        (4, "", Decimal("7.00"), 1000, Decimal(1), True),
    ]
    again = await _import(connection, tmp_path, lines, {**OPTIONS, "batch_size": size})
    assert again.counts == (0, 0, 4, 0, 0)


@pytest.mark.parametrize("has_rows", [False, True])
@pytest.mark.parametrize("size", [1, 100])
async def test_what_no_rule_reads_is_told_together_with_all_else_that_is_wrong(
    connection: asyncpg.Connection, tmp_path: Path, size: int, has_rows: bool
) -> None:
    await connection.execute(TABLE)
    if has_rows:
        await connection.execute("insert into t values (1, 'old', 0, 0, 0, false)")
    bad = "x;Bob; 1.2 ;1,5;100,5;maybe"
    lines = [HEADER, "1;Ann;1,00;1;1,0;ja", bad, "3;Cid;1,00;1;1,0;true", "4;Dan;1,00;1;1,0;nein"]
    imported = await _import(connection, tmp_path, lines, {**OPTIONS, "batch_size": size})
    assert imported.tally.success_count == 2
    assert [(each.row_number, each.field, each.code, each.raw_data) for each in imported.errors] == [
        (2, "Nr", "invalid_value", "x"),
        (2, "price", "invalid_value", " 1.2 "),
        (2, "count", "invalid_value", "1,5"),
        (2, "part", "check_violation", "100,5"),
        (2, "is_open", "invalid_value", "maybe"),
        (3, "is_open", "invalid_value", "true"),
    ]
    assert {each.error_type for each in imported.errors} == {"validation"}
    by_field = {each.field: each.message for each in imported.errors[:5]}
    assert by_field["price"] == (
        "\"1.2\" is no number as the options have them written: decimal sign ',', "
        "sign between thousands '.', as in 1.234,5"
    )
    assert by_field["is_open"] == (
        '"maybe" is none of the words for true and false: true is ja, x; false is nein, '
    )
    assert [(each.row_number, each.record) for each in imported.rejects] == [
        (2, bad.encode()),
        (3, b"3;Cid;1,00;1;1,0;true"),
    ]


async def test_a_record_of_texts_alone_can_be_refused_too(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (name text, is_open boolean)")
    imported = await _import(
        connection, tmp_path, ["name,is_open", "a,t", "b,ja"], {"true_values": "ja", "false_values": "nein"}
    )
    assert imported.counts == (1, 0, 0, 0, 1)
    assert imported.reasons == [(1, "is_open", "invalid_value")]


async def test_options_may_be_stated_for_columns_by_either_of_their_names(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, a numeric, b numeric, c text)")
    options = {"columns": {"Preis": "a"}, "decimal": {"preis": ","}, "trim": {"C": True}, "thousands": {"b": " "}}
    lines = ["id;Preis;b;c", "1;1,5;1 000.5; c ", "2;1.5;1.5; c"]
    imported = await _import(connection, tmp_path, lines, {**options, "delimiter": ";"})
    assert imported.reasons == [(2, "Preis", "invalid_value")]
    assert await _rows(connection) == [(1, Decimal("1.5"), Decimal("1000.5"), "c")]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decimal": {"prise": ","}}, ["decimal", "prise", "nearest: price"]),
        ({"decimal": {"name": ","}}, ["decimal", "name", "text", "no number column"]),
        ({"true_values": {"price": ["x"]}}, ["true_values", "no boolean column"]),
        ({"true_values": ["X"], "false_values": ["x "]}, ["true_values", "false_values", "both name x"]),
        ({"decimal": {"price": "."}, "thousands": {"price": "."}}, ["must differ"]),
        ({"thousands": "."}, ["thousands", "decimal"]),
        ({"thousands": " ", "decimal": "\N{NO-BREAK SPACE}"}, ["must differ"]),
        ({"trim": {"Nr": True, "id": True}, "columns": {"Nr": "id"}}, ["twice"]),
    ],
)
async def test_options_that_cannot_be_meant_are_refused_before_the_first_row(
    connection: asyncpg.Connection, tmp_path: Path, options: dict[str, Any], words: list[str]
) -> None:
    await connection.execute(TABLE)
    lines = [HEADER, "1;a;1;1;1;t"]
    imported = await _import(connection, tmp_path, lines, {"columns": {"Nr": "id"}, "delimiter": ";", **options})
    assert imported.failure is not None
    assert imported.failure.error_code == "option_invalid"
    assert not [word for word in words if word not in str(imported.failure)], str(imported.failure)


async def test_a_column_that_the_file_may_lack_may_be_named(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, price numeric)")
    options = {"columns": {"Preis": "price", "Price": "price"}, "decimal": {"Price": ".", "Preis": ","}}
    imported = await _import(connection, tmp_path, ["id;Preis", "1;2,5"], {**options, "delimiter": ";"})
    assert imported.counts == (1, 0, 0, 0, 0)


async def test_a_value_that_becomes_a_word_for_null_is_not_null(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, n int)")
    options = {"delimiter": ";", "decimal": ",", "thousands": ".", "null_values": ["1000"]}
    imported = await _import(connection, tmp_path, ["id;n", "1;1.000", "2;1000"], options)
    assert imported.counts == (2, 0, 0, 0, 0)
    assert await _rows(connection) == [(1, 1000), (2, None)]


async def test_trim_cuts_blanks_before_words_for_null_are_looked_for(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, name text, n int)")
    lines = ["id,name,n", " 1 ,  NA , NA", '2,"  ","  "', "3,   ,   ", '4," a ""b"" ", 4 ', '5,"\t\u3000c\n",5']
    options = {"trim": True, "null_values": ["NA", ""]}
    assert (await _import(connection, tmp_path, lines, options)).counts == (5, 0, 0, 0, 0)
    expected = [(1, None, None), (2, "", None), (3, None, None), (4, 'a "b"', 4), (5, "c", 5)]
    assert await _rows(connection) == expected


async def test_trim_knows_the_blanks_of_other_character_sets(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, name text)")
    path = write(tmp_path / "t.csv", "id,name\n1,\N{NO-BREAK SPACE}é \n2,à\n".encode("latin-1"))
    imported = await import_file(connection, path, "t", {"trim": True, "encoding": "latin-1"})
    assert imported.counts == (2, 0, 0, 0, 0)
    assert await _rows(connection) == [(1, "é"), (2, "à")]


async def test_a_key_is_compared_as_it_is_read(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, n int)")
    options = {"delimiter": ";", "thousands": ".", "decimal": ","}
    lines = ["id;n", "1.000;1", "1000;2", "NULL;3", "1.00;4"]
    imported = await _import(connection, tmp_path, lines, {**options, "null_values": ["NULL"]})
    assert imported.counts == (1, 1, 0, 0, 2)
    assert imported.reasons == [(3, "id", "key_is_null"), (4, "id", "invalid_value")]
    assert await _rows(connection) == [(1000, 2)]


async def test_values_of_json_that_are_no_texts_are_taken_as_they_are(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, name text, n numeric, is_open boolean)")
    lines = [
        '{"id": 1, "name": " a ", "n": 1.5, "is_open": true}',
        '{"id": 2, "name": 7.50, "n": "1.000,5", "is_open": "ja"}',
        '{"id": 3, "name": "", "n": "1.5", "is_open": "true"}',
        '{"id": 4, "name": null, "n": true, "is_open": false}',
    ]
    options = {key: OPTIONS[key] for key in ("decimal", "thousands", "true_values", "false_values", "trim")}
    imported = await _import(connection, tmp_path, lines, options, "jsonl")
    assert imported.reasons == [
        (3, "n", "invalid_value"),
        (3, "is_open", "invalid_value"),
        (4, "n", "invalid_value"),
    ]
    assert await _rows(connection) == [
        (1, "a", Decimal("1.5"), True),
        (2, "7.50", Decimal("1000.5"), True),
    ]
