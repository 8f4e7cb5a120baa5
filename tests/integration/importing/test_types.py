"""What a column's type makes of a value, on whichever way it comes: CSV and JSON, added and compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.importing import import_file, write

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.support.importing import Imported


async def _import(
    connection: asyncpg.Connection, directory: Path, lines: list[str], options: dict[str, Any] | None = None
) -> Imported:
    suffix = "jsonl" if lines[0].startswith("{") else "csv"
    return await import_file(connection, write(directory / f"t.{suffix}", lines), "t", options)


async def _texts(connection: asyncpg.Connection, column: str) -> list[str | None]:
    return [row[0] for row in await connection.fetch(f"select {column}::text from t order by id")]


def _jsonl(column: str, values: list[Any]) -> list[str]:
    return [json.dumps({"id": number, column: value}) for number, value in enumerate(values, 1)]


def _csv(column: str, values: list[str]) -> list[str]:
    quoted = ['"' + value.replace('"', '""') + '"' for value in values]
    return [f"id,{column}", *(f"{number},{value}" for number, value in enumerate(quoted, 1))]


# --- arrays

JSON_ARRAYS: list[Any] = [
    ["a", "b"],
    [],
    ["a, b", 'q"q', "back\\slash", "", "NULL", "{x}", " ", "é\n"],
    ["a", None],
    [["a", "b"], ["c", None]],
    [1, 2.50, True, {"a": [1]}],
]
AS_POSTGRESQL = [
    "{a,b}",
    "{}",
    '{"a, b","q\\"q","back\\\\slash","","NULL","{x}"," ","é\n"}',
    "{a,NULL}",
    "{{a,b},{c,NULL}}",
    '{1,2.5,true,"{\\"a\\": [1]}"}',
]


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize("has_rows", [False, True])
async def test_arrays_of_json_become_arrays(
    connection: asyncpg.Connection, tmp_path: Path, is_json: bool, has_rows: bool
) -> None:
    await connection.execute("create table t (id int primary key, tags text[])")
    if has_rows:
        await connection.execute("insert into t values (1, '{old}')")
    lines = _jsonl("tags", JSON_ARRAYS) if is_json else _csv("tags", [json.dumps(each) for each in JSON_ARRAYS])
    imported = await _import(connection, tmp_path, lines)
    assert imported.counts == ((5, 1, 0, 0, 0) if has_rows else (6, 0, 0, 0, 0))
    assert await _texts(connection, "tags") == AS_POSTGRESQL
    assert (await _import(connection, tmp_path, lines)).counts == (0, 0, 6, 0, 0)


async def test_postgresql_s_own_form_of_arrays_stays_as_it_is(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, n int[])")
    lines = _csv("n", ["{1,2}", "[0:1]={3,4}", " [2:2][1:2]={{5,6}}", "{}", "[7, 8]", " [9]"])
    imported = await _import(connection, tmp_path, lines)
    assert imported.counts == (6, 0, 0, 0, 0)
    assert await _texts(connection, "n") == ["{1,2}", "[0:1]={3,4}", "[2:2][1:2]={{5,6}}", "{}", "{7,8}", "{9}"]


@pytest.mark.parametrize("has_rows", [False, True])
@pytest.mark.parametrize("size", [1, 100])
async def test_arrays_that_cannot_be_read_are_explained(
    connection: asyncpg.Connection, tmp_path: Path, has_rows: bool, size: int
) -> None:
    await connection.execute("create table t (id int primary key, n int[], s text[])")
    if has_rows:
        await connection.execute("insert into t values (1)")
    values = ["[1", "[1,]", '["x"]', "[1.5]", "[[1],[2,3]]", "[[[[[[[1]]]]]]]", "{1", "[draft]", "[true]"]
    imported = await _import(connection, tmp_path, [*_csv("n", values), '10,"[1]"'], {"batch_size": size})
    assert imported.tally.success_count == 1
    assert imported.reasons == [(row, "n", "invalid_value") for row in range(1, 10)]
    assert [error.raw_data for error in imported.errors] == values
    assert imported.errors[0].message.startswith('"[1" is no array, neither of JSON nor of PostgreSQL')
    assert imported.errors[2].message == 'invalid input syntax for type integer: "x"'
    assert "more than the 6" in imported.errors[5].message
    strings = _csv("s", [r'["\u0000"]', r'["\ud800"]', '["good"]'])
    imported = await _import(connection, tmp_path, strings, {"batch_size": size})
    assert imported.reasons == [(1, "s", "invalid_value"), (2, "s", "invalid_value")]


async def test_characters_that_the_file_s_encoding_lacks_are_told(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, s text[])")
    path = write(tmp_path / "t.csv", 'id;s\n1;["é"]\n2;["\\u00e9"]\n3;["\\u20ac"]\n'.encode("latin-1"))
    imported = await import_file(connection, path, "t", {"encoding": "latin-1", "delimiter": ";", "quote": "'"})
    assert imported.reasons == [(3, "s", "invalid_value")]
    assert "lacks" in imported.errors[0].message
    assert await _texts(connection, "s") == ["{é}", "{é}"]


ARRAY_OPTIONS = {
    "decimal": ",",
    "thousands": ".",
    "date_format": {"days": "DD.MM.YYYY"},
    "true_values": ["ja"],
    "false_values": ["nein"],
}


@pytest.mark.parametrize("is_json", [False, True])
async def test_elements_of_arrays_are_read_as_the_options_say(
    connection: asyncpg.Connection, tmp_path: Path, is_json: bool
) -> None:
    await connection.execute("create table t (id int primary key, n numeric[], days date[], flags boolean[])")
    written: list[dict[str, str]] = [
        {"n": '["1.234,5", 2.5, null]', "days": '["29.02.2024"]', "flags": '["ja", false]'},
        {"n": '{"1.234,5",7, NULL }', "days": "{29.02.2024, 1.3.2024}", "flags": "{ja,NEIN}"},
        {"n": '[0:1][1:1]={{"1,5"},{"2"}}', "days": "{}", "flags": "[]"},
        {"n": '["1.5"]', "days": "{2024-02-29}", "flags": '["yes"]'},
        {"n": '{"1,5"', "days": "[]", "flags": "{}"},
    ]
    names = ("n", "days", "flags")
    if is_json:
        lines = [json.dumps({"id": number, **each}) for number, each in enumerate(written, 1)]
    else:
        rows = (
            [str(number), *('"' + each[name].replace('"', '""') + '"' for name in names)]
            for number, each in enumerate(written, 1)
        )
        lines = ["id,n,days,flags", *map(",".join, rows)]
    imported = await _import(connection, tmp_path, lines, ARRAY_OPTIONS)
    assert imported.failure is None
    assert sorted(imported.reasons, key=str) == [
        (4, "days", "invalid_value"),
        (4, "flags", "invalid_value"),
        (4, "n", "invalid_value"),
        (5, "n", "invalid_value"),
    ]
    assert await _texts(connection, "n") == ["{1234.5,2.5,NULL}", "{1234.5,7,NULL}", "[0:1][1:1]={{1.5},{2}}"]
    assert await _texts(connection, "days") == ["{2024-02-29}", "{2024-02-29,2024-03-01}", "{}"]
    assert await _texts(connection, "flags") == ["{t,f}", "{t,f}", "{}"]


async def test_counted_seconds_in_arrays_are_moments(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, moments timestamptz[])")
    lines = _csv("moments", ["[0, 86400]", "{0,86400}"])
    imported = await _import(connection, tmp_path, lines, {"date_format": "epoch"})
    assert imported.counts == (2, 0, 0, 0, 0)
    expected = '{"1970-01-01 00:00:00+00","1970-01-02 00:00:00+00"}'
    assert await connection.fetch("select id from t where moments = $1::text::timestamptz[]", expected) != []
    assert await connection.fetchval("select count(distinct moments) from t") == 1


async def test_an_option_names_only_arrays_whose_elements_it_fits(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, words text[])")
    imported = await _import(connection, tmp_path, _csv("words", ["{}"]), {"decimal": {"words": ","}})
    assert str(imported.failure) == "option decimal names column words, which is text[], no number column"


async def test_arrays_of_json_elements_hold_json(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, docs jsonb[])")
    imported = await _import(connection, tmp_path, _jsonl("docs", [[{"a": 1}, [1, [2]], "x", 5, None, True]]))
    assert imported.counts == (1, 0, 0, 0, 0)
    assert await connection.fetchval("select docs::text[] from t") == [
        '{"a": 1}',
        "[1, [2]]",
        '"x"',
        "5",
        None,
        "true",
    ]


# --- JSON


@pytest.mark.parametrize("kind", ["json", "jsonb"])
async def test_what_json_holds_arrives_in_json_columns_as_it_was(
    connection: asyncpg.Connection, tmp_path: Path, kind: str
) -> None:
    await connection.execute(f"create table t (id int primary key, doc {kind})")
    values: list[Any] = [
        {"a": [1, {"b": None}], "c": "x\\y"}, [1, 2], [], {}, "text", 'q"q', "[draft] x", "[draft]", "{hello}",
        "{", "[null", "12", "true", 12, 1.5, True, "é\n", " ",
    ]  # fmt: skip
    imported = await _import(connection, tmp_path, _jsonl("doc", values))
    assert imported.reasons == []
    assert [json.loads(text or "null") for text in await _texts(connection, "doc")] == values
    assert (await _import(connection, tmp_path, _jsonl("doc", values))).counts == (0, 0, len(values), 0, 0)


async def test_json_in_csv_stays_as_it_is(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await connection.execute("create table t (id int primary key, doc json)")
    imported = await _import(connection, tmp_path, _csv("doc", ['{"a":  1}', '"x"', "[1 ,2]", "x"]))
    assert imported.reasons == [(4, "doc", "invalid_value")]
    assert await _texts(connection, "doc") == ['{"a":  1}', '"x"', "[1 ,2]"]


async def test_numbers_of_json_are_texts_as_they_are_written(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute("create table t (id int primary key, s text)")
    lines = ['{"id": 1, "s": 1.50}', '{"id": 2, "s": 1E3}', '{"id": 3, "s": true}', '{"id": 4, "s": {"a": 1}}']
    assert (await _import(connection, tmp_path, lines)).counts == (4, 0, 0, 0, 0)
    assert await _texts(connection, "s") == ["1.50", "1E3", "true", '{"a": 1}']


async def test_json_of_another_kind_than_the_column_is_refused(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await connection.execute(
        "create type place as (x int, y int); create table t (id int primary key, n int, p place, tags text[])"
    )
    lines = [
        '{"id": 1, "n": true, "p": {"x": 1}, "tags": "a"}',
        '{"id": 2, "n": [1], "p": "(1,2)", "tags": {"a": 1}}',
        '{"id": 3, "n": 1, "p": "(1,2)", "tags": ["a"]}',
    ]
    imported = await _import(connection, tmp_path, lines)
    assert imported.reasons == [
        (1, "n", "invalid_value"),
        (1, "p", "invalid_value"),
        (1, "tags", "invalid_value"),
        (2, "n", "invalid_value"),
        (2, "tags", "invalid_value"),
    ]
    assert imported.errors[1].message == (
        '"{"x": 1}" is JSON, and the column is of the composite type public.place, whose values are written as '
        "(value, value, …)"
    )
    assert await _texts(connection, "p") == ["(1,2)"]


# --- types of the target

TYPES = """
create type mood as enum ('happy', 'sad');
create domain percent as numeric(5,2) check (value between 0 and 100);
create domain moods as mood[] check (cardinality(value) < 3);
create table t (
    id int generated always as identity primary key, feel mood, share percent, during daterange, feels moods,
    spans int4multirange, address inet, key uuid, note text default 'none', double numeric generated always as
    (share * 2) stored
) partition by range (id);
create table t_low partition of t for values from (0) to (1000)
"""
COLUMNS = ("feel", "share", "during", "feels", "spans", "address", "key")
GOOD = (
    "happy", "12,5", "[2024-01-01,2024-02-01)", '["sad", "happy"]', "{[1,3),[5,7)}", "10.0.0.1",
    "00000000-0000-0000-0000-000000000001",
)  # fmt: skip
BAD = ("angry", "100,5", "[2024-02-01,2024-01-01)", '["sad","sad","sad"]', "{[3,1)}", "10.0.0.256", "1")
CODES = (
    "invalid_value", "check_violation", "invalid_value", "check_violation", "invalid_value", "invalid_value",
    "invalid_value",
)  # fmt: skip


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("has_rows", [False, True])
@pytest.mark.parametrize("is_json", [False, True])
async def test_values_of_all_kinds_of_types_are_read_and_refused(
    connection: asyncpg.Connection, tmp_path: Path, size: int, has_rows: bool, is_json: bool
) -> None:
    await connection.execute(TYPES)
    if has_rows:
        await connection.execute("insert into t (id, feel) overriding system value values (1, 'sad')")
    records = [(1, *GOOD), (2, *BAD), (3, *GOOD), (2000, *GOOD)]
    lines = [_as_json(record) for record in records] if is_json else [",".join(("id", *COLUMNS))]
    if not is_json:
        lines += [_as_csv(record) for record in records]
    options = {"decimal": ",", "batch_size": size}
    imported = await _import(connection, tmp_path, lines, options)
    assert [(error.row_number, error.field, error.code) for error in imported.errors] == [
        *((2, name, code) for name, code in zip(COLUMNS, CODES, strict=True)),
        (4, None, "check_violation"),
    ]
    assert all(error.message for error in imported.errors)
    rows = await connection.fetch("select id, share, double, note, feels::text, during::text from t order by id")
    notes = [row["note"] for row in rows]
    assert notes == ["none", "none"]
    assert [(row["id"], row["share"] * 2 == row["double"], row["feels"]) for row in rows] == [
        (1, True, "{sad,happy}"),
        (3, True, "{sad,happy}"),
    ]


def _as_json(record: tuple[Any, ...]) -> str:
    values = dict(zip(("id", *COLUMNS), record, strict=True))
    return json.dumps({**values, "feels": json.loads(values["feels"])})


def _as_csv(record: tuple[Any, ...]) -> str:
    return ",".join('"' + str(value).replace('"', '""') + '"' for value in record)
