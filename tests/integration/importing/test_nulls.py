"""What is null, what is an empty text, and that both are loaded as \\copy would load them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

TABLE = "create table t (id int primary key, name text, n int)"


async def _rows(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    return [tuple(row)[1:] for row in await connection.fetch("select * from t order by id")]


async def _import(
    connection: asyncpg.Connection, directory: Path, lines: list[str], options: dict[str, Any]
) -> Any:
    path = write(directory / "t.csv", ["id,name,n", *lines])
    return await import_file(connection, path, "t", options)


async def test_an_empty_field_is_null_and_a_quoted_one_is_a_text(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(TABLE)
    imported = await _import(connection, tmp_path, ["1,,", '2,"",""', "3,a,1"], {})
    assert imported.counts == (3, 0, 0, 0, 0)
    assert imported.result == {"batches": {"direct": 1, "staged": 0}}
    assert await _rows(connection) == [(None, None), ("", None), ("a", 1)]


@pytest.mark.parametrize("size", [1, 100])
async def test_one_word_may_stand_for_null(connection: asyncpg.Connection, tmp_path: Path, size: int) -> None:
    await connection.execute(TABLE)
    lines = ["1,NA,NA", '2,"NA",2', "3,,3", '4,"",""', "5,a,", "6,NAN,6"]
    imported = await _import(connection, tmp_path, lines, {"null_values": ["NA"], "batch_size": size})
    assert imported.counts == (5, 0, 0, 0, 1)
    assert imported.reasons == [(5, "n", "invalid_value")]
    assert await _rows(connection) == [(None, None), ("NA", 2), ("", 3), ("", None), ("NAN", 6)]


@pytest.mark.parametrize("words", [["n,a"], ["n,a", "-"]], ids=["one word", "two words"])
async def test_a_word_that_needs_quotes_stands_for_null_in_them(
    connection: asyncpg.Connection, tmp_path: Path, words: list[str]
) -> None:
    await connection.execute(TABLE)
    lines = ['1,"n,a","n,a"', '2,"-",2', '3,"n,a ",3']
    imported = await _import(connection, tmp_path, lines, {"null_values": words})
    assert imported.counts == (3, 0, 0, 0, 0)
    assert await _rows(connection) == [(None, None), ("-", 2), ("n,a ", 3)]


@pytest.mark.parametrize("size", [1, 100])
async def test_several_words_may_stand_for_null(connection: asyncpg.Connection, tmp_path: Path, size: int) -> None:
    await connection.execute(TABLE)
    lines = ["1,NA,-", '2,"NA",2', "3,,3", '4,"",""', "5,a,", "6,-,6", "7,--,7"]
    imported = await _import(connection, tmp_path, lines, {"null_values": ["NA", "", "-"], "batch_size": size})
    assert imported.counts == (7, 0, 0, 0, 0)
    assert await _rows(connection) == [
        (None, None),
        ("NA", 2),
        (None, 3),
        ("", None),
        ("a", None),
        (None, 6),
        ("--", 7),
    ]


async def test_words_may_be_stated_per_column(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    imported = await _import(
        connection, tmp_path, ["1,NA,NA", "2,,-", "3,-,"], {"null_values": {"N": ["-", "NA", ""]}}
    )
    assert imported.counts == (3, 0, 0, 0, 0)
    assert await _rows(connection) == [("NA", None), (None, None), ("-", None)]


async def test_no_word_at_all_makes_empty_fields_texts(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    imported = await _import(connection, tmp_path, ["1,,1", "2,a,"], {"null_values": []})
    assert imported.counts == (1, 0, 0, 0, 1)
    assert await _rows(connection) == [("", 1)]
    assert imported.reasons == [(2, "n", "invalid_value")]


async def test_a_word_for_null_in_the_key_is_an_error(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    imported = await _import(connection, tmp_path, ["NA,a,1", "2,b,1"], {"null_values": ["NA"]})
    assert imported.reasons == [(1, "id", "key_is_null")]
    assert imported.errors[0].raw_data == "NA"


async def test_null_values_for_an_unknown_column_are_refused(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(TABLE)
    imported = await _import(connection, tmp_path, ["1,a,1"], {"null_values": {"m": ["NA"]}})
    assert imported.failure is not None
    assert imported.failure.error_code == "option_invalid"


async def test_nulls_of_json_are_null_whatever_the_words(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute(TABLE)
    lines = [
        '{"id": 1, "name": null, "n": null}',
        '{"id": 2, "name": "", "n": 2}',
        '{"id": 3, "name": "NA", "n": 3}',
    ]
    path = write(tmp_path / "t.jsonl", lines)
    assert (await import_file(connection, path, "t")).counts == (3, 0, 0, 0, 0)
    assert await _rows(connection) == [(None, None), ("", 2), ("NA", 3)]
    assert (await import_file(connection, path, "t", {"null_values": ["NA"]})).counts == (0, 1, 2, 0, 0)
    assert await _rows(connection) == [(None, None), ("", 2), (None, 3)]


@pytest.mark.parametrize("size", [1, 100])
async def test_a_word_for_null_may_be_a_number(connection: asyncpg.Connection, tmp_path: Path, size: int) -> None:
    await connection.execute("create table people (id int primary key, age int); insert into people values (9, 9)")
    path = write(tmp_path / "people.csv", ["id,age", "10,0", "11,1", "x,2", "13,1"])
    options = {"null_values": ["1"], "batch_size": size}
    imported = await import_file(connection, path, "people", options)
    assert imported.counts == (3, 0, 0, 0, 1)
    assert await connection.fetchval("select array_agg(age order by id) from people where id > 9") == [
        0,
        None,
        None,
    ]


@pytest.mark.parametrize("size", [1, 100])
async def test_a_constant_of_null_is_null_whatever_the_words(
    connection: asyncpg.Connection, tmp_path: Path, size: int
) -> None:
    await connection.execute("create table t (id int primary key, name text, n int, note text)")
    lines = ['1,a,""', "2,b,NA"]  # the first has its batch rewritten
    options = {"null_values": ["NA"], "constants": {"note": None}, "batch_size": size}
    assert (await _import(connection, tmp_path, lines, options)).counts == (2, 0, 0, 0, 0)
    assert await _rows(connection) == [("a", None, None), ("b", None, None)]
